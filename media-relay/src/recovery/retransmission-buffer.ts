import { copyAsRtx, RTP_HEADER, rtpPayloadType, rtpSequence, writeRtpHeader } from '@offhook/core';
import { PacketCopy } from './copy.ts';

/** A request within this time after the last answer is for what is still on its way, when the round trip isn't known. */
const UNKNOWN_RTT_MS = 100;
/** NACKs of one packet answered: as often as receivers ask (mediasoup's and our own limit of tries). */
const MAX_RESENDS = 10;
/** As many bytes as a padding's length can name. */
const MAX_PADDING = 255;

export interface RetransmissionOptions {
  /** Packets kept, a power of two up to 32,768. */
  readonly packets: number;
  /** Bytes kept; a packet that is longer isn't kept. */
  readonly bytes: number;
  /** Older packets are not sent again: the receiver has played on. */
  readonly maxAgeMs: number;
}

/** 1,024 packets as pion; at 1,200 bytes 2.5 Mbit/s make one second of 330 KB, so twice that. */
export const VIDEO_RETRANSMISSION: RetransmissionOptions = { packets: 1024, bytes: 640 * 1024, maxAgeMs: 1000 };
/** Four seconds of packets, LiveKit keeps 200. */
export const AUDIO_RETRANSMISSION: RetransmissionOptions = { packets: 256, bytes: 64 * 1024, maxAgeMs: 1000 };

/** What retransmissions are sent as (RFC 4588): a stream of its own. */
export interface RtxStream {
  readonly ssrc: number;
  /** RTX payload type by the original's (a=fmtp apt), 0 = none. */
  readonly payloadTypes: Uint8Array;
  /** The one source that was announced with it; undefined = those of the far side are taken as they come. */
  readonly original?: number;
}

/**
 * The last packets sent of one SSRC, to answer NACKs. Packets lie one behind the other in a ring of bytes, found by their
 * sequence number in a ring of records: both are overwritten by what is newer. Memory is taken once, here.
 *
 * With RTX the packets are to be told as they are before SRTP, and what is taken is to be protected: it has numbers of its own.
 * Without, tell them as they were sent, SRTP included, and send what is taken as it is: SRTP may not use a number twice.
 */
export class RetransmissionBuffer {
  readonly #options: RetransmissionOptions;
  readonly #rtx: RtxStream | undefined;
  readonly #header = { payloadType: 0, ssrc: 0, sequence: 0 };
  readonly #source: { bytes: Uint8Array; offset: number; length: number };
  readonly #kept: PacketCopy;
  readonly #sequence: Int32Array;
  /** Where a packet begins, counted since the start: less than `bytes` behind the end, or it is overwritten. */
  readonly #start: Float64Array;
  readonly #length: Uint16Array;
  readonly #sentAtMs: Float64Array;
  readonly #resentAtMs: Float64Array;
  readonly #resends: Uint8Array;
  #end = 0;
  /** The newest packet's place, -1 = none. */
  #newest = -1;
  #rtxSequence: number;
  /** Answers, and why there was none. */
  resent = 0;
  tooSoon = 0;
  tooOften = 0;
  gone = 0;

  /** @param rtxSequence the first number of the RTX stream, random (RFC 3550 5.1). */
  constructor(options: RetransmissionOptions, rtx?: RtxStream, rtxSequence = 0) {
    const { packets, bytes } = options;
    this.#options = options;
    this.#rtx = rtx;
    this.#rtxSequence = rtxSequence & 0xffff;
    this.#header.ssrc = rtx?.ssrc ?? 0;
    this.#kept = new PacketCopy(bytes);
    this.#source = { bytes: this.#kept.store, offset: 0, length: 0 };
    this.#sequence = new Int32Array(packets).fill(-1);
    this.#start = new Float64Array(packets);
    this.#length = new Uint16Array(packets);
    this.#sentAtMs = new Float64Array(packets);
    this.#resentAtMs = new Float64Array(packets);
    this.#resends = new Uint8Array(packets);
  }

  /** The number of the next RTX packet. */
  get rtxSequence(): number {
    return this.#rtxSequence;
  }

  /** Another stream begins: nothing of the last one is sent again. */
  forget(): void {
    this.#sequence.fill(-1);
    this.#newest = -1;
  }

  /** Keeps a packet that was sent. */
  sent(bytes: Uint8Array, offset: number, length: number, nowMs: number): void {
    const size = this.#kept.store.length;
    if (length > size || length > 0xffff) return;
    const free = size - (this.#end % size);
    if (free < length) this.#end += free; // in one piece
    const at = this.#end % size;
    this.#kept.put(bytes, offset, at, length);
    const sequence = rtpSequence(bytes, offset);
    const place = sequence & (this.#sequence.length - 1);
    this.#newest = place;
    this.#sequence[place] = sequence;
    this.#start[place] = this.#end;
    this.#length[place] = length;
    this.#sentAtMs[place] = nowMs;
    this.#resentAtMs[place] = Number.NEGATIVE_INFINITY;
    this.#resends[place] = 0;
    this.#end += (length + 3) & ~3; // the next one begins at a word
  }

  /**
   * The packet that a NACK asks for, written to a caller's buffer; the answer is its length, 0 = it isn't sent: it is gone, was
   * sent within the last round trip, or often enough. `rttMs` 0 = unknown.
   */
  take(sequence: number, to: Uint8Array, at: number, time: { readonly nowMs: number; readonly rttMs: number }): number {
    const { nowMs, rttMs } = time;
    const place = sequence & (this.#sequence.length - 1);
    const start = this.#start[place]!;
    if (
      this.#sequence[place] !== sequence ||
      this.#end - start > this.#kept.store.length ||
      nowMs - this.#sentAtMs[place]! > this.#options.maxAgeMs
    ) {
      this.gone++;
      return 0;
    }
    if (nowMs - this.#resentAtMs[place]! < (rttMs > 0 ? rttMs : UNKNOWN_RTT_MS)) {
      this.tooSoon++;
      return 0;
    }
    if (this.#resends[place]! >= MAX_RESENDS) {
      this.tooOften++;
      return 0;
    }
    this.#source.offset = start % this.#kept.store.length;
    this.#source.length = this.#length[place]!;
    const length = this.#rtx === undefined ? this.#plain(to, at) : this.#retransmission(this.#rtx, to, at);
    if (length <= 0) {
      this.gone++;
      return 0;
    }
    this.#resentAtMs[place] = nowMs;
    this.#resends[place]!++;
    this.resent++;
    return length;
  }

  /**
   * Something of about that size to measure the bandwidth with, by RTX only: the newest packet once more (RFC 4588 lets a
   * receiver have it twice), else, and where that is much longer, nothing but padding. Its length.
   */
  pad(bytes: number, to: Uint8Array): number {
    const rtx = this.#rtx;
    if (rtx === undefined) return 0;
    const place = this.#newest;
    if (place >= 0 && this.#length[place]! > bytes / 2 && this.#length[place]! < bytes * 2) {
      this.#source.offset = this.#start[place]! % this.#kept.store.length;
      this.#source.length = this.#length[place]!;
      const length = this.#retransmission(rtx, to, 0);
      if (length > 0) return length;
    }
    return this.#padding(rtx, bytes, to);
  }

  #padding({ ssrc, payloadTypes }: RtxStream, bytes: number, to: Uint8Array): number {
    const payloadType = payloadTypes.find((one) => one !== 0);
    if (payloadType === undefined) return 0;
    // RFC 3550 5.1: the last byte says how much of it is padding.
    const padding = Math.min(MAX_PADDING, Math.max(1, bytes - RTP_HEADER));
    writeRtpHeader(to, 0, { payloadType, sequence: this.#rtxSequence, timestamp: 0, ssrc });
    to[0]! |= 0x20;
    to.fill(0, RTP_HEADER, RTP_HEADER + padding);
    to[RTP_HEADER + padding - 1] = padding;
    this.#rtxSequence = (this.#rtxSequence + 1) & 0xffff;
    return RTP_HEADER + padding;
  }

  #plain(to: Uint8Array, at: number): number {
    const { offset, length } = this.#source;
    if (at + length > to.length) return 0;
    this.#kept.take(to, at, offset, length);
    return length;
  }

  #retransmission(rtx: RtxStream, to: Uint8Array, at: number): number {
    const payloadType = rtx.payloadTypes[rtpPayloadType(this.#kept.store, this.#source.offset)]!;
    if (payloadType === 0) return 0;
    this.#header.payloadType = payloadType;
    this.#header.sequence = this.#rtxSequence;
    const length = copyAsRtx(this.#source, to, at, this.#header);
    if (length > 0) this.#rtxSequence = (this.#rtxSequence + 1) & 0xffff;
    return length;
  }
}
