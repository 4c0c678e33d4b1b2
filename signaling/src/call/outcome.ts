import { createResponse, type SipMessage } from '@offhook/core';
import type { Branch, Call } from './call.ts';
import { type CallContext, reasonHeader, refusal } from './context.ts';
import { endToEnd } from './end-to-end.ts';
import { okWith, SDP } from './exchange.ts';
import { joinTransferred, notify, transferFailed } from './transfer.ts';

// What becomes of a call as its caller is told it: ringing, answered, refused, given up.

/** 18x to the caller. */
export function provisional(
  context: CallContext,
  call: Call,
  how: { status: number; sdp?: string; carried: SipMessage; now: number },
): void {
  const isNews = call.state !== 'ringing';
  call.ringingSent = true;
  call.state = 'ringing';
  if (isNews) context.progress(call);
  if (call.transfer) {
    notify(context, call.transfer, how.status, how.now);
    return;
  }
  const body = how.sdp === undefined ? undefined : { type: SDP, bytes: how.sdp };
  const response = createResponse(call.invite, how.status, undefined, {
    toTag: call.a.tag,
    headers: [['Contact', `<${context.options.contact(call.a.flow)}>`], ...endToEnd(how.carried)],
    body,
  });
  context.respond(call.inviteTransaction, response, how.now);
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
  call.state = 'answered';
  call.answeredAtMs = nowMs;
  context.answered(call, nowMs);
  const response = okWith(context, { request: call.invite, leg: call.a, sdp: what.sdp, carried: what.answer }, nowMs);
  context.sendOk(call.a, call.inviteTransaction, response, nowMs);
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
  // The far end of a call that was to be joined has a call of its own, which goes on.
  if (call.b && !why.calleeIsGone && !call.transfer?.consult) context.bye(call.b, why.words, why.nowMs);
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
