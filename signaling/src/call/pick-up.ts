import type { Call } from './call.ts';
import type { CallContext } from './context.ts';
import { startSilence } from './echo.ts';
import { sdpOf } from './exchange.ts';
import { fetchLeg } from './fetch.ts';
import { reject } from './outcome.ts';

/**
 * Takes a call that rings elsewhere. Both have made an offer, so who picks up is answered in silence first, and then given
 * the caller's description by a re-INVITE, as one more phone that was rung. Whoever else answers meanwhile has the call.
 */
export function pickUp(context: CallContext, call: Call, user: string | undefined, nowMs: number): void {
  const by = call.a.user;
  const ringing = context.ringingAt((other) =>
    user === undefined ? other !== by && context.options.mayPickUp(by, other) : other === user,
  );
  if (user !== undefined && !context.options.mayPickUp(by, user)) {
    reject(context, call, 403, `${by} may not pick up calls of ${user}: they are in no group together`, nowMs);
    return;
  }
  const others = ringing.filter((other) => other !== call);
  const oldest = others.find(({ invite }) => sdpOf(invite) !== undefined) ?? others[0];
  if (!oldest) {
    reject(context, call, 404, user === undefined ? 'nothing rings in your groups' : `nothing rings at ${user}`, nowMs);
    return;
  }
  pickUpCall(context, call, oldest, nowMs);
}

/** The same for a call that is known. */
export function pickUpCall(context: CallContext, call: Call, ringing: Call, nowMs: number): void {
  if (sdpOf(ringing.invite) === undefined) {
    reject(context, call, 488, 'that call can be answered by its own phone only: its caller made no offer', nowMs);
    return;
  }
  call.pickingUp = ringing;
  call.near = ringing.branches.find((b) => b.state !== 'failed')?.ngCallId;
  startSilence(context, call, nowMs);
}

/** Who picks up is there: the ringing call gets that leg. */
export function continuePickUp(context: CallContext, call: Call, nowMs: number): void {
  const { pickingUp: ringing } = call;
  if (!ringing) return;
  const onFailed = (words: string, now: number) => {
    if (call.state === 'answered') context.hangUp(call, { status: 480, words: `not picked up: ${words}` }, now);
  };
  if (ringing.finalSent || ringing.state === 'ended') onFailed('the call was answered or given up meanwhile', nowMs);
  else fetchLeg(context, ringing, call.a, { from: call, move: { state: 'stays', waiting: [] }, onFailed }, nowMs);
}
