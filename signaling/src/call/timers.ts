import { type Call, type CallTimer, spoken } from './call.ts';
import type { CallContext } from './context.ts';
import { ringOver } from './hunt.ts';
import { isUnknownCall, queryCommand } from './media.ts';
import { giveUp, stillRinging } from './outcome.ts';
import { reanchorAgain } from './reanchor.ts';
import { sessionDue } from './refresh.ts';
import { tryAgain } from './rejoin.ts';
import { repeatProvisional } from './reliable.ts';
import { cancelRenegotiation } from './renegotiate.ts';
import { repeatOk, stopRepeating } from './repeated-ok.ts';

/** What is due of a call or of one of its legs. */
export function fire(context: CallContext, timer: CallTimer, nowMs: number): void {
  const { call, leg } = timer;
  switch (timer.kind) {
    case 'ring':
      ringOver(context, call, nowMs);
      return;
    case 'still-ringing':
      stillRinging(context, call, nowMs);
      return;
    case 'retransmit-2xx':
      if (leg) repeatOk(context, leg, nowMs);
      return;
    case 'no-ack':
      if (leg) stopRepeating(context, leg);
      if (leg && context.byes.pay(leg, nowMs)) return;
      context.counters.noAck++;
      context.hangUp(call, { status: 408, words: 'the answer was never acknowledged' }, nowMs);
      return;
    case 'retransmit-1xx':
      if (leg) repeatProvisional(context, leg, nowMs);
      return;
    case 'no-prack':
      context.counters.noPrack++;
      giveUp(context, call, {
        status: 504,
        words: `${spoken(call.a)}'s phone sent no PRACK for what it was told`,
        nowMs,
      });
      return;
    case 'change':
      cancelRenegotiation(context, call, nowMs);
      return;
    case 'check':
      check(context, call, nowMs);
      return;
    case 'again':
      if (leg) tryAgain(leg, nowMs);
      return;
    case 'ours':
      leg?.cancelOurs?.(nowMs);
      return;
    case 'session':
      if (leg) sessionDue(context, leg, nowMs);
      return;
    case 'lost':
      if (leg && context.byes.forget(leg, nowMs)) return;
      if (leg) leg.isLost = false; // a last BYE is sent where it was last seen
      context.hangUp(
        call,
        { status: 480, words: `the connection of ${leg ? spoken(leg) : 'a phone'} did not come back` },
        nowMs,
      );
      return;
    default:
      timer.kind satisfies never;
  }
}

/** A relay that gave a silent call up has none: then nobody hears anybody. */
function check(context: CallContext, call: Call, nowMs: number): void {
  if (call.reanchoring) {
    reanchorAgain(context, call, nowMs);
    return;
  }
  if (call.ngCallId === undefined || (call.isUnrelayed && !call.isTerminated)) return;
  context.setTimer(call.check, nowMs + context.limits.checkMs);
  context.media(call, queryCommand(call.ngCallId), (result, now) => {
    if ('ok' in result || !isUnknownCall(result.error) || call.reanchoring) return;
    context.counters.mediaLost++;
    context.hangUp(call, { status: 480, words: 'no media came for too long, or the media relay was restarted' }, now);
  });
}
