import { type Binding, rerouted } from '../registrar/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { Leg } from './call.ts';
import type { CallContext } from './context.ts';
import { giveUp } from './outcome.ts';
import { findAgain } from './outside.ts';
import { cancelRenegotiation, resumeRenegotiation } from './renegotiate.ts';
import { stopRepeating } from './repeated-ok.ts';

// The connection of a leg: it goes, is waited for, and is replaced by another one of the same phone.

/** The connection of a phone is gone. What was being set up over it ends; an answered call gets time to come back. */
export function loseConnection(context: CallContext, leg: Leg, nowMs: number): void {
  const { call } = leg;
  leg.isLost = true;
  if (call.state === 'answered') {
    context.counters.lostConnections++;
    context.setTimer(leg.timers.lost, nowMs + context.limits.graceMs);
    forgetAnswer(context, leg);
    // Its change can't be answered any more: the other side need not bother, the phone asks anew when it is back.
    if (call.renegotiation?.from === leg) cancelRenegotiation(context, call, nowMs);
    findAgain(context, leg, nowMs);
  } else if (leg === call.a) giveUp(context, call, { status: 487, words: 'the caller’s connection is gone', nowMs });
}

/** An answer to a change went with the connection. The one that began the call is waited for: its caller may not know. */
function forgetAnswer(context: CallContext, leg: Leg): void {
  context.clearTimer(leg.timers.retransmit);
  if (leg.ok === undefined || (leg === leg.call.a && leg.ok.cseq === leg.call.invite.cseq.number)) return;
  stopRepeating(context, leg);
}

/**
 * A phone has registered: its legs follow it to the new connection (the same contact, of the same user), and behind an
 * edge proxy to the new Path. Those on another flow that it has registered too, and that works, stay there (RFC 5626).
 */
export function followPhone(
  context: CallContext,
  legs: readonly Leg[],
  { binding, before }: { readonly binding: Binding; readonly before: Binding | undefined },
  nowMs: number,
): void {
  if (legs.length === 0) return;
  const others = context.options.lookup(binding.user, nowMs, binding.instanceId).filter((b) => b !== binding);
  for (const leg of legs) {
    const { flow } = leg.dialog;
    if (!leg.isLost && flow !== before?.flow && others.some((b) => b.flow === flow && b.regId !== undefined)) continue;
    const routeSet = rerouted(leg.dialog.routeSet, binding.path, before?.path);
    if (routeSet) leg.dialog.routeSet = routeSet;
    else if (flow === binding.flow) continue;
    moveTo(context, leg, binding.flow, nowMs);
  }
}

/** A leg is reached over another flow from now on. */
export function moveTo(context: CallContext, leg: Leg, flow: Flow, nowMs: number): void {
  leg.dialog.flow = flow;
  leg.isLost = false;
  context.counters.flowsReplaced++;
  context.clearTimer(leg.timers.lost);
  context.changed(leg.call);
  resumeRenegotiation(context, leg, nowMs);
  context.byes.pay(leg, nowMs);
}

/**
 * Whether a request within a dialog moves it to the flow it came over. Admission has seen to it that it is the phone's, or
 * that who comes from elsewhere has shown the password; a browser's flow speaks for its own account only.
 */
export function mayMoveTo(leg: Leg, flow: Flow): boolean {
  return flow.account === leg.user || (flow.account === undefined && leg.flow.account === undefined);
}
