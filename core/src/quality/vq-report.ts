/** Event package and media type of voice quality reports (RFC 6035 4.1, 6). */
export const VQ_EVENT = 'vq-rtcpxr';
export const VQ_TYPE = 'application/vq-rtcpxr';

/** Limits on what comes from outside: what is longer, or more, is left out. */
export const VQ_LIMITS = { body: 16 * 1024, lines: 200, line: 1000, id: 1024, word: 64 } as const;

/** Numbers of one direction (RFC 6035 4.6.2); the field of each is its key. What is not known is not there. */
export interface VqNumbers {
  readonly payloadType?: number;
  readonly sampleRateHz?: number;
  readonly frameMs?: number;
  readonly frameBytes?: number;
  readonly framesPerPacket?: number;
  readonly packetsPerSecond?: number;
  /** Packet loss concealment as in RFC 3611 4.7.6: 0 unspecified, 1 disabled, 2 enhanced, 3 standard. */
  readonly concealment?: number;
  /** 0 unknown, 2 fixed, 3 adaptive (RFC 3611 4.7.7), and how fast it adapts: 0 to 15. */
  readonly bufferKind?: number;
  readonly bufferRate?: number;
  readonly bufferNominalMs?: number;
  readonly bufferMaxMs?: number;
  readonly bufferLimitMs?: number;
  /** Lost on the network, and come too late or too early for the jitter buffer. */
  readonly lossPercent?: number;
  readonly discardPercent?: number;
  readonly burstLossPercent?: number;
  readonly burstMs?: number;
  readonly gapLossPercent?: number;
  readonly gapMs?: number;
  readonly gapMin?: number;
  readonly roundTripMs?: number;
  readonly endSystemMs?: number;
  readonly oneWayMs?: number;
  readonly symmetricOneWayMs?: number;
  /** Interarrival jitter as in RFC 3550. */
  readonly jitterMs?: number;
  readonly meanAbsoluteJitterMs?: number;
  readonly signalDbm0?: number;
  readonly noiseDbm0?: number;
  readonly echoReturnLossDb?: number;
  /** R factors, 0 to 120. */
  readonly ratingListening?: number;
  readonly ratingConversational?: number;
  readonly ratingExternalIn?: number;
  readonly ratingExternalOut?: number;
  /** Mean opinion scores, 1.0 to 4.9. */
  readonly mosListening?: number;
  readonly mosConversational?: number;
}

/** What was measured in one direction. */
export interface VqMetrics extends VqNumbers {
  /** Unix milliseconds. */
  readonly startedAtMs?: number;
  readonly stoppedAtMs?: number;
  /** As SDP names it: `opus`, `PCMA`. */
  readonly codec?: string;
  readonly silenceSuppression?: boolean;
}

export interface VqReport {
  /** Of the whole session, of a part of it, or because something became bad. */
  readonly kind: 'session' | 'interval' | 'alert';
  /** The session is over. */
  readonly isFinal?: boolean;
  /** What became bad (`NLR`, `MOSLQ`…), how bad, and on which side. */
  readonly alert?: { readonly type: string; readonly severity?: string; readonly side?: 'local' | 'remote' };
  /** Call-ID of the dialog as the phone knows it. */
  readonly callId?: string;
  readonly localId?: string;
  readonly remoteId?: string;
  readonly originatorId?: string;
  /** What the phone that reports has measured, and what the other side told it. */
  readonly local: VqMetrics;
  readonly remote?: VqMetrics;
  readonly dialog?: { readonly callId: string; readonly toTag?: string; readonly fromTag?: string };
}

export interface VqNumber {
  readonly line: string;
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Digits behind the point that are written. */
  readonly decimals: number;
}

const whole = (line: string, name: string, min: number, max: number): VqNumber => ({
  line,
  name,
  min,
  max,
  decimals: 0,
});
/** 65,535 stands for a time that is not known (RFC 3611 4.7). */
const ms = (line: string, name: string, min = 0): VqNumber => whole(line, name, min, 65_534);
const percent = (line: string, name: string): VqNumber => ({ line, name, min: 0, max: 100, decimals: 2 });
/** 127 stands for not known. */
const rating = (name: string): VqNumber => whole('QualityEst', name, 0, 120);
const mos = (name: string): VqNumber => ({ line: 'QualityEst', name, min: 1, max: 4.9, decimals: 2 });

/** Lines and parameters of RFC 6035 4.6.1, in its order, and the values that say something. */
export const VQ_NUMBERS: Readonly<Record<keyof VqNumbers, VqNumber>> = {
  payloadType: whole('SessionDesc', 'PT', 0, 127),
  sampleRateHz: whole('SessionDesc', 'SR', 1, 1_000_000),
  frameMs: whole('SessionDesc', 'FD', 1, 10_000),
  frameBytes: whole('SessionDesc', 'FO', 1, 65_535),
  framesPerPacket: whole('SessionDesc', 'FPP', 1, 1000),
  packetsPerSecond: whole('SessionDesc', 'PPS', 1, 100_000),
  concealment: whole('SessionDesc', 'PLC', 0, 3),
  bufferKind: whole('JitterBuffer', 'JBA', 0, 3),
  bufferRate: whole('JitterBuffer', 'JBR', 0, 15),
  bufferNominalMs: ms('JitterBuffer', 'JBN'),
  bufferMaxMs: ms('JitterBuffer', 'JBM'),
  bufferLimitMs: ms('JitterBuffer', 'JBX'),
  lossPercent: percent('PacketLoss', 'NLR'),
  discardPercent: percent('PacketLoss', 'JDR'),
  burstLossPercent: percent('BurstGapLoss', 'BLD'),
  burstMs: ms('BurstGapLoss', 'BD'),
  gapLossPercent: percent('BurstGapLoss', 'GLD'),
  gapMs: ms('BurstGapLoss', 'GD'),
  gapMin: whole('BurstGapLoss', 'GMIN', 1, 255),
  // 0 is what phones say before RTCP has told them any (RFC 3611 4.7.3).
  roundTripMs: ms('Delay', 'RTD', 1),
  endSystemMs: ms('Delay', 'ESD', 1),
  oneWayMs: ms('Delay', 'OWD', 1),
  symmetricOneWayMs: ms('Delay', 'SOWD', 1),
  jitterMs: ms('Delay', 'IAJ'),
  meanAbsoluteJitterMs: ms('Delay', 'MAJ'),
  signalDbm0: whole('Signal', 'SL', -126, 10),
  noiseDbm0: whole('Signal', 'NL', -126, 10),
  echoReturnLossDb: whole('Signal', 'RERL', 0, 126),
  ratingListening: rating('RLQ'),
  ratingConversational: rating('RCQ'),
  ratingExternalIn: rating('EXTRI'),
  ratingExternalOut: rating('EXTRO'),
  mosListening: mos('MOSLQ'),
  mosConversational: mos('MOSCQ'),
};
