import type { NgDictionary } from '@offhook/core';
import type { QualitySample, ReceivedStream } from '../rtcp/index.ts';
import type { Call } from './call.ts';
import type { Section } from './leg.ts';
import { type DirectionStatistics, type MediaStatistics, mediaStatistics, streamsOf } from './statistics.ts';

interface Clock {
  readonly nowMs: number;
  readonly wallMs: number;
}

/** Sources told of in one answer: a datagram has to hold it. */
const MAX_SOURCES = 12;

/** rtpengine's `SSRC`: each source of the call by its decimal number; of too many those with the most packets. */
export function sourcesOf(call: Call, clock: Clock): NgDictionary {
  const sources: Record<string, NgDictionary> = {};
  const streams = call.legs.flatMap((leg) => leg.sections).flatMap(streamsOf);
  streams.sort((a, b) => b.received - a.received);
  for (const stream of streams.slice(0, MAX_SOURCES)) sources[String(stream.ssrc)] = sourceOf(stream, clock);
  return sources;
}

function sourceOf(stream: ReceivedStream, clock: Clock): NgDictionary {
  const { quality } = stream;
  const common = { packets: stream.received, bytes: stream.bytes, 'cumulative loss': Math.max(0, stream.lost) };
  const { mean, lowest, highest, progress } = quality;
  if (!mean || !lowest || !highest) return common;
  const first = progress[0]!.atMs;
  const interval = progress.length > 1 ? (progress.at(-1)!.atMs - first) / (progress.length - 1) : 0;
  return {
    ...common,
    'average MOS': { ...figuresOf(mean), samples: quality.count },
    'lowest MOS': sampleOf(lowest, clock),
    'highest MOS': sampleOf(highest, clock),
    'MOS progression': {
      interval: Math.round(interval / 1000),
      entries: progress.map((sample) => sampleOf(sample, clock)),
    },
  };
}

function sampleOf(sample: QualitySample, { nowMs, wallMs }: Clock): NgDictionary {
  return { ...figuresOf(sample), 'reported at': Math.floor((wallMs - (nowMs - sample.atMs)) / 1000) };
}

/** rtpengine's units: MOS times ten, microseconds, milliseconds, per cent. */
function figuresOf(of: Omit<QualitySample, 'atMs' | 'model' | 'r'>): NgDictionary {
  return {
    MOS: Math.round(of.mos * 10),
    'round-trip time': Math.round(of.roundTripMs * 1000),
    jitter: Math.round(of.jitterMs),
    'packet loss': Math.round(of.lossPercent),
  };
}

/** What a section's `query` says beside rtpengine's keys: loss, jitter, round trip and score, each way. */
export function qualityOf(section: Section, nowMs: number): NgDictionary {
  const { received, sent }: MediaStatistics = mediaStatistics(section, nowMs);
  const roundTripMs = section.transport?.reports?.roundTripMs;
  return {
    ...(roundTripMs === undefined ? {} : { 'rtt ms': rounded(roundTripMs) }),
    ...(received ? { received: directionOf(received) } : {}),
    ...(sent ? { sent: directionOf(sent) } : {}),
  };
}

function directionOf(of: DirectionStatistics): NgDictionary {
  return {
    SSRC: of.ssrc,
    ...(of.codec === undefined ? {} : { codec: of.codec }),
    'loss %': rounded(of.lossPercent),
    'jitter ms': rounded(of.jitterMs),
    ...(of.burstLength === undefined ? {} : { 'burst length': rounded(of.burstLength) }),
    ...(of.mos === undefined ? {} : { MOS: rounded(of.mos), 'E-model': of.model! }),
  };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
