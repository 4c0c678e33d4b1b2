import type { SipMessage } from '@offhook/core';
import type { TransactionContext } from './context.ts';
import { type Flow, isReliable } from './flow.ts';
import { type ServerTransactionId, Transaction } from './transaction.ts';

/** An answer to other requests than INVITE that is longer is not kept: a repeat finds nothing, as if all had been lost. */
const LONGEST_KEPT = 16 * 1024;

/** Requests of others (RFC 3261 17.2, RFC 6026 for Accepted): our answers, and what comes again. */
export class ServerTransactions {
  readonly #context: TransactionContext;

  constructor(context: TransactionContext) {
    this.#context = context;
  }

  /** Nothing is kept of the request but its key. */
  start(id: ServerTransactionId, { method }: SipMessage, flow: Flow, owner: string | undefined): void {
    const invite = method === 'INVITE';
    const kind = invite ? 'server-invite' : 'server';
    const parts = { id, kind, flow, request: undefined, owner, silent: false } as const;
    this.#context.table.add(new Transaction(parts, invite ? 'proceeding' : 'trying'));
  }

  /** Answers one. Unknown ids and responses after a final one are ignored, but 2xx may be repeated. */
  respond(id: ServerTransactionId, response: SipMessage, nowMs: number): void {
    const context = this.#context;
    const { schedule } = context;
    const t = context.table.find(id);
    if (!t || (t.kind !== 'server' && t.kind !== 'server-invite')) return;
    if (t.state === 'accepted' && response.status >= 200 && response.status < 300) {
      context.send(t.flow, response.serialize());
      return;
    }
    if (t.state !== 'trying' && t.state !== 'proceeding') return;
    t.bytes = response.serialize();
    context.send(t.flow, t.bytes);
    const { t1 } = context.timers;
    if (response.status < 200) t.state = 'proceeding';
    else if (t.kind === 'server') {
      t.state = 'completed';
      if (t.bytes.length > LONGEST_KEPT) t.bytes = undefined;
      context.absorb(t, 64 * t1, nowMs); // timer J
    } else if (response.status < 300) {
      t.state = 'accepted';
      t.bytes = undefined; // the dialog repeats it
      schedule.absorb(t, 64 * t1, nowMs); // timer L, over TCP too
    } else {
      t.state = 'completed';
      t.intervalMs = t1;
      if (!isReliable(t.flow)) schedule.repeatAt(t, nowMs + t1); // timer G
      schedule.endAt(t, nowMs + 64 * t1); // timer H
    }
  }

  /** A request whose transaction exists: a retransmission, or the ACK of an INVITE. */
  handleAgain(t: Transaction, message: SipMessage, flow: Flow, nowMs: number): void {
    const context = this.#context;
    if (message.method === 'ACK') {
      if (t.state === 'accepted') context.commands.push({ kind: 'ack', message, flow });
      else if (t.state === 'completed') {
        t.state = 'confirmed';
        t.bytes = undefined;
        context.absorb(t, context.timers.t4, nowMs); // timer I
      }
      return;
    }
    context.counters.retransmissionsReceived++;
    // In Accepted the 2xx is repeated by the dialog alone (RFC 6026 7.1); after the ACK nothing is answered.
    if (t.bytes && (t.state === 'proceeding' || t.state === 'completed')) context.send(t.flow, t.bytes);
  }
}

/** Whether the failure that an INVITE was answered with is not acknowledged yet. */
export function isUnacknowledged({ kind, state }: Transaction): boolean {
  return kind === 'server-invite' && state === 'completed';
}
