import type { SipMessage } from '@offhook/core';
import { type Leg, spoken } from './call.ts';
import { type Credentials, credentialsFor } from './challenge.ts';
import { ALLOW, type CallContext, SUPPORTED_UNRELIABLE } from './context.ts';
import { acknowledge, acknowledgedAgain, asOffer, prove, SDP, sdpOf } from './exchange.ts';
import { askAsClient, learnAsClient } from './session-timer.ts';

/** A leg that is just being changed is asked again after this. */
const BUSY_MS = 500;
/** RFC 3261 14.1: after 491 the owner of the Call-ID waits 2.1 to 4 s. */
const GLARE_MS = { least: 2100, spread: 1900 };
const TRIES = 12;

export type Rejoined = { readonly sdp: string } | { readonly status: number; readonly words: string };

/**
 * Gives an answered leg another description by a re-INVITE of ours: its other side changes without its doing. Whatever
 * else happens to the leg at that moment is waited for.
 * @param described what it gets, asked for when it is its turn; undefined = nothing any more.
 */
export function rejoin(
  context: CallContext,
  leg: Leg,
  described: () => string | undefined,
  nowMs: number,
  then: (result: Rejoined, nowMs: number) => void,
): void {
  let tries = 0;
  const again = (inMs: number, now: number): void => {
    if (++tries > TRIES) {
      then({ status: 491, words: `${spoken(leg)}'s phone is busy with another change` }, now);
      return;
    }
    const other = leg.again;
    leg.again = (later) => {
      other?.(later);
      attempt(later);
    };
    context.setTimer(leg.timers.again, now + inMs);
  };
  const attempt = (now: number): void => {
    const sdp = described();
    if (leg.call.state === 'ended') then({ status: 481, words: `${spoken(leg)} has hung up` }, now);
    else if (sdp === undefined) then({ status: 481, words: `${spoken(leg)} has gone into another call` }, now);
    else if (leg.isLost || isBusy(leg)) again(BUSY_MS, now);
    else ask(context, leg, { sdp, again, then }, now);
  };
  attempt(nowMs);
}

/** What has waited for a better moment is tried now. */
export function tryAgain(leg: Leg, nowMs: number): void {
  const { again } = leg;
  leg.again = undefined;
  again?.(nowMs);
}

/** Whether a change of the leg has to wait for another one. */
export function isBusy(leg: Leg): boolean {
  const { call } = leg;
  return (
    call.renegotiation !== undefined ||
    call.refreshing !== undefined ||
    call.awaitingAnswerInAck !== undefined ||
    leg.ok !== undefined ||
    leg.unacknowledged !== undefined
  );
}

function ask(
  context: CallContext,
  leg: Leg,
  what: {
    sdp: string;
    again: (inMs: number, now: number) => void;
    then: (result: Rejoined, now: number) => void;
    authorized?: Credentials;
  },
  nowMs: number,
): void {
  const { dialog } = leg;
  const { again, then, authorized } = what;
  const offer = asOffer(what.sdp);
  const request = dialog.request('INVITE', {
    headers: [
      ['Allow', ALLOW],
      ['Supported', SUPPORTED_UNRELIABLE.join(', ')],
      ...askAsClient(context, leg),
      ...(authorized ? [authorized] : []),
    ],
    body: { type: SDP, bytes: offer },
  });
  const cseq = request.cseq.number;
  prove(leg, request, authorized);
  const { id, over } = oursUnderWay(context, leg, request, nowMs);
  context.follow(id, {
    response: (message, _flow, now) => {
      if (message.status < 200) return;
      if (message.status >= 300) {
        over();
        const proof = leg.call.state === 'ended' ? undefined : credentialsFor(leg, request, message);
        if (proof) ask(context, leg, { ...what, authorized: proof }, now);
        else if (message.status === 491)
          again(GLARE_MS.least + context.options.crypto.randomBytes(1)[0]! * (GLARE_MS.spread / 255), now);
        else then({ status: message.status, words: `${spoken(leg)}'s phone does not take the new connection` }, now);
        return;
      }
      if (acknowledgedAgain(context, leg, cseq)) return;
      acknowledge(context, { leg }, cseq, undefined);
      over();
      if (leg.call.state === 'ended') {
        then({ status: 481, words: `${spoken(leg)} has hung up` }, now);
        return;
      }
      dialog.retarget(message);
      learnAsClient(context, leg, message, now);
      leg.sent = offer;
      const answer = sdpOf(message);
      if (answer === undefined) then({ status: 488, words: `${spoken(leg)}'s phone gave no answer` }, now);
      else then({ sdp: answer }, now);
    },
    failed: (_why, now) => {
      over();
      then({ status: 408, words: `${spoken(leg)}'s phone does not answer` }, now);
    },
  });
}

/**
 * Sends a request of our own in an answered leg's dialog. Until `over` it keeps other changes of the call out; an INVITE
 * that is never answered for good is cancelled after a while, or when the call ends (RFC 3261 17.1.1.2: once it is
 * proceeding no timer ends it).
 */
export function oursUnderWay(
  context: CallContext,
  leg: Leg,
  request: SipMessage,
  nowMs: number,
): { readonly id: string; readonly over: () => void } {
  const { call, dialog } = leg;
  const { transactions } = context.options;
  const id = transactions.request(request, dialog.flow, nowMs);
  const cancel = (now: number) => transactions.cancel(id, now);
  call.refreshing = leg;
  leg.cancelOurs = cancel;
  context.setTimer(leg.timers.ours, nowMs + context.limits.changeMs);
  const over = () => {
    if (call.refreshing === leg) call.refreshing = undefined;
    if (leg.cancelOurs !== cancel) return;
    leg.cancelOurs = undefined;
    context.clearTimer(leg.timers.ours);
  };
  return { id, over };
}
