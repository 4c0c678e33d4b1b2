import { type Leg, trunkOf } from './call.ts';
import { moveTo } from './connection.ts';
import type { CallContext } from './context.ts';

/**
 * The connection to another server is gone. No phone will register there and bring the leg back, so a new one is opened to
 * where the call went, or came from: never to what the other side's Contact says, which may be any address.
 */
export function findAgain(context: CallContext, leg: Leg, nowMs: number): void {
  if (!leg.isOutside) return;
  let isAwaited = true;
  const then: Parameters<CallContext['options']['locate']>[2] = (result, now) => {
    if (!isAwaited) return;
    isAwaited = false;
    if (!('error' in result) && leg.isLost) moveTo(context, leg, result.flow, now);
  };
  const trunk = trunkOf(leg);
  if (trunk === undefined) context.options.locate(leg.user, nowMs, then);
  else context.options.trunks.find(trunk, nowMs, then);
}
