import {
  attribute,
  fingerprints,
  isSdpError,
  type MediaDescription,
  type NgDictionary,
  parseSdp,
  type SessionDescription,
} from '@offhook/core';
import type { Flow } from '../transaction/index.ts';

/**
 * Between two browsers: unread by the relay (`opaque`), or decrypted there (`terminated`). `none` is `opaque`, and two phones
 * that are no browsers send media to each other, without the relay.
 */
export type MediaPath = 'opaque' | 'terminated' | 'none';

/** Whether a leg may go without SRTP: `required` offers none to anybody, and takes none from anybody. */
export type Encryption = 'optional' | 'required';

/** What a phone speaks, as its own descriptions show it. */
export interface MediaProfile {
  /** Of its m= lines: `RTP/AVP`, `UDP/TLS/RTP/SAVPF` … */
  readonly protocol: string;
  readonly ice: boolean;
}

/** What kind of media a side speaks, as far as signalling must know. */
export interface MediaSide {
  /** Its name at the relay: not its dialog's tag, which is a secret of its phone's. */
  readonly mediaTag: string;
  readonly flow: Flow;
  /** The phone's own connection is a WebSocket, though an edge proxy may bring it to us over something else. */
  readonly isWeb?: boolean;
  /** Unknown until the phone has described itself. */
  profile?: MediaProfile;
}

/** A finished exchange of offer and answer, in the words of the two phones. */
export interface Agreement {
  readonly offerer: MediaSide;
  readonly offer: string;
  readonly answerer: MediaSide;
  readonly answer: string;
}

const WEBRTC: MediaProfile = { protocol: 'UDP/TLS/RTP/SAVPF', ice: true };
const PLAIN: MediaProfile = { protocol: 'RTP/AVP', ice: false };
const SDES: MediaProfile = { protocol: 'RTP/SAVP', ice: false };
/** Some phones take SDES with that profile only (RFC 5124), as baresip's `srtp-mandf`. */
const SDES_WITH_FEEDBACK: MediaProfile = { protocol: 'RTP/SAVPF', ice: false };
/** Of a phone that has ICE too: it goes on without, for the offer has none. */
const DTLS: MediaProfile = { protocol: 'UDP/TLS/RTP/SAVPF', ice: false };

/** RTP/SAVP and RTP/SAVPF, plain or under DTLS or TCP (RFC 4568, 5764, 7850). SRTP is what these name, and nothing else is. */
const SRTP = /^(?:[A-Z]+\/)*RTP\/SAVPF?$/;

function isEncrypted(protocol: string): boolean {
  return SRTP.test(protocol.toUpperCase());
}

/** Whether its media is WebRTC, as far as its connection tells. */
export function isBrowser({ flow, isWeb }: MediaSide): boolean {
  return flow.transport === 'ws' || flow.transport === 'wss' || isWeb === true;
}

/** Whether a transport as Via or a URI names it is a WebSocket's. */
export function isWebTransport(name: string | undefined): boolean {
  return /^wss?$/i.test(name ?? '');
}

/** Whether media between these two goes through encrypted from end to end. */
export function isOpaque(a: MediaSide, b: MediaSide, path: MediaPath): boolean {
  return path !== 'terminated' && isBrowser(a) && isBrowser(b);
}

/** Whether these two get each other's descriptions as they are, so that no relay has a part in their media. */
export function isUnrelayed(a: MediaSide, b: MediaSide, path: MediaPath): boolean {
  return path === 'none' && !isBrowser(a) && !isBrowser(b);
}

/** What the phone that wrote a description speaks; undefined when it carries no media. */
export function profileOf(sdp: string): MediaProfile | undefined {
  const parsed = parseSdp(sdp);
  if (isSdpError(parsed)) return undefined;
  const media = parsed.media.find((m) => m.port !== 0) ?? parsed.media[0];
  if (!media) return undefined;
  const ice = attribute(media, 'ice-ufrag') !== undefined || attribute(parsed, 'ice-ufrag') !== undefined;
  // Older WebRTC peers write RTP/SAVPF where they mean DTLS.
  const protocol = media.protocol.toUpperCase();
  const meansDtls =
    protocol.startsWith('RTP/SAVP') &&
    attribute(media, 'crypto') === undefined &&
    fingerprints(media, parsed).length > 0;
  return { protocol: meansDtls ? WEBRTC.protocol : protocol, ice };
}

/** A browser gets WebRTC, another phone what the offer is if it can be carried on, else plain RTP; or SDES where that is not taken. */
function profileFor(to: MediaSide, sdp: string, encryption: Encryption): MediaProfile {
  // One from before SRTP was required, or of a call that a process before this one has begun, may be plain.
  if (to.profile && (encryption === 'optional' || isEncrypted(to.profile.protocol))) return to.profile;
  if (isBrowser(to)) return WEBRTC;
  const offered = profileOf(sdp);
  const isCarriedOn = offered !== undefined && !offered.protocol.includes('TLS') && !offered.ice;
  const protocol = isCarriedOn ? offered.protocol : PLAIN.protocol;
  return encryption === 'required' && !isEncrypted(protocol) ? SDES : { protocol, ice: false };
}

/**
 * What a phone is offered, and what instead when it refuses that, one after the other. DTLS before SDES: there
 * are phones (baresip 1.0) that answer SDES with a fingerprint, and none known that takes DTLS for SDES. Nothing unencrypted
 * but in the end.
 */
export function profilesFor(to: MediaSide, sdp: string, encryption: Encryption): readonly MediaProfile[] {
  if (to.profile || isBrowser(to)) return [];
  const first = profileFor(to, sdp, encryption);
  const others = [DTLS, SDES, SDES_WITH_FEEDBACK, ...(encryption === 'required' ? [] : [PLAIN])];
  return [first, ...others.filter(({ protocol }) => protocol !== first.protocol)];
}

/** Whether a phone has answered with DTLS what was offered without: there is no way from one's keys to the other's. */
export function isOfOtherKeys(offered: MediaProfile | undefined, answer: string): boolean {
  return offered?.protocol.includes('TLS') === false && profileOf(answer)?.protocol.includes('TLS') === true;
}

/** Whether a phone that refuses what it was offered, and is offered this instead, has refused SRTP. */
export function givesUpSrtp({ protocol }: MediaProfile): boolean {
  return !isEncrypted(protocol);
}

/**
 * What the record says when an encrypted offer is answered in plain; undefined where the offerer had asked for no more.
 * `refused` is the status with which the phone had refused SRTP before, if it was asked.
 */
export function concession(of: { offer: string; answer: string; who: string; refused?: number }): string | undefined {
  const [offer, answer] = [parseSdp(of.offer), parseSdp(of.answer)];
  if (isSdpError(offer) || isSdpError(answer)) return undefined;
  const isGivenUp = answer.media.some((m, i) => isPlain(m) && isEncrypted(offer.media[i]?.protocol ?? ''));
  if (!isGivenUp) return undefined;
  const how = of.refused === undefined ? 'answered with plain RTP' : `refused SRTP (${of.refused})`;
  return `${of.who}’s phone ${how}: its side of the call was not encrypted`;
}

function receivedFrom(flow: Flow): string[] {
  const { address } = flow.remote;
  return [address.includes(':') ? 'IP6' : 'IP4', address];
}

/** The NG `offer` that carries one side's description to the other. The keys are rtpengine's, so that it can stand in. */
export function offerCommand(o: {
  ngCallId: string;
  from: MediaSide;
  to: MediaSide;
  sdp: string;
  path: MediaPath;
  encryption?: Encryption;
  /** What the offerer will say of itself is still to come: its leg by `connect` from another call, or its answer. */
  isStandIn?: boolean;
}): NgDictionary {
  const { protocol, ice } = profileFor(o.to, o.sdp, o.encryption ?? 'optional');
  const flags = [...(isOpaque(o.from, o.to, o.path) ? ['opaque'] : []), ...(o.isStandIn ? ['stand-in'] : [])];
  return {
    command: 'offer',
    'call-id': o.ngCallId,
    'from-tag': o.from.mediaTag,
    sdp: o.sdp,
    replace: ['origin'],
    'received-from': receivedFrom(o.from.flow),
    'transport-protocol': protocol,
    ICE: ice ? 'force' : 'remove',
    'rtcp-mux': ice || protocol.includes('TLS') ? ['offer'] : ['demux'],
    SDES: protocol.startsWith('RTP/SAVP') ? undefined : ['off'],
    flags: flags.length > 0 ? flags : undefined,
  };
}

/** The NG `answer` on the way back. `to` gave the offer, `from` answers it. */
export function answerCommand(o: { ngCallId: string; from: MediaSide; to: MediaSide; sdp: string }): NgDictionary {
  const ice = o.to.profile?.ice ?? isBrowser(o.to);
  return {
    command: 'answer',
    'call-id': o.ngCallId,
    'from-tag': o.to.mediaTag,
    'to-tag': o.from.mediaTag,
    sdp: o.sdp,
    replace: ['origin'],
    'received-from': receivedFrom(o.from.flow),
    ICE: ice ? 'force' : undefined,
    SDES: ice ? ['off'] : undefined,
  };
}

/** Our own verb: the relay answers the description itself and sends the media back, or nothing (`silent`). */
export function echoCommand(o: {
  ngCallId: string;
  from: MediaSide;
  sdp: string;
  isSilent?: boolean;
  /** The description was made for a relay that is gone, or for another far side. */
  isPast?: boolean;
}): NgDictionary {
  const flags = [...(o.isSilent ? ['silent'] : []), ...(o.isPast && o.from.profile?.ice ? ['stand-in'] : [])];
  return {
    command: 'echo',
    'call-id': o.ngCallId,
    'from-tag': o.from.mediaTag,
    'to-tag': `${o.from.mediaTag}-echo`,
    sdp: o.sdp,
    replace: ['origin'],
    'received-from': receivedFrom(o.from.flow),
    flags: flags.length > 0 ? flags : undefined,
  };
}

/** Our own verb: a leg moves with its ports and keys from one call into another. */
export function connectCommand(o: { ngCallId: string; fromNgCallId: string; tag: string }): NgDictionary {
  return { command: 'connect', 'call-id': o.ngCallId, 'from-call-id': o.fromNgCallId, 'from-tag': o.tag };
}

/** Our own verb: that peer is asked for a key frame in the way it knows. */
export function keyFrameCommand(o: { ngCallId: string; tag: string }): NgDictionary {
  return { command: 'key-frame', 'call-id': o.ngCallId, 'from-tag': o.tag };
}

export function deleteCommand(ngCallId: string): NgDictionary {
  return { command: 'delete', 'call-id': ngCallId };
}

export function queryCommand(ngCallId: string): NgDictionary {
  return { command: 'query', 'call-id': ngCallId };
}

/** Whether a relay's error means that it has no such call (any more); rtpengine's words. */
export function isUnknownCall(error: string): boolean {
  return /unknown call-?id/i.test(error);
}

/** Whether a relay's refusal is about itself (503) or about the description (488). */
export function statusOf(error: string): 488 | 503 {
  return /in use|no room|draining|not answer|no media relay/i.test(error) ? 503 : 488;
}

/** Why a leg can't be moved into another call when nobody but its phones has its media. */
export const UNRELAYED = 'the media of this call does not go through the relay, so it can’t be moved';

/** Why a description can't be used, in words; undefined when it can. */
export function sdpProblem(sdp: string, encryption: Encryption): string | undefined {
  const parsed = parseSdp(sdp);
  if (isSdpError(parsed)) return parsed.reason;
  if (parsed.media.length === 0) return 'the session description offers no media';
  return encryption === 'required' ? plainMedia(parsed) : undefined;
}

/** The words for a phone whose description has media without SRTP, where that is not taken. */
export function encryptionProblem(sdp: string, encryption: Encryption): string | undefined {
  if (encryption === 'optional') return undefined;
  const parsed = parseSdp(sdp);
  return isSdpError(parsed) ? undefined : plainMedia(parsed);
}

/** What is neither RTP by its name nor sound or pictures by its kind is no media. */
function isMedia({ kind, protocol }: MediaDescription): boolean {
  return /^(?:audio|video|text|image)$/i.test(kind) || protocol.toUpperCase().includes('RTP/');
}

/** Bundle-only sections have port 0, and are wanted (RFC 9143 6). */
function isActive(media: MediaDescription): boolean {
  return media.port !== 0 || attribute(media, 'bundle-only') !== undefined;
}

function isPlain(media: MediaDescription): boolean {
  return isActive(media) && isMedia(media) && !isEncrypted(media.protocol);
}

function plainMedia({ media }: SessionDescription): string | undefined {
  const plain = media.find(isPlain);
  return (
    plain && `this server takes encrypted media only, and ${plain.kind} is offered as ${plain.protocol}: switch SRTP on`
  );
}

/** The m= lines of a description. */
export function mediaLines(sdp: string): string[] {
  return sdp.match(/^m=[^\r\n]*/gm) ?? [];
}

/**
 * Adds the sections that the relay knows and this description does not, as rejected ones. They are left of a change that
 * was refused: for the phones it never happened, but the relay's sections stay (RFC 3264 8: never fewer).
 */
export function padSections(sdp: string, known: readonly string[]): string {
  const own = mediaLines(sdp).length;
  if (own >= known.length) return sdp;
  const rejected = known.slice(own).map((line) => line.replace(/^(m=\S+) \S+/, '$1 0'));
  return `${sdp.replace(/\r?\n?$/, '\r\n')}${rejected.map((line) => `${line}\r\n`).join('')}`;
}

/** The first `count` sections of a description: what the phone knows of. */
export function trimSections(sdp: string, count: number): string {
  let seen = 0;
  for (const match of sdp.matchAll(/^m=/gm)) if (seen++ === count) return sdp.slice(0, match.index);
  return sdp;
}
