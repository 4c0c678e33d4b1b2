import type { NgDictionary, NgValue } from '@offhook/core';
import type { UdpEndpoint } from '@offhook/core/node';
import type { Transport } from '../forward/index.ts';
import type { Call } from './call.ts';
import { kindInWords, protocolOf } from './kind.ts';
import type { Leg, Section } from './leg.ts';
import { qualityOf, sourcesOf } from './quality.ts';
import { streamsOf as sourcesIn } from './statistics.ts';

/** What `query` says of a call: rtpengine's keys, and beside them the state of each leg in words. */
export function queryCall(call: Call, nowMs: number, wallMs: number): NgDictionary {
  const tags: Record<string, NgValue> = {};
  for (const [i, leg] of call.everyLeg().entries()) {
    const far = call.other(leg);
    tags[leg.tag ?? `(leg ${i + 1}, not answered)`] = {
      tag: leg.tag ?? '',
      ...(leg.branch === undefined ? {} : { 'via-branch': leg.branch }),
      ...(leg.label === undefined ? {} : { label: leg.label }),
      ...(far.tag !== undefined && far !== leg ? { 'in dialogue with': far.tag } : {}),
      kind: call.opaque ? 'WebRTC, passed through unread' : kindInWords(leg.kind),
      medias: leg.sections.map((section) => mediaOf(leg, section, { nowMs, wallMs })),
      ice: iceOf(leg),
      dtls: dtlsOf(call, leg),
      srtp: srtpOf(call, leg),
    };
  }
  return {
    created: Math.floor((wallMs - (nowMs - call.createdMs)) / 1000),
    'last signal': Math.floor((wallMs - (nowMs - call.lastSignalMs)) / 1000),
    path: call.echo ? 'echo' : call.opaque ? 'opaque' : 'terminated',
    ...(call.warning === undefined ? {} : { warning: call.warning }),
    tags,
    SSRC: sourcesOf(call, { nowMs, wallMs }),
    totals: totalsOf(call),
  };
}

/** Packets both ways of all legs. */
function totalsOf(call: Call): NgDictionary {
  let packets = 0;
  let bytes = 0;
  let errors = 0;
  let rtcp = 0;
  for (const t of call.everyLeg().flatMap((leg) => leg.transports())) {
    packets += t.packetsIn;
    bytes += t.bytesIn;
    rtcp += t.rtcpIn;
    errors += dropped(t);
  }
  return { RTP: { packets: packets - rtcp, bytes, errors }, RTCP: { packets: rtcp } };
}

function dropped(t: Transport): number {
  let sum = 0;
  for (const count of Object.values(t.drops)) sum += count;
  return sum;
}

function mediaOf(leg: Leg, section: Section, { nowMs, wallMs }: { nowMs: number; wallMs: number }): NgDictionary {
  const t = section.transport;
  const common = { index: section.index + 1, type: section.media };
  const { rejection } = section;
  if (!t) return { ...common, state: 'rejected', ...(rejection === undefined ? {} : { reason: rejection }) };
  const selected = leg.ice?.selected;
  const local = section.pair?.rtp.local ?? selected?.mux.udp.local;
  const endpoint = endpointOf(t.remote);
  const reasons = Object.entries(t.drops).filter(([, count]) => count > 0);
  return {
    ...common,
    protocol: protocolOf(leg.kind),
    ...(local ? { 'local address': local.address, 'local port': local.port } : {}),
    ...(endpoint ? { endpoint } : {}),
    'rtcp-mux': t.latch && !t.rtcpMux ? 'no' : 'yes',
    source: sourceOf(t),
    stats: { packets: t.packetsIn, bytes: t.bytesIn, errors: dropped(t) },
    stats_out: { packets: t.packetsOut, bytes: t.bytesOut },
    rtcp: { packets: t.rtcpIn, 'packets out': t.rtcpOut },
    streams: streamsOf(section, t, t.lastInMs < 0 ? 0 : Math.floor((wallMs - (nowMs - t.lastInMs)) / 1000)),
    quality: qualityOf(section, nowMs),
    'last packet age ms': t.lastInMs < 0 ? -1 : Math.round(nowMs - t.lastInMs),
    ...(reasons.length > 0 ? { dropped: Object.fromEntries(reasons) } : {}),
  };
}

/** rtpengine's shape: one stream for RTP and one for RTCP, where that has a port of its own. */
function streamsOf(section: Section, t: Transport, lastS: number): NgDictionary[] {
  const errors = dropped(t);
  const isMuxed = t.latch === undefined || t.rtcpMux;
  const rtp = { packets: isMuxed ? t.packetsIn : t.packetsIn - t.rtcpIn, bytes: t.bytesIn, errors };
  const source = sourcesIn(section)[0];
  const stream = (flag: string, port: number | undefined, remote: UdpEndpoint | undefined, stats: NgDictionary) => {
    const endpoint = endpointOf(remote);
    return {
      ...(port === undefined ? {} : { 'local port': port }),
      ...(endpoint ? { endpoint } : {}),
      'last packet': lastS,
      ...(source && flag === 'RTP' ? { SSRC: source.ssrc } : {}),
      flags: isMuxed && flag === 'RTP' ? ['RTP', 'RTCP'] : [flag],
      stats,
    };
  };
  const first = stream('RTP', section.pair?.rtp.local.port, t.remote, rtp);
  return isMuxed
    ? [first]
    : [first, stream('RTCP', section.pair?.rtcp.local.port, t.rtcpRemote, { packets: t.rtcpIn })];
}

function endpointOf(remote: UdpEndpoint | undefined): NgDictionary | undefined {
  const at = remote?.toSocketAddress();
  return at && { family: at.address.includes(':') ? 'IPv6' : 'IPv4', address: at.address, port: at.port };
}

function sourceOf(t: Transport): string {
  if (!t.latch) return 'the address that ICE validated';
  const { source, expected } = t.latch;
  if (source) {
    const at = source.toSocketAddress();
    return `locked to ${at.address} port ${at.port}`;
  }
  if (!expected) return 'the peer has named no address, or holds the call';
  const at = expected.toSocketAddress();
  return `nothing has come yet; expected from ${at.address} port ${at.port}`;
}

function iceOf(leg: Leg): NgDictionary {
  if (!leg.ice) return { state: 'off', reason: 'this leg uses addresses from the SDP' };
  return { state: leg.ice.state, reason: leg.ice.reason, checks: leg.ice.checks, pairs: leg.ice.pairs.length };
}

function dtlsOf(call: Call, leg: Leg): NgDictionary {
  if (leg.kind.security !== 'dtls') return { state: 'off', reason: 'this leg does not use DTLS' };
  if (call.opaque) return { state: 'passed through', reason: 'the handshake is between the two peers' };
  const dtls = leg.transports()[0]?.dtls;
  return dtls ? { state: dtls.state, reason: dtls.reason } : { state: 'off', reason: 'no media section is active' };
}

function srtpOf(call: Call, leg: Leg): NgDictionary {
  if (leg.kind.security === 'none') return { state: 'off', reason: 'plain RTP' };
  if (call.opaque) return { state: 'passed through', reason: 'only the two peers have the keys' };
  const first = leg.sections.find((s) => s.active);
  const t = first?.transport;
  const profile = t?.dtls?.profile ?? first?.sdes?.profile;
  if (!t?.rx || !t.tx || !profile) return { state: 'waiting', reason: 'there are no keys yet' };
  return { state: 'on', reason: `both directions use ${profile}`, profile };
}
