import type { QualityModel } from '@offhook/core';
import type { Transport } from '../forward/index.ts';
import { type ReceivedStream, type RemoteReport, scoreOf } from '../rtcp/index.ts';
import type { Call } from './call.ts';
import type { Section } from './leg.ts';

/** One direction of one media section between a peer and us. */
export interface DirectionStatistics {
  readonly ssrc: number;
  /** As SDP names it: `opus`, `PCMA`. */
  readonly codec?: string;
  /** Lost of what was sent within the last interval of reports, per cent. */
  readonly lossPercent: number;
  readonly jitterMs: number;
  /** Mean number of packets lost in a row, at least 1; only what we receive is known so closely. */
  readonly burstLength?: number;
  /** Mean opinion score of that interval, 1–4.5, and the E-model that gave it; audio only. */
  readonly mos?: number;
  readonly model?: QualityModel;
}

/** What comes from the peer (`received`, measured here) and what goes to it (`sent`, as it reports). */
export interface MediaStatistics {
  /** The section's place in the SDP, from 0. */
  readonly index: number;
  readonly type: string;
  readonly received?: DirectionStatistics;
  readonly sent?: DirectionStatistics;
}

export interface LegStatistics {
  readonly tag: string | undefined;
  /** Since the leg began; RTCP counts as well. */
  readonly packetsIn: number;
  readonly packetsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** To the peer and back, of its last report that shows it. */
  readonly roundTripMs?: number;
  readonly media: readonly MediaStatistics[];
}

/** Sources that were silent for longer are not told of. */
const STALE_MS = 12_000;

/** A small record of each leg as it is now, for a stream of them. Nothing of an opaque call but its counts is known. */
export function statisticsOf(call: Call, nowMs: number): LegStatistics[] {
  return call.legs.map((leg) => {
    const counts = { packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 };
    let roundTripMs: number | undefined;
    for (const t of leg.transports()) {
      counts.packetsIn += t.packetsIn;
      counts.packetsOut += t.packetsOut;
      counts.bytesIn += t.bytesIn;
      counts.bytesOut += t.bytesOut;
      roundTripMs ??= t.reports?.roundTripMs;
    }
    return {
      tag: leg.tag,
      ...counts,
      ...(roundTripMs === undefined ? {} : { roundTripMs }),
      media: leg.sections.filter((section) => section.active).map((section) => mediaStatistics(section, nowMs)),
    };
  });
}

/** One section of one leg as it is now. */
export function mediaStatistics(section: Section, nowMs: number): MediaStatistics {
  const received = receivedOf(section, nowMs);
  const sent = sentOf(section, nowMs);
  const { index, media } = section;
  return { index, type: media, ...(received ? { received } : {}), ...(sent ? { sent } : {}) };
}

/** The sources a leg's peer has sent in that section, the last one heard first. */
export function streamsOf(section: Section): ReceivedStream[] {
  const t = section.transport;
  if (!t?.reports) return [];
  return t.reports.received.streams.filter((s) => s.isValid && isIn(t, section, s)).sort((a, b) => b.lastMs - a.lastMs);
}

/** What the peer of a section last said of what it hears from us there. */
function remoteOf(section: Section): { readonly report: RemoteReport; readonly source: ReceivedStream } | undefined {
  const t = section.transport;
  const far = section.peer?.transport;
  let found: { report: RemoteReport; source: ReceivedStream } | undefined;
  for (const report of t?.reports?.remote.all ?? []) {
    const ssrc =
      t!.ssrcMask !== 0 ? (report.ssrc ^ t!.ssrcMask) >>> 0 : (t!.splice?.inward(report.ssrc) ?? report.ssrc);
    const source = far?.reports?.received.find(ssrc);
    if (!source || !isIn(far!, section.peer!, source)) continue;
    if (found === undefined || report.atMs > found.report.atMs) found = { report, source };
  }
  return found;
}

/** The score of what goes to a section's peer by what it reports; bursts aren't known. */
function sentOf(section: Section, nowMs: number): DirectionStatistics | undefined {
  const found = remoteOf(section);
  if (!found || nowMs - found.report.atMs > STALE_MS) return undefined;
  const { report, source } = found;
  const { format } = source;
  const loss = report.lossRate;
  const jitterMs = format === undefined ? 0 : (1000 * report.jitter) / format.clockRate;
  const { roundTripMs } = section.transport!.reports!;
  const score =
    format && scoreOf({ format, bitrateBps: source.bitrateBps, roundTripMs, jitterMs, loss, burstLength: 1 });
  return {
    ssrc: report.ssrc,
    ...(format ? { codec: format.encoding } : {}),
    lossPercent: 100 * loss,
    jitterMs,
    ...(score ? { mos: score.mos, model: score.model } : {}),
  };
}

function receivedOf(section: Section, nowMs: number): DirectionStatistics | undefined {
  const stream = streamsOf(section)[0];
  if (!stream || nowMs - stream.lastMs > STALE_MS) return undefined;
  const { latest } = stream.quality;
  return {
    ssrc: stream.ssrc,
    ...(stream.format ? { codec: stream.format.encoding } : {}),
    lossPercent: 100 * stream.recentLossRate,
    jitterMs: stream.jitterMs,
    burstLength: stream.losses.burstLength,
    ...(latest ? { mos: latest.mos, model: latest.model } : {}),
  };
}

function isIn(t: Transport, section: Section, stream: ReceivedStream): boolean {
  return t.sectionOf(stream.ssrc, stream.payloadType) === section;
}
