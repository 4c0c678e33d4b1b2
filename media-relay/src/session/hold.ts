import { direction, type MediaDescription, type SessionDescription } from '@offhook/core';
import type { Call } from './call.ts';
import type { Leg } from './leg.ts';

/**
 * Takes note whether a peer put the call on hold: a description in the course of the call that wants nothing any more,
 * after one that did. One that never wanted anything (a door camera) doesn't hold, however often it says so. Called before
 * `leg.remote` changes.
 */
export function noteHold(leg: Leg, sd: SessionDescription): void {
  leg.holds = !wantsMedia(sd) && (leg.holds || (leg.remote !== undefined && wantsMedia(leg.remote)));
}

/** Silence is to be expected: somebody waits, a peer put the call on hold, or nobody sends according to both last descriptions. */
export function isHeld(call: Call): boolean {
  if (call.silent) return true;
  if (call.legs.some((leg) => leg.holds)) return true;
  const [a, b] = [call.legs[0]!, call.legs[1] ?? call.legs[0]!];
  return !sends(a, b) && !sends(b, a);
}

function sends(from: Leg, to: Leg): boolean {
  const [own, far] = [from.remote, to.remote];
  if (!own || !far) return false;
  if (from === to) return own.media.some((m) => m.port !== 0 && /^send/.test(direction(m, own)));
  return own.media.some((m, i) => {
    const other = far.media[i];
    return m.port !== 0 && /^send/.test(direction(m, own)) && other !== undefined && receives(other, far);
  });
}

function wantsMedia(sd: SessionDescription): boolean {
  return sd.media.some((media) => receives(media, sd));
}

function receives(media: MediaDescription, sd: SessionDescription): boolean {
  // RFC 3264 8.4: c=0.0.0.0 is the old way; over ICE it says nothing (RFC 8840 4.1.1 writes it before candidates).
  const address = (media.connection ?? sd.connection)?.address;
  const ice = [media, sd].some((holder) => holder.attributes.some((a) => a.name === 'ice-ufrag'));
  return media.port !== 0 && /recv/.test(direction(media, sd)) && (ice || (address !== '0.0.0.0' && address !== '::'));
}
