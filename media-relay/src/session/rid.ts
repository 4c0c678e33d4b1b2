import { attributes, type MediaDescription } from '@offhook/core';
import { MAX_LAYERS } from '../simulcast/index.ts';

/** One a=rid line that is sent (RFC 8851 4). */
export interface Rid {
  readonly id: string;
  /** Formats that it is confined to; none = any. */
  readonly formats: readonly string[];
  /** Its other restrictions as they stand. */
  readonly restrictions: readonly string[];
}

const MAX_RESTRICTIONS = 8;

/**
 * The layers that a section's description offers or agrees to send (RFC 8853 5.1), the first alternative of each; fewer than two,
 * or none that is described by a=rid, are no simulcast.
 */
export function sentLayers(media: MediaDescription): Rid[] {
  const value = attributes(media, 'simulcast')[0] ?? '';
  const list = /(?:^| )send ([A-Za-z0-9,;~_-]{1,200})(?: |$)/.exec(value)?.[1];
  if (list === undefined) return [];
  const known = ridsOf(media);
  const found: Rid[] = [];
  for (const stream of list.split(';')) {
    const id = stream.split(',')[0]!.replace(/^~/, ''); // paused at first: what comes counts
    const rid = known.get(id);
    if (rid && !found.includes(rid) && found.length < MAX_LAYERS) found.push(rid);
  }
  return found.length < 2 ? [] : found;
}

/** What we say of receiving these (RFC 8851 6.3, RFC 8853 5.3.2), of those that one of the formats is good for. */
export function receivedLines(rids: readonly Rid[], formats: readonly string[]): { name: string; value: string }[] {
  const lines: { name: string; value: string }[] = [];
  const ids: string[] = [];
  for (const { id, formats: own, restrictions } of rids) {
    const common = own.filter((format) => formats.includes(format));
    if (own.length > 0 && common.length === 0) continue;
    const all = common.length > 0 ? [`pt=${common.join(',')}`, ...restrictions] : restrictions;
    lines.push({ name: 'rid', value: `${id} recv${all.length > 0 ? ` ${all.join(';')}` : ''}` });
    ids.push(id);
  }
  return ids.length < 2 ? [] : [...lines, { name: 'simulcast', value: `recv ${ids.join(';')}` }];
}

function ridsOf(media: MediaDescription): Map<string, Rid> {
  const found = new Map<string, Rid>();
  for (const value of attributes(media, 'rid').slice(0, 2 * MAX_LAYERS)) {
    // RFC 8852 3.3: what a header extension carries has letters and digits; Chromium allows these two as well.
    const match = /^([A-Za-z0-9_-]{1,16}) send(?: (\S{1,200}))?$/.exec(value.trim());
    if (!match || found.has(match[1]!)) continue;
    const all = (match[2] ?? '').split(';').filter((one) => one !== '');
    const formats =
      all
        .find((one) => one.startsWith('pt='))
        ?.slice(3)
        .split(',') ?? [];
    const restrictions = all.filter((one) => !one.startsWith('pt=')).slice(0, MAX_RESTRICTIONS);
    found.set(match[1]!, { id: match[1]!, formats, restrictions });
  }
  return found;
}
