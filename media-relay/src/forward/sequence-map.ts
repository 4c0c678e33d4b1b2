import { readS32, rtpSequence, sequenceDistance, setRtpSequence } from '@offhook/core';
import { SsrcMap } from '../srtp/index.ts';
import { Splice } from './splice.ts';

/** How far behind the newest packet a late one may lie: the window that SRTP's replay guard keeps. */
const MAX_LATE = 512;
/** Sources of one transport that keep their SSRC: a small part of those that an SRTP key ever knows. */
export const OWN_SSRCS = 64;
/** Of those, what a sender gets whose lock a neighbour of the phone may have gained. */
export const DOUBTFUL_SSRCS = 8;

/**
 * Keeps the sequence numbers of a plain stream going upwards on its way into SRTP, whose sender may use no index twice
 * (RFC 3711 9.1). A source that starts again lower under the same SSRC (a PBX that changed its player, a phone that
 * rebooted) goes on where it was: as in RFC 3550 A.1 two packets in a row prove the new start, the first of them is lost.
 *
 * A stream is never forgotten, for SRTP doesn't forget it either. So that no sender can use up the SSRCs of a key, which
 * those who come later need too, its sources beyond `OWN_SSRCS` share the SSRC of the first of them: each that sends two
 * packets in a row goes on there behind the last one.
 */
export class SequenceMap extends SsrcMap<Stream> {
  readonly #lock: { readonly isDoubtful: boolean } | undefined;
  #shared: Stream | undefined;
  #splice: Splice | undefined;
  /** The source, and its number, that would be the next to go under the shared SSRC. */
  #awaitedSsrc = 0;
  #awaited = -1;

  /** @param lock whose packets come here, where that may be doubted */
  constructor(lock?: { readonly isDoubtful: boolean }) {
    super();
    this.#lock = lock;
  }

  /** What makes one stream of those that share an SSRC, once there are any. */
  get splice(): Splice | undefined {
    return this.#splice;
  }

  /**
   * Rewrites the packet's number where needed, and what else makes it one of the shared stream; false when it is the first
   * one after a jump, or of another source there, which is not sent.
   */
  follow(bytes: Uint8Array, offset: number): boolean {
    const ssrc = readS32(bytes, offset + 8);
    const stream = this.find(ssrc);
    if (stream !== undefined && stream !== this.#shared) return proceed(stream, bytes, offset);
    if (stream === undefined && this.count < (this.#lock?.isDoubtful ? DOUBTFUL_SSRCS : OWN_SSRCS)) {
      this.add(ssrc, new Stream(rtpSequence(bytes, offset)));
      return true;
    }
    return this.#share(ssrc, bytes, offset);
  }

  #share(ssrc: number, bytes: Uint8Array, offset: number): boolean {
    const sequence = rtpSequence(bytes, offset);
    if (this.#shared === undefined || this.#splice === undefined) {
      this.#shared = new Stream(sequence);
      this.add(ssrc, this.#shared);
      this.#splice = new Splice();
      this.#splice.follow(bytes, offset);
      this.#splice.arm();
      this.#await(ssrc, sequence);
      return true;
    }
    if (!this.#splice.carries(ssrc) && (ssrc !== this.#awaitedSsrc || sequence !== this.#awaited)) {
      this.#await(ssrc, sequence);
      return false;
    }
    this.#splice.follow(bytes, offset);
    return proceed(this.#shared, bytes, offset);
  }

  #await(ssrc: number, sequence: number): void {
    this.#awaitedSsrc = ssrc;
    this.#awaited = (sequence + 1) & 0xffff;
  }
}

function proceed(stream: Stream, bytes: Uint8Array, offset: number): boolean {
  const sequence = rtpSequence(bytes, offset);
  const mapped = (sequence + stream.offset) & 0xffff;
  const step = sequenceDistance(mapped, stream.highest);
  if (step > -MAX_LATE) {
    if (step > 0) stream.highest = mapped;
    stream.awaited = -1;
    if (mapped !== sequence) setRtpSequence(bytes, offset, mapped);
    return true;
  }
  if (stream.awaited !== sequence) {
    stream.awaited = (sequence + 1) & 0xffff;
    return false;
  }
  const next = (stream.highest + 1) & 0xffff;
  stream.offset = (next - sequence) & 0xffff;
  stream.highest = next;
  stream.awaited = -1;
  setRtpSequence(bytes, offset, next);
  return true;
}

class Stream {
  /** The highest number sent, the offset added. */
  highest: number;
  offset = 0;
  /** The number that would prove a new start, -1 = none awaited. */
  awaited = -1;

  constructor(highest: number) {
    this.highest = highest;
  }
}
