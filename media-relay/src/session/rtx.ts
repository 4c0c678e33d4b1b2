import { attributes, type MediaDescription, rtpMaps, type SessionDescription } from '@offhook/core';
import type { RtxStream } from '../recovery/index.ts';
import { speaksWebRtc } from './kind.ts';
import type { Leg, Section } from './leg.ts';

/** A payload type of retransmissions and that of what they repeat (RFC 4588 8.1). */
export interface RtxMap {
  readonly payloadType: number;
  readonly original: number;
}

/** Dynamic payload types from the end (RFC 3551 6, RFC 5761 4). */
const NUMBERS = [...Array.from({ length: 32 }, (_, i) => 127 - i), ...Array.from({ length: 29 }, (_, i) => 63 - i)];
/** Pairs of sources that one section may name. */
const MAX_SOURCES = 16;
const NOT_MEDIA: ReadonlySet<string> = new Set(['rtx', 'red', 'ulpfec', 'flexfec', 'flexfec-03']);

/** The retransmission formats of a section whose original is there too. */
export function rtxOf(media: MediaDescription): RtxMap[] {
  return rtpMaps(media).flatMap(({ payloadType, encoding, fmtp }) => {
    if (encoding.toLowerCase() !== 'rtx') return [];
    // RFC 4588 8.6: parameters come in any order.
    const original = Number(/(?:^|;)\s*apt=(\d{1,3})\b/.exec(fmtp ?? '')?.[1] ?? 0);
    const isThere = original > 0 && original < 128 && media.formats.includes(String(original));
    return isThere && payloadType < 128 ? [{ payloadType, original }] : [];
  });
}

/** The original's SSRC by that of its retransmissions, as announced (RFC 5576 4.2, FID). */
export function rtxSources(media: MediaDescription): Map<number, number> {
  const sources = new Map<number, number>();
  for (const value of attributes(media, 'ssrc-group')) {
    const match = /^FID (\d{1,10}) (\d{1,10})$/.exec(value.trim());
    const [original, rtx] = [Number(match?.[1]), Number(match?.[2])];
    if (match && original < 2 ** 32 && rtx < 2 ** 32 && sources.size < MAX_SOURCES) sources.set(rtx, original);
  }
  return sources;
}

/** Our stream of retransmissions for the pictures of a phone, beside the source that the phone's description names. */
export interface RtxSource {
  readonly ssrc: number;
  readonly original: number;
  readonly cname: string;
}

/**
 * RTX towards a browser has a source of its own (RFC 4588 5.3), announced with that of the original (RFC 5576 4.2). A phone that
 * names none, or several, is repaired by plain retransmission: libwebrtc finds out by itself what an unknown source of RTX
 * belongs to, Firefox doesn't.
 */
export function rtxSourceFor(media: MediaDescription, ssrc: number): RtxSource | undefined {
  const named = new Map<number, string | undefined>();
  for (const value of attributes(media, 'ssrc')) {
    const match = /^(\d{1,10})(?: cname:(\S.{0,255}))?/.exec(value);
    if (match) named.set(Number(match[1]), match[2] ?? named.get(Number(match[1])));
  }
  const [[original, cname] = []] = named;
  if (named.size !== 1 || original === undefined || original >= 2 ** 32 || cname === undefined) return undefined;
  return original === ssrc || attributes(media, 'ssrc-group').length > 0 ? undefined : { ssrc, original, cname };
}

/** What a browser is offered or answered for the formats of a phone, which has no retransmission of its own. */
export function offeredRtx(
  media: MediaDescription,
  all: SessionDescription,
  offered: MediaDescription | undefined,
): RtxMap[] {
  if (rtxOf(media).length > 0) return [];
  const taken = new Set(all.media.flatMap((m) => m.formats.map(Number)));
  if (offered) {
    const answers = rtxOf(offered).filter(({ payloadType }) => !taken.has(payloadType));
    return answers.filter(({ original }) => media.formats.includes(String(original)));
  }
  const free = NUMBERS.filter((number) => !taken.has(number));
  return rtpMaps(media).flatMap(({ payloadType: original, encoding }) => {
    if (NOT_MEDIA.has(encoding.toLowerCase())) return [];
    const payloadType = free.shift();
    return payloadType === undefined ? [] : [{ payloadType, original }];
  });
}

/** What a leg's repair sends its retransmissions as: under the SSRC that the far browser or we have announced for them. */
export function rtxTowards(leg: Leg, far: Leg, section: Section): RtxStream | undefined {
  const own = leg.remote?.media[section.index];
  const others = far.remote?.media[section.index];
  if (!own || !others || !speaksWebRtc(leg.kind)) return undefined;
  const payloadTypes = new Uint8Array(128);
  for (const { payloadType, original } of rtxOf(own)) payloadTypes[original] = payloadType;
  if (payloadTypes.every((one) => one === 0)) return undefined;
  if (speaksWebRtc(far.kind)) {
    const layers = far.sections[section.index]?.simulcast;
    const ssrc = layers && layers.rids.length > 0 ? layers.rtxSsrc : [...rtxSources(others).keys()][0];
    return ssrc === undefined ? undefined : { ssrc, payloadTypes };
  }
  const announced = section.rates?.source;
  // Of another phone, before its own description has reached the browser.
  if (!announced || rtxSourceFor(others, announced.ssrc)?.original !== announced.original) return undefined;
  return { ssrc: announced.ssrc, payloadTypes, original: announced.original };
}
