import {
  attribute,
  attributes,
  bundleGroups,
  cryptoLines,
  fingerprints,
  iceCredentials,
  isUnicast,
  type MediaDescription,
  rtcpPort,
  rtpMaps,
  type SessionDescription,
  type SocketAddress,
  setup,
} from '@offhook/core';
import { UdpEndpoint } from '@offhook/core/node';
import { sameAddress, UNCONFIRMED_PACKETS, UNLIMITED } from '../forward/index.ts';
import { plainAddresses } from './address.ts';
import type { Call } from './call.ts';
import { DtlsSession } from './dtls.ts';
import { configureFeedback } from './feedback.ts';
import type { MediaHost } from './host.ts';
import { kindOf, type LegKind, sameKind } from './kind.ts';
import { type Leg, type PortPair, Section } from './leg.ts';
import { configureRates } from './rates.ts';
import { configureRepair } from './repair.ts';
import { configureReports, openReports } from './reports.ts';
import { SdesKeys } from './sdes.ts';
import { asOneStream, configureSimulcast } from './simulcast.ts';
import { withoutSources } from './stand-in.ts';

/** Whether the far side wants this section: port 0 is a no, except bundle-only (RFC 9143 6). */
export function isWanted(media: MediaDescription): boolean {
  return media.port !== 0 || attribute(media, 'bundle-only') !== undefined;
}

/** The kind of the first wanted section that this relay can carry. */
export function firstKind(sd: SessionDescription): LegKind | undefined {
  for (const media of sd.media) {
    const kind = isWanted(media) ? kindOf(media, sd) : undefined;
    if (kind) return kind;
  }
  return undefined;
}

/**
 * The mids that share the first wanted section's transport, or undefined without BUNDLE. An ICE leg has one transport,
 * so its other sections are turned off.
 */
export function bundleOf(sd: SessionDescription): readonly string[] | undefined {
  const first = sd.media.find(isWanted);
  const mid = first && attribute(first, 'mid');
  return mid === undefined ? undefined : bundleGroups(sd).find((group) => group.includes(mid));
}

/** Which sections a leg of this kind can take from the description. */
export function usableSections(sd: SessionDescription, kind: LegKind, opaque: boolean): boolean[] {
  const bundle = bundleOf(sd);
  const first = sd.media.findIndex((m) => isWanted(m));
  return sd.media.map((media, i) => {
    if (!isWanted(media)) return false;
    if (kind.ice && i !== first && !bundle?.includes(attribute(media, 'mid') ?? '')) return false;
    if (opaque) return true;
    const own = kindOf(media, sd);
    return own !== undefined && (own.ice || kind.ice ? own.security === kind.security : sameKind(own, kind));
  });
}

/** Media sections of a call that has a plain leg: each takes two ports there. */
export const MAX_PLAIN_SECTIONS = 4;

/** With a plain leg only the first sections stay; the others are rejected, so that one description can't take all ports. */
export function boundSections(active: readonly boolean[], kinds: readonly LegKind[]): readonly boolean[] {
  if (kinds.every((kind) => kind.ice)) return active;
  let left = MAX_PLAIN_SECTIONS;
  return active.map((isActive) => isActive && left-- > 0);
}

/** Makes sections and their transports as `active` says; port pairs come from `pairs`. False when they run out. */
export function arrange(host: MediaHost, call: Call, leg: Leg, plan: Arrangement): boolean {
  for (const [i, isActive] of plan.active.entries()) {
    const section = leg.sections[i] ?? new Section(i, plan.media[i]!);
    leg.sections[i] = section;
    section.media = plan.media[i]!;
    section.active = isActive;
    if (isActive) section.rejection = undefined;
    if (!isActive) releaseSection(host, section);
    else if (leg.kind.ice) section.transport = bundleTransport(host, call, leg);
    else if (!section.transport && !openPlain(host, leg, section, plan.pairs)) return false;
  }
  if (leg.bundle) leg.bundle.sections = leg.sections.filter((s) => s.active);
  return true;
}

export interface Arrangement {
  readonly active: readonly boolean[];
  readonly media: readonly string[];
  /** Those of the leg's interface are taken from the end; what is left is the caller's. */
  readonly pairs: PortPair[];
}

function bundleTransport(host: MediaHost, call: Call, leg: Leg) {
  if (leg.bundle) return leg.bundle;
  const transport = host.transports.open(undefined);
  leg.bundle = transport;
  leg.ice = host.ice.open(transport);
  if (!call.opaque) secure(host, leg, transport);
  return transport;
}

function openPlain(host: MediaHost, leg: Leg, section: Section, pairs: PortPair[]): boolean {
  const address = leg.interface?.address ?? host.interfaces[0]!.address;
  const at = pairs.findLastIndex((p) => p.rtp.local.address === address);
  if (at < 0) return false;
  const [pair] = pairs.splice(at, 1) as [PortPair];
  const transport = host.transports.open(pair.rtp.family);
  transport.sections = [section];
  section.transport = transport;
  section.pair = pair;
  secure(host, leg, transport);
  host.attach(transport, pair);
  return true;
}

/** Gives a transport that ends here what its leg's security needs, and RTCP of its own. */
export function secure(host: MediaHost, leg: Leg, transport: NonNullable<Section['transport']>): void {
  transport.secured = leg.kind.security !== 'none';
  transport.reports = openReports(host.crypto);
  host.rearm(transport);
  if (leg.kind.security === 'dtls' && host.dtls) {
    transport.dtls = new DtlsSession(transport, host.dtls, { open: host.openSrtp, counters: host.dtlsCounters });
  }
}

/** Port pairs that `arrange` will need for these sections. */
export function pairsNeeded(leg: Leg | undefined, kind: LegKind, active: readonly boolean[]): number {
  if (kind.ice) return 0;
  const known = leg && sameKind(leg.kind, kind) ? leg.sections : [];
  return active.filter((isActive, i) => isActive && !known[i]?.transport).length;
}

function releaseSection(host: MediaHost, section: Section): void {
  const { transport, pair } = section;
  section.transport = undefined;
  section.peer = undefined;
  claim(host, section, []);
  section.sdes?.close();
  section.sdes = undefined;
  if (pair && transport) {
    transport.dtls?.close();
    transport.reports = undefined;
    transport.rates = undefined;
    host.rearm(transport);
    transport.dropKeys();
    host.transports.close(transport);
    host.release(pair);
    section.pair = undefined;
  }
}

/** Gives back everything of a leg. */
export function closeLeg(host: MediaHost, leg: Leg): void {
  for (const section of leg.sections) {
    section.active = false;
    releaseSection(host, section);
  }
  const { bundle, ice } = leg;
  if (bundle) {
    bundle.dtls?.close();
    bundle.reports = undefined;
    bundle.rates = undefined;
    host.rearm(bundle);
    bundle.dropKeys();
    bundle.opaquePeer = undefined;
    if (ice) host.ice.close(ice);
    host.transports.close(bundle);
  }
  leg.bundle = undefined;
  leg.ice = undefined;
}

/** Takes the peer's side of every active section: addresses, ICE, keys. The reason when it can't be used. */
export function applyRemote(host: MediaHost, call: Call, leg: Leg, input: RemoteInput): string | undefined {
  const { sd, role } = input;
  const told = input.standIn && !call.opaque ? withoutSources(sd) : sd;
  leg.remote = asOneStream(host.crypto, call, leg, { sd: told, role });
  leg.extensions.learn(sd);
  leg.bundledMids = bundleOf(sd);
  const first = leg.sections.find((s) => s.active);
  if (!first) return undefined;
  if (leg.ice) {
    const credentials = iceCredentials(sd.media[first.index]!, sd);
    if (!credentials) return 'the SDP has no usable ice-ufrag and ice-pwd';
    if (role === 'answer') host.ice.accept(leg.ice, credentials);
    else if (!input.standIn) host.ice.offered(leg.ice, credentials);
  }
  if (leg.kind.security === 'dtls') {
    const asked = setup(sd.media[first.index]!, sd);
    if (role === 'answer') leg.setup = asked === 'passive' ? 'active' : 'passive';
    else if (asked === 'passive') leg.setup = 'active';
    else if (asked === 'active') leg.setup = 'passive';
    else leg.setup ??= leg.dtlsRole;
  }
  for (const section of leg.sections) {
    if (!section.active) continue;
    const problem = applySection(host, call, leg, { ...input, section, media: sd.media[section.index]! });
    if (problem) return problem;
  }
  return undefined;
}

interface RemoteInput {
  readonly sd: SessionDescription;
  readonly role: 'offer' | 'answer';
  /** Nothing may go to the peer's addresses from this leg, and its ICE credentials and certificate are no longer these. */
  readonly standIn?: boolean;
  /** SRTP suites to take before others. */
  readonly preferred?: readonly string[] | undefined;
  readonly nowMs: number;
}

function applySection(
  host: MediaHost,
  call: Call,
  leg: Leg,
  { sd, role, standIn, preferred, nowMs, section, media }: RemoteInput & { section: Section; media: MediaDescription },
): string | undefined {
  const transport = section.transport!;
  section.mid = attribute(media, 'mid') ?? section.mid;
  section.remoteMux = attribute(media, 'rtcp-mux') !== undefined;
  if (!leg.kind.ice && !standIn) takeAddresses(host, leg, section, { media, sd });
  if (call.opaque) return undefined;
  if (leg.kind.security === 'sdes') {
    section.sdes ??= new SdesKeys(host.crypto, host.openSrtp);
    const lines = cryptoLines(media);
    const agreed =
      role === 'offer' ? section.sdes.offered(lines, transport, preferred) : section.sdes.answered(lines, transport);
    if (!agreed) return `the ${section.media} section has no a=crypto line that can be used`;
  }
  if (transport.dtls && section === transport.sections[0]) {
    const prints = fingerprints(media, sd).map((f) => `${f.hash} ${f.digest}`);
    if (prints.length === 0) return 'the SDP has no usable a=fingerprint';
    if (standIn) return undefined; // a handshake that comes before the next description waits for its fingerprint
    transport.dtls.describe(prints, leg.setup === 'active' ? 'client' : 'server', nowMs);
    host.rearm(transport);
  }
  return undefined;
}

/** Where a plain leg's packets go and come from. */
function takeAddresses(
  host: MediaHost,
  leg: Leg,
  section: Section,
  { media, sd }: { media: MediaDescription; sd: SessionDescription },
): void {
  const transport = section.transport!;
  const pair = section.pair!;
  const address = (media.connection ?? sd.connection)?.address ?? '';
  const at = { address, port: media.port };
  const { expected, allowed, confirmed } = plainAddresses(at, leg, {
    address: (leg.interface ?? host.interfaces[0]!).address,
    isOwn: host.isOwn,
  });
  const loops = expected !== undefined && host.isRelayPort(expected);
  if (loops) host.addressCounters.loops++;
  const isOneHost = expected !== undefined && isUnicast(expected.address);
  if (expected && !isOneHost) host.addressCounters.notUnicast++;
  if (!expected || loops || !isOneHost) {
    transport.sendVia(undefined, undefined); // held the old way, our own port, or nobody's
    transport.rtcpPort = undefined;
    transport.rtcpRemote = undefined;
    return;
  }
  const others = allowed.flatMap((a) => UdpEndpoint.from({ address: a, port: 0 }) ?? []);
  const rtp = UdpEndpoint.from(expected);
  const rtcp = rtcpPort(media);
  const mux = transport.rtcpMux && section.remoteMux;
  // RFC 3605 lets a=rtcp name any address; here RTCP goes nowhere that RTP or signalling doesn't come from.
  const toSignalling = !mux && rtcp.address !== undefined && rtcp.address === leg.receivedFrom;
  const rtcpTo = {
    address: toSignalling ? rtcp.address! : expected.address,
    port: mux ? expected.port : rtcp.port,
  };
  const rtcpLoops = host.isRelayPort(rtcpTo);
  if (rtcpLoops) host.addressCounters.loops++;
  const rtcpAt = rtcpLoops ? undefined : UdpEndpoint.from(rtcpTo);
  claim(host, section, rtcpLoops ? [expected] : [expected, rtcpTo]);
  const isNew = transport.latch!.expect(rtp, others);
  const isNewRtcp = transport.rtcpLatch!.expect(rtcpAt, others);
  const { source } = transport.latch!;
  const rtcpSource = transport.rtcpLatch!.source;
  if (confirmed || source) transport.sendBudget = UNLIMITED;
  else if (isNew) transport.sendBudget = UNCONFIRMED_PACKETS;
  if (confirmed || toSignalling || rtcpSource || (source && rtcpAt && sameAddress(source, rtcpAt))) {
    transport.rtcpBudget = UNLIMITED;
  } else if (isNewRtcp) transport.rtcpBudget = UNCONFIRMED_PACKETS;
  transport.rtcpPort = pair.rtcp;
  transport.rtcpRemote = rtcpSource ?? rtcpAt;
  transport.sendVia(pair.rtp, source ?? rtp);
}

/** As long as a phone's port on this machine is sent to, it may not become one of ours: media would go in circles. */
function claim(host: MediaHost, section: Section, named: readonly SocketAddress[]): void {
  const before = section.claims;
  section.claims = named.filter((at) => host.claim(at)).map((at) => at.port);
  for (const port of before) host.disclaim(port);
}

/** Nothing passes to or from that leg: another fork branch has taken its place. */
export function unwire(leg: Leg): void {
  for (const section of leg.sections) section.peer = undefined;
  for (const transport of leg.transports()) {
    transport.opaquePeer = undefined;
    transport.rates?.connect(undefined);
    transport.simulcast = undefined;
  }
}

/** Connects the sections of both legs, and tells apart what one transport carries. */
export function wire(host: MediaHost, call: Call): void {
  const [a, b] = [call.legs[0]!, call.legs[1] ?? call.legs[0]!];
  for (const [i, section] of a.sections.entries()) {
    const far = b.sections[i];
    const isBoth = section.active && far?.active === true && !call.silent;
    section.peer = isBoth ? far : undefined;
    if (far) far.peer = isBoth ? section : undefined;
  }
  if (call.opaque && a.bundle && b.bundle) {
    a.bundle.opaquePeer = b.bundle;
    b.bundle.opaquePeer = a.bundle;
  }
  for (const leg of call.legs) {
    demultiplex(leg, call.other(leg));
    configureReports(leg, call.other(leg));
    configureRepair(host, call, leg);
    applyBlocks(call, leg);
  }
  for (const leg of call.legs) {
    configureRates(host, call, leg);
    configureFeedback(leg);
  }
  for (const leg of call.legs) configureSimulcast(call, leg);
}

/** What the client has blocked, and which payload types are telephone events (RFC 4733), to the leg's transports. */
export function applyBlocks(call: Call, leg: Leg): void {
  const types = new Set<number>();
  for (const sd of [leg.remote, call.other(leg).remote]) {
    for (const media of sd?.media ?? []) {
      for (const map of rtpMaps(media)) {
        if (map.encoding.toLowerCase() === 'telephone-event') types.add(map.payloadType);
      }
    }
  }
  for (const transport of leg.transports()) {
    const { events } = transport;
    events.onKey = (key) => call.onKey?.(call, leg, { key, count: events.count });
    transport.watch(types, {
      media: call.blocksMedia || leg.blocksMedia,
      events: call.blocksDtmf || leg.blocksDtmf,
    });
  }
}

/** RFC 9143 9.2: SSRCs of the SDP, then payload types that only one section uses. */
function demultiplex(leg: Leg, far: Leg): void {
  const transport = leg.bundle;
  if (!transport || transport.sections.length < 2) return;
  transport.payloadTypes.fill(-1);
  transport.ssrcs.clear();
  const seen = new Map<number, number>();
  for (const [place, { index }] of transport.sections.entries()) {
    const own = leg.remote?.media[index];
    for (const value of own ? attributes(own, 'ssrc') : []) {
      const ssrc = Number(value.split(' ')[0]);
      if (Number.isInteger(ssrc) && ssrc >= 0 && ssrc < 2 ** 32) transport.ssrcs.set(ssrc, place);
    }
    for (const media of [own, far.remote?.media[index]]) {
      for (const format of media?.formats ?? []) {
        const payloadType = Number(format);
        if (!(payloadType >= 0 && payloadType < 128)) continue;
        const other = seen.get(payloadType);
        seen.set(payloadType, place);
        transport.payloadTypes[payloadType] = other === undefined || other === place ? place : -1;
      }
    }
  }
}
