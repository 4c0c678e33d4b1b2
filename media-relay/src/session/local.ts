import { attributes, readU32, type SessionDescription, type SocketAddress, writeSdp } from '@offhook/core';
import type { Call } from './call.ts';
import { describe, type LocalSection } from './describe.ts';
import type { MediaHost } from './host.ts';
import { speaksWebRtc } from './kind.ts';
import type { Leg, Section } from './leg.ts';
import { planRed } from './red.ts';
import type { DescribeRequest } from './request.ts';
import { SdesKeys } from './sdes.ts';

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
  const { far, request, role } = options;
  planRed(call, leg, { far, role });
  const sections = leg.sections.map((section) => localSection(host, call, leg, { section, request, role }));
  const sharing = leg.kind.ice
    ? leg.sections.filter(
        (s) => s.active && s.mid !== undefined && (role === 'offer' || leg.bundledMids?.includes(s.mid)),
      )
    : [];
  const bundle = sharing.map((s) => s.mid!);
  const body = (origin: { id: string; version: number; address: string } | undefined) =>
    writeSdp(describe(far, { sections, bundle, opaque: call.opaque, origin }));
  if (!request.replaceOrigin) return body(undefined);
  // RFC 3264 8: the version rises by one when the description changes.
  leg.originId ??= String(readU32(host.crypto.randomBytes(4), 0));
  const address = sections[0]?.at.address ?? host.plainAddress;
  const content = body({ id: leg.originId, version: 0, address });
  if (content !== leg.lastDescription) {
    leg.lastDescription = content;
    leg.originVersion++;
  }
  return body({ id: leg.originId, version: leg.originVersion, address });
}

/** Whether this section's RTCP shares the port, as our description says it. */
export function saysRtcpMux(leg: Leg, section: Section, { request, role }: LocalOptions): boolean {
  if (leg.kind.ice) return role === 'offer' || section.remoteMux;
  if (role === 'offer') return request.rtcpMux.includes('offer') || request.rtcpMux.includes('require');
  return section.remoteMux && !request.rtcpMux.includes('demux') && !request.rtcpMux.includes('reject');
}

function localSection(
  host: MediaHost,
  call: Call,
  leg: Leg,
  { section, request, role }: LocalOptions & { readonly section: Section },
): LocalSection {
  const { kind } = leg;
  const pair = section.pair;
  const mux = host.muxes[0];
  const at: SocketAddress = pair
    ? { address: host.plainAddress, port: pair.rtp.local.port }
    : { address: mux?.address ?? host.plainAddress, port: mux?.udp.local.port ?? 9 };
  const rtcpMux = saysRtcpMux(leg, section, { request, role });
  const setup = role === 'offer' ? 'actpass' : (leg.setup ?? 'passive');
  const fingerprint = host.dtls?.fingerprint;
  return {
    active: section.active,
    kind,
    at,
    mid: kind.ice ? section.mid : undefined,
    ice: leg.ice && {
      ...leg.ice.current.local,
      candidates: host.muxes.map((m) => ({ address: m.address, port: m.udp.local.port })),
    },
    dtls: kind.security === 'dtls' && !call.opaque && fingerprint ? { fingerprint, setup } : undefined,
    cryptos: section.active && kind.security === 'sdes' ? cryptos(host, section, role) : [],
    rtcpMux,
    red: section.red,
    rtcpPort: pair && (!rtcpMux || role === 'offer') ? pair.rtcp.local.port : undefined,
    pictureLossTypes: kind.ice && kind.feedback ? canSay('nack pli', leg, section, role) : undefined,
    retransmittedTypes: speaksWebRtc(kind) && !call.echo ? canSay('nack', leg, section, role) : undefined,
  };
}

function cryptos(host: MediaHost, section: Section, role: 'offer' | 'answer') {
  if (role === 'answer') return section.sdes?.answer ? [section.sdes.answer] : [];
  section.sdes ??= new SdesKeys(host.crypto, host.openSrtp);
  return section.sdes.offer();
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
