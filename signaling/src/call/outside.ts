import { parseNameAddr } from '@offhook/core';
import type { Leg } from './call.ts';
import type { CallContext } from './context.ts';

/**
 * The connection to another server is gone. No phone will register there and bring the leg back, so a new way is looked for
 * (RFC 5923 8.4: connections are opened when they are needed); as long as there is none, the leg has its time of grace.
 */
export function findAgain(context: CallContext, leg: Leg, nowMs: number): void {
  if (!leg.isOutside) return;
  const [first] = leg.dialog.routeSet;
  const next = (first === undefined ? undefined : parseNameAddr(first)?.uri.toString()) ?? leg.dialog.remoteTarget;
  let isAwaited = true;
  context.options.locate(next, nowMs, (result, now) => {
    if (!isAwaited) return;
    isAwaited = false;
    if (!('error' in result) && leg.isLost) context.moveTo(leg, result.flow, now);
  });
}
