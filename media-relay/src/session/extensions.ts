import { attributes, type MediaDescription, type SessionDescription } from '@offhook/core';

/** draft-holmer-rmcat-transport-wide-cc-extensions-01 5. */
export const TRANSPORT_SEQUENCE = 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01';
/** RFC 9143 15.2: names the section by an identifier that each leg chooses for itself. */
export const MID = 'urn:ietf:params:rtp-hdrext:sdes:mid';
/** RFC 8852 4: the layer of a packet, and of what a retransmission repeats. */
export const LAYER_IDS = [
  'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id',
  'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id',
] as const;
/**
 * What describes frames beside their payload, and would go on counting those of all layers. A sender that may say it there leaves it
 * out of VP8's own descriptor.
 */
const FRAMES = [
  'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension',
  'http://www.webrtc.org/experiments/rtp-hdrext/generic-frame-descriptor-00',
  'http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00',
];
/** What doesn't pass between a sender of layers and the far peer. */
export const HIDDEN_BY_LAYERS = [...LAYER_IDS, ...FRAMES];
/** RFC 8285 4.2: what the one-byte form has room for. */
const MOST_ONE_BYTE = 14;
const MOST = 255;
/** Extensions of one leg. */
const MAX_EXTENSIONS = 64;

interface Extmap {
  readonly id: number;
  /** `/sendonly` and its like, or empty. */
  readonly direction: string;
  /** The URI and what it is configured with. */
  readonly meaning: string;
}

/**
 * Identifiers of header extensions on one leg (RFC 8285 5). They mean what the peer's last description says, or our offer
 * before it answered; a number is not given another meaning by us.
 */
export class ExtensionIds {
  readonly #ids = new Map<string, number>();

  /** The peer's description counts; what was offered before and it didn't take up keeps its number, if that is free. */
  learn(sd: SessionDescription): void {
    const before = [...this.#ids];
    this.#ids.clear();
    for (const { id, meaning } of sd.media.flatMap(extmaps)) this.#take(meaning, id);
    for (const [meaning, id] of before) this.#take(meaning, id);
  }

  /** The number for an offer: the one it has, else the wanted one, else a free one; undefined = there is none left. */
  give(meaning: string, wanted: number): number | undefined {
    const known = this.#ids.get(meaning);
    if (known !== undefined) return known;
    if (this.#take(meaning, wanted)) return wanted;
    for (let id = 1; id <= MOST_ONE_BYTE; id++) if (this.#take(meaning, id)) return id;
    return undefined;
  }

  #take(meaning: string, id: number): boolean {
    if (this.#ids.size >= MAX_EXTENSIONS || this.#ids.has(meaning) || [...this.#ids.values()].includes(id))
      return false;
    this.#ids.set(meaning, id);
    return true;
  }
}

/** What a section's description says, the first line of each identifier and of each meaning. */
export function extmaps(media: MediaDescription): Extmap[] {
  const found: Extmap[] = [];
  for (const value of attributes(media, 'extmap')) {
    const match = /^(\d{1,5})(\/[a-z]{1,10})? (\S.{0,400})$/.exec(value);
    const id = Number(match?.[1] ?? 0);
    const meaning = match?.[3]?.trim();
    if (!match || !meaning || id < 1 || id > MOST || found.length >= MAX_EXTENSIONS) continue;
    if (found.some((known) => known.id === id || known.meaning === meaning)) continue;
    found.push({ id, direction: match[2] ?? '', meaning });
  }
  return found;
}

/** The lines for a leg's peer, from those of the far peer: in an answer only what was offered, under its number. */
export function extmapLines(
  far: MediaDescription | undefined,
  ids: ExtensionIds,
  lines: {
    readonly offered: MediaDescription | undefined;
    readonly own: readonly string[];
    /** Of the far peer's what doesn't pass. */
    readonly hidden?: readonly string[];
  },
): string[] {
  const { offered, own, hidden = [] } = lines;
  const theirs = (far ? extmaps(far) : []).filter(({ meaning }) => own.includes(meaning) || !hidden.includes(meaning));
  const wanted = [
    ...theirs.filter((one) => !own.includes(one.meaning)),
    ...own.map((meaning) => theirs.find((one) => one.meaning === meaning) ?? { id: 0, direction: '', meaning }),
  ];
  const known = offered && new Map(extmaps(offered).map((one) => [one.meaning, one.id]));
  return wanted.flatMap(({ id, direction, meaning }) => {
    const number = known ? known.get(meaning) : ids.give(meaning, id || 3);
    return number === undefined ? [] : [`${number}${own.includes(meaning) ? '' : direction} ${meaning}`];
  });
}

/** The identifiers that a peer's description gives, of all these sections; the first one of a meaning counts. */
export function identifiers(sections: readonly MediaDescription[]): Map<string, number> {
  const ids = new Map<string, number>();
  for (const { id, meaning } of sections.flatMap(extmaps)) if (!ids.has(meaning)) ids.set(meaning, id);
  return ids;
}

/** The number of the transport-wide sequence number among those, 0 = none that fits into every packet. */
export function sequenceIdOf(ids: ReadonlyMap<string, number>): number {
  const id = ids.get(TRANSPORT_SEQUENCE) ?? 0;
  const isUnique = [...ids.values()].filter((one) => one === id).length === 1;
  return isUnique && id <= MOST_ONE_BYTE ? id : 0;
}

/**
 * How identifiers change from one leg to the other, 256 entries, 0 = the element is taken out: what the receiver hasn't agreed
 * on never reaches it under a number that means something else there. Undefined where no number means two things.
 */
export function extensionMap(
  from: ReadonlyMap<string, number>,
  to: ReadonlyMap<string, number>,
  sameMids: boolean,
): Uint8Array | undefined {
  if (![...from].some(([meaning, id]) => isChanged(meaning, id, to, sameMids))) return undefined;
  const map = new Uint8Array(256);
  for (const [meaning, id] of from) {
    map[id] = meaning === MID && !sameMids ? 0 : (to.get(meaning) ?? 0);
  }
  return map;
}

/** Whether what one leg knows by that number is something else on the other one, or known there by another number. */
function isChanged(meaning: string, id: number, to: ReadonlyMap<string, number>, sameMids: boolean): boolean {
  const there = to.get(meaning);
  if (there === undefined) return [...to.values()].includes(id);
  return there !== id || (meaning === MID && !sameMids);
}
