import { type Crypto, createResponse, hex, type SipMessage, utf8 } from '@offhook/core';
import { refusal } from '../call/index.ts';
import type { TransactionLayer } from '../transaction/index.ts';
import type { Sender } from './mailbox.ts';

/** Outcomes that are remembered, so that a copy whose answer was lost is not delivered again. */
const REMEMBERED = 5000;

/** What the requests of senders are answered, and what they were: a copy of one that comes late gets the same (RFC 3428 7). */
export class Senders {
  readonly #crypto: Crypto;
  readonly #secret: Uint8Array;
  readonly #transactions: Pick<TransactionLayer, 'respond'>;
  /** Final status by the name of the message. */
  readonly #outcomes = new Map<string, number>();

  constructor(options: {
    readonly crypto: Crypto;
    readonly secret: Uint8Array;
    readonly transactions: Pick<TransactionLayer, 'respond'>;
  }) {
    this.#crypto = options.crypto;
    this.#secret = options.secret;
    this.#transactions = options.transactions;
  }

  /** RFC 3261 8.1.1: Call-ID, From tag and CSeq tell requests of one sender apart. */
  nameOf({ callId, from, cseq }: SipMessage, sender: string): string {
    const what = utf8([sender, cseq.number, from.tag, callId].join('\n'));
    return hex(this.#crypto.hmac('sha256', this.#secret, what).subarray(0, 16));
  }

  /** The status that a message has come to, as long as it is remembered. */
  outcomeOf(id: string): number | undefined {
    return this.#outcomes.get(id);
  }

  remember(id: string, status: number): void {
    if (this.#outcomes.size >= REMEMBERED) this.#outcomes.delete(this.#outcomes.keys().next().value!);
    this.#outcomes.set(id, status);
  }

  answer(senders: readonly Sender[], status: number, nowMs: number): void {
    for (const { transaction, request } of senders) {
      const answer =
        status < 300
          ? createResponse(request, status, undefined, { toTag: this.#tag() })
          : refusal(request, status, 'a copy of this message had this answer', this.#tag());
      this.#transactions.respond(transaction, answer, nowMs);
    }
  }

  refuse(senders: readonly Sender[], why: { readonly status: number; readonly words: string }, nowMs: number): void {
    for (const { transaction, request } of senders)
      this.#transactions.respond(transaction, refusal(request, why.status, why.words, this.#tag()), nowMs);
  }

  #tag(): string {
    return hex(this.#crypto.randomBytes(8));
  }
}
