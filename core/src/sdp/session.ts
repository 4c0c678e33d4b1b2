/**
 * Session descriptions (RFC 8866): a total parser with limits and a writer that puts every line where the grammar
 * wants it. Attributes keep their order; what is not understood is carried through.
 *
 *   v=0                                         m=audio 49170 RTP/AVP 0 8
 *   o=alice 2890844526 2890844526 IN IP4 …      c=IN IP4 192.0.2.1
 *   s=-                                         b=AS:64
 *   c=IN IP4 192.0.2.1                          a=rtpmap:0 PCMU/8000
 *   t=0 0                                       a=sendrecv
 *   a=group:BUNDLE 0 1
 */

/** Limits on what comes from outside. */
export const SDP_LIMITS = { bytes: 32 * 1024, lineLength: 4096, media: 16, attributes: 512, formats: 64 } as const;

/** `a=name` or `a=name:value`. */
export interface SdpAttribute {
  readonly name: string;
  readonly value?: string;
}

/** `o=` (RFC 8866 5.2). The ids stay text: they may exceed 2^53. */
export interface SdpOrigin {
  username: string;
  sessionId: string;
  sessionVersion: string;
  addressType: 'IP4' | 'IP6';
  address: string;
}

/** `c=` (RFC 8866 5.7), without the multicast suffixes, which a unicast offer does not have. */
export interface SdpConnection {
  addressType: 'IP4' | 'IP6';
  address: string;
}

/** One `m=` section. */
export interface MediaDescription {
  /** audio, video, application, text, message, image … */
  kind: string;
  /** 0 means rejected or not used (RFC 3264 6). */
  port: number;
  portCount?: number;
  /** `RTP/AVP`, `UDP/TLS/RTP/SAVPF` … */
  protocol: string;
  /** Payload types, as text. */
  formats: string[];
  information?: string;
  connection?: SdpConnection;
  /** `AS:64`, `TIAS:64000` … */
  bandwidth: string[];
  key?: string;
  attributes: SdpAttribute[];
}

export interface SessionDescription {
  origin: SdpOrigin;
  sessionName: string;
  information?: string;
  uri?: string;
  /** `e=` and `p=` lines, whole. */
  contacts: string[];
  connection?: SdpConnection;
  bandwidth: string[];
  /** `t=`, `r=` and `z=` lines, whole. */
  timing: string[];
  key?: string;
  attributes: SdpAttribute[];
  media: MediaDescription[];
}

/** Why a text is no session description, in words for a 488 or 400 answer. */
export interface SdpError {
  readonly kind: 'sdp-error';
  readonly reason: string;
}

export function isSdpError(parsed: SessionDescription | SdpError): parsed is SdpError {
  return 'kind' in parsed;
}

class Reject {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Parses a session description; line ends may be CRLF or LF. Never throws. */
export function parseSdp(text: string): SessionDescription | SdpError {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof Reject) return { kind: 'sdp-error', reason: error.reason };
    throw error;
  }
}

function parse(text: string): SessionDescription {
  if (text.length > SDP_LIMITS.bytes) throw new Reject('the session description is too long');
  const lines = text.split('\n');
  const session: SessionDescription = {
    origin: { username: '-', sessionId: '0', sessionVersion: '0', addressType: 'IP4', address: '0.0.0.0' },
    sessionName: '-',
    contacts: [],
    bandwidth: [],
    timing: [],
    attributes: [],
    media: [],
  };
  let media: MediaDescription | undefined;
  let versioned = false;
  let owned = false;
  for (const raw of lines) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line === '') continue;
    if (line.length > SDP_LIMITS.lineLength) throw new Reject('a line of the session description is too long');
    if (line[1] !== '=') throw new Reject(`not a session description line: ${line.slice(0, 20)}`);
    const value = line.slice(2);
    const target = media ?? session;
    switch (line[0]) {
      case 'v':
        if (value !== '0') throw new Reject('only version 0 of SDP exists');
        versioned = true;
        break;
      case 'o':
        session.origin = parseOrigin(value);
        owned = true;
        break;
      case 's':
        session.sessionName = value;
        break;
      case 'i':
        target.information = value;
        break;
      case 'u':
        session.uri = value;
        break;
      case 'e':
      case 'p':
        session.contacts.push(line);
        break;
      case 'c':
        target.connection = parseConnection(value);
        break;
      case 'b':
        target.bandwidth.push(value);
        break;
      case 't':
      case 'r':
      case 'z':
        session.timing.push(line);
        break;
      case 'k':
        target.key = value;
        break;
      case 'a': {
        if (target.attributes.length >= SDP_LIMITS.attributes) throw new Reject('too many attributes');
        const colon = value.indexOf(':');
        target.attributes.push(
          colon < 0 ? { name: value } : { name: value.slice(0, colon), value: value.slice(colon + 1) },
        );
        break;
      }
      case 'm':
        if (session.media.length >= SDP_LIMITS.media) throw new Reject('too many media sections');
        media = parseMedia(value);
        session.media.push(media);
        break;
      default:
        break; // RFC 8866 5: unknown types must be ignored
    }
  }
  if (!versioned || !owned) throw new Reject('v= or o= is missing');
  if (session.timing.length === 0) session.timing.push('t=0 0');
  return session;
}

function parseOrigin(value: string): SdpOrigin {
  const [username, sessionId, sessionVersion, , addressType, address] = value.split(' ');
  if (
    !username ||
    !sessionId ||
    !sessionVersion ||
    !address ||
    !/^\d+$/.test(sessionId) ||
    !/^\d+$/.test(sessionVersion)
  ) {
    throw new Reject('the o= line is malformed');
  }
  return { username, sessionId, sessionVersion, addressType: addressTypeOf(addressType), address };
}

function parseConnection(value: string): SdpConnection {
  const [net, addressType, address] = value.split(' ');
  if (net !== 'IN' || !address) throw new Reject('the c= line is malformed');
  return { addressType: addressTypeOf(addressType), address: address.split('/')[0]! };
}

function addressTypeOf(text: string | undefined): 'IP4' | 'IP6' {
  if (text === 'IP4' || text === 'IP6') return text;
  throw new Reject('addresses are IP4 or IP6');
}

function parseMedia(value: string): MediaDescription {
  const [kind, ports, protocol, ...formats] = value.split(' ').filter((part) => part !== '');
  const match = /^(\d{1,5})(?:\/(\d{1,5}))?$/.exec(ports ?? '');
  if (!kind || !match || !protocol) throw new Reject(`an m= line is malformed: ${value.slice(0, 40)}`);
  if (formats.length > SDP_LIMITS.formats) throw new Reject('too many formats in an m= line');
  const port = Number(match[1]);
  if (port > 65_535) throw new Reject('a media port is above 65535');
  // RFC 8866 9: payload types of RTP profiles are numbers up to 127 (a larger one crashed peers, see CVE lists).
  if (protocol.includes('RTP/') && formats.some((format) => !/^\d{1,3}$/.test(format) || Number(format) > 127)) {
    throw new Reject('an RTP payload type is not a number from 0 to 127');
  }
  return {
    kind,
    port,
    portCount: match[2] === undefined ? undefined : Number(match[2]),
    protocol,
    formats,
    bandwidth: [],
    attributes: [],
  };
}

/** The text of a session description, lines in RFC 8866 order, each ended by CRLF. */
export function writeSdp(session: SessionDescription): string {
  const { origin: o } = session;
  const lines = [
    'v=0',
    `o=${o.username} ${o.sessionId} ${o.sessionVersion} IN ${o.addressType} ${o.address}`,
    `s=${session.sessionName}`,
  ];
  if (session.information !== undefined) lines.push(`i=${session.information}`);
  if (session.uri !== undefined) lines.push(`u=${session.uri}`);
  lines.push(...session.contacts);
  if (session.connection) lines.push(connectionLine(session.connection));
  for (const b of session.bandwidth) lines.push(`b=${b}`);
  lines.push(...session.timing);
  if (session.key !== undefined) lines.push(`k=${session.key}`);
  for (const a of session.attributes) lines.push(attributeLine(a));
  for (const m of session.media) {
    lines.push(
      `m=${m.kind} ${m.port}${m.portCount === undefined ? '' : `/${m.portCount}`} ${m.protocol} ${m.formats.join(' ')}`.trimEnd(),
    );
    if (m.information !== undefined) lines.push(`i=${m.information}`);
    if (m.connection) lines.push(connectionLine(m.connection));
    for (const b of m.bandwidth) lines.push(`b=${b}`);
    if (m.key !== undefined) lines.push(`k=${m.key}`);
    for (const a of m.attributes) lines.push(attributeLine(a));
  }
  return `${lines.join('\r\n')}\r\n`;
}

function connectionLine(c: SdpConnection): string {
  return `c=IN ${c.addressType} ${c.address}`;
}

function attributeLine(a: SdpAttribute): string {
  return a.value === undefined ? `a=${a.name}` : `a=${a.name}:${a.value}`;
}

/** A deep copy that can be changed without touching the original. */
export function cloneSdp(session: SessionDescription): SessionDescription {
  const copy = (m: MediaDescription): MediaDescription => ({
    ...m,
    formats: [...m.formats],
    connection: m.connection && { ...m.connection },
    bandwidth: [...m.bandwidth],
    attributes: [...m.attributes],
  });
  return {
    ...session,
    origin: { ...session.origin },
    contacts: [...session.contacts],
    connection: session.connection && { ...session.connection },
    bandwidth: [...session.bandwidth],
    timing: [...session.timing],
    attributes: [...session.attributes],
    media: session.media.map(copy),
  };
}
