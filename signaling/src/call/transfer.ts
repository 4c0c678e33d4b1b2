import { hex, reasonPhrase } from '@offhook/core';
import type { Call, Leg, Transfer } from './call.ts';
import type { CallContext } from './context.ts';
import { adoptAnswer, restore } from './exchange.ts';
import { echoCommand } from './media.ts';
import { rejoin } from './rejoin.ts';

const SIPFRAG = 'message/sipfrag;version=2.0';

/** Tells who asked for a transfer how far it is (RFC 3515 2.4.5), unless it wants to hear nothing (RFC 4488). */
export function notify(context: CallContext, transfer: Transfer, status: number, nowMs: number): void {
  const { by, event, old } = transfer;
  if (event === undefined || transfer.isOver || old.state !== 'answered' || by.isLost) return;
  transfer.isOver = status >= 200;
  const request = by.dialog.request('NOTIFY', {
    headers: [
      ['Event', event],
      ['Subscription-State', transfer.isOver ? 'terminated;reason=noresource' : 'active;expires=60'],
    ],
    body: { type: SIPFRAG, bytes: `SIP/2.0 ${status} ${reasonPhrase(status)}\r\n` },
  });
  // Whether it is understood makes no difference to the transfer.
  context.follow(context.options.transactions.request(request, by.dialog.flow, nowMs), {
    response: () => {},
    failed: () => {},
  });
}

/** The new side is there: the one that is transferred gets its description; then who transferred it leaves. */
export function joinTransferred(context: CallContext, call: Call, sdp: string, nowMs: number): void {
  const leg = call.a;
  rejoin(context, leg, sdp, nowMs, (result, now) => {
    if (call.state === 'ended') return;
    if ('status' in result) {
      if (call.b && call.transfer?.consult === undefined) context.bye(call.b, result.words, now);
      transferFailed(context, call, result, now);
      context.end(call, result, now);
      return;
    }
    // It may have answered with other addresses and keys than it had: the relay hears both sides anew.
    if (call.agreed) {
      call.agreed = { ...call.agreed, offer: result.sdp };
      restore(context, call, now);
    } else if (call.kind === 'echo')
      context.media(call, echoCommand({ ngCallId: call.ngCallId!, from: leg, sdp: result.sdp }), now, () => {});
    complete(context, call, now);
  });
}

function complete(context: CallContext, call: Call, nowMs: number): void {
  const transfer = call.transfer!;
  const { by, old, consult } = transfer;
  notify(context, transfer, 200, nowMs);
  call.a.call = call;
  if (call.b) call.b.call = call;
  call.state = 'answered';
  call.answeredAtMs = nowMs;
  context.counters.transferred++;
  const words = `${call.caller} was transferred to ${call.callee} by ${by.user}`;
  for (const [left, leg] of [[old, by] as const, ...(consult ? [[consult.call, consult.leg] as const] : [])]) {
    if (left.state !== 'answered') continue;
    context.bye(leg, words, nowMs);
    context.end(left, { status: 200, words }, nowMs);
  }
  context.answered(call, nowMs);
}

/** The new side can't be had: who asked is told. If it has left already, the one it wanted to transfer is hung up. */
export function transferFailed(
  context: CallContext,
  call: Call,
  why: { status: number; words: string },
  nowMs: number,
): void {
  const { a: leg, transfer } = call;
  if (!transfer) return;
  notify(context, transfer, why.status, nowMs);
  transfer.old.pending = undefined;
  leadBack(context, call, nowMs);
  if (leg.call === call) context.bye(leg, `the transfer failed: ${why.words}`, nowMs);
}

/** The far end of the other call, if it was given the new description already, gets its old one back. */
function leadBack(context: CallContext, call: Call, nowMs: number): void {
  const { consult } = call.transfer ?? {};
  const far = call.b;
  if (!far || consult?.before === undefined || consult.call.state !== 'answered') return;
  rejoin(context, far, consult.before, nowMs, (result, now) => {
    if ('sdp' in result) adoptAnswer(context, far, result.sdp, now);
  });
}

/** Who transfers hangs up before the new side has answered: the other waits for it, in the new call. */
export function leaveTransfer(call: Call): Leg | undefined {
  const { pending } = call;
  if (!pending) return undefined;
  call.pending = undefined;
  pending.a.call = pending;
  return pending.a;
}

/** An event of its own for each further REFER of a dialog (RFC 3515 2.4.6). */
export function eventOf(leg: Leg, cseq: number): string {
  const isFirst = leg.referred !== true;
  leg.referred = true;
  return isFirst ? 'refer' : `refer;id=${cseq}`;
}

export function newCallId(context: CallContext): string {
  return hex(context.options.crypto.randomBytes(12));
}
