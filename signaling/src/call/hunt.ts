import { parseUri, type SipMessage } from '@offhook/core';
import type { Located } from '../locate/index.ts';
import { type Binding, isSender, targets } from '../registrar/index.ts';
import type { Decision, RingStep, Target } from '../routing/index.ts';
import type { OutgoingCaller } from '../trunk/index.ts';
import { startBranch } from './branch.ts';
import type { Branch, Call } from './call.ts';
import type { CallContext } from './context.ts';
import {
  type Destination,
  type Diversion,
  destinationAt,
  destinationOf,
  destinationOver,
  isPrivate,
} from './destination.ts';
import { bestOf, type Failure, wordsFor } from './failures.ts';
import { abandon, forwarding, giveUp, reject } from './outcome.ts';

/** How often one call may be passed on (RFC 5502 and RFC 3261 16.3 know no number; five is what people can follow). */
const MAX_DIVERSIONS = 5;
/** RFC 5393 5.3.3: how many branches a request may have at once where nobody has said. */
const MAX_BREADTH = 60;
/** Steps that may wait, those that forwarding adds included. */
const MAX_STEPS = 200;

/** Some of a user's phones, or what the user wants when they have not answered. */
type Inner =
  | Target
  | {
      readonly kind: 'contacts';
      readonly user: string;
      readonly bindings: readonly Binding[];
      readonly mayDivert: boolean;
    }
  | { readonly kind: 'unanswered'; readonly user: string };

interface Step {
  readonly targets: readonly Inner[];
  readonly ringS?: number;
}

/** A call looking for somebody who answers: who is still to be rung, and how those who were did not answer. */
export interface Hunt {
  readonly steps: Step[];
  readonly diversions: Diversion[];
  /** Of targets that could not even be rung. */
  readonly failures: Failure[];
  /** Answers of routing, of name servers and of connections that this step waits for. */
  waiting: number;
  /** Counts the steps that were begun: what an earlier one waited for is of no use any more. */
  step: number;
  /** A step is just being begun. */
  isStepping: boolean;
  readonly showAs?: { readonly from?: string; readonly displayName?: string };
}

/** Begins to ring what was decided. */
export function hunt(
  context: CallContext,
  call: Call,
  { steps, showAs }: Extract<Decision, { kind: 'ring' }>,
  nowMs: number,
): void {
  call.hunt = { ...newHunt(steps), showAs };
  nextStep(context, call, nowMs);
}

function newHunt(steps: readonly RingStep[]): Hunt {
  return { steps: steps.slice(0, MAX_STEPS), diversions: [], failures: [], waiting: 0, step: 0, isStepping: false };
}

/** A branch that may still answer. */
function isLive(branch: Branch): boolean {
  return branch.state !== 'failed' && !branch.abandoned;
}

/** Goes on when nobody of the last step can answer any more. */
export function goOn(context: CallContext, call: Call, nowMs: number): void {
  const { hunt: search } = call;
  if (call.branches.some(isLive) || (search && (search.waiting > 0 || search.isStepping))) return;
  nextStep(context, call, nowMs);
}

/** Nobody has answered in the time of this step: its phones stop ringing, and the next one begins. */
export function ringOver(context: CallContext, call: Call, nowMs: number): void {
  const why = call.ringingSent
    ? { status: 480, words: `${call.callee} does not answer` }
    : { status: 408, words: `the phone of ${call.callee} does not even ring` };
  for (const branch of call.branches.filter(isLive)) {
    branch.failure ??= { status: why.status, reason: why.words, rangOut: true };
    abandon(context, branch, { status: 480, words: 'no answer', nowMs });
  }
  nextStep(context, call, nowMs);
}

function nextStep(context: CallContext, call: Call, nowMs: number): void {
  const search = call.hunt;
  if (isOver(call)) return;
  context.clearTimer(call.ring);
  for (let step = search?.steps.shift(); search && step; step = search.steps.shift()) {
    const before = call.branches.length;
    search.step++;
    search.waiting = 0;
    search.isStepping = true;
    for (const target of step.targets)
      ring(context, call, target, { isAlone: step.targets.length === 1, ringS: step.ringS, nowMs });
    search.isStepping = false;
    if (isOver(call)) return;
    if (call.branches.slice(before).some(isLive) || search.waiting > 0) {
      const ringMs = Math.min((step.ringS ?? Number.POSITIVE_INFINITY) * 1000, context.limits.ringMs);
      context.setTimer(call.ring, nowMs + ringMs);
      return;
    }
  }
  const best = bestOf([...(search?.failures ?? []), ...call.branches.flatMap((b) => b.failure ?? [])]);
  const words = best.reason || wordsFor(best.status, call.callee);
  // Phones that still have to hear that they need not ring any more keep the call for as long as that takes.
  if (call.branches.some((b) => b.state !== 'failed')) giveUp(context, call, { status: best.status, words, nowMs });
  else reject(context, call, best.status, words, nowMs);
}

function isOver(call: Call): boolean {
  return call.finalSent || call.state === 'ended';
}

interface How {
  readonly isAlone: boolean;
  /** Rung as a member of a group: personal forwarding does not hold. */
  readonly isMember?: boolean;
  readonly ringS?: number;
  readonly nowMs: number;
}

function ring(context: CallContext, call: Call, target: Inner, how: How): void {
  const { nowMs } = how;
  const search = call.hunt!;
  switch (target.kind) {
    case 'user':
      ringUser(context, call, target.user, { ...how, isMember: target.isMember });
      return;
    case 'contacts': {
      // RFC 5393 5.3.3: what breadth the request has is shared among those that ring at once.
      const free = breadthOf(call) - call.branches.filter(isLive).length;
      const phones = targets(target.bindings);
      const rung = phones.slice(0, Math.max(0, free));
      if (rung.length < phones.length)
        search.failures.push({ status: 440, reason: 'the call was forked into too many branches on its way' });
      const share = ['Max-Breadth', String(Math.max(1, Math.floor(free / Math.max(1, rung.length))))] as const;
      for (const flows of rung) ringPhone(context, call, { flows, share, mayDivert: target.mayDivert, nowMs });
      return;
    }
    case 'unanswered':
      passOnUnanswered(context, call, target.user, nowMs);
      return;
    case 'uri':
      awaitWay(context, call, {
        locate: (then) => context.options.locate(target.uri, nowMs, then),
        to: (at) => destinationAt(context, call, target.uri, at),
      });
      return;
    case 'trunk': {
      const caller = outgoingCaller(context, call);
      const outgoing = context.options.trunks.dial({ trunk: target.trunk, number: target.number, caller }, nowMs);
      if ('status' in outgoing) {
        search.failures.push({ status: notOurs(outgoing.status), reason: outgoing.words });
        return;
      }
      awaitWay(context, call, {
        locate: (then) => outgoing.locate(nowMs, then),
        to: (at) => destinationOver(context, call, outgoing, at),
        giveBack: () => outgoing.release(),
      });
      return;
    }
    default:
      target satisfies never;
  }
}

/** One phone over its newest flow, and over the next when that one fails (RFC 5626 7). */
function ringPhone(
  context: CallContext,
  call: Call,
  how: { flows: readonly Binding[]; share: readonly [string, string]; mayDivert: boolean; nowMs: number },
): void {
  const [binding, ...others] = how.flows;
  if (!binding) return;
  const destination = destinationOf(context, call, binding);
  const next = (nowMs: number) => ringPhone(context, call, { ...how, flows: others, nowMs });
  startBranch(
    context,
    call,
    {
      ...destination,
      headers: [...destination.headers, how.share],
      mayDivert: how.mayDivert,
      next: others.length > 0 ? next : undefined,
    },
    how.nowMs,
  );
}

function breadthOf({ invite }: Call): number {
  const told = invite.header('max-breadth')?.trim() ?? '';
  return /^\d{1,9}$/.test(told) ? Math.min(Number(told), MAX_BREADTH) : MAX_BREADTH;
}

/** A failure of somebody else's says nothing of this server (RFC 3261 16.7): phones would take it for down. */
function notOurs(status: number): number {
  return status === 503 ? 480 : status;
}

/** Whom a trunk is told of, and whose call it is. */
function outgoingCaller(context: CallContext, call: Call): OutgoingCaller {
  const { showAs, diversions = [] } = call.hunt ?? {};
  const own = call.a.isOutside ? call.arrived?.displayName : context.options.displayName(call.a.user);
  return {
    user: showAs?.from ?? call.caller,
    displayName: showAs?.displayName ?? own,
    payer: diversions.at(-1)?.user ?? call.transfer?.by.user ?? call.a.user,
    isPrivate: isPrivate(call),
  };
}

interface Search {
  readonly locate: (then: (result: Located, nowMs: number) => void) => void;
  readonly to: (at: Pick<Destination, 'flow' | 'next'>) => Destination;
  /** No way is needed any more, or there is none. */
  readonly giveBack?: () => void;
}

/** A branch for each way that is found, one after the other, as long as the one before did not get through. */
function awaitWay(context: CallContext, call: Call, { locate, to, giveBack }: Search): void {
  const search = call.hunt!;
  const { step } = search;
  let isAwaited = true;
  search.waiting++;
  locate((result, now) => {
    if (!isAwaited) return;
    isAwaited = false;
    if (search.step === step) search.waiting--;
    if (isOver(call) || search.step !== step) {
      giveBack?.();
      return;
    }
    if ('error' in result) {
      giveBack?.();
      search.failures.push({ status: 480, reason: result.error });
      goOn(context, call, now);
      return;
    }
    const next = (nowMs: number) => {
      isAwaited = true;
      if (search.step === step) search.waiting++;
      result.next(nowMs);
    };
    startBranch(context, call, to({ flow: result.flow, next }), now);
  });
}

/** A user's phones, those of the highest q first (RFC 3261 16.6), unless the user has said otherwise. */
function ringUser(context: CallContext, call: Call, user: string, how: How): void {
  const { nowMs } = how;
  const search = call.hunt!;
  const { only } = call;
  const isOnly = only?.user === user;
  // A call to one phone of the user's goes nowhere else.
  const isAlone = how.isAlone && !isOnly && !how.isMember;
  const { doNotDisturb, forward } = context.options.settings(user);
  if (isAlone && forward.always !== undefined) {
    divert(context, call, { user, reason: 'unconditional', to: forward.always, nowMs });
    return;
  }
  if (doNotDisturb) {
    search.failures.push({ status: 480, reason: `${user} does not want to be disturbed` });
    if (isAlone && forward.busy !== undefined)
      divert(context, call, { user, reason: 'do-not-disturb', to: forward.busy, nowMs });
    return;
  }
  const registered = context.options.lookup(user, nowMs, isOnly ? only.instance : undefined);
  // Who calls the own name means the own other phones.
  const bindings = registered.filter(
    (binding) => binding.user !== call.a.user || !isSender(binding, call.invite, call.a.flow),
  );
  if (bindings.length === 0) {
    const reason =
      registered.length === 0
        ? `${isOnly ? call.callee : user} is not registered: nobody is signed in under that name`
        : `${isOnly ? call.callee : user} has no other phone that is signed in`;
    search.failures.push({ status: 480, reason });
    const to = forward.noAnswer ?? forward.busy;
    if (isAlone && to !== undefined) divert(context, call, { user, reason: 'no-answer', to, nowMs });
    return;
  }
  const ringS = isAlone && forward.noAnswer !== undefined ? Math.min(forward.noAnswerS, how.ringS ?? 3600) : how.ringS;
  const levels = [...new Set(bindings.map(({ q }) => q))].sort((a, b) => b - a);
  const steps: Step[] = levels.map((level) => ({
    targets: [{ kind: 'contacts', user, bindings: bindings.filter(({ q }) => q === level), mayDivert: isAlone }],
    ringS,
  }));
  if (!how.isAlone) {
    for (const step of steps) ring(context, call, step.targets[0]!, how);
    return;
  }
  if (isAlone && (forward.busy !== undefined || forward.noAnswer !== undefined))
    steps.push({ targets: [{ kind: 'unanswered', user }] });
  search.steps.unshift(...steps);
}

/** All of the user's phones have been tried: the call goes where the user wants unanswered ones. */
function passOnUnanswered(context: CallContext, call: Call, user: string, nowMs: number): void {
  const { forward } = context.options.settings(user);
  const failures = call.branches.flatMap((b) => (b.leg.user === user ? (b.failure ?? []) : []));
  // 603: the reject key of many phones; networks count it as busy, decided by the user.
  const isBusy =
    failures.some(({ status }) => status === 486 || status === 600 || status === 603) &&
    !failures.some(({ rangOut }) => rangOut);
  const to = isBusy ? forward.busy : forward.noAnswer;
  if (to !== undefined) divert(context, call, { user, reason: isBusy ? 'user-busy' : 'no-answer', to, nowMs });
}

/** The call goes on to somebody else, as if its user had called there: routing decides what that is. */
function divert(context: CallContext, call: Call, how: Diversion & { to: string; nowMs: number }): void {
  const { user, reason, nowMs } = how;
  const search = call.hunt!;
  const to = localUser(context, how.to);
  if (to === undefined) {
    search.failures.push({
      status: 480,
      reason: `${user} passes calls on to another server, which the routes must allow`,
    });
    return;
  }
  if (search.diversions.some((d) => d.user === user) || search.diversions.length >= MAX_DIVERSIONS) {
    search.failures.push({ status: 482, reason: `the call was passed on in a circle, last by ${user}` });
    return;
  }
  search.diversions.push({ user, reason });
  forwarding(context, call, nowMs);
  const { step } = search;
  search.waiting++;
  let isAwaited = true;
  context.options.route({ account: user, from: call.caller, to }, nowMs, ({ decision }, now) => {
    if (!isAwaited) return;
    isAwaited = false;
    if (isOver(call) || search.step !== step) return;
    search.waiting--;
    if (decision.kind === 'ring' && search.steps.length + decision.steps.length > MAX_STEPS)
      search.failures.push({ status: 482, reason: 'the call would have to ring in too many places' });
    else if (decision.kind === 'ring') search.steps.unshift(...decision.steps);
    else if (decision.kind === 'reject') search.failures.push(decision);
    else search.failures.push({ status: 480, reason: `${user} passes calls on to ${to}, which can’t take them` });
    goOn(context, call, now);
  });
}

/** A phone answered with a redirection (RFC 3261 8.1.3.4): its user passes the call on to the contact it prefers. */
export function redirected(context: CallContext, branch: Branch, message: SipMessage, nowMs: number): void {
  const { call, leg, destination } = branch;
  const { contacts } = message;
  if (!call.hunt || contacts === '*' || contacts === undefined || !destination?.mayDivert) return;
  const q = (contact: (typeof contacts)[number]) => Number(contact.params.get('q') ?? 1) || 0;
  const [best] = contacts
    .filter(({ uri }) => uri.isSip && uri.user !== undefined && context.options.isLocal(uri.host))
    .sort((a, b) => q(b) - q(a));
  if (best) divert(context, call, { user: leg.user, reason: 'deflection', to: best.uri.user!, nowMs });
}

/** The user part that a forwarding setting or a Refer-To means here; undefined when it is for another server. */
export function localUser(context: CallContext, address: string): string | undefined {
  if (!/^sips?:/i.test(address)) return address;
  const uri = parseUri(address);
  return uri?.isSip && context.options.isLocal(uri.host) ? (uri.user ?? '') : undefined;
}
