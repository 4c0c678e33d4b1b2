import { createResponse, type SipMessage } from '@offhook/core';
import type { Branch, Call } from './call.ts';
import { type CallContext, reasonHeader, refusal } from './context.ts';
import { endToEnd } from './end-to-end.ts';
import { okWith, SDP } from './exchange.ts';
import { settleFetched } from './fetch.ts';
import { continuePickUp } from './pick-up.ts';
import { finalAnswer, holdAnswer, isOfAnother, sendProvisional } from './reliable.ts';
import { sendOk } from './repeated-ok.ts';
import { joinTransferred, notify, transferFailed } from './transfer.ts';

// What becomes of a call as its caller is told it: ringing, answered, refused, given up.

/** 18x to the caller. */
export function provisional(
  context: CallContext,
  call: Call,
  how: { status: number; sdp?: string; carried: SipMessage; branch: Branch; now: number },
): void {
  const isNews = call.state !== 'ringing';
  call.ringingSent = true;
  call.state = 'ringing';
  if (isNews) context.progress(call);
  context.setTimer(call.stillRinging, how.now + STILL_RINGING_MS);
  if (call.transfer) {
    notify(context, call.transfer, how.status, how.now);
    return;
  }
  beginEarlyDialog(context, call, how.branch);
  if (how.sdp !== undefined) call.earlyFrom = how.branch;
  const body = how.sdp === undefined ? undefined : { type: SDP, bytes: how.sdp };
  const response = createResponse(call.invite, how.status, undefined, {
    toTag: call.a.tag,
    headers: [['Contact', `<${context.options.contact(call.a.flow)}>`], ...endToEnd(how.carried)],
    body,
  });
  sendProvisional(context, call, { response, carried: { message: how.carried, leg: how.branch.leg } }, how.now);
}

/** RFC 3261 13.3.1.1: a provisional response "at every minute", or proxies on the way give the call up. */
const STILL_RINGING_MS = 55_000;

export function stillRinging(context: CallContext, call: Call, nowMs: number): void {
  if (call.finalSent || call.state !== 'ringing' || call.transfer) return;
  const headers = [['Contact', `<${context.options.contact(call.a.flow)}>`] as const];
  const response = createResponse(call.invite, 180, undefined, { toTag: call.a.tag, headers });
  sendProvisional(context, call, { response }, nowMs);
  context.setTimer(call.stillRinging, nowMs + STILL_RINGING_MS);
}

/**
 * What one phone has described is not to be changed by another one's answer (RFC 3261 13.2.1): after early media of one,
 * the caller gets to know the next as another dialog.
 */
function beginEarlyDialog(context: CallContext, call: Call, branch: Branch | undefined): void {
  if (!call.earlyFrom || call.earlyFrom === branch) return;
  call.earlyFrom = undefined;
  context.retag(call.a);
}

/** 181 to the caller: the call is passed on to somebody else. */
export function forwarding(context: CallContext, call: Call, nowMs: number): void {
  if (call.transfer) return;
  const headers = [['Contact', `<${context.options.contact(call.a.flow)}>`] as const];
  const response = createResponse(call.invite, 181, undefined, { toTag: call.a.tag, headers });
  sendProvisional(context, call, { response }, nowMs);
}

/** The caller's 200. */
export function accept(
  context: CallContext,
  call: Call,
  what: { sdp: string; answer?: SipMessage },
  nowMs: number,
): void {
  call.finalSent = true;
  if (call.transfer) {
    joinTransferred(context, call, nowMs);
    return;
  }
  beginEarlyDialog(
    context,
    call,
    call.branches.find((branch) => branch.leg === call.b),
  );
  if (isOfAnother(call, what.answer)) context.retag(call.a);
  if (holdAnswer(call, (now) => accept(context, call, what, now))) return;
  call.state = 'answered';
  call.answeredAtMs = nowMs;
  settleFetched(context, call, nowMs);
  context.answered(call, nowMs);
  const response = okWith(
    context,
    { request: call.invite, leg: call.a, sdp: finalAnswer(call, what.sdp), carried: what.answer },
    nowMs,
  );
  sendOk(context, call.a, { transaction: call.inviteTransaction, response }, nowMs);
  continuePickUp(context, call, nowMs);
}

/** The caller's failure; after a transfer it is told to who asked for that. */
function refuse(context: CallContext, call: Call, why: { status: number; words: string }, nowMs: number): void {
  if (call.transfer) transferFailed(context, call, why, nowMs);
  else context.respond(call.inviteTransaction, refusal(call.invite, why.status, why.words, call.a.tag), nowMs);
}

/** Answers the caller finally with a failure and ends the call. */
export function reject(context: CallContext, call: Call, status: number, words: string, nowMs: number): void {
  if (!call.finalSent) {
    call.finalSent = true;
    refuse(context, call, { status, words }, nowMs);
  }
  context.end(call, { status, words }, nowMs);
}

/** Between the callee's 2xx and ours something went wrong: the callee is hung up, the caller told why. */
export function tearDown(
  context: CallContext,
  call: Call,
  why: { status: number; words: string; nowMs: number; calleeIsGone?: true },
): void {
  // A fetched leg has a call of its own, which goes on.
  if (call.b && !why.calleeIsGone && call.b.call === call) context.byes.send(call.b, why.words, why.nowMs);
  refuse(context, call, why, why.nowMs);
  context.end(call, { status: why.status, words: why.words }, why.nowMs);
}

/** The caller gave up, or nobody answered in time: every branch is cancelled; the call ends when they all have. */
export function giveUp(context: CallContext, call: Call, why: { status: number; words: string; nowMs: number }): void {
  if (call.finalSent) {
    const isJoining = call.b !== undefined || call.transfer !== undefined;
    if (isJoining && call.state !== 'answered' && call.state !== 'ended') tearDown(context, call, why);
    return;
  }
  call.finalSent = true;
  call.givenUp = { status: why.status, words: why.words };
  context.clearTimer(call.ring);
  refuse(context, call, why, why.nowMs);
  for (const branch of call.branches) abandon(context, branch, why);
  if (call.kind === 'echo' || call.branches.every((b) => b.state === 'failed')) context.end(call, why, why.nowMs);
}
/** Gives a branch up: cancels it when it was begun, and whatever it still answers is hung up. */
export function abandon(
  context: CallContext,
  branch: Branch,
  why: { words: string; status: number; nowMs: number },
): void {
  if (branch.state === 'failed' || branch.state === 'answered' || branch.abandoned) return;
  branch.abandoned = true;
  if (branch.transaction)
    context.options.transactions.cancel(branch.transaction, why.nowMs, [
      ['Reason', reasonHeader(why.status, why.words)],
    ]);
}

/** The last phone of a call that was given up has heard of it: the call is over. */
export function endGivenUp(context: CallContext, call: Call, nowMs: number): void {
  if (call.b !== undefined || call.branches.some((b) => b.state !== 'failed')) return;
  context.end(call, call.givenUp ?? { status: 487, words: 'cancelled' }, nowMs);
}
