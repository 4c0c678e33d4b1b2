import { createResponse, type SipMessage } from '@offhook/core';
import type { Call, Leg, Renegotiation } from './call.ts';
import { type Credentials, credentialsFor, statusFor } from './challenge.ts';
import { ALLOW, type CallContext, noteAllow, reasonWords, refusal, SUPPORTED_UNRELIABLE } from './context.ts';
import {
  acknowledge,
  acknowledgedAgain,
  carryAnswer,
  carryOffer,
  okWith,
  prove,
  restore,
  SDP,
  sdpOf,
} from './exchange.ts';
import { echoCommand, statusOf } from './media.ts';
import { sendOk, stopRepeating } from './repeated-ok.ts';
import { askAsClient, learnAsClient, raised } from './session-timer.ts';

/** How long the other phone may take over an UPDATE: well within 64·T1 of its sender. */
const UPDATE_MS = 20_000;

/**
 * A re-INVITE of one side (RFC 3261 14), or an UPDATE with a description (RFC 3311). It is carried to the other side as a
 * re-INVITE, for not every phone knows UPDATE, with its description rewritten by the relay; only one at a time may be
 * under way in a call, a second one meets glare (14.2).
 */
export function startRenegotiation(
  context: CallContext,
  leg: Leg,
  got: { transaction: string; request: SipMessage; nowMs: number },
): void {
  const { call } = leg;
  const { transaction, request, nowMs } = got;
  const refuse = (status: number, words: string, headers: readonly (readonly [string, number])[] = []) =>
    context.respond(transaction, refusal(request, status, words, leg.tag, headers), nowMs);
  // RFC 5407 3.1.4: who changes what our 200 has agreed upon has got that 200, though the ACK is lost or late.
  if (request.method === 'INVITE' && leg.ok && call.awaitingAnswerInAck?.leg !== leg) stopRepeating(context, leg);
  if (call.state !== 'answered' || leg.ok || call.awaitingAnswerInAck) {
    refuse(491, 'the call is still being set up');
    return;
  }
  if (call.refreshing) {
    refuse(491, 'the session is being refreshed at this moment');
    return;
  }
  if (call.renegotiation) {
    if (call.renegotiation.from === leg)
      refuse(500, 'an earlier change is not answered yet', [
        ['Retry-After', 1 + (context.options.crypto.randomBytes(1)[0]! % 10)],
      ]);
    else refuse(491, 'the other side is changing the call at this moment');
    return;
  }
  const to = leg === call.a ? call.b : call.a;
  if (to?.ok || to?.unacknowledged !== undefined || leg.unacknowledged !== undefined) {
    refuse(491, 'the other side has not finished its last change');
    return;
  }
  leg.dialog.retarget(request);
  noteAllow(leg, request);
  if (request.method === 'INVITE') context.respond(transaction, createResponse(request, 100), nowMs);
  const sdp = sdpOf(request);
  if (!to && sdp === undefined) {
    refuse(488, 'the echo needs an offer in the re-INVITE');
    return;
  }
  const renegotiation: Renegotiation = {
    from: leg,
    to,
    serverTransaction: transaction,
    request,
    cancelled: false,
    postponed: to?.isLost ?? false,
    late: sdp === undefined,
  };
  call.renegotiation = renegotiation;
  // An UPDATE is answered soon or its sender gives it up (timer F); a re-INVITE may wait for the other phone.
  if (request.method === 'UPDATE') context.setTimer(call.change, nowMs + UPDATE_MS);
  if (!to) changeEcho(context, renegotiation, sdp!);
  else if (!renegotiation.postponed) carry(context, renegotiation, nowMs);
}

/** The other side is back: what was to be changed while it was away goes to it now. */
export function resumeRenegotiation(context: CallContext, leg: Leg, nowMs: number): void {
  const r = leg.call.renegotiation;
  if (r?.to !== leg || !r.postponed) return;
  r.postponed = false;
  carry(context, r, nowMs);
}

function changeEcho(context: CallContext, r: Renegotiation, sdp: string): void {
  const { call } = r.from;
  context.media(
    call,
    echoCommand({ ngCallId: call.ngCallId!, from: r.from, sdp, isSilent: call.kind === 'parked' }),
    (result, now) => {
      if (call.renegotiation !== r) return;
      if ('error' in result)
        finish(context, call, { renegotiation: r, status: statusOf(result.error), words: result.error, nowMs: now });
      else accepted(context, r, String(result.ok.sdp ?? ''), now);
    },
  );
}

/** Takes the offer through the relay and sends it on. */
function carry(context: CallContext, renegotiation: Renegotiation, nowMs: number): void {
  const { from, request } = renegotiation;
  const { call } = from;
  const to = renegotiation.to!;
  const sdp = sdpOf(request);
  if (sdp === undefined) {
    forward(context, call, { renegotiation, sdp: undefined, nowMs });
    return;
  }
  renegotiation.offer = sdp;
  carryOffer(context, { call, ngCallId: call.ngCallId!, from, to, sdp }, nowMs, (carried, now) => {
    if (call.renegotiation !== renegotiation) return;
    if (renegotiation.cancelled) finish(context, call, { renegotiation, status: 487, words: 'cancelled', nowMs: now });
    else if ('error' in carried)
      finish(context, call, { renegotiation, status: statusOf(carried.error), words: carried.error, nowMs: now });
    else forward(context, call, { renegotiation, sdp: carried.sdp, nowMs: now });
  });
}

function forward(
  context: CallContext,
  call: Call,
  what: {
    renegotiation: Renegotiation;
    sdp: string | undefined;
    nowMs: number;
    atLeastS?: number;
    authorized?: Credentials;
  },
): void {
  const { renegotiation: r, sdp, nowMs, atLeastS = 0, authorized } = what;
  const { dialog } = r.to!;
  if (sdp !== undefined) r.to!.sent = sdp;
  const request = dialog.request('INVITE', {
    headers: [
      ['Allow', ALLOW],
      ['Supported', SUPPORTED_UNRELIABLE.join(', ')],
      ...askAsClient(context, r.to!, atLeastS),
      ...(authorized ? [authorized] : []),
    ],
    body: sdp === undefined ? undefined : { type: SDP, bytes: sdp },
  });
  request.set('max-forwards', (r.request.maxForwards ?? 70) - 1);
  r.clientCSeq = request.cseq.number;
  prove(r.to!, request, authorized);
  r.clientTransaction = context.options.transactions.request(request, dialog.flow, nowMs);
  context.follow(r.clientTransaction, {
    response: (message, _flow, now) => {
      if (message.status >= 300) {
        const isWanted = !r.cancelled && call.renegotiation === r;
        const wantedS = raised(message, Math.max(atLeastS, r.to!.session?.expiresS ?? 0));
        const proof = isWanted ? credentialsFor(r.to!, request, message) : undefined;
        if (wantedS !== undefined && isWanted)
          forward(context, call, { renegotiation: r, sdp, nowMs: now, atLeastS: wantedS });
        else if (proof) forward(context, call, { renegotiation: r, sdp, nowMs: now, atLeastS, authorized: proof });
        else if (message.status === 481 || message.status === 408)
          endByPeer(context, call, { renegotiation: r, status: message.status, nowMs: now });
        else
          finish(context, call, {
            renegotiation: r,
            status: statusFor(message),
            words: reasonWords(message) ?? 'the other side refused the change',
            nowMs: now,
          });
      } else if (message.status >= 200) answered(context, call, { renegotiation: r, message, nowMs: now });
    },
    failed: (why, now) => {
      // RFC 3261 14.1: no answer to a re-INVITE ends the call; a lost connection may still come back.
      if (why === 'timeout') endByPeer(context, call, { renegotiation: r, status: 408, nowMs: now });
      else
        finish(context, call, {
          renegotiation: r,
          status: 480,
          words: 'the other side’s connection is interrupted',
          nowMs: now,
        });
    },
  });
  if (r.request.method === 'INVITE') context.setTimer(call.change, nowMs + context.limits.changeMs);
}

function answered(
  context: CallContext,
  call: Call,
  what: { renegotiation: Renegotiation; message: SipMessage; nowMs: number },
): void {
  const { renegotiation: r, message, nowMs } = what;
  const { from } = r;
  const to = r.to!;
  const cseq = r.clientCSeq!;
  if (acknowledgedAgain(context, to, cseq)) return;
  if (call.state === 'ended') {
    acknowledge(context, { leg: to }, cseq, undefined);
    return;
  }
  if (call.renegotiation !== r || to.unacknowledged === cseq) return;
  context.clearTimer(call.change);
  to.dialog.retarget(message);
  noteAllow(to, message);
  learnAsClient(context, to, message, nowMs);
  to.unacknowledged = cseq;
  const sdp = sdpOf(message);
  const ngCallId = call.ngCallId!;
  if (r.late && sdp !== undefined) {
    r.offer = sdp;
    carryOffer(context, { call, ngCallId, from: to, to: from, sdp }, nowMs, (carried, now) => {
      if ('error' in carried) {
        acknowledge(context, { leg: to }, cseq, undefined);
        finish(context, call, { renegotiation: r, status: statusOf(carried.error), words: carried.error, nowMs: now });
        return;
      }
      call.awaitingAnswerInAck = { leg: from, ackCSeq: cseq, peer: to, offer: sdp };
      accepted(context, r, carried.sdp, now);
    });
    return;
  }
  acknowledge(context, { leg: to }, cseq, undefined);
  if (sdp === undefined) {
    finish(context, call, { renegotiation: r, status: 488, words: 'the answer has no session description', nowMs });
    return;
  }
  carryAnswer(context, { call, ngCallId, from: to, to: from, sdp, offer: r.offer ?? '' }, nowMs, (carried, now) => {
    if ('error' in carried)
      finish(context, call, { renegotiation: r, status: statusOf(carried.error), words: carried.error, nowMs: now });
    else accepted(context, r, carried.sdp, now);
  });
}

/** The change is agreed on: who asked for it gets its 200. */
function accepted(context: CallContext, r: Renegotiation, sdp: string, nowMs: number): void {
  const { from, request, serverTransaction } = r;
  from.call.renegotiation = undefined;
  context.clearTimer(from.call.change);
  const ok = okWith(context, { request, leg: from, sdp }, nowMs);
  context.changed(from.call);
  if (request.method === 'INVITE') sendOk(context, from, { transaction: serverTransaction, response: ok }, nowMs);
  else context.respond(serverTransaction, ok, nowMs);
}

/** The change came to nothing; the call goes on as it was. */
function finish(
  context: CallContext,
  call: Call,
  how: { renegotiation: Renegotiation; status: number; words: string; nowMs: number },
): void {
  if (call.renegotiation !== how.renegotiation) return;
  call.renegotiation = undefined;
  context.clearTimer(call.change);
  if (how.renegotiation.offer !== undefined) restore(context, call);
  context.respond(
    how.renegotiation.serverTransaction,
    refusal(how.renegotiation.request, how.status, how.words, how.renegotiation.from.tag),
    how.nowMs,
  );
}

function endByPeer(
  context: CallContext,
  call: Call,
  how: { renegotiation: Renegotiation; status: number; nowMs: number },
): void {
  // The call has ended meanwhile, or its phone went on into another.
  if (call.renegotiation !== how.renegotiation) return;
  how.renegotiation.offer = undefined; // nothing to lead back to
  finish(context, call, { ...how, words: 'the other side knows the call no more' });
  context.byes.send(how.renegotiation.from, 'the other side is gone', how.nowMs);
  if (how.renegotiation.to) context.byes.send(how.renegotiation.to, undefined, how.nowMs);
  context.end(call, { status: how.status, words: 'the other side is gone' }, how.nowMs);
}

/** Whoever asked for it cancels it (RFC 3261 9), or it takes too long. */
export function cancelRenegotiation(context: CallContext, call: Call, nowMs: number): void {
  const r = call.renegotiation;
  if (!r || r.cancelled) return;
  r.cancelled = true;
  if (r.request.method !== 'INVITE') {
    const words = 'the other phone takes too long over the change';
    context.respond(r.serverTransaction, refusal(r.request, 504, words, r.from.tag), nowMs);
  }
  if (r.postponed) finish(context, call, { renegotiation: r, status: 487, words: 'cancelled', nowMs });
  else if (r.clientTransaction) context.options.transactions.cancel(r.clientTransaction, nowMs);
}

/** The call has ended in the middle of a change. */
export function endRenegotiation(context: CallContext, call: Call, nowMs: number): void {
  const { renegotiation: r } = call;
  if (!r) return;
  context.respond(r.serverTransaction, refusal(r.request, 487, 'the call has ended', r.from.tag), nowMs);
  if (r.clientTransaction) context.options.transactions.cancel(r.clientTransaction, nowMs);
  call.renegotiation = undefined;
}
