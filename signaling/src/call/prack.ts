import type { SipMessage } from '@offhook/core';
import type { Dialog } from '../dialog/index.ts';
import { type Branch, type Leg, spoken } from './call.ts';
import { type Credentials, credentialsFor } from './challenge.ts';
import { type CallContext, noteAllow } from './context.ts';
import { sdpOf } from './exchange.ts';
import { goOn } from './hunt.ts';
import { abandon } from './outcome.ts';

/** Phones behind one contact whose reliable provisional responses are acknowledged. */
const MAX_EARLY_DIALOGS = 8;
/** Reliable provisional responses of one early dialog: one a minute for over an hour (RFC 3261 13.3.1.1). */
const MAX_IN_DIALOG = 100;

/** A dialog that a reliable provisional response has begun (RFC 3262 4); one of several behind a contact that forks. */
export interface EarlyDialog {
  readonly branch: Branch;
  readonly dialog: Dialog;
  /** CSeq of the INVITE it belongs to. */
  readonly cseq: number;
  /** RSeq of the last response that was taken, and how many there were. */
  rseq: number;
  count: number;
  /** The description of a reliable response: the answer to our offer (RFC 3262 5). */
  answer?: string;
  readonly allows: Set<string>;
}

/**
 * A provisional response to an INVITE of ours: a reliable one is acknowledged by PRACK, each once (RFC 3262 4). False when
 * it is to be ignored: repeated, or out of order.
 */
export function takeProvisional(context: CallContext, branch: Branch, message: SipMessage, nowMs: number): boolean {
  const rseq = reliableSequence(message);
  if (rseq === undefined || branch.call.lateOffer) return true;
  const { leg } = branch;
  const tag = message.to.tag!;
  const known = earlyDialog(leg, message);
  if (known) {
    // "the UAC MUST NOT process it further": lower ones are repeated, higher ones come again once the missing one did.
    if (rseq !== known.rseq + 1 || known.count >= MAX_IN_DIALOG) return false;
    known.rseq = rseq;
    known.count++;
    known.dialog.retarget(message);
  } else {
    leg.early ??= new Map();
    if (leg.early.size >= MAX_EARLY_DIALOGS && !leg.early.has(tag)) return false;
    leg.early.set(tag, {
      branch,
      dialog: leg.dialog.fork(message),
      cseq: message.cseq.number,
      rseq,
      count: 1,
      allows: new Set(leg.allows),
    });
  }
  const early = leg.early!.get(tag)!;
  noteAllow(early, message);
  early.answer ??= sdpOf(message);
  acknowledge(context, early, rseq, nowMs);
  return true;
}

/** The early dialog that a response belongs to. */
export function earlyDialog(leg: Pick<Leg, 'early'>, response: SipMessage): EarlyDialog | undefined {
  const early = leg.early?.get(response.to.tag ?? '');
  return early?.cseq === response.cseq.number ? early : undefined;
}

/** The answer that the dialog of a 2xx has had already: whatever the 2xx brings is not another (RFC 3261 13.2.1). */
export function answerOf(leg: Leg, ok: SipMessage): string | undefined {
  return earlyDialog(leg, ok)?.answer;
}

/** The 2xx makes an early dialog the leg's: its CSeq numbers go on (RFC 3261 12.1). */
export function adoptEarly(leg: Leg, ok: SipMessage): void {
  const early = earlyDialog(leg, ok);
  // The others can only be hung up from now on.
  for (const other of leg.early?.values() ?? []) if (other !== early) other.answer = undefined;
  if (!early) return;
  const { dialog } = leg;
  dialog.localCSeq = Math.max(dialog.localCSeq, early.dialog.localCSeq);
  dialog.remoteCSeq = Math.max(dialog.remoteCSeq, early.dialog.remoteCSeq);
  for (const method of early.allows) leg.allows.add(method);
}

/** RSeq of a reliable provisional response; undefined when it is none, or is malformed so that nobody could acknowledge it. */
function reliableSequence(message: SipMessage): number | undefined {
  if (message.status <= 100 || !message.to.tag || !message.hasToken('require', '100rel')) return undefined;
  return sequenceNumber(message.header('rseq')?.trim() ?? '');
}

/** 1 to 2^32 - 1 (RFC 3262 7.1). */
export function sequenceNumber(text: string): number | undefined {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : 0;
  return value >= 1 && value <= 0xffffffff ? value : undefined;
}

function acknowledge(
  context: CallContext,
  early: EarlyDialog,
  rseq: number,
  nowMs: number,
  authorized: readonly Credentials[] = [],
): void {
  const { branch, dialog, cseq } = early;
  const prack = dialog.request('PRACK', { headers: [['RAck', `${rseq} ${cseq} INVITE`], ...authorized] });
  const id = context.options.transactions.request(prack, branch.leg.dialog.flow, nowMs);
  context.follow(id, {
    response: (answer, _flow, now) => {
      const { status } = answer;
      if (status < 300) return;
      const proof = credentialsFor(branch.leg, prack, answer);
      if (proof && branch.leg.early?.get(dialog.remoteTag) === early) {
        acknowledge(context, early, rseq, now, [proof]);
        return;
      }
      context.counters.prackFailed++;
      if (status === 481) lost(context, early, now);
    },
    // Whether the phone goes on without it is the phone's business.
    failed: () => {
      context.counters.prackFailed++;
    },
  });
}

/** The phone knows that dialog no more. When it was the branch's last, nobody is there who could answer. */
export function lost(context: CallContext, early: EarlyDialog, nowMs: number): void {
  const { branch, dialog } = early;
  const { leg } = branch;
  if (leg.early?.get(dialog.remoteTag) !== early) return;
  leg.early.delete(dialog.remoteTag);
  if (leg.early.size > 0 || branch.state !== 'inviting' || branch.abandoned) return;
  const words = `${spoken(leg)}'s phone knows the call no more`;
  branch.failure ??= { status: 480, reason: words };
  abandon(context, branch, { status: 481, words, nowMs });
  goOn(context, branch.call, nowMs);
}
