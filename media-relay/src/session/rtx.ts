import { attributes, type MediaDescription, rtpMaps, type SessionDescription } from '@offhook/core';
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

/** What a leg's repair sends its retransmissions as: under the SSRC that the far browser has announced for them. */
export function rtxTowards(
  leg: Leg,
  far: Leg,
  section: Section,
): { ssrc: number; payloadTypes: Uint8Array } | undefined {
  const own = leg.remote?.media[section.index];
  const others = far.remote?.media[section.index];
  if (!own || !others || !mayRetransmit(leg, far)) return undefined;
  const ssrc = [...rtxSources(others).keys()][0];
  const payloadTypes = new Uint8Array(128);
  for (const { payloadType, original } of rtxOf(own)) payloadTypes[original] = payloadType;
  return ssrc === undefined || payloadTypes.every((one) => one === 0) ? undefined : { ssrc, payloadTypes };
}

/** Both ends announce the sources of retransmissions: RTX towards one of them has an SSRC that it knows. */
function mayRetransmit(leg: Leg, far: Leg): boolean {
  return speaksWebRtc(leg.kind) && speaksWebRtc(far.kind);
}
