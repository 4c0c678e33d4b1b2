import { createResponse, type SipMessage } from '@offhook/core';
import type { Call, Leg, Renegotiation } from './call.ts';
import { ALLOW, type CallContext, reasonWords, refusal } from './context.ts';
import { answerCommand, echoCommand, offerCommand } from './media.ts';
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
  leg.dialog.retarget(request);
  context.respond(transaction, createResponse(request, 100), nowMs);
  const sdp = sdpOf(request);
  if (call.kind === 'echo') {
    if (sdp === undefined) refuse(488, 'the echo needs an offer in the re-INVITE');
    else
      context.media(call, echoCommand({ ngCallId: call.ngCallId!, from: leg, sdp }), nowMs, (result, now) => {
        if ('error' in result) context.respond(transaction, refusal(request, 488, result.error, leg.tag), now);
        else answerOk(context, leg, { transaction, request, sdp: String(result.ok.sdp ?? ''), nowMs: now });
      });
    return;
  }
  const to = leg === call.a ? call.b! : call.a;
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
  context.media(
    call,
    offerCommand({ ngCallId: call.ngCallId!, from: leg, to, sdp, path: context.options.mediaPath }),
    nowMs,
    (result, now) => {
      if (call.renegotiation !== renegotiation) return;
      if (renegotiation.cancelled)
        finish(context, call, { renegotiation, status: 487, words: 'cancelled', nowMs: now });
      else if ('error' in result)
        finish(context, call, { renegotiation, status: 488, words: result.error, nowMs: now });
      else forward(context, call, { renegotiation, sdp: String(result.ok.sdp ?? ''), nowMs: now });
    },
  );
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
  if (r.cancelled) context.options.transactions.cancel(r.clientTransaction, nowMs);
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
    context.options.transactions.send(to.ack.message.clone().remove('via'), to.dialog.flow);
    return;
  }
  if (call.renegotiation !== r || call.awaitingAnswerInAck) return;
  to.dialog.retarget(message);
  const sdp = sdpOf(message);
  if (r.late && sdp !== undefined) {
    context.media(
      call,
      offerCommand({ ngCallId: call.ngCallId!, from: to, to: from, sdp, path: context.options.mediaPath }),
      nowMs,
      (result, now) => {
        if ('error' in result) {
          acknowledge(context, { leg: to }, cseq, undefined);
          finish(context, call, { renegotiation: r, status: 488, words: result.error, nowMs: now });
          return;
        }
        call.awaitingAnswerInAck = { leg: from, ackCSeq: cseq, peer: to };
        call.renegotiation = undefined;
        answerOk(context, from, {
          transaction: r.serverTransaction,
          request: r.request,
          sdp: String(result.ok.sdp ?? ''),
          nowMs: now,
        });
      },
    );
    return;
  }
  acknowledge(context, { leg: to }, cseq, undefined);
  if (sdp === undefined) {
    finish(context, call, { renegotiation: r, status: 488, words: 'the answer has no session description', nowMs });
    return;
  }
  context.media(call, answerCommand({ ngCallId: call.ngCallId!, from: to, to: from, sdp }), nowMs, (result, now) => {
    if (call.renegotiation !== r) return;
    if ('error' in result) finish(context, call, { renegotiation: r, status: 488, words: result.error, nowMs: now });
    else {
      call.renegotiation = undefined;
      answerOk(context, from, {
        transaction: r.serverTransaction,
        request: r.request,
        sdp: String(result.ok.sdp ?? ''),
        nowMs: now,
      });
    }
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
