import {
  attributes,
  cloneSdp,
  cryptoLines,
  readU32,
  type SessionDescription,
  type SocketAddress,
  setAttribute,
  writeSdp,
} from '@offhook/core';
import type { Call } from './call.ts';
import { candidatesOf } from './candidates.ts';
import { changeCodecs } from './codecs.ts';
import { describe, type LocalDescription, type LocalSection } from './describe.ts';
import type { MediaHost } from './host.ts';
import { speaksWebRtc } from './kind.ts';
import type { Leg, Section } from './leg.ts';
import { planRates } from './rates.ts';
import { planRed } from './red.ts';
import { configureRepair } from './repair.ts';
import type { DescribeRequest, ReplacedPart } from './request.ts';
import { allowedSuites, SdesKeys } from './sdes.ts';
import { simulcastLines } from './simulcast.ts';

export interface LocalOptions {
  readonly request: DescribeRequest;
  /** Whether the description is our offer or our answer to the leg's peer. */
  readonly role: 'offer' | 'answer';
}

/** The SDP for a leg's peer: what the far peer said, with our side of each section in it. Packets' ways stay as they are. */
export function writeLocal(
  host: MediaHost,
  call: Call,
  leg: Leg,
  options: LocalOptions & { readonly far: SessionDescription },
): string {
  const { request, role } = options;
  const far = asAsked(options.far, request);
  planRed(call, leg, { far, role });
  planRates(host.crypto, call, leg, { far, role });
  if (role === 'answer') configureRepair(host, call, leg); // what it says of retransmissions holds at once
  const sections = leg.sections.map((section) => ({
    ...localSection(host, call, leg, { section, request, role }),
    simulcast: simulcastLines(section, far.media[section.index]),
  }));
  const sharing = leg.kind.ice
    ? leg.sections.filter(
        (s) => s.active && s.mid !== undefined && (role === 'offer' || leg.bundledMids?.includes(s.mid)),
      )
    : [];
  const bundle = sharing.map((s) => s.mid!);
  leg.originId ??= String(readU32(host.crypto.randomBytes(4), 0));
  leg.username ??= far.origin.username;
  leg.sessionName ??= far.sessionName;
  const id = leg.originId;
  const address = sections[0]?.at.address ?? host.interfaces[0]!.address;
  const { replaceOrigin, replace } = request;
  const body = (version: number) =>
    writeSdp(
      describe(far, {
        sections,
        bundle,
        opaque: call.opaque,
        ...(replaceOrigin
          ? { origin: { id, version, address } }
          : replace
            ? { head: headOf(leg, replace, version) }
            : {}),
      }),
    );
  // RFC 3264 8: the version rises by one when the description changes.
  const content = body(0);
  if (content !== leg.lastDescription || replace?.has('force-increment-sdp-ver')) {
    leg.lastDescription = content;
    leg.originVersion++;
  }
  return body(leg.originVersion);
}

function headOf(leg: Leg, replace: ReadonlySet<ReplacedPart>, version: number): LocalDescription['head'] {
  const isVersionOurs = replace.has('SDP-version') || replace.has('force-increment-sdp-ver');
  return {
    ...(replace.has('username') && leg.username !== undefined ? { username: leg.username } : {}),
    ...(replace.has('session-name') && leg.sessionName !== undefined ? { sessionName: leg.sessionName } : {}),
    ...(isVersionOurs ? { version } : {}),
  };
}

/** The far description with the codecs and the packet time that the client wants the peer to see. */
function asAsked(far: SessionDescription, { codecs, ptimeMs }: DescribeRequest): SessionDescription {
  const sd = codecs ? changeCodecs(far, codecs) : far;
  if (ptimeMs === undefined) return sd;
  const timed = cloneSdp(sd);
  for (const media of timed.media) if (media.kind === 'audio') setAttribute(media, 'ptime', String(ptimeMs));
  return timed;
}

/** Whether this section's RTCP shares the port, as our description says it; by default as the far peer would have it. */
export function saysRtcpMux(call: Call, leg: Leg, section: Section, { request, role }: LocalOptions): boolean {
  if (leg.kind.ice) return role === 'offer' || section.remoteMux;
  const far = call.other(leg);
  const farMux = far.sections[section.index]?.remoteMux === true;
  // Over ICE it is no wish but the only way, so a phone is not asked for it because of that.
  if (role === 'offer') return offersRtcpMux(request, farMux && !far.kind.ice);
  return section.remoteMux && (section.answersMux ?? (farMux || far.kind.ice));
}

function offersRtcpMux({ rtcpMux }: DescribeRequest, wasOffered: boolean): boolean {
  if (rtcpMux.includes('offer') || rtcpMux.includes('require')) return true;
  return wasOffered && !rtcpMux.includes('demux');
}

/** What an offer says of its own answer: `demux` and `accept` take the offerer's rtcp-mux, `reject` doesn't. */
export function decideAnswersMux(leg: Leg, request: DescribeRequest): void {
  const { rtcpMux } = request;
  for (const section of leg.sections) {
    if (rtcpMux.includes('reject')) section.answersMux = false;
    else if (rtcpMux.includes('accept') || !offersRtcpMux(request, section.remoteMux)) section.answersMux = true;
    else section.answersMux = undefined;
  }
}

function localSection(
  host: MediaHost,
  call: Call,
  leg: Leg,
  { section, request, role }: LocalOptions & { readonly section: Section },
): LocalSection {
  const { kind } = leg;
  const pair = section.pair;
  const candidates = leg.ice ? candidatesOf(host.muxes, host.interfaces, leg.network) : [];
  const at: SocketAddress = pair
    ? { address: request.mediaAddress ?? shownAddress(leg, host), port: pair.rtp.local.port }
    : (candidates[0] ?? { address: shownAddress(leg, host), port: 9 });
  const rtcpMux = saysRtcpMux(call, leg, section, { request, role });
  const setup = role === 'offer' ? 'actpass' : (leg.setup ?? 'passive');
  const fingerprint = host.dtls?.fingerprint;
  return {
    active: section.active,
    kind,
    at,
    mid: kind.ice ? section.mid : undefined,
    ice: leg.ice && { ...leg.ice.current.local, candidates },
    dtls: kind.security === 'dtls' && !call.opaque && fingerprint ? { fingerprint, setup } : undefined,
    cryptos: section.active && kind.security === 'sdes' ? cryptos(host, call, leg, { section, request, role }) : [],
    rtcpMux,
    red: section.red,
    rates: section.rates,
    rtcpPort: pair && saysRtcpPort({ request, role }, rtcpMux) ? pair.rtcp.local.port : undefined,
    pictureLossTypes: kind.ice && kind.feedback ? canSay('nack pli', leg, section, role) : undefined,
    retransmittedTypes: speaksWebRtc(kind) && !call.echo ? canSay('nack', leg, section, role) : undefined,
  };
}

/** Where RTCP goes that isn't multiplexed: said in an offer of rtcp-mux too (RFC 5761 5.1.1), unless it is required. */
function saysRtcpPort({ request, role }: LocalOptions, rtcpMux: boolean): boolean {
  return !rtcpMux || (role === 'offer' && !request.rtcpMux.includes('require'));
}

function shownAddress({ interface: at }: Leg, { interfaces }: MediaHost): string {
  const { address, advertised } = at ?? interfaces[0]!;
  return advertised ?? address;
}

function cryptos(
  host: MediaHost,
  call: Call,
  leg: Leg,
  { section, request, role }: LocalOptions & { readonly section: Section },
) {
  if (role === 'answer') return section.sdes?.answer ? [section.sdes.answer] : [];
  section.sdes ??= new SdesKeys(host.crypto, host.openSrtp);
  const far = call.other(leg).remote?.media[section.index];
  const offered = far ? cryptoLines(far).map((line) => line.suite) : [];
  return section.sdes.offer(allowedSuites(request.sdes, offered));
}

/**
 * Feedback that an answer may name because it was offered. PLI passes also to a far side without feedback in its protocol: most
 * video phones answer it.
 */
function canSay(
  feedback: string,
  leg: Leg,
  section: Section,
  role: 'offer' | 'answer',
): (payloadType: string) => boolean {
  if (role === 'offer') return () => true;
  const own = leg.remote?.media[section.index];
  const offered = new Set(own ? attributes(own, 'rtcp-fb') : []);
  return (payloadType) => offered.has(`${payloadType} ${feedback}`) || offered.has(`* ${feedback}`);
}
