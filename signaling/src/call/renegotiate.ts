import { createResponse, type SipMessage } from '@offhook/core';
import type { Call, Leg, Renegotiation } from './call.ts';
import { ALLOW, type CallContext, reasonWords, refusal } from './context.ts';
import { carryAnswer, carryOffer, restore } from './exchange.ts';
import { echoCommand } from './media.ts';
import { acknowledge, sdpOf } from './setup.ts';

const SDP = 'application/sdp';

/**
 * A re-INVITE of one side (RFC 3261 14). It is carried to the other side with its description rewritten by the relay;
 * only one at a time may be under way in a call, a second one meets glare (14.2).
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
  if (call.state !== 'answered' || leg.ok || call.awaitingAnswerInAck) {
    refuse(491, 'the call is still being set up');
    return;
  }
  if (call.renegotiation) {
    if (call.renegotiation.from === leg)
      refuse(500, 'an earlier re-INVITE is not answered yet', [
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
  context.respond(transaction, createResponse(request, 100), nowMs);
  const sdp = sdpOf(request);
  if (!to) {
    if (sdp === undefined) refuse(488, 'the echo needs an offer in the re-INVITE');
    else
      context.media(call, echoCommand({ ngCallId: call.ngCallId!, from: leg, sdp }), nowMs, (result, now) => {
        if ('error' in result) context.respond(transaction, refusal(request, 488, result.error, leg.tag), now);
        else answerOk(context, leg, { transaction, request, sdp: String(result.ok.sdp ?? ''), nowMs: now });
      });
    return;
  }
  const renegotiation: Renegotiation = {
    from: leg,
    to,
    serverTransaction: transaction,
    request,
    cancelled: false,
    late: sdp === undefined,
  };
  call.renegotiation = renegotiation;
  if (sdp === undefined) {
    forward(context, call, { renegotiation, sdp: undefined, nowMs });
    return;
  }
  renegotiation.offer = sdp;
  carryOffer(context, { call, ngCallId: call.ngCallId!, from: leg, to, sdp }, nowMs, (carried, now) => {
    if (call.renegotiation !== renegotiation) return;
    if (renegotiation.cancelled) finish(context, call, { renegotiation, status: 487, words: 'cancelled', nowMs: now });
    else if ('error' in carried)
      finish(context, call, { renegotiation, status: 488, words: carried.error, nowMs: now });
    else forward(context, call, { renegotiation, sdp: carried.sdp, nowMs: now });
  });
}

function forward(
  context: CallContext,
  call: Call,
  what: { renegotiation: Renegotiation; sdp: string | undefined; nowMs: number },
): void {
  const { renegotiation: r, sdp, nowMs } = what;
  const request = r.to.dialog.request('INVITE', {
    headers: [['Allow', ALLOW]],
    body: sdp === undefined ? undefined : { type: SDP, bytes: sdp },
  });
  request.set('max-forwards', (r.request.maxForwards ?? 70) - 1);
  r.clientCSeq = request.cseq.number;
  r.clientTransaction = context.options.transactions.request(request, r.to.dialog.flow, nowMs);
  context.follow(r.clientTransaction, {
    response: (message, _flow, now) => {
      if (message.status >= 300) {
        if (message.status === 481 || message.status === 408)
          endByPeer(context, call, { renegotiation: r, status: message.status, nowMs: now });
        else
          finish(context, call, {
            renegotiation: r,
            status: message.status,
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
  context.setTimer(call.change, nowMs + context.limits.changeMs);
}

function answered(
  context: CallContext,
  call: Call,
  what: { renegotiation: Renegotiation; message: SipMessage; nowMs: number },
): void {
  const { renegotiation: r, message, nowMs } = what;
  const { to, from } = r;
  const cseq = r.clientCSeq!;
  if (to.ack?.cseq === cseq) {
    context.options.transactions.send(to.ack.message.clone(), to.dialog.flow);
    return;
  }
  if (call.state === 'ended') {
    acknowledge(context, { leg: to }, cseq, undefined);
    return;
  }
  if (call.renegotiation !== r || to.unacknowledged === cseq) return;
  context.clearTimer(call.change);
  to.dialog.retarget(message);
  to.unacknowledged = cseq;
  const sdp = sdpOf(message);
  const ngCallId = call.ngCallId!;
  const accepted = (description: string, now: number) => {
    call.renegotiation = undefined;
    answerOk(context, from, { transaction: r.serverTransaction, request: r.request, sdp: description, nowMs: now });
  };
  if (r.late && sdp !== undefined) {
    r.offer = sdp;
    carryOffer(context, { call, ngCallId, from: to, to: from, sdp }, nowMs, (carried, now) => {
      if ('error' in carried) {
        acknowledge(context, { leg: to }, cseq, undefined);
        finish(context, call, { renegotiation: r, status: 488, words: carried.error, nowMs: now });
        return;
      }
      call.awaitingAnswerInAck = { leg: from, ackCSeq: cseq, peer: to, offer: sdp };
      accepted(carried.sdp, now);
    });
    return;
  }
  acknowledge(context, { leg: to }, cseq, undefined);
  if (sdp === undefined) {
    finish(context, call, { renegotiation: r, status: 488, words: 'the answer has no session description', nowMs });
    return;
  }
  carryAnswer(context, { call, ngCallId, from: to, to: from, sdp, offer: r.offer ?? '' }, nowMs, (carried, now) => {
    if ('error' in carried) finish(context, call, { renegotiation: r, status: 488, words: carried.error, nowMs: now });
    else accepted(carried.sdp, now);
  });
}

function answerOk(
  context: CallContext,
  leg: Leg,
  how: { transaction: string; request: SipMessage; sdp: string; nowMs: number },
): void {
  const response = createResponse(how.request, 200, undefined, {
    toTag: leg.tag,
    headers: [
      ['Contact', `<${context.options.contact(leg.dialog.flow)}>`],
      ['Allow', ALLOW],
      ['Server', 'Offhook'],
    ],
    body: { type: SDP, bytes: how.sdp },
  });
  context.sendOk(leg, how.transaction, response, how.nowMs);
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
  if (how.renegotiation.offer !== undefined) restore(context, call, how.nowMs);
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
  how.renegotiation.offer = undefined; // nothing to lead back to
  finish(context, call, { ...how, words: 'the other side knows the call no more' });
  context.bye(how.renegotiation.from, 'the other side is gone', how.nowMs);
  context.bye(how.renegotiation.to, undefined, how.nowMs);
  context.end(call, { status: how.status, words: 'the other side is gone' }, how.nowMs);
}

/** The other side cancels its re-INVITE (RFC 3261 9). */
export function cancelRenegotiation(context: CallContext, call: Call, nowMs: number): void {
  const r = call.renegotiation;
  if (!r || r.cancelled) return;
  r.cancelled = true;
  if (r.clientTransaction) context.options.transactions.cancel(r.clientTransaction, nowMs);
}
