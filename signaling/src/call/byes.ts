import { createResponse, type SipMessage } from '@offhook/core';
import type { Binding } from '../registrar/index.ts';
import type { Leg } from './call.ts';
import { credentialsFor } from './challenge.ts';
import { type CallContext, reasonHeader } from './context.ts';
import { acknowledge } from './exchange.ts';
import type { InDialog } from './in-dialog.ts';
import { isOfPhone } from './leg-table.ts';
import { acknowledgesStopped } from './reliable.ts';
import { stopRepeating } from './repeated-ok.ts';

/**
 * How the dialogs of calls end (RFC 3261 15): each leg gets its BYE at once or, where that may not be sent yet, owed. Until
 * all is settled a dialog is known here, though its call has ended: for what may still come of its phone.
 */
export class Byes {
  readonly #context: CallContext;
  /** By our tag. */
  readonly #closing = new Map<string, Leg>();
  /** By the transaction that is to end before its dialog may be forgotten. */
  readonly #byTransaction = new Map<string, Leg>();
  /**
   * Phones whose call has ended and that may not be told yet: they were away, or have not acknowledged our 2xx. The words
   * are for the BYE they get when they come back, or have done so.
   */
  readonly #owed = new Map<Leg, string | undefined>();

  constructor(context: CallContext) {
    this.#context = context;
  }

  /** What is kept, of whatever kind: nothing of it outlives its transactions and timers. */
  get size(): number {
    return this.#closing.size + this.#byTransaction.size + this.#owed.size;
  }

  /** The leg of a dialog that we are just ending. */
  find(request: SipMessage): Leg | undefined {
    const leg = this.#closing.get(request.to.tag ?? '');
    return leg?.dialog.owns(request) ? leg : undefined;
  }

  /** Legs that are owed a BYE, of the phone that has registered. */
  owedTo(binding: Binding): Leg[] {
    if (this.#owed.size === 0) return [];
    return [...this.#owed.keys()].filter((leg) => leg.user === binding.user && isOfPhone(leg, binding));
  }

  isOwed(leg: Leg): boolean {
    return this.#owed.has(leg);
  }

  /** BYE to a leg; what it answers does not matter. A phone that is away gets it when it comes back in time. */
  send(leg: Leg, reason: string | undefined, nowMs: number): void {
    const context = this.#context;
    if (leg.isLost) {
      stopRepeating(context, leg);
      this.#owe(leg, reason);
      context.setTimer(leg.timers.lost, nowMs + context.limits.graceMs);
      return;
    }
    // RFC 3261 15: "the callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK for its 2xx
    // response or until the server transaction times out".
    if (leg.ok?.beginsCall) {
      this.#owe(leg, reason);
      return;
    }
    // A 2xx is acknowledged first, whatever comes of it (RFC 3261 13.2.2.4).
    if (leg.unacknowledged !== undefined) acknowledge(context, { leg }, leg.unacknowledged, undefined);
    const headers = reason === undefined ? [] : [['Reason', reasonHeader(200, reason)] as const];
    this.#request(leg, headers, nowMs);
  }

  /** Sends the BYE that had to wait; whether there was one. */
  pay(leg: Leg, nowMs: number): boolean {
    const debt = this.#settle(leg);
    if (debt) this.send(leg, debt.words, nowMs);
    return debt !== undefined;
  }

  /** The same without the BYE: its phone did not come back in time. */
  forget(leg: Leg, nowMs: number): boolean {
    if (this.#settle(leg) === undefined) return false;
    this.#context.counters.countOver(leg, 'failed', nowMs);
    return true;
  }

  /** Answers what has crossed the end of its dialog; whether it was that. */
  handleCrossing({ id, message }: InDialog, nowMs: number): boolean {
    const leg = this.find(message);
    if (!leg) return false;
    const { method } = message;
    // Both hung up at the same moment (RFC 5407 3.2.1), or a PRACK has crossed the failure of its INVITE (RFC 3262 3).
    if (method !== 'BYE' && !(method === 'PRACK' && acknowledgesStopped(leg, message))) return false;
    this.#context.respond(id, createResponse(message, 200, undefined, { toTag: leg.tag }), nowMs);
    if (method === 'BYE') {
      this.#context.counters.countOver(leg, 'completed', nowMs);
      this.#forgive(leg);
    }
    return true;
  }

  /** The dialog is known until that transaction has ended: a BYE, or an INVITE that has failed and whose PRACK is still to come. */
  keep(leg: Leg, transaction: string): void {
    this.#closing.set(leg.tag, leg);
    this.#byTransaction.set(transaction, leg);
  }

  /** That transaction has ended; nothing happens when no dialog was kept for it. */
  handleTerminated(transaction: string): void {
    const leg = this.#byTransaction.get(transaction);
    if (!leg) return;
    this.#byTransaction.delete(transaction);
    this.#closing.delete(leg.tag);
  }

  /** A provider may ask for the password once more; a BYE that it does not take leaves a call up that is paid for. */
  #request(leg: Leg, headers: readonly (readonly [string, string])[], nowMs: number, sentMs = nowMs): void {
    const { options, counters } = this.#context;
    const request = leg.dialog.request('BYE', { headers });
    const id = options.transactions.request(request, leg.dialog.flow, nowMs);
    this.keep(leg, id);
    const counts = leg.establishedMs !== undefined;
    if (!counts && !leg.line?.authorize) return;
    this.#context.follow(id, {
      response: (answer, _flow, now) => {
        const { status } = answer;
        if (status < 200) return;
        const credentials = credentialsFor(leg, request, answer);
        if (credentials)
          this.#request(leg, [...headers.filter(([name]) => name === 'Reason'), credentials], now, sentMs);
        else if (counts) counters.countBye(leg, { sentMs, status }, now);
      },
      failed: (_why, now) => {
        if (counts) counters.countBye(leg, { sentMs, status: undefined }, now);
      },
    });
  }

  #owe(leg: Leg, words: string | undefined): void {
    this.#owed.set(leg, words);
    this.#closing.set(leg.tag, leg);
  }

  /** Takes the debt away; undefined when there was none. */
  #settle(leg: Leg): { readonly words: string | undefined } | undefined {
    if (!this.#owed.has(leg)) return undefined;
    const words = this.#owed.get(leg);
    this.#owed.delete(leg);
    this.#closing.delete(leg.tag);
    return { words };
  }

  /** The phone has hung up by itself: it needs no BYE any more. */
  #forgive(leg: Leg): void {
    if (!this.#settle(leg)) return;
    stopRepeating(this.#context, leg);
    this.#context.clearTimer(leg.timers.lost);
  }
}
