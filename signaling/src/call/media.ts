import { attribute, isSdpError, type NgDictionary, parseSdp } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';

export type MediaPath = 'opaque' | 'terminated';

/** What kind of media a side speaks, as far as signalling must know. */
export interface MediaSide {
  /** Our tag of that side's dialog; its name at the relay. */
  readonly tag: string;
  readonly flow: Flow;
}

function isBrowser(flow: Flow): boolean {
  return flow.transport === 'ws' || flow.transport === 'wss';
}

/** Whether media between these two goes through encrypted from end to end. */
export function isOpaque(a: Flow, b: Flow, path: MediaPath): boolean {
  return path === 'opaque' && isBrowser(a) && isBrowser(b);
}

function receivedFrom(flow: Flow): string[] {
  const { address } = flow.remote;
  return [address.includes(':') ? 'IP6' : 'IP4', address];
}

/**
 * The NG `offer` that carries one side's description to the other: a browser gets WebRTC, anything else plain RTP unless
 * the offer already is of its kind. The keys are rtpengine's, so that it can stand in for our relay.
 */
export function offerCommand(o: {
  ngCallId: string;
  from: MediaSide;
  to: MediaSide;
  sdp: string;
  path: MediaPath;
}): NgDictionary {
  const common = {
    command: 'offer',
    'call-id': o.ngCallId,
    'from-tag': o.from.tag,
    sdp: o.sdp,
    replace: ['origin'],
    'received-from': receivedFrom(o.from.flow),
  };
  if (isOpaque(o.from.flow, o.to.flow, o.path)) {
    return {
      ...common,
      'transport-protocol': 'UDP/TLS/RTP/SAVPF',
      ICE: 'force',
      'rtcp-mux': ['offer', 'require'],
      SDES: ['off'],
      flags: ['opaque'],
    };
  }
  if (isBrowser(o.to.flow)) {
    return { ...common, 'transport-protocol': 'UDP/TLS/RTP/SAVPF', ICE: 'force', 'rtcp-mux': ['offer'], SDES: ['off'] };
  }
  return {
    ...common,
    'transport-protocol': isBrowser(o.from.flow) || isWebRtc(o.sdp) ? 'RTP/AVP' : plainProtocol(o.sdp),
    ICE: 'remove',
    'rtcp-mux': ['demux'],
    ...(hasCrypto(o.sdp) ? {} : { SDES: ['off'] }),
  };
}

/** The NG `answer` on the way back. `to` gave the offer, `from` answers it. */
export function answerCommand(o: { ngCallId: string; from: MediaSide; to: MediaSide; sdp: string }): NgDictionary {
  return {
    command: 'answer',
    'call-id': o.ngCallId,
    'from-tag': o.to.tag,
    'to-tag': o.from.tag,
    sdp: o.sdp,
    replace: ['origin'],
    'received-from': receivedFrom(o.from.flow),
    ...(isBrowser(o.to.flow) ? { ICE: 'force', SDES: ['off'] } : {}),
  };
}

/** Our own verb: the relay answers the description itself and sends the media back. */
export function echoCommand(o: { ngCallId: string; from: MediaSide; sdp: string }): NgDictionary {
  return {
    command: 'echo',
    'call-id': o.ngCallId,
    'from-tag': o.from.tag,
    'to-tag': `${o.from.tag}-echo`,
    sdp: o.sdp,
    replace: ['origin'],
    'received-from': receivedFrom(o.from.flow),
  };
}

export function deleteCommand(ngCallId: string): NgDictionary {
  return { command: 'delete', 'call-id': ngCallId };
}

/** Why a description can't be used, in words; undefined when it can. */
export function sdpProblem(sdp: string): string | undefined {
  const parsed = parseSdp(sdp);
  if (isSdpError(parsed)) return parsed.reason;
  return parsed.media.length === 0 ? 'the session description offers no media' : undefined;
}

function isWebRtc(sdp: string): boolean {
  const parsed = parseSdp(sdp);
  return !isSdpError(parsed) && parsed.media.some((m) => m.protocol.includes('TLS'));
}

function plainProtocol(sdp: string): string {
  const parsed = parseSdp(sdp);
  return (!isSdpError(parsed) && parsed.media.find((m) => m.port > 0)?.protocol) || 'RTP/AVP';
}

function hasCrypto(sdp: string): boolean {
  const parsed = parseSdp(sdp);
  return !isSdpError(parsed) && parsed.media.some((m) => attribute(m, 'crypto') !== undefined);
}
