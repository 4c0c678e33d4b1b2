import { rtpSequence, rtpSsrc, sequenceDistance, setRtpSequence } from '@offhook/core';
import { MAX_LEARNED_SSRCS, SsrcTable } from './ssrc-table.ts';

/** How far behind the newest packet a late one may lie: the window that SRTP's replay guard keeps. */
const MAX_LATE = 512;

/**
 * Keeps the sequence numbers of a plain stream going upwards on its way into SRTP, whose sender may use no index twice
 * (RFC 3711 9.1). A source that starts again lower under the same SSRC (a PBX that changed its player, a phone that
 * rebooted) goes on where it was: as in RFC 3550 A.1 two packets in a row prove the new start, the first of them is lost.
 */
export class SequenceMap {
  readonly #slots = new SsrcTable();
  /** Highest number sent, the offset added, and the number that would prove a new start (-1 = none awaited). */
  readonly #highest = new Uint16Array(MAX_LEARNED_SSRCS);
  readonly #offset = new Uint16Array(MAX_LEARNED_SSRCS);
  readonly #awaited = new Int32Array(MAX_LEARNED_SSRCS).fill(-1);

  /** Rewrites the packet's number where needed; false when it is the first one after a jump, which is not sent. */
  follow(bytes: Uint8Array, offset: number): boolean {
    const ssrc = rtpSsrc(bytes, offset);
    const sequence = rtpSequence(bytes, offset);
    const slot = this.#slots.find(ssrc);
    if (slot < 0) {
      const fresh = this.#slots.size;
      this.#slots.set(ssrc, fresh);
      if (fresh < MAX_LEARNED_SSRCS) this.#highest[fresh] = sequence;
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
}
