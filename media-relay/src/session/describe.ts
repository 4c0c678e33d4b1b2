import {
  addAttribute,
  attribute,
  cloneSdp,
  type Direction,
  direction,
  type MediaDescription,
  removeAttributes,
  removePayloadTypes,
  rtpMaps,
  type SdpAttribute,
  type SdpCrypto,
  type SessionDescription,
  type SocketAddress,
  setDirection,
  writeCandidate,
} from '@offhook/core';
import type { RedFormat } from '../recovery/index.ts';
import { type LegKind, parseProtocol, protocolOf, speaksWebRtc } from './kind.ts';
import type { RateLines } from './rates.ts';
import { addRed } from './red.ts';
import { saysFeedback } from './rtcp-fb.ts';
import { withoutFec } from './simulcast.ts';

/** What we say of ourselves in one section. */
export interface LocalSection {
  readonly active: boolean;
  readonly kind: LegKind;
  /** Where media for this section is to be sent: m= port and c= address. */
  readonly at: SocketAddress;
  readonly mid?: string;
  /** Credentials and candidate addresses of the ICE-lite side. */
  readonly ice?: { readonly ufrag: string; readonly pwd: string; readonly candidates: readonly SocketAddress[] };
  readonly dtls?: { readonly fingerprint: string; readonly setup: 'actpass' | 'active' | 'passive' };
  readonly cryptos: readonly SdpCrypto[];
  readonly rtcpMux: boolean;
  /** RTCP's port when it has one of its own, also as the fallback of an offered rtcp-mux. */
  readonly rtcpPort?: number;
  /** Sound goes as RED between this peer and us. */
  readonly red?: RedFormat;
  /** What of rates is between this peer and us. */
  readonly rates?: RateLines;
  /** What of layers is between this peer and us, in place of the far peer's lines. */
  readonly simulcast?: readonly SdpAttribute[];
  /** Video payload types for which PLI may be said although the far side's protocol has no feedback. */
  readonly pictureLossTypes?: (payloadType: string) => boolean;
  /** Those that we send again ourselves when the peer asks, and ask for: the far side can't. */
  readonly retransmittedTypes?: (payloadType: string) => boolean;
}

export interface LocalDescription {
  readonly sections: readonly LocalSection[];
  /** Mids that share the transport, in order; empty = no BUNDLE. */
  readonly bundle: readonly string[];
  readonly opaque: boolean;
  /** Our own o= line; undefined passes the far one. */
  readonly origin?: { readonly id: string; readonly version: number; readonly address: string };
  /** Single parts of the head in place of the far one's, where the o= line passes. */
  readonly head?: { readonly username?: string; readonly sessionName?: string; readonly version?: number };
}

const DIRECTIONS: ReadonlySet<string> = new Set(['sendrecv', 'sendonly', 'recvonly', 'inactive']);
/** Attributes of one hop's ICE (RFC 8839 5), which end at us on every path. */
const ICE: ReadonlySet<string> = new Set([
  'ice-lite',
  'ice-options',
  'ice-ufrag',
  'ice-pwd',
  'ice-pacing',
  'ice-mismatch',
  'candidate',
  'remote-candidates',
  'end-of-candidates',
  'rtcp',
]);
/** Attributes of one hop's keys and multiplexing, which end at us on the terminated path. */
const HOP: ReadonlySet<string> = new Set([
  'fingerprint',
  'setup',
  'tls-id',
  'connection',
  'crypto',
  'key-mgmt',
  'identity',
  'rtcp-mux',
  'rtcp-mux-only',
  'mid',
  'bundle-only',
]);
/** What only peers with RTP/SAVPF or AVPF understand. */
const FEEDBACK: ReadonlySet<string> = new Set(['rtcp-fb', 'rtcp-rsize', 'rtcp-xr']);
/** What only WebRTC peers understand: header extensions, streams, simulcast. */
const WEBRTC: ReadonlySet<string> = new Set([
  'extmap',
  'extmap-allow-mixed',
  'msid',
  'msid-semantic',
  'ssrc',
  'ssrc-group',
  'rid',
  'simulcast',
  'x-google-flag',
]);
/** Formats that feedback isn't said of: it is about what they carry. */
const AUXILIARY: ReadonlySet<string> = new Set([
  'rtx',
  'red',
  'ulpfec',
  'flexfec-03',
  'flexfec',
  'telephone-event',
  'cn',
]);
/** Redundancy and retransmission formats that a peer without feedback and SSRC groups can't use. */
const WEBRTC_FORMATS: ReadonlySet<string> = new Set(['rtx', 'red', 'ulpfec', 'flexfec-03', 'flexfec']);

/**
 * The description for one peer, made from the far peer's: what belongs to one hop (ICE, addresses, and on the
 * terminated path keys, multiplexing and protocol) is ours, the rest passes. Pure.
 */
export function describe(far: SessionDescription, local: LocalDescription): SessionDescription {
  const sd = cloneSdp(far);
  const anyIce = local.sections.some((s) => s.ice);
  if (local.origin) {
    const addressType = local.origin.address.includes(':') ? 'IP6' : 'IP4';
    sd.origin = {
      username: '-',
      sessionId: local.origin.id,
      sessionVersion: String(local.origin.version),
      addressType,
      address: local.origin.address,
    };
    sd.sessionName = '-';
  } else if (local.head) {
    const { username, sessionName, version } = local.head;
    sd.origin.username = username ?? sd.origin.username;
    sd.origin.sessionVersion = version === undefined ? sd.origin.sessionVersion : String(version);
    sd.sessionName = sessionName ?? sd.sessionName;
  }
  const isForeign = (a: SdpAttribute) =>
    ICE.has(a.name) ||
    DIRECTIONS.has(a.name) ||
    (a.name === 'extmap' && local.sections.some((s) => s.rates)) || // those of the sections count
    (!local.opaque && (HOP.has(a.name) || a.name === 'group')) ||
    (!local.opaque && !isWebRtc(local) && WEBRTC.has(a.name));
  removeAttributes(sd, isForeign);
  sd.connection = undefined;
  sd.media = far.media.map((media, i) => {
    const section = local.sections[i]!;
    const toward = direction(media, far);
    return local.opaque
      ? opaqueSection(media, section, toward)
      : ownSection(media, section, heldDirection(media, far, toward));
  });
  if (!local.opaque && local.bundle.length > 0) {
    sd.attributes.unshift({ name: 'group', value: `BUNDLE ${local.bundle.join(' ')}` });
  }
  if (anyIce) sd.attributes.unshift({ name: 'ice-lite' });
  return sd;
}

function isWebRtc(local: LocalDescription): boolean {
  return local.sections.some((s) => speaksWebRtc(s.kind));
}

/** Old-style hold, c=0.0.0.0 (RFC 3264 8.4): the peer doesn't want to receive. */
function heldDirection(media: MediaDescription, far: SessionDescription, toward: Direction): Direction {
  const address = (media.connection ?? far.connection)?.address;
  const ice = attribute(media, 'ice-ufrag') ?? attribute(far, 'ice-ufrag');
  if (ice !== undefined || (address !== '0.0.0.0' && address !== '::')) return toward;
  return toward === 'sendrecv' ? 'sendonly' : toward === 'recvonly' ? 'inactive' : toward;
}

/** Only addresses and ICE are ours; fingerprint, setup, streams and extensions are the far peer's. */
function opaqueSection(far: MediaDescription, local: LocalSection, toward: Direction): MediaDescription {
  const m: MediaDescription = { ...far, attributes: far.attributes.filter((a) => !ICE.has(a.name)) };
  if (!local.active) return rejected(m);
  setDirection(m, toward);
  m.port = far.port === 0 ? 0 : local.at.port; // bundle-only sections have port 0 (RFC 9143 6)
  m.connection = connection(local.at);
  addIce(m, local);
  return m;
}

function ownSection(far: MediaDescription, local: LocalSection, toward: Direction): MediaDescription {
  const webRtc = speaksWebRtc(local.kind);
  const m: MediaDescription = {
    ...far,
    formats: [...far.formats],
    key: undefined,
    portCount: undefined,
    attributes: far.attributes.filter(
      ({ name }) =>
        !ICE.has(name) &&
        !HOP.has(name) &&
        (local.kind.feedback || !FEEDBACK.has(name)) &&
        (webRtc || !WEBRTC.has(name)),
    ),
  };
  if (local.active || parseProtocol(m.protocol)) m.protocol = protocolOf(local.kind);
  if (local.mid !== undefined) m.attributes.unshift({ name: 'mid', value: local.mid });
  if (!local.active) return rejected(m);
  if (!webRtc) {
    const unwanted = new Set(
      rtpMaps(m)
        .filter((map) => WEBRTC_FORMATS.has(map.encoding.toLowerCase()))
        .map((map) => map.payloadType),
    );
    if (unwanted.size < m.formats.length) removePayloadTypes(m, (payloadType) => unwanted.has(payloadType));
  }
  if (local.red) addRed(m, local.red);
  setDirection(m, toward);
  m.port = local.at.port;
  m.connection = connection(local.at);
  if (local.rtcpMux) addAttribute(m, 'rtcp-mux');
  if (local.rtcpPort !== undefined) addAttribute(m, 'rtcp', String(local.rtcpPort));
  if (m.kind === 'video') {
    const [isMute, repairs] = [attribute(m, 'rtcp-fb') === undefined, saysFeedback(m, 'nack')];
    for (const format of m.formats) {
      if (!repairs && local.retransmittedTypes?.(format)) addAttribute(m, 'rtcp-fb', `${format} nack`);
      if (isMute && local.pictureLossTypes?.(format)) addAttribute(m, 'rtcp-fb', `${format} nack pli`);
    }
  }
  if (local.rates) addRates(m, local.rates);
  if (local.simulcast && local.simulcast.length > 0) {
    removeAttributes(m, ({ name }) => name === 'rid' || name === 'simulcast');
    withoutFec(m);
    m.attributes.push(...local.simulcast);
  }
  addIce(m, local);
  if (local.dtls) {
    addAttribute(m, 'fingerprint', local.dtls.fingerprint);
    addAttribute(m, 'setup', local.dtls.setup);
  }
  for (const { tag, suite, key } of local.cryptos) addAttribute(m, 'crypto', `${tag} ${suite} inline:${key}`);
  return m;
}

/** In place of the far peer's: extensions under this leg's numbers, feedback of this hop, retransmissions by us. */
function addRates(m: MediaDescription, { extmaps, ends, feedback, rtx, source }: RateLines): void {
  const isOver = (value = '') => ends.includes(value.slice(value.indexOf(' ') + 1).trim());
  removeAttributes(m, ({ name, value }) => name === 'extmap' || (name === 'rtcp-fb' && isOver(value)));
  for (const extmap of extmaps) addAttribute(m, 'extmap', extmap);
  const media = rtpMaps(m).filter(({ encoding }) => !AUXILIARY.has(encoding.toLowerCase()));
  for (const { payloadType } of media) {
    for (const one of feedback) addAttribute(m, 'rtcp-fb', `${payloadType} ${one}`);
  }
  for (const { payloadType, original } of rtx) {
    m.formats.push(String(payloadType));
    addAttribute(m, 'rtpmap', `${payloadType} rtx/90000`);
    addAttribute(m, 'fmtp', `${payloadType} apt=${original}`);
  }
  if (!source) return;
  addAttribute(m, 'ssrc-group', `FID ${source.original} ${source.ssrc}`);
  addAttribute(m, 'ssrc', `${source.ssrc} cname:${source.cname}`);
}

function addIce(m: MediaDescription, { ice }: LocalSection): void {
  if (!ice) return;
  addAttribute(m, 'ice-ufrag', ice.ufrag);
  addAttribute(m, 'ice-pwd', ice.pwd);
  for (const [i, at] of ice.candidates.entries()) {
    // RFC 8445 5.1.2.1: host preference 126, local preference falling, component 1.
    const priority = 126 * 2 ** 24 + (65_535 - i) * 2 ** 8 + 255;
    const candidate = { foundation: String(i + 1), component: 1, transport: 'udp', priority, ...at, type: 'host' };
    addAttribute(m, 'candidate', writeCandidate(candidate));
  }
  addAttribute(m, 'end-of-candidates');
}

/** RFC 3264 6: port 0, and the formats stay because one has to be there. */
function rejected(m: MediaDescription): MediaDescription {
  removeAttributes(m, ({ name }) => name !== 'mid');
  m.port = 0;
  m.connection = { addressType: 'IP4', address: '0.0.0.0' };
  m.bandwidth = [];
  addAttribute(m, 'inactive');
  return m;
}

function connection({ address }: SocketAddress): { addressType: 'IP4' | 'IP6'; address: string } {
  return { addressType: address.includes(':') ? 'IP6' : 'IP4', address };
}
