import {
  attributes,
  base64,
  type Crypto,
  type MediaDescription,
  readU32,
  removePayloadTypes,
  rtpMaps,
  type SdpAttribute,
  type SessionDescription,
} from '@offhook/core';
import { PictureKind, Simulcast } from '../simulcast/index.ts';
import type { Call } from './call.ts';
import { identifiers, LAYER_IDS, MID, sequenceIdOf } from './extensions.ts';
import { speaksWebRtc } from './kind.ts';
import type { Leg, Section } from './leg.ts';
import { type Rid, receivedLines, sentLayers } from './rid.ts';
import { saysFeedback } from './rtcp-fb.ts';
import { rtxOf } from './rtx.ts';

/** Simulcast that the peer of a section sends: layers between it and us, one stream between us and the far peer. */
export interface SectionSimulcast {
  readonly stream: Simulcast;
  /** Of the one stream's retransmissions. */
  readonly rtxSsrc: number;
  /** Of both, where the peer's description names none. */
  readonly cname: string;
  /** As the peer's last answered offer, or answer, has them; none = it sends what its description says. */
  rids: readonly Rid[];
  /**
   * As an offer of the peer has them that waits for its answer. Until then it sends what it sent, and goes on with that when the
   * offer is refused (RFC 3264 4).
   */
  offered: readonly Rid[] | undefined;
  /** Those that our description has taken up; none = the peer is to send one stream. */
  agreed: readonly string[];
}

/** RFC 8851's and RFC 5576's lines of a sender, whose streams end here. */
const SENDERS: ReadonlySet<string> = new Set(['rid', 'simulcast', 'ssrc', 'ssrc-group']);
/** Codecs that layers are agreed on for. */
const LAYERED: ReadonlySet<string> = new Set(['vp8', 'h264']);
const KINDS: Readonly<Record<string, number>> = {
  vp8: PictureKind.vp8,
  h264: PictureKind.h264,
  vp9: PictureKind.vp9,
  av1: PictureKind.av1,
};
const FEC: ReadonlySet<string> = new Set(['red', 'ulpfec', 'flexfec', 'flexfec-03']);

/**
 * A peer's description as the rest of the relay sees it: where layers are sent that can be told apart, there is one stream with
 * sources of our own in their place. An answer may only take up what we offered to receive.
 */
export function asOneStream(
  crypto: Crypto,
  call: Call,
  leg: Leg,
  { sd, role }: { readonly sd: SessionDescription; readonly role: 'offer' | 'answer' },
): SessionDescription {
  const section = onlyPictures(leg);
  for (const one of leg.sections) if (one !== section && one.simulcast) note(one.simulcast, role, []);
  if (role === 'offer') {
    // What the far peer had offered was refused.
    for (const { simulcast } of call.other(leg).sections) if (simulcast) simulcast.offered = undefined;
  }
  const media = section && sd.media[section.index];
  if (!section || !media) return sd;
  const isOffered = role === 'offer' || (section.simulcast?.agreed ?? []).length > 0;
  const rids = isOffered && !call.opaque && !call.echo && canTellApart(leg, media) ? sentLayers(media) : [];
  if (rids.length > 0) section.simulcast ??= open(crypto);
  if (section.simulcast) note(section.simulcast, role, rids);
  if (!section.simulcast || rids.length === 0) return sd;
  const { stream, rtxSsrc, cname: own } = section.simulcast;
  const { ssrc } = stream.forwarded;
  const cname = cnameOf(sd) ?? own;
  const sources: SdpAttribute[] = [{ name: 'ssrc', value: `${ssrc} cname:${cname}` }];
  if (rtxOf(media).length > 0) {
    sources.unshift({ name: 'ssrc-group', value: `FID ${ssrc} ${rtxSsrc}` });
    sources.push({ name: 'ssrc', value: `${rtxSsrc} cname:${cname}` });
  }
  const kept = media.attributes.filter((one) => !SENDERS.has(one.name));
  const single: MediaDescription = { ...media, formats: [...media.formats], attributes: [...kept, ...sources] };
  withoutFec(single);
  return { ...sd, media: sd.media.map((one) => (one === media ? single : one)) };
}

/** What a peer's description says of its layers: an offer holds when it is answered (`settleSimulcast`). */
function note(simulcast: SectionSimulcast, role: 'offer' | 'answer', rids: readonly Rid[]): void {
  simulcast.offered = role === 'offer' ? rids : undefined;
  if (role === 'offer') return;
  simulcast.rids = rids;
  if (rids.length > 0) simulcast.agreed = rids.map(({ id }) => id);
}

/** The far peer has answered: layers are received when what it likes best is a codec whose key frames are known. */
export function settleSimulcast(leg: Leg, answer: SessionDescription): void {
  for (const { simulcast, index } of leg.sections) {
    if (!simulcast) continue;
    simulcast.rids = simulcast.offered ?? simulcast.rids;
    simulcast.offered = undefined;
    const media = answer.media[index];
    const lines = media && simulcast.rids.length > 0 ? linesFor(simulcast.rids, media) : [];
    simulcast.agreed = lines.filter(({ name }) => name === 'rid').map(({ value = '' }) => value.split(' ')[0]!);
  }
}

/** What a section's description says of the layers that its peer may send, in place of what the far peer's says. */
export function simulcastLines(section: Section, far: MediaDescription | undefined): readonly SdpAttribute[] {
  const { simulcast } = section;
  if (!simulcast || !sendsLayers(section) || !far) return [];
  return linesFor(simulcast.rids, far);
}

/** FEC speaks of sequence numbers (RFC 5109 7.3), which are others on the way on, and hides what a payload is (RFC 2198). */
export function withoutFec(media: MediaDescription): void {
  const fec = rtpMaps(media).filter(({ encoding }) => FEC.has(encoding.toLowerCase()));
  const unwanted = new Set(fec.map(({ payloadType }) => payloadType));
  for (const { payloadType, original } of rtxOf(media)) if (unwanted.has(original)) unwanted.add(payloadType);
  if (unwanted.size < media.formats.length) removePayloadTypes(media, (payloadType) => unwanted.has(payloadType));
}

/** Tells what makes one stream of a leg's layers what both descriptions say; called when either has changed. */
export function configureSimulcast(call: Call, leg: Leg): void {
  const far = call.other(leg);
  for (const transport of leg.transports()) {
    const section = leg.sections.find((s) => s.transport === transport && s.active && isLayered(s));
    const own = section && leg.remote?.media[section.index];
    transport.simulcast = undefined;
    if (!section?.simulcast || !own || !transport.rates) continue;
    const { stream, agreed } = section.simulcast;
    const others = far.remote?.media[section.index];
    const ids = identifiers([own]);
    stream.configure({
      rids: agreed,
      mid: section.mid,
      extensions: { rid: ids.get(LAYER_IDS[0]) ?? 0, repairedRid: ids.get(LAYER_IDS[1]) ?? 0, mid: ids.get(MID) ?? 0 },
      ...formatsOf(others ? [others, own] : [own]),
      onSource: (ssrc) => transport.ssrcs.set(ssrc, transport.sections.indexOf(section)),
    });
    stream.connect({
      downlink: section.peer?.transport?.rates,
      requests: transport.rates.requests,
      repair: transport.repair,
      farRepair: section.peer?.transport?.repair,
    });
    transport.simulcast = stream;
  }
}

/** Whether the section's peer sends layers, or did until we told it otherwise. */
export function isLayered(section: Section | undefined): boolean {
  return section?.simulcast !== undefined && section.simulcast.rids.length > 0;
}

/** Whether its last description has layers, be it an offer that waits for its answer. */
export function describesLayers(section: Section | undefined): boolean {
  const { offered, rids } = section?.simulcast ?? { rids: [] };
  return (offered ?? rids).length > 0;
}

/** Whether there is something to choose from, so that the section's peer isn't told what the far side takes. */
export function sendsLayers(section: Section | undefined): boolean {
  return isLayered(section) && section!.simulcast!.agreed.length > 0;
}

/** Layers need what says so in each packet, and a sender whose uplink needs no word of ours. */
function canTellApart(leg: Leg, media: MediaDescription): boolean {
  const ids = identifiers([media]);
  return (
    speaksWebRtc(leg.kind) &&
    ids.has(LAYER_IDS[0]) &&
    sequenceIdOf(ids) !== 0 &&
    saysFeedback(media, 'transport-cc') &&
    rtpMaps(media).some(({ encoding }) => LAYERED.has(encoding.toLowerCase()))
  );
}

/** With several sections of pictures, layers are left alone: one choice stands on one rate. */
function onlyPictures(leg: Leg): Section | undefined {
  const pictures = leg.sections.filter((s) => s.active && s.media === 'video');
  return pictures.length === 1 ? pictures[0] : undefined;
}

function linesFor(rids: readonly Rid[], far: MediaDescription): SdpAttribute[] {
  const first = rtpMaps(far).find(({ encoding }) => encoding.toLowerCase() !== 'rtx');
  return LAYERED.has(first?.encoding.toLowerCase() ?? '') ? receivedLines(rids, far.formats) : [];
}

function formatsOf(sections: readonly MediaDescription[]): { kinds: Uint8Array; originals: Uint8Array } {
  const kinds = new Uint8Array(128);
  const originals = new Uint8Array(128);
  for (const media of sections) {
    for (const { payloadType, encoding } of rtpMaps(media)) {
      if (payloadType < 128) kinds[payloadType] = KINDS[encoding.toLowerCase()] ?? PictureKind.other;
    }
    for (const { payloadType, original } of rtxOf(media)) {
      originals[payloadType] = original;
      kinds[payloadType] = PictureKind.rtx;
    }
  }
  return { kinds, originals };
}

function open(crypto: Crypto): SectionSimulcast {
  const random = crypto.randomBytes(8);
  const ssrc = (readU32(random, 0) | 1) >>> 0;
  const other = (readU32(random, 4) & ~1) >>> 0; // never the same
  const cname = base64(crypto.randomBytes(12)); // RFC 7022 4.2
  return { stream: new Simulcast(ssrc), rtxSsrc: other, cname, rids: [], offered: undefined, agreed: [] };
}

/** One end has one name (RFC 3550 6.5.1), whichever of its sources says it. */
function cnameOf(sd: SessionDescription): string | undefined {
  const values = sd.media.flatMap((media) => attributes(media, 'ssrc'));
  return values.map((value) => /^\d{1,10} cname:(\S{1,255})$/.exec(value)?.[1]).find((cname) => cname !== undefined);
}
