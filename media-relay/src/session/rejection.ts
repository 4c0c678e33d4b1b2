import type { MediaDescription, SessionDescription } from '@offhook/core';
import { isWanted } from './build.ts';
import { kindInWords, kindOf, type LegKind, protocolOf } from './kind.ts';

/** Why a section of an answer that its peer wants can't be used, in words; undefined when the peer itself rejects it. */
export function rejectionOf(media: MediaDescription, sd: SessionDescription, offered: LegKind): string | undefined {
  if (!isWanted(media)) return undefined;
  const kind = kindOf(media, sd);
  const said = media.protocol.slice(0, 40);
  if (kind?.security === offered.security) return "the answer leaves it out of the first section's BUNDLE group";
  const wanted = protocolOf(offered);
  if (kind && said.toUpperCase() === wanted) {
    return `the answer has ${kindInWords(kind)} where ${kindInWords(offered)} was offered`;
  }
  return `the answer is ${said} where ${wanted} was offered`;
}
