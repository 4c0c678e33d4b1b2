import { readU16, readU32, writeU16, writeU32 } from './header.ts';
import { isFeedback, RtcpType, rtcpContentEnd, TransportFeedback } from './rtcp.ts';

/*
 *  |V=2|P| FMT=15  |    PT=205     |            length             |
 *  |                      SSRC of the sender                       |
 *  |                     SSRC of the media source                  |
 *  |      base sequence number     |      packet status count      |
 *  |          reference time (64 ms, signed)       | fb pkt. count |
 *  |          packet chunk         |  packet chunk …               |
 *  |  receive deltas (250 µs), one or two bytes each … | padding   |   draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1
 *
 *  chunk:  |0| S |     run length (13)     |    |1|0| 14 × 1 bit |    |1|1| 7 × 2 bits |
 */

const HEADER = 20;
/** Numbers covered by one feedback packet that are read; at 100 ms that is 40,000 packets a second. */
export const TRANSPORT_CC_LIMIT = 4096;
const TICKS_PER_MS = 4;
const REFERENCE_TICKS = 64 * TICKS_PER_MS;
const LONGEST_RUN = 0x1fff;

/** Symbols of a packet's status: lost, a delta of one byte, of two signed bytes; the fourth is reserved. */
const LOST = 0;
const SMALL = 1;
const LARGE = 2;

/** What a feedback packet says. It is written by `readTransportCc` and meant to be used again and again. */
export class TransportCcReport {
  baseSequence = 0;
  /** Numbers from `baseSequence` on, at most `TRANSPORT_CC_LIMIT`. */
  count = 0;
  /** Signed 24 bits, in units of 64 ms. */
  reference = 0;
  /** 0–255, one more with each feedback packet. */
  feedbackCount = 0;
  /** Arrival per number, ms since the reference time, or NaN: not received. */
  readonly arrivalMs = new Float64Array(TRANSPORT_CC_LIMIT);
}

const symbols = new Uint8Array(TRANSPORT_CC_LIMIT);

/** How many numbers the feedback at `at` of a compound packet says it covers, before any of it is read; 0 when it is none. */
export function transportCcCount(bytes: Uint8Array, at: number): number {
  if (!isFeedback(bytes, at, RtcpType.transportFeedback, TransportFeedback.transportCc)) return 0;
  return rtcpContentEnd(bytes, at) < at + HEADER + 2 ? 0 : readU16(bytes, at + 14);
}

/** Reads the feedback at `at` of a compound packet; false when it is none, runs over its end or covers too many numbers. */
export function readTransportCc(bytes: Uint8Array, at: number, report: TransportCcReport): boolean {
  const count = transportCcCount(bytes, at);
  if (count === 0 || count > TRANSPORT_CC_LIMIT) return false;
  const end = rtcpContentEnd(bytes, at);
  const deltas = readChunks(bytes, at + HEADER, end, count);
  if (deltas < 0 || !readDeltas(bytes, deltas, end, count, report.arrivalMs)) return false;
  report.baseSequence = readU16(bytes, at + 12);
  report.count = count;
  report.reference = readU32(bytes, at + 16) >> 8;
  report.feedbackCount = bytes[at + 19]!;
  return true;
}

/** Answers where the deltas begin, or -1. */
function readChunks(bytes: Uint8Array, from: number, end: number, count: number): number {
  let at = from;
  let known = 0;
  while (known < count) {
    if (at + 2 > end) return -1;
    const chunk = readU16(bytes, at);
    at += 2;
    if ((chunk & 0x8000) === 0) {
      const run = Math.min(chunk & LONGEST_RUN, count - known);
      if (run === 0) return -1;
      symbols.fill((chunk >> 13) & 3, known, known + run);
      known += run;
    } else if ((chunk & 0x4000) === 0) {
      for (let bit = 13; bit >= 0 && known < count; bit--) symbols[known++] = (chunk >> bit) & 1;
    } else {
      for (let bit = 12; bit >= 0 && known < count; bit -= 2) symbols[known++] = (chunk >> bit) & 3;
    }
  }
  return at;
}

function readDeltas(bytes: Uint8Array, from: number, end: number, count: number, arrivalMs: Float64Array): boolean {
  let at = from;
  let ticks = 0;
  for (let i = 0; i < count; i++) {
    const symbol = symbols[i]!;
    if (symbol === LOST) {
      arrivalMs[i] = Number.NaN;
      continue;
    }
    if (symbol > LARGE || at + symbol > end) return false;
    ticks += symbol === SMALL ? bytes[at]! : (readU16(bytes, at) << 16) >> 16;
    at += symbol;
    arrivalMs[i] = ticks / TICKS_PER_MS;
  }
  return true;
}

/** What a feedback packet is to say. The arrays are the caller's and read only. */
export interface TransportCcFeedback {
  readonly sender: number;
  readonly media: number;
  /** 16 bits, of the first entry. */
  readonly baseSequence: number;
  readonly feedbackCount: number;
  /** Monotonic ms, or NaN: not received. Ring buffer: entry i is at `(first + i) & mask`. */
  readonly arrivalMs: Float64Array;
  readonly first: number;
  readonly mask: number;
  readonly count: number;
}

/** How a packet was written: its bytes, and how many numbers it covers. Reused: read it before the next call. */
export interface TransportCcWritten {
  readonly length: number;
  readonly count: number;
}

const deltas = new Int32Array(TRANSPORT_CC_LIMIT);
const written = { length: 0, count: 0 };

/**
 * Writes one feedback packet into `bytes` from `offset` on. It covers fewer numbers than asked for where room ends or
 * a delta needs more than 16 bits; the rest goes into a next packet. Length 0: nothing received, or no room at all.
 */
export function writeTransportCc(bytes: Uint8Array, offset: number, feedback: TransportCcFeedback): TransportCcWritten {
  written.length = 0;
  written.count = 0;
  const room = Math.min(bytes.length - offset, 0xffff * 4);
  const reference = prepare(feedback, room);
  if (written.count === 0) return written;
  writeHeader(bytes, offset, feedback, reference);
  let at = writeChunks(bytes, offset + HEADER, written.count);
  for (let i = 0; i < written.count; i++) {
    if (symbols[i] === SMALL) bytes[at++] = deltas[i]!;
    else if (symbols[i] === LARGE) {
      writeU16(bytes, at, deltas[i]!);
      at += 2;
    }
  }
  // Padding up to a word: zeros, and their number in the last byte (RFC 3550 6.4.1).
  const padding = -(at - offset) & 3;
  bytes.fill(0, at, at + padding);
  at += padding;
  if (padding > 0) {
    bytes[at - 1] = padding;
    bytes[offset]! |= 0x20;
  }
  written.length = at - offset;
  writeU16(bytes, offset + 2, written.length / 4 - 1);
  return written;
}

/** Fills symbols and deltas as far as they fit, sets `written.count`; answers the reference time in units of 64 ms. */
function prepare(feedback: TransportCcFeedback, room: number): number {
  const { arrivalMs, first, mask } = feedback;
  const most = Math.min(feedback.count, TRANSPORT_CC_LIMIT);
  let reference = 0;
  let last = Number.NaN;
  let received = 0;
  let deltaBytes = 0;
  for (let i = 0; i < most; i++) {
    const ms = arrivalMs[(first + i) & mask]!;
    let symbol = LOST;
    if (!Number.isNaN(ms)) {
      const ticks = Math.round(ms * TICKS_PER_MS);
      if (received === 0) {
        reference = Math.floor(ticks / REFERENCE_TICKS);
        last = reference * REFERENCE_TICKS;
      }
      const delta = ticks - last;
      if (delta < -0x8000 || delta > 0x7fff) break;
      symbol = delta >= 0 && delta <= 0xff ? SMALL : LARGE;
      deltas[i] = delta;
      last = ticks;
    }
    // A chunk holds at least seven symbols, a run is never worse; three bytes are kept for padding.
    if (HEADER + 2 * Math.ceil((i + 1) / 7) + deltaBytes + symbol + 3 > room) break;
    symbols[i] = symbol;
    deltaBytes += symbol;
    if (symbol !== LOST) {
      received++;
      written.count = i + 1;
    }
  }
  return reference;
}

function writeHeader(bytes: Uint8Array, offset: number, feedback: TransportCcFeedback, reference: number): void {
  bytes[offset] = 0x80 | TransportFeedback.transportCc;
  bytes[offset + 1] = RtcpType.transportFeedback;
  writeU32(bytes, offset + 4, feedback.sender);
  writeU32(bytes, offset + 8, feedback.media);
  writeU16(bytes, offset + 12, feedback.baseSequence);
  writeU16(bytes, offset + 14, written.count);
  writeU32(bytes, offset + 16, ((reference & 0xffffff) << 8) | (feedback.feedbackCount & 0xff));
}

/** The shortest of the three forms for what comes next, again and again; answers where the deltas begin. */
function writeChunks(bytes: Uint8Array, from: number, count: number): number {
  let at = from;
  let i = 0;
  while (i < count) {
    const symbol = symbols[i]!;
    let run = 1;
    while (i + run < count && run < LONGEST_RUN && symbols[i + run] === symbol) run++;
    const bits = fitsOneBit(i, Math.min(14, count - i)) ? 1 : 2;
    const inVector = Math.min(14 / bits, count - i);
    if (run >= inVector) {
      writeU16(bytes, at, (symbol << 13) | run);
      i += run;
    } else {
      writeU16(bytes, at, vector(i, inVector, bits));
      i += inVector;
    }
    at += 2;
  }
  return at;
}

function fitsOneBit(from: number, length: number): boolean {
  for (let i = from; i < from + length; i++) if (symbols[i]! > SMALL) return false;
  return true;
}

function vector(from: number, length: number, bits: 1 | 2): number {
  let chunk = bits === 1 ? 0x8000 : 0xc000;
  for (let i = 0; i < length; i++) chunk |= symbols[from + i]! << (14 - bits * (i + 1));
  return chunk;
}
