import type { Call } from './call.ts';
import type { CallContext } from './context.ts';
import { startSilence } from './echo.ts';
import { fetchLeg } from './fetch.ts';
import { reject } from './outcome.ts';

/** A transfer to a parking slot: who is transferred waits there in silence until somebody calls the slot. */
export function park(context: CallContext, call: Call, slot: string, nowMs: number): void {
  if (context.parkedIn(slot)) {
    reject(context, call, 486, `somebody is parked in ${slot} already`, nowMs);
    return;
  }
  call.slot = slot;
  startSilence(context, call, nowMs);
}

/** A call to a parking slot: who waits there becomes its other side. */
export function fetchParked(context: CallContext, call: Call, slot: string, nowMs: number): void {
  const parked = context.parkedIn(slot);
  if (parked?.state !== 'answered') {
    reject(context, call, 404, `nobody is parked in ${slot}`, nowMs);
    return;
  }
  if (parked.pending) {
    reject(context, call, 486, `somebody else is just fetching the call that is parked in ${slot}`, nowMs);
    return;
  }
  fetchLeg(context, call, parked.a, { from: parked, move: { state: 'stays', waiting: [] } }, nowMs);
}
