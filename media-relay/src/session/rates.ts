import { type Crypto, type MediaDescription, readU16, readU32, type SessionDescription } from '@offhook/core';
import { HopRates } from '../congestion/index.ts';
import type { Transport } from '../forward/index.ts';
import { RtxReceiver } from '../recovery/index.ts';
import type { Call } from './call.ts';
import {
  extensionMap,
  extmapLines,
  HIDDEN_BY_LAYERS,
  identifiers,
  LAYER_IDS,
  MID,
  sequenceIdOf,
  TRANSPORT_SEQUENCE,
} from './extensions.ts';
import type { MediaHost } from './host.ts';
import { speaksWebRtc } from './kind.ts';
import type { Leg, Section } from './leg.ts';
import { saysFeedback } from './rtcp-fb.ts';
import { offeredRtx, type RtxMap, type RtxSource, rtxOf, rtxSourceFor, rtxSources } from './rtx.ts';
import { describesLayers, isLayered, sendsLayers } from './simulcast.ts';

/** What a section's description says beside what the far peer's says, for the sake of rates. */
export interface RateLines {
  /** Values of a=extmap in place of the far peer's. */
  readonly extmaps: readonly string[];
  /** Values of a=rtcp-fb behind the payload type that aren't passed. */
  readonly ends: readonly string[];
  /** What is said of each payload type in their place. */
  readonly feedback: readonly string[];
  /** Formats for retransmissions that the far peer doesn't have. */
  readonly rtx: readonly RtxMap[];
  /** Where they come from. */
  readonly source: RtxSource | undefined;
}

const ARRIVALS = 'transport-cc';
const REMB = 'goog-remb';
const TMMBR = 'ccm tmmbr';

/**
 * Decides what a leg's peer is offered or answered of rates (transport-wide feedback, REMB, TMMBR, RTX), which are between it
 * and us wherever pictures pass. Towards browsers header extensions have this leg's numbers.
 */
export function planRates(
  crypto: Crypto,
  call: Call,
  leg: Leg,
  { far, role }: { readonly far: SessionDescription; readonly role: 'offer' | 'answer' },
): void {
  const isWebRtc = speaksWebRtc(leg.kind);
  const hasPictures = !call.opaque && !call.echo && leg.sections.some((s) => s.active && s.media === 'video');
  const farIsWebRtc = speaksWebRtc(call.other(leg).kind);
  for (const section of leg.sections) {
    const theirs = far.media[section.index];
    const offered = role === 'answer' ? leg.remote?.media[section.index] : undefined;
    section.rates = undefined;
    if (call.opaque || call.echo || !section.active || !theirs || (role === 'answer' && !offered)) continue;
    const may = (feedback: string) => role === 'offer' || saysFeedback(offered!, feedback);
    if (!isWebRtc) {
      if (!leg.kind.feedback) continue;
      const feedback = section.media === 'video' && may(TMMBR) ? [TMMBR] : [];
      section.rates = { extmaps: [], ends: [ARRIVALS, TMMBR], feedback, rtx: [], source: undefined };
      continue;
    }
    // Layers are between their sender and us.
    const own = [
      ...(hasPictures ? [TRANSPORT_SEQUENCE] : []),
      ...(describesLayers(section) ? [MID, ...LAYER_IDS] : []),
    ];
    const isHidden = describesLayers(section) || describesLayers(call.other(leg).sections[section.index]);
    const hidden = isHidden ? HIDDEN_BY_LAYERS : [];
    const extmaps = extmapLines(farIsWebRtc ? theirs : undefined, leg.extensions, { offered, own, hidden });
    const wanted = !hasPictures ? [] : section.media === 'video' ? [ARRIVALS, REMB] : [ARRIVALS];
    const rtx = hasPictures && section.media === 'video' && !farIsWebRtc ? offeredRtx(theirs, far, offered) : [];
    if (rtx.length > 0) section.rtxSource ??= readU32(crypto.randomBytes(4), 0);
    section.rates = {
      extmaps,
      ends: hasPictures ? [ARRIVALS, REMB, TMMBR] : [],
      feedback: wanted.filter(may),
      rtx,
      source: rtx.length > 0 ? rtxSourceFor(theirs, section.rtxSource!) : undefined,
    };
  }
}

/** Tells the rates of a leg's transports what both descriptions say; called when either has changed. */
export function configureRates(host: MediaHost, call: Call, leg: Leg): void {
  const far = call.other(leg);
  for (const transport of leg.transports()) {
    transport.rates?.connect(undefined); // whoever was there before may speak to another peer, in another call, by now
    const agreed = agreedSections(leg, far, transport);
    const pictures = agreed.find(({ section }) => section.media === 'video');
    // A phone's elements mean nothing here: there is one number that is looked at, and what stands there is replaced.
    const needsMap = speaksWebRtc(leg.kind) && speaksWebRtc(far.kind) && agreed.length > 0;
    const extensions = needsMap ? mapTo(leg, far, pictures !== undefined) : undefined;
    if (call.opaque || call.echo || !transport.reports || (!pictures && !extensions)) {
      forget(host, transport);
      continue;
    }
    transport.rates ??= openRates(host, transport);
    const sequenceId = pictures && speaksWebRtc(leg.kind) ? sequenceIdOf(identifiers(agreed.map((a) => a.own))) : 0;
    const numbered = agreed.filter(
      ({ own }) => saysFeedback(own, ARRIVALS) && identifiers([own]).get(TRANSPORT_SEQUENCE) === sequenceId,
    );
    const sound = agreed.find(({ section }) => section.media === 'audio');
    transport.rates.configure({
      sequenceId: numbered.length > 0 ? sequenceId : 0,
      pictures: pictures ? [...pictures.own.formats, ...pictures.others.formats].map(Number) : [],
      numbered: numbered.flatMap(({ own, others }) => [...own.formats, ...others.formats]).map(Number),
      extensions,
      form: pictures && formOf(pictures.own),
      countsSound: sound !== undefined && numbered.includes(sound),
      rtx:
        pictures && speaksWebRtc(leg.kind) && !isLayered(pictures.section)
          ? receiverOf(transport.rates.rtx, pictures.own, pictures.others)
          : undefined,
      repair: transport.repair,
    });
  }
  const ofPictures = (one: Leg) => one.sections.find((s) => s.active && s.media === 'video' && s.peer !== undefined);
  const [near, other] = [ofPictures(leg), far === leg ? undefined : ofPictures(far)];
  // Of layers the one that fits is chosen here: their sender isn't told what the far side takes.
  near?.transport?.rates?.connect(sendsLayers(near) ? undefined : other?.transport?.rates);
  other?.transport?.rates?.connect(sendsLayers(other) ? undefined : near?.transport?.rates);
}

interface Agreed {
  readonly section: Section;
  readonly own: MediaDescription;
  readonly others: MediaDescription;
}

function agreedSections(leg: Leg, far: Leg, transport: Transport): Agreed[] {
  return leg.sections.flatMap((section) => {
    const own = leg.remote?.media[section.index];
    const others = far.remote?.media[section.index];
    return section.active && section.transport === transport && own && others ? [{ section, own, others }] : [];
  });
}

function forget(host: MediaHost, transport: Transport): void {
  if (!transport.rates) return;
  transport.rates = undefined;
  host.rearm(transport);
}

function openRates(host: MediaHost, transport: Transport): HopRates {
  const rates = new HopRates({
    reports: transport.reports!,
    counters: host.rateCounters,
    firstSequence: readU16(host.crypto.randomBytes(2), 0),
    wake: () => host.rearm(transport),
  });
  transport.rates = rates;
  host.rearm(transport);
  return rates;
}

function mapTo(leg: Leg, far: Leg, hasPictures: boolean): Uint8Array | undefined {
  const from = identifiers(activeMedia(far));
  const to = identifiers(activeMedia(leg));
  if (hasPictures && sequenceIdOf(to) === 0) to.delete(TRANSPORT_SEQUENCE);
  const sameMids = leg.sections.every((s, i) => !s.active || s.mid === far.sections[i]?.mid);
  return extensionMap(from, to, sameMids);
}

function activeMedia(leg: Leg): MediaDescription[] {
  return leg.sections.flatMap((s) => (s.active && leg.remote?.media[s.index]) || []);
}

function formOf(media: MediaDescription): 'remb' | 'tmmbr' | undefined {
  if (saysFeedback(media, REMB)) return 'remb';
  return saysFeedback(media, TMMBR) ? 'tmmbr' : undefined;
}

function receiverOf(
  known: RtxReceiver | undefined,
  own: MediaDescription,
  others: MediaDescription,
): RtxReceiver | undefined {
  const originals = new Uint8Array(128);
  for (const { payloadType, original } of [...rtxOf(others), ...rtxOf(own)]) originals[payloadType] = original;
  if (originals.every((one) => one === 0)) return undefined;
  const pictures = new Uint8Array(128);
  for (const format of [...own.formats, ...others.formats].map(Number)) {
    if (format < 128 && originals[format] === 0) pictures[format] = 1;
  }
  const settings = { originals, pictures, sources: rtxSources(own) };
  if (!known) return new RtxReceiver(settings);
  known.configure(settings);
  return known;
}
