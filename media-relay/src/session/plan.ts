import { ipFamily, isSdpError, parseSdp, type SessionDescription } from '@offhook/core';
import { boundSections, bundleOf, firstKind, pairsNeeded, usableSections } from './build.ts';
import type { Call } from './call.ts';
import { missingCodecs } from './codecs.ts';
import { farLeg, MAX_FORKS } from './fork.ts';
import type { MediaHost } from './host.ts';
import { chooseInterface, type InterfaceChoice, type RtpInterface } from './interfaces.ts';
import { type LegKind, parseProtocol } from './kind.ts';
import type { Leg } from './leg.ts';
import type { DescribeRequest, Warning } from './request.ts';

interface Places {
  readonly fromInterface: RtpInterface;
  readonly toInterface: RtpInterface;
  /** What `direction` named of it, where a leg is new. */
  readonly fromNetwork: string | undefined;
  readonly toNetwork: string | undefined;
  readonly warnings: readonly Warning[];
}

/** What an offer leads to. */
export interface Plan extends Places {
  readonly sd: SessionDescription;
  readonly call: Call | undefined;
  /** The far leg that is there already. */
  readonly to: Leg | undefined;
  readonly isEcho: boolean;
  readonly fromKind: LegKind;
  readonly toKind: LegKind;
  readonly opaque: boolean;
  readonly active: readonly boolean[];
  readonly pairs: readonly RtpInterface[];
  readonly warning: string | undefined;
}

/** Everything that can be decided before anything is changed. */
export function makePlan(
  host: MediaHost,
  request: DescribeRequest,
  { call, isEcho }: { readonly call: Call | undefined; readonly isEcho: boolean },
): Plan | { error: string } {
  const sd = parseSdp(request.sdp);
  if (isSdpError(sd)) return { error: sd.reason };
  const from = call?.leg(request.fromTag);
  if (call && call.echo !== isEcho) return { error: 'this call-id is in use by a call of another form' };
  if (call && !from) return { error: 'from-tag is not one of this call' };
  const fromKind = firstKind(sd);
  if (!fromKind) return { error: 'no media section of the SDP can be carried here' };
  const to = call && from && !isEcho ? farLeg(call, from, request) : undefined;
  // RFC 3264 8. The far peer may have seen more of them: of another fork branch.
  if (sd.media.length < Math.max(from?.sections.length ?? 0, to?.sections.length ?? 0)) {
    return { error: 'a new offer may not have fewer media sections than the last one' };
  }
  if (call && !to && call.forks.length >= MAX_FORKS) return { error: 'this call has too many fork branches' };
  const missing = request.codecs ? missingCodecs(sd, request.codecs) : [];
  if (missing.length > 0) {
    return {
      error: `codec transcode: '${missing[0]!.slice(0, 40)}' is not in the offer, and this relay makes no audio`,
    };
  }
  const toKind = isEcho ? fromKind : farKind(request, fromKind, to?.kind);
  if (typeof toKind === 'string') return { error: toKind };
  let opaque = call ? call.opaque : request.opaque && !isEcho;
  let warning: string | undefined;
  if (opaque && !call) {
    warning = opaqueProblem(sd, fromKind, toKind);
    opaque = warning === undefined;
  }
  const wantsDtls = !opaque && (fromKind.security === 'dtls' || toKind.security === 'dtls');
  if (wantsDtls && !host.dtls) {
    return { error: `DTLS is off on this relay: ${host.dtlsProblem ?? 'no reason known'}` };
  }
  const active = boundSections(usableSections(sd, fromKind, opaque), [fromKind, toKind]);
  const places = placeLegs(host, request, sd, { from, to });
  if ('error' in places) return places;
  const { fromInterface, toInterface } = places;
  const nearPairs = new Array(pairsNeeded(from, fromKind, active)).fill(fromInterface);
  const farPairs = isEcho ? [] : new Array(pairsNeeded(to, toKind, active)).fill(toInterface);
  const pairs: RtpInterface[] = [...nearPairs, ...farPairs];
  return { sd, call, isEcho, to, fromKind, toKind, opaque, active, pairs, warning, ...places };
}

/** Where the plain ports of both legs are to be; a leg stays where it is. */
function placeLegs(
  host: MediaHost,
  request: DescribeRequest,
  sd: SessionDescription,
  { from, to }: { from: Leg | undefined; to: Leg | undefined },
): Places | { error: string } {
  const all = host.interfaces;
  const [near, far] = request.interfaces ?? [];
  const liked = ipFamily((sd.media[0]?.connection ?? sd.connection)?.address ?? '');
  const a: InterfaceChoice | { error: string } = from?.interface
    ? { chosen: from.interface }
    : chooseInterface(all, { name: near, liked });
  if ('error' in a) return a;
  const b: InterfaceChoice | { error: string } = to?.interface
    ? { chosen: to.interface }
    : chooseInterface(all, { name: far, family: request.addressFamily, liked });
  if ('error' in b) return b;
  const said = [a, b].flatMap(({ warning }) => warning ?? []);
  return {
    fromInterface: a.chosen,
    toInterface: b.chosen,
    fromNetwork: a.network,
    toNetwork: b.network,
    warnings: [...new Set(said)].map((words) => ({ about: 'direction', words })),
  };
}

/** What the far leg speaks: as asked, else as it did, else as the offer. Words when it can't be. */
function farKind(request: DescribeRequest, from: LegKind, known: LegKind | undefined): LegKind | string {
  if (request.protocol === undefined) {
    const kind = known ?? from;
    return request.ice === undefined ? kind : { ...kind, ice: request.ice === 'force' };
  }
  const parsed = parseProtocol(request.protocol);
  if (!parsed) return `transport-protocol '${request.protocol.slice(0, 40)}' is not one of this relay's`;
  // rtpengine offers DTLS and SDES at once under RTP/SAVPF, so that is what older scripts say to reach a browser.
  const meansDtls =
    parsed.security === 'sdes' &&
    known?.security !== 'sdes' &&
    (request.sdesOff || (parsed.feedback && request.ice === 'force'));
  const wanted = meansDtls ? 'dtls' : parsed.security;
  const security = wanted === 'dtls' && request.dtlsOff ? 'sdes' : wanted;
  const fresh = security === 'dtls' || (security === from.security && from.ice);
  const byDefault = known?.security === security ? known.ice : fresh;
  const ice = request.ice === undefined ? byDefault : request.ice === 'force';
  return { ice, security, feedback: parsed.feedback };
}

/** Why the two legs can't be joined unread, or undefined. */
function opaqueProblem(sd: SessionDescription, from: LegKind, to: LegKind): string | undefined {
  const isWebRtc = (kind: LegKind) => kind.ice && kind.security === 'dtls';
  if (!isWebRtc(from) || !isWebRtc(to)) return 'the opaque path needs WebRTC on both legs; the terminated path is used';
  const usable = usableSections(sd, from, true);
  const wanted = sd.media.filter((m) => m.port !== 0).length;
  if (wanted > 1 && (!bundleOf(sd) || usable.filter(Boolean).length < wanted)) {
    return 'the opaque path needs BUNDLE over all media sections; the terminated path is used';
  }
  return undefined;
}
