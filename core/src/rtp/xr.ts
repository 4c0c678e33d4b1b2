import { readU16, readU32, writeU16, writeU32 } from './header.ts';
import { RtcpType, rtcpContentEnd, rtcpType } from './rtcp.ts';

/*
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |V=2|P|reserved |   PT=207      |   length in words minus one   |
 *  |                       SSRC of the sender                      |
 *  |      BT       | type-specific |   words that follow           |   one block after the other
 *  :                          its content                          :   RFC 3611 2, 3
 */

/** BT of the blocks that are read and written here (RFC 3611 4). */
export const XrBlockType = { receiverReferenceTime: 4, dlrr: 5, statisticsSummary: 6, voipMetrics: 7 } as const;
/** Blocks read from one packet, and sources from one DLRR block; further ones are left out. */
export const MAX_XR_BLOCKS = 32;

/** When the receiver sent this, for the answer by DLRR (RFC 3611 4.4). */
export interface XrReferenceTime {
  readonly kind: 'referenceTime';
  /** Seconds since 1900, and 1/2³² of them. */
  readonly ntpSeconds: number;
  readonly ntpFraction: number;
}

/** One answer to a reference time (RFC 3611 4.5). */
export interface XrDelay {
  /** Who sent the reference time. */
  readonly ssrc: number;
  /** Middle 32 bits of its NTP time, 0 = none has come. */
  readonly lastReference: number;
  /** 1/65536 seconds. */
  readonly delay: number;
}

export interface XrDlrr {
  readonly kind: 'dlrr';
  readonly delays: readonly XrDelay[];
}

/** Counts over a range of sequence numbers (RFC 3611 4.6). What the flags leave out is undefined. */
export interface XrStatistics {
  readonly kind: 'statistics';
  readonly ssrc: number;
  readonly beginSequence: number;
  /** One behind the last number. */
  readonly endSequence: number;
  readonly lost?: number;
  readonly duplicates?: number;
  /** Interarrival jitter in units of the RTP clock: least, most, mean and standard deviation. */
  readonly jitter?: readonly [min: number, max: number, mean: number, deviation: number];
  /** TTL or hop limit of the packets. */
  readonly hops?: readonly [min: number, max: number, mean: number, deviation: number];
  /** Whether `hops` are hop limits of IPv6. */
  readonly isHopLimit?: boolean;
}

/** How a call sounds (RFC 3611 4.7). Fractions 0–1, times in ms; what the sender doesn't know is undefined. */
export interface XrVoipMetrics {
  readonly kind: 'voipMetrics';
  readonly ssrc: number;
  readonly lossRate: number;
  readonly discardRate: number;
  readonly burstDensity: number;
  readonly gapDensity: number;
  readonly burstMs: number;
  readonly gapMs: number;
  readonly roundTripMs: number;
  readonly endSystemMs: number;
  readonly signalDbm0?: number;
  readonly noiseDbm0?: number;
  readonly echoReturnLossDb?: number;
  readonly gapMin: number;
  /** 0–100. */
  readonly r?: number;
  readonly rExternal?: number;
  readonly mosListening?: number;
  readonly mosConversational?: number;
  /** Receiver configuration byte: concealment in its two highest bits (1 disabled, 2 enhanced, 3 standard), then the jitter buffer. */
  readonly receiverConfiguration: number;
  readonly bufferNominalMs: number;
  readonly bufferMaxMs: number;
  readonly bufferLimitMs: number;
}

export type XrBlock = XrReferenceTime | XrDlrr | XrStatistics | XrVoipMetrics;

/** The blocks of the XR at `at` that are known here; unknown and malformed ones are skipped, the rest behind a cut-off one too. */
export function readXrBlocks(bytes: Uint8Array, at: number): XrBlock[] {
  const blocks: XrBlock[] = [];
  if (rtcpType(bytes, at) !== RtcpType.extendedReport) return blocks;
  const end = rtcpContentEnd(bytes, at);
  let next = at;
  for (let block = at + 8; block + 4 <= end && blocks.length < MAX_XR_BLOCKS; block = next) {
    next = block + 4 + 4 * readU16(bytes, block + 2);
    if (next > end) break;
    const read = readBlock(bytes, block, (next - block - 4) / 4);
    if (read) blocks.push(read);
  }
  return blocks;
}

/** Bytes of a block with its header. */
export function xrBlockLength(block: XrBlock): number {
  switch (block.kind) {
    case 'referenceTime':
      return 12;
    case 'dlrr':
      return 4 + 12 * Math.min(block.delays.length, MAX_XR_BLOCKS);
    case 'statistics':
      return 40;
    case 'voipMetrics':
      return 36;
  }
}

/** Writes a block of `xrBlockLength(block)` bytes. */
export function writeXrBlock(bytes: Uint8Array, at: number, block: XrBlock): void {
  bytes.fill(0, at, at + xrBlockLength(block));
  writeU16(bytes, at + 2, xrBlockLength(block) / 4 - 1);
  switch (block.kind) {
    case 'referenceTime':
      bytes[at] = XrBlockType.receiverReferenceTime;
      writeU32(bytes, at + 4, block.ntpSeconds);
      writeU32(bytes, at + 8, block.ntpFraction);
      return;
    case 'dlrr':
      bytes[at] = XrBlockType.dlrr;
      for (const [i, { ssrc, lastReference, delay }] of block.delays.slice(0, MAX_XR_BLOCKS).entries()) {
        writeU32(bytes, at + 4 + 12 * i, ssrc);
        writeU32(bytes, at + 8 + 12 * i, lastReference);
        writeU32(bytes, at + 12 + 12 * i, delay);
      }
      return;
    case 'statistics':
      writeStatistics(bytes, at, block);
      return;
    case 'voipMetrics':
      writeVoipMetrics(bytes, at, block);
      return;
  }
}

function readBlock(bytes: Uint8Array, at: number, words: number): XrBlock | undefined {
  switch (bytes[at]) {
    case XrBlockType.receiverReferenceTime:
      if (words !== 2) return undefined;
      return { kind: 'referenceTime', ntpSeconds: readU32(bytes, at + 4), ntpFraction: readU32(bytes, at + 8) };
    case XrBlockType.dlrr:
      return words % 3 === 0 ? readDlrr(bytes, at, words / 3) : undefined;
    case XrBlockType.statisticsSummary:
      return words === 9 ? readStatistics(bytes, at) : undefined;
    case XrBlockType.voipMetrics:
      return words === 8 ? readVoipMetrics(bytes, at) : undefined;
    default:
      return undefined;
  }
}

function readDlrr(bytes: Uint8Array, at: number, count: number): XrDlrr {
  const delays = Array.from({ length: Math.min(count, MAX_XR_BLOCKS) }, (_, i) => ({
    ssrc: readU32(bytes, at + 4 + 12 * i),
    lastReference: readU32(bytes, at + 8 + 12 * i),
    delay: readU32(bytes, at + 12 + 12 * i),
  }));
  return { kind: 'dlrr', delays };
}

/** Flags of the statistics summary: losses, duplicates, jitter, then two bits of TTL (1) or hop limit (2). */
const LOSS_FLAG = 0x80;
const DUPLICATE_FLAG = 0x40;
const JITTER_FLAG = 0x20;

function readStatistics(bytes: Uint8Array, at: number): XrStatistics {
  const flags = bytes[at + 1]!;
  const hopKind = (flags >> 3) & 3;
  return {
    kind: 'statistics',
    ssrc: readU32(bytes, at + 4),
    beginSequence: readU16(bytes, at + 8),
    endSequence: readU16(bytes, at + 10),
    ...(flags & LOSS_FLAG ? { lost: readU32(bytes, at + 12) } : {}),
    ...(flags & DUPLICATE_FLAG ? { duplicates: readU32(bytes, at + 16) } : {}),
    ...(flags & JITTER_FLAG
      ? {
          jitter: [
            readU32(bytes, at + 20),
            readU32(bytes, at + 24),
            readU32(bytes, at + 28),
            readU32(bytes, at + 32),
          ] as const,
        }
      : {}),
    ...(hopKind === 1 || hopKind === 2
      ? {
          hops: [bytes[at + 36]!, bytes[at + 37]!, bytes[at + 38]!, bytes[at + 39]!] as const,
          isHopLimit: hopKind === 2,
        }
      : {}),
  };
}

function writeStatistics(bytes: Uint8Array, at: number, block: XrStatistics): void {
  const { lost, duplicates, jitter, hops } = block;
  bytes[at] = XrBlockType.statisticsSummary;
  bytes[at + 1] =
    (lost === undefined ? 0 : LOSS_FLAG) |
    (duplicates === undefined ? 0 : DUPLICATE_FLAG) |
    (jitter === undefined ? 0 : JITTER_FLAG) |
    (hops === undefined ? 0 : block.isHopLimit ? 0x10 : 0x08);
  writeU32(bytes, at + 4, block.ssrc);
  writeU16(bytes, at + 8, block.beginSequence);
  writeU16(bytes, at + 10, block.endSequence);
  writeU32(bytes, at + 12, lost ?? 0);
  writeU32(bytes, at + 16, duplicates ?? 0);
  for (let i = 0; i < 4; i++) writeU32(bytes, at + 20 + 4 * i, jitter?.[i] ?? 0);
  for (let i = 0; i < 4; i++) bytes[at + 36 + i] = hops?.[i] ?? 0;
}

/** 127 stands for unknown in bytes (RFC 3611 4.7.4, 4.7.5). */
const UNKNOWN = 127;

function readVoipMetrics(bytes: Uint8Array, at: number): XrVoipMetrics {
  const known = (offset: number) => (bytes[at + offset] === UNKNOWN ? undefined : bytes[at + offset]!);
  const signed = (offset: number) => (bytes[at + offset] === UNKNOWN ? undefined : (bytes[at + offset]! << 24) >> 24);
  const tenths = (offset: number) => (bytes[at + offset] === UNKNOWN ? undefined : bytes[at + offset]! / 10);
  return {
    kind: 'voipMetrics',
    ssrc: readU32(bytes, at + 4),
    lossRate: bytes[at + 8]! / 256,
    discardRate: bytes[at + 9]! / 256,
    burstDensity: bytes[at + 10]! / 256,
    gapDensity: bytes[at + 11]! / 256,
    burstMs: readU16(bytes, at + 12),
    gapMs: readU16(bytes, at + 14),
    roundTripMs: readU16(bytes, at + 16),
    endSystemMs: readU16(bytes, at + 18),
    signalDbm0: signed(20),
    noiseDbm0: signed(21),
    echoReturnLossDb: known(22),
    gapMin: bytes[at + 23]!,
    r: known(24),
    rExternal: known(25),
    mosListening: tenths(26),
    mosConversational: tenths(27),
    receiverConfiguration: bytes[at + 28]!,
    bufferNominalMs: readU16(bytes, at + 30),
    bufferMaxMs: readU16(bytes, at + 32),
    bufferLimitMs: readU16(bytes, at + 34),
  };
}

function writeVoipMetrics(bytes: Uint8Array, at: number, block: XrVoipMetrics): void {
  const fraction = (value: number) => Math.min(255, Math.max(0, Math.floor(value * 256)));
  const u16 = (value: number) => Math.min(65_535, Math.max(0, Math.round(value)));
  bytes[at] = XrBlockType.voipMetrics;
  writeU32(bytes, at + 4, block.ssrc);
  bytes[at + 8] = fraction(block.lossRate);
  bytes[at + 9] = fraction(block.discardRate);
  bytes[at + 10] = fraction(block.burstDensity);
  bytes[at + 11] = fraction(block.gapDensity);
  writeU16(bytes, at + 12, u16(block.burstMs));
  writeU16(bytes, at + 14, u16(block.gapMs));
  writeU16(bytes, at + 16, u16(block.roundTripMs));
  writeU16(bytes, at + 18, u16(block.endSystemMs));
  bytes[at + 20] = block.signalDbm0 ?? UNKNOWN;
  bytes[at + 21] = block.noiseDbm0 ?? UNKNOWN;
  bytes[at + 22] = block.echoReturnLossDb ?? UNKNOWN;
  bytes[at + 23] = block.gapMin;
  bytes[at + 24] = Math.round(block.r ?? UNKNOWN);
  bytes[at + 25] = Math.round(block.rExternal ?? UNKNOWN);
  bytes[at + 26] = block.mosListening === undefined ? UNKNOWN : Math.round(block.mosListening * 10);
  bytes[at + 27] = block.mosConversational === undefined ? UNKNOWN : Math.round(block.mosConversational * 10);
  bytes[at + 28] = block.receiverConfiguration;
  writeU16(bytes, at + 30, u16(block.bufferNominalMs));
  writeU16(bytes, at + 32, u16(block.bufferMaxMs));
  writeU16(bytes, at + 34, u16(block.bufferLimitMs));
}
