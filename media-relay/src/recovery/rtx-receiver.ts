import { restoreFromRtx, rtpPayloadType, rtpSequence, rtpSsrc, sequenceDistance } from '@offhook/core';

/** Numbers behind the newest that are told apart: more than is ever asked for. */
const WINDOW = 2048;
/** Two in a row beyond it are a new start of the stream, as in RFC 3550 A.1. */
const MAX_DROPOUT = 3000;

export interface RtxSettings {
  /** The original's payload type by that of its RTX (a=fmtp apt), 0 = it is no RTX. */
  readonly originals: Uint8Array;
  /** Payload types of pictures. */
  readonly pictures: Uint8Array;
  /** The original's SSRC by that of its RTX (a=ssrc-group:FID). */
  readonly sources: ReadonlyMap<number, number>;
}

/**
 * Undoes RTX (RFC 4588) of one sender's pictures. What came before, as itself or as a retransmission, isn't delivered again:
 * browsers fill probes with packets that they have sent already.
 */
export class RtxReceiver {
  #settings: RtxSettings;
  readonly #original = { payloadType: 0, ssrc: 0 };
  readonly #seen = new Uint32Array(WINDOW / 32);
  #ssrc = -1;
  #highest = -1;
  #awaited = -1;

  constructor(settings: RtxSettings) {
    this.#settings = settings;
  }

  configure(settings: RtxSettings): void {
    this.#settings = settings;
  }

  /** An opened RTP packet, restored in place where it is RTX: its length, 0 = nothing new in it, -1 = malformed. */
  restore(bytes: Uint8Array, offset: number, length: number): number {
    const { originals, pictures, sources } = this.#settings;
    const payloadType = rtpPayloadType(bytes, offset);
    const original = originals[payloadType]!;
    if (original === 0) {
      if (pictures[payloadType] !== 0) this.#follow(rtpSsrc(bytes, offset), rtpSequence(bytes, offset));
      return length;
    }
    const ssrc = sources.get(rtpSsrc(bytes, offset)) ?? this.#ssrc;
    if (ssrc < 0) return 0; // nothing is known yet that it could belong to
    this.#original.payloadType = original;
    this.#original.ssrc = ssrc;
    const out = restoreFromRtx(bytes, offset, length, this.#original);
    if (out <= 0) return out;
    return ssrc === this.#ssrc && this.#isMissing(rtpSequence(bytes, offset)) ? out : 0;
  }

  #follow(ssrc: number, sequence: number): void {
    if (ssrc !== this.#ssrc) {
      this.#ssrc = ssrc;
      this.#begin(sequence);
      return;
    }
    const ahead = sequenceDistance(sequence, this.#highest);
    if (ahead > MAX_DROPOUT || ahead <= -WINDOW) {
      if (sequence === this.#awaited) this.#begin(sequence);
      else this.#awaited = (sequence + 1) & 0xffff;
      return;
    }
    this.#awaited = -1;
    if (ahead > 0) this.#advance(ahead);
    this.#mark(sequence);
  }

  #begin(sequence: number): void {
    this.#seen.fill(0xffffffff); // what came before the first isn't missed
    this.#highest = sequence;
    this.#awaited = -1;
  }

  #advance(ahead: number): void {
    if (ahead >= WINDOW) this.#seen.fill(0);
    else for (let i = 1; i <= ahead; i++) this.#clear((this.#highest + i) & 0xffff);
    this.#highest = (this.#highest + ahead) & 0xffff;
  }

  /** Whether that number never came; it counts as come from now on. */
  #isMissing(sequence: number): boolean {
    const ahead = sequenceDistance(sequence, this.#highest);
    if (ahead > MAX_DROPOUT || ahead <= -WINDOW) return false;
    if (ahead > 0) this.#advance(ahead);
    else if ((this.#seen[(sequence >> 5) % this.#seen.length]! & (1 << (sequence & 31))) !== 0) return false;
    this.#mark(sequence);
    return true;
  }

  #mark(sequence: number): void {
    this.#seen[(sequence >> 5) % this.#seen.length]! |= 1 << (sequence & 31);
  }

  #clear(sequence: number): void {
    this.#seen[(sequence >> 5) % this.#seen.length]! &= ~(1 << (sequence & 31));
  }
}
