import { rtpSequence, rtpSsrc, sequenceDistance, setRtpSequence } from '@offhook/core';
import { SsrcIndex } from '../srtp/index.ts';

/** How far behind the newest packet a late one may lie: the window that SRTP's replay guard keeps. */
const MAX_LATE = 512;

/**
 * Keeps the sequence numbers of a plain stream going upwards on its way into SRTP, whose sender may use no index twice
 * (RFC 3711 9.1). A source that starts again lower under the same SSRC (a PBX that changed its player, a phone that
 * rebooted) goes on where it was: as in RFC 3550 A.1 two packets in a row prove the new start, the first of them is lost.
 *
 * A stream is never forgotten, for SRTP doesn't forget it either. Those beyond `MAX_KNOWN_SSRCS` pass as they are: SRTP
 * refuses them.
 */
export class SequenceMap {
  readonly #index = new SsrcIndex();
  /** Highest number sent, the offset added, and the number that would prove a new start (-1 = none awaited). */
  #highest = new Uint16Array(this.#index.capacity);
  #offset = new Uint16Array(this.#index.capacity);
  #awaited = new Int32Array(this.#index.capacity).fill(-1);

  /** Rewrites the packet's number where needed; false when it is the first one after a jump, which is not sent. */
  follow(bytes: Uint8Array, offset: number): boolean {
    const ssrc = rtpSsrc(bytes, offset);
    const sequence = rtpSequence(bytes, offset);
    const slot = this.#index.find(ssrc);
    if (slot < 0) {
      const fresh = this.#index.add(ssrc);
      if (this.#index.capacity > this.#highest.length) this.#grow(this.#index.capacity);
      if (fresh >= 0) this.#highest[fresh] = sequence;
      return true;
    }
    const mapped = (sequence + this.#offset[slot]!) & 0xffff;
    const step = sequenceDistance(mapped, this.#highest[slot]!);
    if (step > -MAX_LATE) {
      if (step > 0) this.#highest[slot] = mapped;
      this.#awaited[slot] = -1;
      if (mapped !== sequence) setRtpSequence(bytes, offset, mapped);
      return true;
    }
    if (this.#awaited[slot] !== sequence) {
      this.#awaited[slot] = (sequence + 1) & 0xffff;
      return false;
    }
    const next = (this.#highest[slot]! + 1) & 0xffff;
    this.#offset[slot] = next - sequence;
    this.#highest[slot] = next;
    this.#awaited[slot] = -1;
    setRtpSequence(bytes, offset, next);
    return true;
  }

  #grow(capacity: number): void {
    const { length } = this.#highest;
    const [highest, offset, awaited] = [this.#highest, this.#offset, this.#awaited];
    this.#highest = new Uint16Array(capacity);
    this.#offset = new Uint16Array(capacity);
    this.#awaited = new Int32Array(capacity).fill(-1, length);
    this.#highest.set(highest);
    this.#offset.set(offset);
    this.#awaited.set(awaited);
  }
}
