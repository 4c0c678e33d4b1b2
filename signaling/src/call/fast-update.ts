import type { SipMessage } from '@offhook/core';
import { type Leg, spoken } from './call.ts';
import { type Credentials, credentialsFor } from './challenge.ts';
import type { CallContext } from './context.ts';
import { isBrowser } from './media.ts';

/** What was asked of a phone: one INFO at a time. */
export interface FastUpdate {
  isOpen: boolean;
  askedAtMs: number;
  /** It would not have it, or never answered. */
  isRefused?: true;
}

const MEDIA_CONTROL = 'application/media_control+xml';

/** RFC 5168 4, with the XML declaration that its example has. */
const PICTURE_FAST_UPDATE =
  '<?xml version="1.0" encoding="utf-8" ?>\r\n' +
  '<media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>\r\n';

/** The relay tells of a wish each 3 s at most; of two relays, or one that doesn't, no more is taken than this. */
const DISTANCE_MS = 1000;

/** Statuses that say something of the moment, not of the phone. */
const TRY_LATER: ReadonlySet<number> = new Set([480, 491, 500, 503]);

/** So many requests are not more than what a process that takes the call over leaves out (`snapshot.ts`). */
const NOTED_EACH = 100;

/** Whether a request asks for a key frame (RFC 5168). */
export function isFastUpdate(message: SipMessage): boolean {
  if (message.method !== 'INFO' || message.contentType !== MEDIA_CONTROL) return false;
  return /<picture_fast_update\b/.test(message.bodyText);
}

/**
 * A phone is asked for a key frame by INFO (RFC 5168): its description names no RTCP feedback, so it may know no other way.
 * Nothing happens while it can't be asked; who waits for the picture goes on asking the relay.
 */
export function requestPicture(context: CallContext, leg: Leg, nowMs: number): void {
  const { fastUpdate } = leg;
  if (fastUpdate && (fastUpdate.isOpen || fastUpdate.isRefused || nowMs - fastUpdate.askedAtMs < DISTANCE_MS)) return;
  if (!isConfirmed(leg) || leg.isLost || isBrowser(leg)) return;
  if (leg.allows.size > 0 && !leg.allows.has('INFO')) return;
  ask(context, leg, nowMs);
}

/** Whether its dialog is: both sides have their 2xx, and the caller has acknowledged it (RFC 3261 12). */
function isConfirmed({ call, ok, unacknowledged }: Leg): boolean {
  return call.state === 'answered' && ok?.beginsCall !== true && unacknowledged === undefined;
}

function ask(context: CallContext, leg: Leg, nowMs: number, authorized?: Credentials): void {
  const state: FastUpdate = { isOpen: true, askedAtMs: nowMs };
  leg.fastUpdate = state;
  context.counters.picturesAsked++;
  const request = leg.dialog.request('INFO', {
    headers: authorized ? [authorized] : [],
    body: { type: MEDIA_CONTROL, bytes: PICTURE_FAST_UPDATE },
  });
  if (request.cseq.number % NOTED_EACH === 0) context.changed(leg.call);
  const refused = () => {
    state.isRefused = true;
    context.counters.picturesRefused++;
  };
  context.follow(context.options.transactions.request(request, leg.dialog.flow, nowMs), {
    response: (answer, _flow, now) => {
      const { status } = answer;
      if (status < 200) return;
      state.isOpen = false;
      if (status < 300 || leg.call.state === 'ended') return;
      const proof = credentialsFor(leg, request, answer);
      if (proof) ask(context, leg, now, proof);
      else if (status === 481 || status === 408) gone(context, leg, now);
      else if (!TRY_LATER.has(status)) refused();
    },
    failed: (why) => {
      state.isOpen = false;
      // RFC 3261 12.2.1.2 would have the call ended, but there are phones that say nothing to an INFO they don't know.
      if (why === 'timeout') refused();
    },
  });
}

/** RFC 3261 12.2.1.2: its phone knows the call no more. */
function gone(context: CallContext, leg: Leg, nowMs: number): void {
  const words = `${spoken(leg)}'s phone is gone: it did not know its call when it was asked for a picture`;
  context.hangUp(leg.call, { status: 408, words }, nowMs);
}
