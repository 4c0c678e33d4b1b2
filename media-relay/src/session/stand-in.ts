import { cloneSdp, removeAttributes, type SessionDescription } from '@offhook/core';

const SOURCES: ReadonlySet<string> = new Set(['ssrc', 'ssrc-group']);

/**
 * What another peer may be told of one that will describe itself anew: no sources (RFC 5576), for a browser plays none but those
 * that were named, if any were; without names it takes what comes.
 */
export function withoutSources(sd: SessionDescription): SessionDescription {
  const sourceless = cloneSdp(sd);
  for (const media of sourceless.media) removeAttributes(media, ({ name }) => SOURCES.has(name));
  return sourceless;
}
