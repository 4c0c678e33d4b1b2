import type { MediaDescription, SdpAttribute, SessionDescription } from './session.ts';

/** Anything that carries attributes: a session or one of its media sections. */
interface Attributed {
  attributes: SdpAttribute[];
}

/** The value of the first attribute of that name; '' for a flag; undefined when it is absent. */
export function attribute(of: Attributed, name: string): string | undefined {
  const found = of.attributes.find((a) => a.name === name);
  return found && (found.value ?? '');
}

/** The values of all attributes of that name. */
export function attributes(of: Attributed, name: string): string[] {
  return of.attributes.filter((a) => a.name === name).map((a) => a.value ?? '');
}

/** Sets the one attribute of that name where it first stands, else at the end. Without a value it is a flag. */
export function setAttribute(of: Attributed, name: string, value?: string): void {
  const at = of.attributes.findIndex((a) => a.name === name);
  const next = value === undefined ? { name } : { name, value };
  if (at < 0) of.attributes.push(next);
  else {
    of.attributes = of.attributes.filter((a, i) => i === at || a.name !== name);
    of.attributes[at] = next;
  }
}

/** Adds an attribute at the end, beside others of its name. */
export function addAttribute(of: Attributed, name: string, value?: string): void {
  of.attributes.push(value === undefined ? { name } : { name, value });
}

/** Removes the attributes that the predicate names. */
export function removeAttributes(of: Attributed, unwanted: (a: SdpAttribute) => boolean): void {
  of.attributes = of.attributes.filter((a) => !unwanted(a));
}

export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';
const DIRECTIONS: readonly string[] = ['sendrecv', 'sendonly', 'recvonly', 'inactive'];

/** The direction of a section: its own, else the session's, else sendrecv (RFC 8866 6.7). */
export function direction(media: MediaDescription, session: SessionDescription): Direction {
  for (const holder of [media, session]) {
    const found = holder.attributes.find((a) => DIRECTIONS.includes(a.name));
    if (found) return found.name as Direction;
  }
  return 'sendrecv';
}

/** Makes the direction explicit in the section: some user agents read nothing else. */
export function setDirection(media: MediaDescription, to: Direction): void {
  removeAttributes(media, (a) => DIRECTIONS.includes(a.name));
  addAttribute(media, to);
}

/** One payload type with its mapping; static ones (RFC 3551 6) are known without a=rtpmap. */
export interface RtpMap {
  readonly payloadType: number;
  /** As written: `opus`, `PCMU`. Compare without regard to case. */
  readonly encoding: string;
  readonly clockRate: number;
  readonly channels?: number;
  readonly fmtp?: string;
}

const STATIC: Readonly<Record<number, readonly [string, number]>> = {
  0: ['PCMU', 8000],
  3: ['GSM', 8000],
  4: ['G723', 8000],
  8: ['PCMA', 8000],
  9: ['G722', 8000],
  13: ['CN', 8000],
  18: ['G729', 8000],
  31: ['H261', 90_000],
  34: ['H263', 90_000],
};

/** The payload types of a section in the order of its m= line. */
export function rtpMaps(media: MediaDescription): RtpMap[] {
  const mapped = new Map<number, RtpMap>();
  for (const value of attributes(media, 'rtpmap')) {
    const match = /^(\d{1,3}) ([^/ ]{1,64})\/(\d{1,7})(?:\/(\d{1,2}))?/.exec(value);
    if (!match) continue;
    const payloadType = Number(match[1]);
    mapped.set(payloadType, {
      payloadType,
      encoding: match[2]!,
      clockRate: Number(match[3]),
      channels: match[4] === undefined ? undefined : Number(match[4]),
    });
  }
  const fmtps = new Map<number, string>();
  for (const value of attributes(media, 'fmtp')) {
    const space = value.indexOf(' ');
    if (space > 0) fmtps.set(Number(value.slice(0, space)), value.slice(space + 1));
  }
  return media.formats.flatMap((format) => {
    const payloadType = Number(format);
    const fixed = STATIC[payloadType];
    const map = mapped.get(payloadType) ?? (fixed && { payloadType, encoding: fixed[0], clockRate: fixed[1] });
    return map ? [{ ...map, fmtp: fmtps.get(payloadType) }] : [];
  });
}

/** Removes payload types from a section together with their rtpmap, fmtp and rtcp-fb lines. */
export function removePayloadTypes(media: MediaDescription, unwanted: (payloadType: number) => boolean): void {
  media.formats = media.formats.filter((format) => !unwanted(Number(format)));
  removeAttributes(media, ({ name, value }) => {
    if (name !== 'rtpmap' && name !== 'fmtp' && name !== 'rtcp-fb') return false;
    const subject = (value ?? '').split(' ')[0]!;
    return subject !== '*' && unwanted(Number(subject));
  });
}

/** `a=fingerprint` (RFC 8122 5): hash name in lower case, digest bytes as upper-case hexadecimal pairs. */
export interface Fingerprint {
  readonly hash: string;
  readonly digest: string;
}

/** The fingerprints that apply to a section: its own, else the session's. Malformed ones are left out. */
export function fingerprints(media: MediaDescription, session: SessionDescription): Fingerprint[] {
  const own = attributes(media, 'fingerprint');
  return (own.length > 0 ? own : attributes(session, 'fingerprint')).flatMap((value) => {
    const [hash, digest] = value.trim().split(/ +/);
    return hash && digest && /^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){15,63}$/.test(digest)
      ? [{ hash: hash.toLowerCase(), digest: digest.toUpperCase() }]
      : [];
  });
}

export type DtlsSetup = 'active' | 'passive' | 'actpass' | 'holdconn';

/** `a=setup` (RFC 4145 4) of the section or session. */
export function setup(media: MediaDescription, session: SessionDescription): DtlsSetup | undefined {
  const value = inherited(media, session, 'setup');
  return value === 'active' || value === 'passive' || value === 'actpass' || value === 'holdconn' ? value : undefined;
}

/** ICE credentials (RFC 8839 5.4) of the section or session; undefined when either is missing or too long. */
export function iceCredentials(
  media: MediaDescription,
  session: SessionDescription,
): { ufrag: string; pwd: string } | undefined {
  const ufrag = inherited(media, session, 'ice-ufrag');
  const pwd = inherited(media, session, 'ice-pwd');
  if (!ufrag || !pwd || ufrag.length < 4 || ufrag.length > 256 || pwd.length < 22 || pwd.length > 256) return undefined;
  return { ufrag, pwd };
}

/** The value in the section, else in the session. */
export function inherited(media: MediaDescription, session: SessionDescription, name: string): string | undefined {
  return attribute(media, name) ?? attribute(session, name);
}

/** Host, server-reflexive, peer-reflexive and relay candidates (RFC 8839 5.1). */
export interface Candidate {
  readonly foundation: string;
  readonly component: number;
  readonly transport: string;
  readonly priority: number;
  readonly address: string;
  readonly port: number;
  readonly type: string;
}

/** The value of one a=candidate line, or undefined when it is malformed. */
export function parseCandidate(value: string): Candidate | undefined {
  const [foundation, component, transport, priority, address, port, typ, type] = value.split(' ');
  if (!foundation || !transport || !address || typ !== 'typ' || !type) return undefined;
  const numbers = [Number(component), Number(priority), Number(port)];
  if (
    !numbers.every(Number.isInteger) ||
    numbers[0]! < 1 ||
    numbers[0]! > 256 ||
    numbers[2]! < 0 ||
    numbers[2]! > 65_535
  )
    return undefined;
  return {
    foundation,
    component: numbers[0]!,
    transport: transport.toLowerCase(),
    priority: numbers[1]!,
    address,
    port: numbers[2]!,
    type,
  };
}

export function writeCandidate(c: Candidate): string {
  return `${c.foundation} ${c.component} ${c.transport} ${c.priority} ${c.address} ${c.port} typ ${c.type}`;
}

/** One a=crypto line (RFC 4568 9.1) with an inline key, no MKI. */
export interface SdpCrypto {
  readonly tag: number;
  /** `AES_CM_128_HMAC_SHA1_80`, `AEAD_AES_128_GCM` … */
  readonly suite: string;
  /** Master key and salt, base64. */
  readonly key: string;
}

/** The crypto lines this side can use: those with an MKI, or session parameters that change the packets, are left out. */
export function cryptoLines(media: MediaDescription): SdpCrypto[] {
  return attributes(media, 'crypto').flatMap((value) => {
    const match =
      /^(\d{1,9}) ([A-Za-z0-9_]{1,40}) inline:([A-Za-z0-9+/=]{1,100})(?:\|2\^\d{1,2}|\|\d{1,12})?( .*)?$/.exec(
        value.trim(),
      );
    if (!match || /UNENCRYPTED|UNAUTHENTICATED|FEC_|KDR=/.test(match[4] ?? '')) return [];
    return [{ tag: Number(match[1]), suite: match[2]!, key: match[3]! }];
  });
}

/** The mids of each a=group:BUNDLE line of the session (RFC 9143). */
export function bundleGroups(session: SessionDescription): string[][] {
  return attributes(session, 'group').flatMap((value) => {
    const [semantics, ...mids] = value.split(' ').filter((part) => part !== '');
    return semantics === 'BUNDLE' ? [mids] : [];
  });
}

/** The RTCP port and, when given, address of a section (RFC 3605); without a=rtcp the port after the media port. */
export function rtcpPort(media: MediaDescription): { port: number; address?: string } {
  const [port, , , address] = (attribute(media, 'rtcp') ?? '').split(' ');
  const number = Number(port);
  return port && Number.isInteger(number) && number > 0 && number < 65_536
    ? { port: number, address }
    : { port: media.port + 1 };
}
