import { nextPath } from './branch.ts';
import { type Branch, type Call, type Fetched, type Leg, type Move, spoken } from './call.ts';
import type { CallContext } from './context.ts';
import { adoptAnswer, carryAnswer, carryOffer, restore, sdpOf } from './exchange.ts';
import { goOn } from './hunt.ts';
import { connectCommand, deleteCommand, statusOf, UNRELAYED } from './media.ts';
import { abandon, accept, endGivenUp, tearDown } from './outcome.ts';
import { rejoin } from './rejoin.ts';

// A leg of an answered call becomes the other side of another one: what attended transfer, pick-up, parking and Replaces
// have in common. Its phone sees one re-INVITE.

/**
 * One more branch of a call, which reaches a leg that another call has. The relay moves the leg, its phone gets the
 * caller's description, and its answer is the call's. When that comes to nothing, everything is led back.
 */
export function fetchLeg(context: CallContext, call: Call, leg: Leg, fetched: Fetched, nowMs: number): void {
  const ngCallId = nextPath(call);
  const branch: Branch = { call, ngCallId, leg, fetched, state: 'offering', abandoned: false, strays: new Map() };
  const sdp = sdpOf(call.invite);
  const { from, move } = fetched;
  call.branches.push(branch);
  from.pending = call;
  call.near = from.ngCallId;
  fetched.before = leg.sent;
  if (sdp === undefined || from.ngCallId === undefined) {
    failFetch(context, branch, { status: 488, words: 'an offer is needed in the INVITE' }, nowMs);
    return;
  }
  if (from.isUnrelayed && !from.isTerminated) {
    failFetch(context, branch, { status: 488, words: UNRELAYED }, nowMs);
    return;
  }
  const { ngCallId: fromNgCallId } = from;
  const half = { call, ngCallId, from: call.a, to: leg, sdp, path: 'terminated' as const };
  const goesOn = (problem: string | undefined, now: number): boolean => {
    if (branch.state === 'failed') return false;
    const isUnwanted = branch.abandoned || call.finalSent || call.state === 'ended';
    if (!isUnwanted && problem === undefined) return true;
    if (isUnwanted)
      failFetch(context, branch, { status: 487, words: 'the call is over, or was answered elsewhere' }, now);
    else if (from.state === 'ended')
      failFetch(context, branch, { status: 480, words: `${spoken(leg)} has hung up` }, now);
    else failFetch(context, branch, { status: statusOf(problem!), words: problem! }, now);
    return false;
  };
  // The relay has to know the new call before a leg can move into it, and describes it as it is once it is there.
  carryOffer(context, half, nowMs, (first, now) => {
    if (!goesOn('error' in first ? first.error : undefined, now)) return;
    moveLeg(context, move, { ngCallId, fromNgCallId, tag: leg.mediaTag }, (problem, moved) => {
      if (!goesOn(problem, moved)) return;
      carryOffer(context, half, moved, (carried, later) => {
        if (!goesOn('error' in carried ? carried.error : undefined, later) || 'error' in carried) return;
        branch.state = 'inviting';
        const described = () => carried.sdp;
        rejoin(context, leg, described, later, (result, at) => {
          if ('sdp' in result) {
            if (goesOn(undefined, at)) won(context, branch, { sdp, answer: result.sdp, nowMs: at });
          } else if (branch.state !== 'failed') failFetch(context, branch, result, at);
        });
      });
    });
  });
}

/** Its phone takes the new side: the call is answered by it. */
function won(context: CallContext, branch: Branch, what: { sdp: string; answer: string; nowMs: number }): void {
  const { call, leg, ngCallId } = branch;
  const { sdp, answer, nowMs } = what;
  branch.state = 'answered';
  call.b = leg;
  call.isTerminated = true;
  call.ngCallId = ngCallId;
  call.finalSent = true;
  context.clearTimer(call.ring);
  for (const other of call.branches)
    if (other !== branch) abandon(context, other, { words: 'Call completed elsewhere', status: 200, nowMs });
  carryAnswer(context, { call, ngCallId, from: leg, to: call.a, sdp: answer, offer: sdp }, nowMs, (back, now) => {
    if ('error' in back) {
      tearDown(context, call, { status: statusOf(back.error), words: back.error, nowMs: now });
    } else accept(context, call, { sdp: back.sdp }, now);
  });
}

/** The leg is this call's for good; the one it comes from ends. */
export function settleFetched(context: CallContext, call: Call, nowMs: number): void {
  for (const { fetched, leg, state } of call.branches) {
    if (!fetched || state !== 'answered') continue;
    const { from, leaving } = fetched;
    fetched.move.state = 'stays'; // nothing leads it back
    from.pending = undefined;
    leg.call = call;
    if (from.state !== 'answered') continue;
    const { transfer } = call;
    const words = transfer
      ? `${spoken(call.a)} was transferred to ${call.callee} by ${spoken(transfer.by)}`
      : leaving
        ? `${spoken(leg)} goes on with ${spoken(call.a)}, who takes the place of ${spoken(leaving)}`
        : `${spoken(leg)} goes on with ${call.a === leg ? call.callee : spoken(call.a)}`;
    if (leaving) context.byes.send(leaving, words, nowMs);
    context.end(from, { status: 200, words }, nowMs);
  }
}

/** The phone that is being fetched has hung up, or its call has ended: whoever wanted it hears so. */
export function fetchedGone(context: CallContext, call: Call, from: Call, nowMs: number): void {
  const branch = call.branches.find((b) => b.fetched?.from === from && b.state !== 'failed');
  if (!branch || branch.leg.call === call) return;
  const why = { status: 480, words: `${spoken(branch.leg)} has hung up` };
  if (branch.state === 'answered') tearDown(context, call, { ...why, nowMs, calleeIsGone: true });
  else failFetch(context, branch, why, nowMs);
}

function failFetch(context: CallContext, branch: Branch, why: { status: number; words: string }, nowMs: number): void {
  const { call, ngCallId } = branch;
  if (branch.state === 'failed') return;
  const wasLive = !branch.abandoned;
  branch.state = 'failed';
  branch.failure = { status: why.status, reason: why.words };
  returnFetched(context, branch, { words: why.words, nowMs }, () => context.relay(deleteCommand(ngCallId), () => {}));
  if (call.finalSent) endGivenUp(context, call, nowMs);
  else if (wasLive) goOn(context, call, nowMs);
}

/** A leg that was to be fetched goes back to the call it is still in; then `then`. */
export function returnFetched(
  context: CallContext,
  branch: Branch,
  why: { words: string; nowMs: number },
  then: () => void,
): void {
  const { fetched, leg, ngCallId } = branch;
  if (!fetched || leg.call === branch.call) {
    then();
    return;
  }
  const { nowMs } = why;
  const { from, move, before } = fetched;
  if (from.pending === branch.call) from.pending = undefined;
  const wasMoved = move.state !== 'stays';
  returnLeg(context, { move, leg, from, ngCallId }, () => {
    // It may have the new description already.
    const described = () => before;
    if (wasMoved && before !== undefined && from.state === 'answered' && leg.sent !== before)
      rejoin(context, leg, described, nowMs, (result) => {
        if ('sdp' in result) adoptAnswer(context, leg, result.sdp);
      });
    then();
    fetched.onFailed?.(why.words, nowMs);
    fetched.onFailed = undefined;
  });
}

/** Asks the relay once; who asks while that is under way hears of it as well. */
export function moveLeg(
  context: CallContext,
  move: Move,
  what: Parameters<typeof connectCommand>[0],
  then: (problem: string | undefined, nowMs: number) => void,
): void {
  move.waiting.push(then);
  if (move.state === 'asked') return;
  move.state = 'asked';
  context.relay(connectCommand(what), (result, now) => {
    move.state = 'ok' in result ? 'moved' : 'stays';
    for (const waiting of move.waiting.splice(0)) waiting('error' in result ? result.error : undefined, now);
  });
}

/** Leads a leg that the relay has moved back to the call it is still in. */
export function returnLeg(
  context: CallContext,
  what: { readonly move: Move; readonly leg: Leg; readonly from: Call; readonly ngCallId: string },
  then: () => void,
): void {
  const { move, leg, from, ngCallId } = what;
  if (move.state === 'asked') {
    move.waiting.push(() => returnLeg(context, what, then));
    return;
  }
  if (move.state === 'stays' || from.ngCallId === undefined || from.state === 'ended' || leg.call !== from) {
    then();
    return;
  }
  move.state = 'stays';
  const back = connectCommand({ ngCallId: from.ngCallId, fromNgCallId: ngCallId, tag: leg.mediaTag });
  context.relay(back, () => {
    restore(context, from);
    then();
  });
}
