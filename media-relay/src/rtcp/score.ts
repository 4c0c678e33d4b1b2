import { codecQuality, type QualityScore, type RtpMap, rateQuality } from '@offhook/core';

/** Of a receiver of Opus that says nothing (RFC 7587 6.1). */
const DEFAULT_PLAYBACK_RATE = 48_000;

export interface ScoreInput {
  readonly format: RtpMap;
  /** Of the payload, 0 = not known. */
  readonly bitrateBps: number;
  /** Of this hop, undefined = not known. */
  readonly roundTripMs: number | undefined;
  readonly jitterMs: number;
  /** 0–1. */
  readonly loss: number;
  readonly burstLength: number;
}

/** The E-model's score of one direction of one hop, or undefined for what it can't rate (video, codecs without factors). */
export function scoreOf({ format, bitrateBps, roundTripMs, ...measured }: ScoreInput): QualityScore | undefined {
  const playback = /(?:^|;)\s*maxplaybackrate=(\d{1,6})/.exec(format.fmtp ?? '')?.[1];
  const codec = codecQuality({
    encoding: format.encoding,
    bitrateBps: bitrateBps > 0 ? bitrateBps : undefined,
    maxPlaybackRate: playback === undefined ? DEFAULT_PLAYBACK_RATE : Number(playback),
  });
  if (codec === undefined) return undefined;
  // Half of the way there and back, and what a jitter buffer needs at least; other delays of the devices aren't known.
  const delayMs = (roundTripMs ?? 0) / 2 + measured.jitterMs;
  return rateQuality({ codec, delayMs, loss: measured.loss, burstLength: measured.burstLength });
}
