import { cloneSdp, direction, type MediaDescription, type SessionDescription, setDirection } from '@offhook/core';

const MIRRORED = { sendrecv: 'sendrecv', sendonly: 'recvonly', recvonly: 'sendonly', inactive: 'inactive' } as const;
/** A mirror sends no layers and does not pretend to be the peer's own stream. */
const DROPPED: ReadonlySet<string> = new Set(['simulcast', 'rid', 'msid']);

/**
 * The peer's own offer as if another peer had answered it: directions turned round, every SSRC XORed with `mask`, so
 * that the peer can tell what comes back from what it sends.
 */
export function mirror(offer: SessionDescription, mask: number): SessionDescription {
  const sd = cloneSdp(offer);
  for (const media of sd.media) {
    media.attributes = media.attributes.flatMap((a) => {
      if (DROPPED.has(a.name)) return [];
      if (a.name === 'ssrc') {
        const [ssrc, field] = (a.value ?? '').split(' ');
        return field?.startsWith('cname:') ? [{ name: 'ssrc', value: `${masked(ssrc!, mask)} cname:echo` }] : [];
      }
      if (a.name !== 'ssrc-group') return [a];
      const [semantics, ...ssrcs] = (a.value ?? '').split(' ');
      if (semantics !== 'FID') return [];
      return [{ name: 'ssrc-group', value: [semantics, ...ssrcs.map((s) => masked(s, mask))].join(' ') }];
    });
    setDirection(media, MIRRORED[direction(media, offer)]);
    if (isStream(media)) media.attributes.push({ name: 'msid', value: `echo ${media.kind}` });
  }
  return sd;
}

function isStream(media: MediaDescription): boolean {
  return media.attributes.some((a) => a.name === 'sendrecv' || a.name === 'sendonly');
}

function masked(ssrc: string, mask: number): string {
  return String((Number(ssrc) ^ mask) >>> 0);
}
