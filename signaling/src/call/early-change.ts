import { createResponse, type SipMessage } from '@offhook/core';
import type { Dialog } from '../dialog/index.ts';
import type { Branch, Call, Leg, Renegotiation } from './call.ts';
import { type Credentials, credentialsFor } from './challenge.ts';
import { ALLOW, type CallContext, noteAllow, reasonWords, refusal, SUPPORTED } from './context.ts';
import { carryAnswer, carryOffer, restore, SDP, sdpOf } from './exchange.ts';
import type { InDialog } from './in-dialog.ts';
import { statusOf } from './media.ts';
import { type EarlyDialog, lost } from './prack.ts';

/** How long the other phone may take: well within 64·T1 of the sender. */
const ANSWER_MS = 20_000;
/** What the other side's refusal means for who asked, too; whatever else it says is 488 (RFC 3311 5.2). */
const PASSED_ON: ReadonlySet<number> = new Set([488, 491, 500, 504]);

/** Where a change comes from or goes to before the call is answered. */
interface Side {
  readonly leg: Leg;
  readonly dialog: Dialog;
  readonly allows: Set<string>;
}

/** Why a change can't be carried over now. */
interface Obstacle {
  readonly status: number;
  readonly words: string;
}

/**
 * An offer in UPDATE (RFC 3311 5.2) or PRACK (RFC 3262 5) of the caller, before the call is answered: it goes to the phone
 * whose early media it has, as UPDATE.
 */
export function changeByCaller(context: CallContext, leg: Leg, got: InDialog, nowMs: number): void {
  const { call } = leg;
  const early = call.a.reliable?.complete?.from;
  const obstacle = obstacleToCallee(call, leg) ?? glare(call, leg);
  if (obstacle || !early) refuse(context, { leg, got, ...(obstacle ?? UNREACHABLE) }, nowMs);
  else change(context, { from: callerOf(call), to: calleeOf(early), branch: early.branch, got }, nowMs);
}

/** An offer in UPDATE of a called phone, in an early dialog: it goes to the caller that has its early media. */
export function changeByCallee(context: CallContext, early: EarlyDialog, got: InDialog, nowMs: number): void {
  const { branch } = early;
  const { call, leg } = branch;
  const obstacle = obstacleToCaller(call, early) ?? glare(call, leg);
  if (obstacle) refuse(context, { leg, got, ...obstacle }, nowMs);
  else change(context, { from: calleeOf(early), to: callerOf(call), branch, got }, nowMs);
}

const UNREACHABLE: Obstacle = { status: 488, words: 'the other phone can’t change the call before it has answered' };
const NOT_YET: Obstacle = { status: 500, words: 'the offer before this one is not answered yet' };

/** RFC 3311 5.2: 500 with Retry-After while an offer of theirs is unanswered, 491 while one of ours is. */
function obstacleToCallee(call: Call, leg: Leg): Obstacle | undefined {
  if (leg !== call.a || call.state === 'answered') return { status: 491, words: 'the call is still being set up' };
  const { reliable, tag } = leg;
  if (reliable?.tag !== tag || !reliable.complete) return NOT_YET;
  const { from } = reliable.complete;
  if (!from || from.answer === undefined || !from.allows.has('UPDATE')) return UNREACHABLE;
  const { branch } = from;
  return branch.state === 'failed' || branch.abandoned ? UNREACHABLE : undefined;
}

function obstacleToCaller(call: Call, early: EarlyDialog): Obstacle | undefined {
  const { reliable, tag, allows } = call.a;
  if (early.answer === undefined) return { status: 491, words: 'our offer is not answered yet' };
  if (early.branch.abandoned || call.finalSent)
    return { status: 491, words: 'the call is just being answered or ended' };
  const isHis = (p: { from: EarlyDialog | undefined } | undefined) => p?.from === early;
  if (reliable?.tag !== tag || !allows.has('UPDATE')) return UNREACHABLE;
  if (isHis(reliable.unacknowledged) || reliable.waiting.some(isHis)) return NOT_YET;
  return isHis(reliable.complete) ? undefined : UNREACHABLE;
}

function glare({ renegotiation }: Call, leg: Leg): Obstacle | undefined {
  if (!renegotiation) return undefined;
  return renegotiation.from === leg
    ? NOT_YET
    : { status: 491, words: 'the other side is changing the call at this moment' };
}

function callerOf({ a }: Call): Side {
  return { leg: a, dialog: a.dialog, allows: a.allows };
}

function calleeOf({ branch, dialog, allows }: EarlyDialog): Side {
  const { leg } = branch;
  return branch.state === 'answered' ? { leg, dialog: leg.dialog, allows: leg.allows } : { leg, dialog, allows };
}

function refuse(context: CallContext, what: { leg: Leg; got: InDialog } & Obstacle, nowMs: number): void {
  const { leg, got, status, words } = what;
  const random = context.options.crypto.randomBytes(1)[0]!;
  const headers = status === 500 ? [['Retry-After', 1 + (random % 10)] as const] : [];
  context.respond(got.id, refusal(got.message, status, words, leg.tag, headers), nowMs);
}

interface Change {
  readonly from: Side;
  readonly to: Side;
  readonly branch: Branch;
  readonly got: InDialog;
}

function change(context: CallContext, what: Change, nowMs: number): void {
  const { from, to, branch, got } = what;
  const { call, ngCallId } = branch;
  const sdp = sdpOf(got.message)!;
  const r: Renegotiation = {
    from: from.leg,
    to: to.leg,
    serverTransaction: got.id,
    request: got.message,
    offer: sdp,
    cancelled: false,
    postponed: false,
    late: false,
  };
  call.renegotiation = r;
  context.setTimer(call.change, nowMs + ANSWER_MS);
  if (got.message.method === 'UPDATE') from.dialog.retarget(got.message);
  noteAllow(from, got.message);
  carryOffer(context, { call, ngCallId, from: from.leg, to: to.leg, sdp }, nowMs, (carried, now) => {
    if (call.renegotiation !== r) return;
    if ('error' in carried) finish(context, r, { ...what, status: statusOf(carried.error), words: carried.error }, now);
    else if (r.cancelled || branch.state === 'failed') finish(context, r, { ...what, ...UNREACHABLE }, now);
    else ask(context, r, { ...what, offer: carried.sdp }, now);
  });
}

function ask(
  context: CallContext,
  r: Renegotiation,
  what: Change & { offer: string; authorized?: Credentials },
  nowMs: number,
): void {
  const { to, branch, got, offer, authorized } = what;
  const { call } = branch;
  const request = to.dialog.request('UPDATE', {
    headers: [['Allow', ALLOW], ['Supported', SUPPORTED.join(', ')], ...(authorized ? [authorized] : [])],
    body: { type: SDP, bytes: offer },
  });
  request.set('max-forwards', (got.message.maxForwards ?? 70) - 1);
  const before = to.leg.sent;
  to.leg.sent = offer;
  r.clientTransaction = context.options.transactions.request(request, to.leg.dialog.flow, nowMs);
  const failed = (status: number, words: string, now: number) => {
    if (to.leg.sent === offer) to.leg.sent = before;
    finish(context, r, { ...what, status: PASSED_ON.has(status) ? status : 488, words }, now);
  };
  context.follow(r.clientTransaction, {
    response: (message, _flow, now) => {
      if (message.status < 200 || call.renegotiation !== r) return;
      const answer = sdpOf(message);
      // Who asked has had its 504 meanwhile: then nobody is told of this answer.
      if (message.status < 300 && answer !== undefined && !r.cancelled) {
        answered(context, r, { ...what, message, answer }, now);
        return;
      }
      const proof = r.cancelled ? undefined : credentialsFor(branch.leg, request, message);
      if (proof) {
        to.leg.sent = before;
        ask(context, r, { ...what, authorized: proof }, now);
        return;
      }
      failed(message.status, reasonWords(message) ?? 'the other side refused the change', now);
      const early = branch.leg.early?.get(to.dialog.remoteTag);
      if (message.status === 481 && early?.dialog === to.dialog) lost(context, early, now);
    },
    failed: (_why, now) => {
      if (call.renegotiation === r) failed(504, 'the other side does not answer', now);
    },
  });
}

function answered(
  context: CallContext,
  r: Renegotiation,
  what: Change & { message: SipMessage; answer: string },
  nowMs: number,
): void {
  const { from, to, branch, message, answer } = what;
  const { call, ngCallId } = branch;
  if (branch.state === 'failed') {
    finish(context, r, { ...what, ...UNREACHABLE }, nowMs);
    return;
  }
  to.dialog.retarget(message);
  noteAllow(to, message);
  const half = { call, ngCallId, from: to.leg, to: from.leg, sdp: answer, offer: r.offer! };
  carryAnswer(context, half, nowMs, (carried, now) => {
    if (call.renegotiation !== r) return;
    if ('error' in carried) finish(context, r, { ...what, status: statusOf(carried.error), words: carried.error }, now);
    else agreed(context, r, { ...what, sdp: carried.sdp }, now);
  });
}

/** Both sides have the change; who asked for it gets its 200. */
function agreed(context: CallContext, r: Renegotiation, what: Change & { sdp: string }, nowMs: number): void {
  const { from, branch, got, sdp } = what;
  const { call } = branch;
  over(context, call);
  from.leg.sent = sdp;
  const { reliable } = call.a;
  if (reliable?.complete?.from?.branch === branch) reliable.isChanged = true;
  const headers = [
    ...(got.message.method === 'UPDATE' ? [['Contact', `<${context.options.contact(from.leg.flow)}>`] as const] : []),
    ['Allow', ALLOW] as const,
    ['Supported', SUPPORTED.join(', ')] as const,
  ];
  const body = { type: SDP, bytes: sdp };
  const ok = createResponse(got.message, 200, undefined, { toTag: from.leg.tag, headers, body });
  context.respond(r.serverTransaction, ok, nowMs);
  context.changed(call);
}

/** The change came to nothing; the call goes on as it was. */
function finish(context: CallContext, r: Renegotiation, what: Change & Obstacle, nowMs: number): void {
  const { branch, from, got, status, words } = what;
  const { call } = branch;
  if (call.renegotiation !== r) return;
  over(context, call);
  if (branch.state !== 'failed') restore(context, call, branch.ngCallId);
  refuse(context, { leg: from.leg, got, status, words }, nowMs);
}

function over(context: CallContext, call: Call): void {
  call.renegotiation = undefined;
  context.clearTimer(call.change);
}
