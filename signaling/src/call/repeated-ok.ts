import type { SipMessage } from '@offhook/core';
import type { Leg } from './call.ts';
import type { CallContext } from './context.ts';

// The 2xx to an INVITE: repeated end to end until its ACK comes, for transactions do not do that (RFC 3261 13.3.1.4).

const T1_MS = 500;
const T2_MS = 4000;

/** Sends a 2xx to an INVITE and repeats it until it is acknowledged. */
export function sendOk(
  context: CallContext,
  leg: Leg,
  { transaction, response }: { readonly transaction: string; readonly response: SipMessage },
  nowMs: number,
): void {
  context.respond(transaction, response, nowMs);
  // Its connection went meanwhile: nobody will see this answer, nor acknowledge it.
  if (!context.options.transactions.isOpen(transaction)) return;
  const beginsCall = transaction === leg.call.inviteTransaction;
  leg.ok = { transaction, response, intervalMs: T1_MS, cseq: response.cseq.number, beginsCall };
  context.setTimer(leg.timers.retransmit, nowMs + T1_MS);
  context.setTimer(leg.timers.noAck, nowMs + 64 * T1_MS);
}

/** Its ACK is due: after T1, doubled up to T2, on reliable transports too. */
export function repeatOk(context: CallContext, leg: Leg, nowMs: number): void {
  if (!leg.ok) return;
  context.options.transactions.respond(leg.ok.transaction, leg.ok.response, nowMs);
  leg.ok.intervalMs = Math.min(leg.ok.intervalMs * 2, T2_MS);
  context.setTimer(leg.timers.retransmit, nowMs + leg.ok.intervalMs);
}

/** It has come through: its ACK is here, or something that no phone sends before. */
export function stopRepeating(context: CallContext, leg: Leg): void {
  leg.ok = undefined;
  context.clearTimer(leg.timers.retransmit);
  context.clearTimer(leg.timers.noAck);
}
