import { addAttribute, type MediaDescription, type RtpMap, rtpMaps, type SessionDescription } from '@offhook/core';
import { HopRecovery, type RedFormat } from '../recovery/index.ts';
import type { Call } from './call.ts';
import { speaksWebRtc } from './kind.ts';
import type { Leg, Section } from './leg.ts';

/** The number Chromium gives RED, and then the dynamic ones from the end (RFC 3551 6, RFC 5761 4). */
const NUMBERS = [63, ...Array.from({ length: 32 }, (_, i) => 127 - i), ...Array.from({ length: 28 }, (_, i) => 62 - i)];

/**
 * Decides whether sound goes as RED (RFC 2198) between a browser and us, where the far phone has Opus without it: in our answer
 * when the browser offered RED for that Opus, in our offer always. RED stands first in the description, which makes Chromium
 * send it. An answer takes effect at once, an offer when the browser has answered.
 */
export function planRed(call: Call, leg: Leg, plan: { far: SessionDescription; role: 'offer' | 'answer' }): void {
  const { far, role } = plan;
  const sound = soundOf(call, leg);
  for (const section of leg.sections) {
    const media = section === sound ? far.media[section.index] : undefined;
    const own = leg.remote?.media[section.index];
    if (role === 'offer') section.red = media && redToOffer(media, far, section.red);
    else section.red = media && own && redToAnswer(own, media);
  }
  if (role === 'answer') applyRed(leg);
}

/** The browser has answered our offer: RED is what it accepted. */
export function settleRed(leg: Leg, answer: SessionDescription): void {
  for (const section of leg.sections) {
    const media = answer.media[section.index];
    const { red } = section;
    if (!red) continue;
    const isAccepted = media && section.active && redMaps(media).some((m) => m.payloadType === red.payloadType);
    if (!isAccepted) section.red = undefined;
  }
  applyRed(leg);
}

/** Writes RED in front of what a section offers or answers. */
export function addRed(media: MediaDescription, { payloadType, audio }: RedFormat): void {
  media.formats.unshift(String(payloadType));
  addAttribute(media, 'rtpmap', `${payloadType} red/48000/2`);
  addAttribute(media, 'fmtp', `${payloadType} ${audio}/${audio}`);
}

/** The one section of sound of a browser's leg whose far leg is no browser's. With several, RED's stream couldn't be told. */
function soundOf(call: Call, leg: Leg): Section | undefined {
  if (call.opaque || call.echo || !speaksWebRtc(leg.kind) || speaksWebRtc(call.other(leg).kind)) return undefined;
  const sound = leg.sections.filter((s) => s.active && s.media === 'audio');
  return sound.length === 1 ? sound[0] : undefined;
}

function applyRed(leg: Leg): void {
  for (const transport of leg.transports()) {
    const format = leg.sections.find((s) => s.transport === transport && s.red)?.red;
    const known = transport.recovery?.format;
    if (format && known?.payloadType === format.payloadType && known.audio === format.audio) continue;
    transport.recovery = format && new HopRecovery(format);
  }
}

function redToAnswer(offered: MediaDescription, far: MediaDescription): RedFormat | undefined {
  const opus = preferredOpus(far);
  if (!opus) return undefined;
  const audio = opus.payloadType;
  if (!rtpMaps(offered).some((m) => m.payloadType === audio && isOpus(m))) return undefined;
  // a=fmtp lists the formats of the blocks (RFC 2198 5): those of another codec would reach a phone that has not agreed to it.
  const red = redMaps(offered).find((m) => m.fmtp?.split('/').every((f) => Number(f) === audio));
  if (!red || far.formats.includes(String(red.payloadType))) return undefined;
  return { payloadType: red.payloadType, audio };
}

function redToOffer(
  media: MediaDescription,
  far: SessionDescription,
  known: RedFormat | undefined,
): RedFormat | undefined {
  const opus = preferredOpus(media);
  if (!opus) return undefined;
  const taken = new Set(far.media.flatMap((m) => m.formats));
  const numbers = known ? [known.payloadType, ...NUMBERS] : NUMBERS;
  const payloadType = numbers.find((n) => !taken.has(String(n)));
  return payloadType === undefined ? undefined : { payloadType, audio: opus.payloadType };
}

/** Opus, if it is what the phone likes best: RED in front of another codec would change the choice. */
function preferredOpus(media: MediaDescription): RtpMap | undefined {
  const first = rtpMaps(media)[0];
  return first && isOpus(first) && redMaps(media).length === 0 ? first : undefined;
}

function isOpus({ encoding, clockRate, channels }: RtpMap): boolean {
  return encoding.toLowerCase() === 'opus' && clockRate === 48_000 && channels === 2;
}

function redMaps(media: MediaDescription): RtpMap[] {
  return rtpMaps(media).filter((m) => m.encoding.toLowerCase() === 'red' && m.clockRate === 48_000 && m.channels === 2);
}
