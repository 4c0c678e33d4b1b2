import {
  RedBlocks,
  RTP_HEADER,
  readRed,
  rtpHeaderLength,
  rtpPaddingLength,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  sequenceDistance,
  setRtpPayloadType,
  timestampDistance,
  writeRtpHeader,
} from '@offhook/core';
import type { RedFormat } from './red-encoder.ts';

/** Packets of the past that are known: more than the 341 ms that a copy can lie behind. */
const KNOWN = 64;
/** Timestamps from one packet to the next until two in a row were seen: 20 ms at 48 kHz. */
const STEP = 960;
const LONGEST_STEP = 5760;
/** Gaps that one packet may fill, however many copies it has: Chromium can send nine. */
const MAX_FILLED = 10;

/** What `receive` says of a packet that is not to be delivered: everything in it is known, or it is no RED. */
export const NOT_DELIVERED = -1;
export const NO_RED = -2;

/**
 * Undoes RED (RFC 2198) of one stream: every original packet is delivered once, whether it came by itself or as a copy.
 *
 *     const recovered = decoder.receive(bytes, offset, length);      // below 0: not delivered; else how many copies fill a gap
 *     for (let i = 0; i < recovered; i++) length = decoder.write(i, bytes, scratch, 0);   // in order, older than the packet
 *     length = decoder.own(bytes, offset, length);                   // the packet itself, in place; 0 = it is known
 *
 * Copies carry a timestamp but no sequence number: it follows from the neighbours that are known. Nothing is allocated per
 * packet; only a copy that is not known yet costs a look at the last 64 packets.
 */
export class RedDecoder {
  readonly #format: RedFormat;
  readonly #blocks = new RedBlocks();
  readonly #sequence = new Int32Array(KNOWN).fill(-1);
  readonly #timestamp = new Uint32Array(KNOWN);
  /** Of the packet that was received last: which blocks fill a gap, the newest first, and their sequence numbers. */
  readonly #filling = new Uint8Array(MAX_FILLED);
  readonly #fillingSequence = new Uint16Array(MAX_FILLED);
  readonly #header = { payloadType: 0, sequence: 0, timestamp: 0, ssrc: 0 };
  #filled = 0;
  #ownKnown = false;
  #isRed = false;
  #ssrc = -1;
  #highest = -1;
  /** The number that proves a new start of the stream (RFC 3550 A.1), -1 = none awaited. */
  #awaited = -1;
  #step = STEP;
  #lastStep = 0;
  /** RED packets, gaps filled by a copy, copies whose place couldn't be told, and payloads that are none. */
  packets = 0;
  recovered = 0;
  unplaced = 0;
  malformed = 0;

  constructor(format: RedFormat) {
    this.#format = format;
  }

  /** The stream that is decoded, -1 before its first packet. */
  get ssrc(): number {
    return this.#ssrc;
  }

  /** Judges an opened RTP packet. How many copies in it fill a gap, or `NOT_DELIVERED` or `NO_RED`. */
  receive(bytes: Uint8Array, offset: number, length: number): number {
    this.#filled = 0;
    const payloadType = rtpPayloadType(bytes, offset);
    const ssrc = rtpSsrc(bytes, offset);
    this.#isRed = payloadType === this.#format.payloadType;
    if (this.#isRed) {
      if (!this.#parse(bytes, offset, length)) {
        this.malformed++;
        return NO_RED;
      }
      this.packets++;
    } else if (ssrc !== this.#ssrc && payloadType !== this.#format.audio) return 0; // another stream
    const sequence = rtpSequence(bytes, offset);
    const timestamp = rtpTimestamp(bytes, offset);
    const isNew = ssrc !== this.#ssrc || this.#highest < 0;
    if (isNew) this.#begin(ssrc);
    this.#ownKnown = !this.#take(sequence, timestamp);
    if (this.#isRed && !isNew) this.#fill(sequence, timestamp);
    return this.#ownKnown && this.#filled === 0 ? NOT_DELIVERED : this.#filled;
  }

  /** Writes recovered packet `i`, 0 = the oldest, into another buffer and answers its length; 0 without room. */
  write(i: number, bytes: Uint8Array, to: Uint8Array, at: number): number {
    const place = this.#filled - 1 - i;
    const block = this.#filling[place]!;
    const from = this.#blocks.at[block]!;
    const length = this.#blocks.length[block]!;
    if (at + RTP_HEADER + length > to.length) return 0;
    this.#header.sequence = this.#fillingSequence[place]!;
    this.#header.timestamp = this.#timestamp[this.#header.sequence % KNOWN]!;
    this.#header.ssrc = this.#ssrc;
    this.#header.payloadType = this.#blocks.payloadType[block]!;
    writeRtpHeader(to, at, this.#header);
    for (let b = 0; b < length; b++) to[at + RTP_HEADER + b] = bytes[from + b]!;
    return RTP_HEADER + length;
  }

  /** Makes the packet that was received what it was before RED, in place, and answers its length; 0 = it was delivered before. */
  own(bytes: Uint8Array, offset: number, length: number): number {
    if (this.#ownKnown) return 0;
    if (!this.#isRed) return length;
    const header = rtpHeaderLength(bytes, offset, length);
    const last = this.#blocks.count - 1;
    const from = this.#blocks.at[last]!;
    const own = this.#blocks.length[last]!;
    if (own === 0) return 0;
    bytes.copyWithin(offset + header, from, from + own);
    bytes[offset]! &= ~0x20;
    setRtpPayloadType(bytes, offset, this.#blocks.payloadType[last]!);
    return header + own;
  }

  #parse(bytes: Uint8Array, offset: number, length: number): boolean {
    const header = rtpHeaderLength(bytes, offset, length);
    if (header < 0) return false;
    const padding = rtpPaddingLength(bytes, offset, length, header);
    if (padding < 0 || !readRed(bytes, offset + header, length - header - padding, this.#blocks)) return false;
    return this.#blocks.payloadType[this.#blocks.count - 1] !== this.#format.payloadType;
  }

  #begin(ssrc: number): void {
    this.#ssrc = ssrc;
    this.#highest = -1;
    this.#awaited = -1;
    this.#sequence.fill(-1);
  }

  /** Remembers a packet; false when it is known, or too old to tell. */
  #take(sequence: number, timestamp: number): boolean {
    const ahead = this.#highest < 0 ? 1 : sequenceDistance(sequence, this.#highest);
    if (ahead <= -KNOWN) {
      const isProven = this.#awaited === sequence;
      this.#awaited = (sequence + 1) & 0xffff;
      if (!isProven) return false;
      this.#begin(this.#ssrc);
      this.#highest = sequence;
    } else if (ahead > 0) this.#highest = sequence;
    this.#awaited = ahead > 0 ? -1 : this.#awaited;
    const place = sequence % KNOWN;
    if (this.#sequence[place] === sequence) return false;
    this.#sequence[place] = sequence;
    this.#timestamp[place] = timestamp;
    const before = (sequence - 1) & 0xffff;
    if (this.#sequence[before % KNOWN] === before) {
      const step = timestampDistance(timestamp, this.#timestamp[before % KNOWN]!);
      // Twice the same in a row: a single longer one is a pause of speech.
      if (step === this.#lastStep && step > 0 && step <= LONGEST_STEP) this.#step = step;
      this.#lastStep = step;
    }
    return true;
  }

  /** Finds the copies that nobody has delivered, the newest first, so that each is a neighbour for the next. */
  #fill(sequence: number, timestamp: number): void {
    const { payloadType, timestampOffset, length } = this.#blocks;
    for (let i = this.#blocks.count - 2; i >= 0 && this.#filled < MAX_FILLED; i--) {
      if (payloadType[i] !== this.#format.audio || length[i] === 0 || timestampOffset[i] === 0) continue;
      const at = (timestamp - timestampOffset[i]!) >>> 0;
      const found = this.#place(sequence, timestampOffset[i]!, at);
      if (found < 0) continue;
      this.#sequence[found % KNOWN] = found;
      this.#timestamp[found % KNOWN] = at;
      this.#filling[this.#filled] = i;
      this.#fillingSequence[this.#filled++] = found;
      this.recovered++;
    }
  }

  /** The sequence number of what was sent at `timestamp`, `behind` before the packet `own`; -1 when it is known or can't be told. */
  #place(own: number, behind: number, timestamp: number): number {
    const steps = behind % this.#step === 0 ? behind / this.#step : KNOWN;
    const likely = (own - steps) & 0xffff;
    if (steps < KNOWN && this.#isKnown(likely) && this.#timestamp[likely % KNOWN] === timestamp) return -1;
    // Its neighbours in time: how far they are behind `own`, in packets.
    let later = 0;
    let earlier = KNOWN;
    for (let back = 1; back < KNOWN; back++) {
      const sequence = (own - back) & 0xffff;
      if (!this.#isKnown(sequence)) continue;
      const difference = timestampDistance(this.#timestamp[sequence % KNOWN]!, timestamp);
      if (difference === 0) return -1;
      if (difference > 0) later = back;
      else if (back < earlier) earlier = back;
    }
    const room = earlier - later - 1;
    if (room === 1) return (own - later - 1) & 0xffff;
    if (room > 1 && steps > later && steps < earlier) return likely;
    if (room > 0) this.unplaced++;
    return -1;
  }

  #isKnown(sequence: number): boolean {
    return this.#sequence[sequence % KNOWN] === sequence;
  }
}
