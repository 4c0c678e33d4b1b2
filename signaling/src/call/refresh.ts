import type { SipMessage } from '@offhook/core';
import { type Call, type Leg, spoken } from './call.ts';
import { type Credentials, credentialsFor } from './challenge.ts';
import { ALLOW, type CallContext, SUPPORTED_UNRELIABLE } from './context.ts';
import { acknowledge, acknowledgedAgain, adoptAnswer, asOffer, prove, SDP, sdpOf } from './exchange.ts';
import { isBusy, oursUnderWay } from './rejoin.ts';
import { askAsClient, learnAsClient, raised } from './session-timer.ts';

/** When a refresh meets another change, or is refused for now. */
const AGAIN_MS = 5000;

/** The session timer of a leg is due (RFC 4028 10): refresh it, or end a session that its phone did not refresh. */
export function sessionDue(context: CallContext, leg: Leg, nowMs: number): void {
  const { call, session } = leg;
  if (!session || call.state !== 'answered') return;
  if (session.refresher === 'them') {
    context.hangUp(call, { status: 408, words: `${spoken(leg)}'s phone did not refresh the session in time` }, nowMs);
    return;
  }
  if (leg.isLost || isBusy(leg)) again(context, leg, nowMs);
  else refresh(context, leg, 0, nowMs);
}

function again(context: CallContext, leg: Leg, nowMs: number): void {
  context.setTimer(leg.timers.session, nowMs + AGAIN_MS);
}

/** UPDATE without a description where the phone knows it, else a re-INVITE with the description it has (RFC 4028 7.4). */
function refresh(context: CallContext, leg: Leg, atLeastS: number, nowMs: number, authorized?: Credentials): void {
  const { call, dialog } = leg;
  const method = leg.allows.has('UPDATE') || leg.sent === undefined ? 'UPDATE' : 'INVITE';
  const headers = [
    ['Allow', ALLOW] as const,
    ['Supported', SUPPORTED_UNRELIABLE.join(', ')] as const,
    ...askAsClient(context, leg, atLeastS),
    ...(authorized ? [authorized] : []),
  ];
  const body = method === 'INVITE' ? { type: SDP, bytes: asOffer(leg.sent!) } : undefined;
  const request = dialog.request(method, { headers, body });
  const cseq = request.cseq.number;
  if (method === 'INVITE') prove(leg, request, authorized);
  const { id, over } = oursUnderWay(context, leg, request, nowMs);
  context.follow(id, {
    response: (message, _flow, now) => {
      if (message.status < 200) return;
      if (message.status < 300 && method === 'INVITE') {
        if (acknowledgedAgain(context, leg, cseq)) return;
        acknowledge(context, { leg }, cseq, undefined);
      }
      if (call.state === 'ended') return;
      over();
      const proof = credentialsFor(leg, request, message);
      if (message.status < 300) refreshed(context, leg, message, now);
      else if (proof) refresh(context, leg, atLeastS, now, proof);
      else refused(context, leg, { message, method, triedS: Math.max(atLeastS, leg.session?.expiresS ?? 0), now });
    },
    failed: (why, now) => {
      over();
      if (call.state === 'ended') return;
      if (why === 'timeout') gone(context, call, leg, now);
      else again(context, leg, now);
    },
  });
}

function refreshed(context: CallContext, leg: Leg, message: SipMessage, nowMs: number): void {
  leg.dialog.retarget(message);
  learnAsClient(context, leg, message, nowMs);
  const sdp = sdpOf(message);
  // The phone may answer with another address: the relay has to know.
  if (sdp !== undefined) adoptAnswer(context, leg, sdp);
  context.changed(leg.call);
}

function refused(
  context: CallContext,
  leg: Leg,
  what: { message: SipMessage; method: string; triedS: number; now: number },
): void {
  const { message, method, triedS, now } = what;
  const { status } = message;
  const atLeastS = raised(message, triedS);
  if (status === 481 || status === 408) gone(context, leg.call, leg, now);
  else if (atLeastS !== undefined) refresh(context, leg, atLeastS, now);
  else if (method === 'UPDATE' && (status === 405 || status === 501)) {
    leg.allows.delete('UPDATE');
    again(context, leg, now);
  } else if (status === 491 || status === 500) again(context, leg, now);
  else if (leg.session) context.setTimer(leg.timers.session, now + leg.session.expiresS * 500);
}

function gone(context: CallContext, call: Call, leg: Leg, nowMs: number): void {
  context.hangUp(call, { status: 408, words: `${spoken(leg)}'s phone is gone: it did not answer a refresh` }, nowMs);
}
