import { reasonPhrase } from '@offhook/core';
import { type Call, type Leg, spoken, type Transfer } from './call.ts';
import type { CallContext } from './context.ts';
import { carryAnswer, restore, sdpOf } from './exchange.ts';
import { moveLeg, returnLeg, settleFetched } from './fetch.ts';
import { echoCommand } from './media.ts';
import { reanchor } from './reanchor.ts';
import { rejoin } from './rejoin.ts';

const SIPFRAG = 'message/sipfrag;version=2.0';

type Failure = { readonly status: number; readonly words: string };

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

/**
 * The new side is there. The relay moves the leg of who is transferred, with its ports and keys, into the new call; then
 * its phone gets the new side's description, and who transferred it leaves.
 */
export function joinTransferred(context: CallContext, call: Call, nowMs: number): void {
  const failed = (why: Failure, now: number) => {
    if (call.state === 'ended') return;
    // A fetched leg has a call of its own, which goes on.
    if (call.b && call.b.call === call) context.byes.send(call.b, why.words, now);
    transferFailed(context, call, why, now);
    context.end(call, why, now);
  };
  bring(context, call, nowMs, (problem, moved) => {
    if (call.state === 'ended') return;
    if (problem !== undefined) failed({ status: 503, words: problem }, moved);
    else
      describe(context, call, moved, (sdp, now) => {
        if (typeof sdp !== 'string') failed(sdp, now);
        else {
          const described = () => sdp;
          rejoin(context, call.a, described, now, (result, later) => {
            if (call.state === 'ended') return;
            if ('status' in result) failed(result, later);
            else {
              follow(context, call, result.sdp);
              complete(context, call, later);
            }
          });
        }
      });
  });
}

/** Moves the leg of who is transferred into the new call at the relay, if it is not there yet. */
export function bring(
  context: CallContext,
  call: Call,
  nowMs: number,
  then: (problem: string | undefined, nowMs: number) => void,
): void {
  const { a, transfer, ngCallId } = call;
  const fromNgCallId = transfer?.old.ngCallId;
  if (!transfer || transfer.move.state === 'moved' || fromNgCallId === undefined) {
    then(undefined, nowMs);
    return;
  }
  const to = ngCallId ?? call.branches.find((b) => b.state !== 'failed')?.ngCallId;
  if (to === undefined) {
    then('the new call has no media path', nowMs);
    return;
  }
  moveLeg(context, transfer.move, { ngCallId: to, fromNgCallId, tag: a.mediaTag }, then);
}

/** What the relay now tells who is transferred of its new side. */
function describe(
  context: CallContext,
  call: Call,
  nowMs: number,
  then: (sdp: string | Failure, nowMs: number) => void,
): void {
  const { a, b, agreed } = call;
  const ngCallId = call.ngCallId!;
  if (b && agreed) {
    const half = { call, ngCallId, from: b, to: a, sdp: agreed.answer, offer: agreed.offer };
    carryAnswer(context, half, nowMs, (carried, now) =>
      then('error' in carried ? { status: 488, words: carried.error } : carried.sdp, now),
    );
    return;
  }
  const sdp = sdpOf(call.invite) ?? '';
  const isSilent = call.kind === 'parked';
  const command = echoCommand({ ngCallId, from: a, sdp, isSilent, isPast: true });
  context.media(call, command, (result, now) =>
    then('error' in result ? { status: 488, words: result.error } : String(result.ok.sdp ?? ''), now),
  );
}

/** Who is transferred may have answered with other addresses or keys than it had: the relay hears both sides anew. */
function follow(context: CallContext, call: Call, sdp: string): void {
  if (call.agreed) {
    call.agreed = { ...call.agreed, offer: sdp };
    restore(context, call);
    return;
  }
  const isSilent = call.kind === 'parked';
  context.media(call, echoCommand({ ngCallId: call.ngCallId!, from: call.a, sdp, isSilent }), () => {});
}

function complete(context: CallContext, call: Call, nowMs: number): void {
  const transfer = call.transfer!;
  const { by, old } = transfer;
  notify(context, transfer, 200, nowMs);
  transfer.move.state = 'stays'; // for good: nothing leads it back
  old.pending = undefined;
  call.a.call = call;
  call.state = 'answered';
  call.answeredAtMs = nowMs;
  context.counters.transferred++;
  const words = `${spoken(call.a)} was transferred to ${call.callee} by ${spoken(by)}`;
  if (old.state === 'answered') {
    context.byes.send(by, words, nowMs);
    context.end(old, { status: 200, words }, nowMs);
  }
  settleFetched(context, call, nowMs);
  context.answered(call, nowMs);
  if (call.hasLostRelay) reanchor(context, [call], nowMs);
}

/** The new side can't be had: who asked is told. If it has left already, the one it wanted to transfer is hung up. */
export function transferFailed(context: CallContext, call: Call, why: Failure, nowMs: number): void {
  const { a: leg, transfer } = call;
  if (!transfer) return;
  notify(context, transfer, why.status, nowMs);
  transfer.old.pending = undefined;
  if (leg.call === call) context.byes.send(leg, `the transfer failed: ${why.words}`, nowMs);
}

/** A transfer came to nothing: who was to be transferred goes back to the call it is still in; then `then`. */
export function returnTransferred(context: CallContext, call: Call, then: () => void): void {
  const { transfer, ngCallId, a } = call;
  const { move, old } = transfer ?? {};
  if (move && old && ngCallId !== undefined) returnLeg(context, { move, leg: a, from: old, ngCallId }, then);
  else then();
}

/** An event of its own for each further REFER of a dialog (RFC 3515 2.4.6). */
export function eventOf(leg: Leg, cseq: number): string {
  const isFirst = leg.referred !== true;
  leg.referred = true;
  return isFirst ? 'refer' : `refer;id=${cseq}`;
}
