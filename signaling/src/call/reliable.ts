import { createResponse, type SipMessage } from '@offhook/core';
import type { Call, Leg } from './call.ts';
import { ALLOW, type CallContext, refusal, SUPPORTED } from './context.ts';
import { changeByCaller } from './early-change.ts';
import { sdpOf } from './exchange.ts';
import type { InDialog } from './in-dialog.ts';
import { type EarlyDialog, earlyDialog, sequenceNumber } from './prack.ts';

/** T1; retransmission ends after 64 of it (RFC 3262 3). */
const T1_MS = 500;
/** Provisional responses that wait for the PRACK of the one before. */
const MAX_WAITING = 4;
/** Responses no longer repeated whose PRACK is still understood. */
const MAX_STOPPED = 8;

/** A provisional response of ours that is, or will be, sent reliably. */
interface Provisional {
  readonly response: SipMessage;
  /** Whose 18x it carries on: its early dialog, undefined when that 18x was not reliable itself, and its To tag. */
  readonly from: EarlyDialog | undefined;
  readonly phoneTag: string | undefined;
  readonly isDescribed: boolean;
}

/** Provisional responses to the caller that it acknowledges (RFC 3262 3), in one early dialog. */
export interface Reliable {
  readonly tag: string;
  rseq: number;
  /** Sent and not acknowledged yet: never more than one. */
  unacknowledged?: Provisional & { readonly rseq: number; intervalMs: number };
  waiting: Provisional[];
  /** Not repeated any more, but "it MUST be prepared to process PRACK requests" for them; of earlier dialogs, too. */
  stopped: { readonly tag: string; readonly rseq: number }[];
  /** The one whose description the caller has acknowledged: the first exchange of offer and answer is complete. */
  complete?: Pick<Provisional, 'from' | 'phoneTag'>;
  /** A later exchange has replaced it: the 2xx must not bring it up again. */
  isChanged: boolean;
  /** The 2xx that waits for a PRACK. */
  held?: (nowMs: number) => void;
}

/** A provisional response to the caller: reliably when it requires that, or supports it and there is a description to lose. */
export function sendProvisional(
  context: CallContext,
  call: Call,
  what: { response: SipMessage; carried?: { message: SipMessage; leg: Leg } },
  nowMs: number,
): void {
  const { invite, a } = call;
  const { response, carried } = what;
  const isRequired = invite.hasToken('require', '100rel');
  const isDescribed = sdpOf(response) !== undefined;
  if (!isRequired && !(isDescribed && invite.hasToken('supported', '100rel'))) {
    context.respond(call.inviteTransaction, response, nowMs);
    return;
  }
  // The first reliable response would have to carry the offer (RFC 3262 5), which only the 2xx will bring.
  if (sdpOf(invite) === undefined) return;
  response.add('require', '100rel').add('allow', ALLOW).add('supported', SUPPORTED.join(', '));
  const provisional: Provisional = {
    response,
    from: carried && earlyDialog(carried.leg, carried.message),
    phoneTag: carried?.message.to.tag,
    isDescribed,
  };
  const reliable = a.reliable?.tag === a.tag ? a.reliable : resetReliable(context, a);
  if (!reliable.unacknowledged) {
    send(context, a, provisional, nowMs);
    return;
  }
  // Of ringing only the newest state matters; a description is not to be lost.
  if (reliable.waiting.at(-1)?.isDescribed === false) reliable.waiting.pop();
  if (reliable.waiting.length < MAX_WAITING) reliable.waiting.push(provisional);
}

/** Whether another phone behind the contact has answered than the one whose description the caller was told reliably. */
export function isOfAnother({ a }: Call, answer: SipMessage | undefined): boolean {
  const { reliable, tag } = a;
  if (reliable?.tag !== tag || answer === undefined) return false;
  const current = reliable.unacknowledged?.isDescribed ? reliable.unacknowledged : undefined;
  const told = (reliable.complete ?? current)?.phoneTag;
  return told !== undefined && told !== answer.to.tag;
}

/** Whether the caller's 2xx has to wait: the answer it was told reliably is not acknowledged yet (RFC 3262 3). */
export function holdAnswer(call: Call, send: (nowMs: number) => void): boolean {
  const { reliable, tag } = call.a;
  if (reliable?.tag !== tag || !reliable.unacknowledged?.isDescribed) return false;
  reliable.held = send;
  return true;
}

/** The description for the caller's 2xx: none when it has been replaced by one that was agreed on since, or is just being. */
export function finalAnswer(call: Call, sdp: string): string | undefined {
  const { reliable, tag } = call.a;
  if (reliable?.tag !== tag) return sdp;
  const isChanging = reliable.complete !== undefined && call.renegotiation !== undefined;
  return reliable.isChanged || isChanging ? undefined : sdp;
}

/** PRACK of the caller (RFC 3262 3). */
export function handlePrack(context: CallContext, leg: Leg, got: InDialog, nowMs: number): void {
  const { id, message } = got;
  const refuse = (status: number, words: string) =>
    context.respond(id, refusal(message, status, words, leg.tag), nowMs);
  const acknowledged = rackOf(message);
  if (!acknowledged) {
    refuse(400, 'a PRACK needs RAck: RSeq, CSeq and method of what it acknowledges');
    return;
  }
  const { reliable, call } = leg;
  const { invite } = call;
  const isOurs = acknowledged.method === 'INVITE' && acknowledged.cseq === invite.cseq.number && leg === call.a;
  const current = reliable?.unacknowledged;
  if (!isOurs || !reliable || current?.rseq !== acknowledged.rseq || message.to.tag !== reliable.tag) {
    if (isOurs && acknowledgesStopped(leg, message)) accept(context, leg, got, nowMs);
    else refuse(481, 'nothing waits for this PRACK');
    return;
  }
  stopTimers(context, leg);
  reliable.unacknowledged = undefined;
  if (current.isDescribed) reliable.complete ??= { from: current.from, phoneTag: current.phoneTag };
  accept(context, leg, got, nowMs);
  const { held } = reliable;
  reliable.held = undefined;
  if (held) {
    held(nowMs);
    return;
  }
  const next = reliable.waiting.shift();
  if (next && !call.finalSent) send(context, leg, next, nowMs);
}

/** A PRACK for a response that a final one has overtaken; each is understood once. */
export function acknowledgesStopped(leg: Leg, prack: SipMessage): boolean {
  const { stopped } = leg.reliable ?? {};
  const rseq = rackOf(prack)?.rseq;
  const at = stopped?.findIndex((s) => s.tag === prack.to.tag && s.rseq === rseq) ?? -1;
  if (at < 0) return false;
  stopped!.splice(at, 1);
  return true;
}

/** RFC 3262 3: T1, doubled each time; not capped by T2, and over reliable transports too. */
export function repeatProvisional(context: CallContext, leg: Leg, nowMs: number): void {
  const current = leg.reliable?.unacknowledged;
  if (!current) return;
  context.respond(leg.call.inviteTransaction, current.response, nowMs);
  current.intervalMs *= 2;
  context.setTimer(leg.timers.provisional, nowMs + current.intervalMs);
}

/** The INVITE has its final answer, or goes on in another dialog: nothing provisional is repeated or sent any more. */
export function stopReliable(context: CallContext, leg: Leg): void {
  const { reliable } = leg;
  if (!reliable) return;
  stopTimers(context, leg);
  const { unacknowledged: current, tag } = reliable;
  if (current && reliable.stopped.length < MAX_STOPPED) reliable.stopped.push({ tag, rseq: current.rseq });
  reliable.unacknowledged = undefined;
  reliable.waiting = [];
  reliable.held = undefined;
}

/**
 * For a caller's leg that has got another To tag: its reliable responses begin anew, with an RSeq of their own. A PRACK
 * for one of the dialog before is still answered by 200.
 */
export function resetReliable(context: CallContext, leg: Leg): Reliable {
  const { stopped = [] } = leg.reliable ?? {};
  stopReliable(context, leg);
  const random = context.options.crypto.randomBytes(4);
  const rseq = new DataView(random.buffer, random.byteOffset).getUint32(0) % 0x7fffffff;
  leg.reliable = { tag: leg.tag, rseq, waiting: [], stopped, isChanged: false };
  return leg.reliable;
}

function send(context: CallContext, leg: Leg, provisional: Provisional, nowMs: number): void {
  const reliable = leg.reliable!;
  const { response } = provisional;
  const { inviteTransaction } = leg.call;
  reliable.rseq++;
  response.set('rseq', reliable.rseq);
  if (provisional.isDescribed) leg.sent = sdpOf(response);
  context.respond(inviteTransaction, response, nowMs);
  if (!context.options.transactions.isOpen(inviteTransaction)) return;
  reliable.unacknowledged = { ...provisional, rseq: reliable.rseq, intervalMs: T1_MS };
  context.setTimer(leg.timers.provisional, nowMs + T1_MS);
  context.setTimer(leg.timers.noPrack, nowMs + 64 * T1_MS);
}

function stopTimers(context: CallContext, leg: Leg): void {
  context.clearTimer(leg.timers.provisional);
  context.clearTimer(leg.timers.noPrack);
}

/** 200 to a PRACK that acknowledged something; an offer in it goes the way of an UPDATE's. */
function accept(context: CallContext, leg: Leg, got: InDialog, nowMs: number): void {
  if (sdpOf(got.message) !== undefined) changeByCaller(context, leg, got, nowMs);
  else context.respond(got.id, createResponse(got.message, 200, undefined, { toTag: leg.tag }), nowMs);
}

/** `RAck: 776656 1 INVITE` (RFC 3262 7.2). */
function rackOf(message: SipMessage): { rseq: number; cseq: number; method: string } | undefined {
  const [rseq = '', cseq = '', method = '', ...rest] = (message.header('rack') ?? '').trim().split(/[ \t]+/);
  const sequence = sequenceNumber(rseq);
  if (sequence === undefined || !/^\d{1,10}$/.test(cseq) || method === '' || rest.length > 0) return undefined;
  return { rseq: sequence, cseq: Number(cseq), method };
}
