import { type Flow, isReliable } from './flow.ts';
import { Schedule } from './schedule.ts';
import { TransactionTable } from './table.ts';
import type { SipTimers } from './timers.ts';
import type { Transaction, TransactionCommand } from './transaction.ts';

/** Counted, never logged per message. */
export interface TransactionCounters {
  admitted: number;
  rejected: number;
  dropped: number;
  retransmissionsReceived: number;
  retransmissionsSent: number;
  strayResponses: number;
  overload: number;
  /** Ended ones that made room before their last timer. */
  cutShort: number;
  timeouts: number;
}

/** What client and server transactions share: where they stand, when they are due, and what is to be done of them. */
export class TransactionContext {
  readonly timers: SipTimers;
  readonly table = new TransactionTable();
  readonly schedule = new Schedule();
  readonly commands: TransactionCommand[] = [];
  readonly counters: TransactionCounters = {
    admitted: 0,
    rejected: 0,
    dropped: 0,
    retransmissionsReceived: 0,
    retransmissionsSent: 0,
    strayResponses: 0,
    overload: 0,
    cutShort: 0,
    timeouts: 0,
  };

  constructor(timers: SipTimers) {
    this.timers = timers;
  }

  send(flow: Flow, bytes: Uint8Array): void {
    this.commands.push({ kind: 'send', flow, bytes });
  }

  /** It has ended; over UDP it stays as long as what the other side sent before may come again. */
  absorb(t: Transaction, forMs: number, nowMs: number): void {
    if (isReliable(t.flow)) this.terminate(t);
    else this.schedule.absorb(t, forMs, nowMs);
  }

  terminate(t: Transaction): void {
    t.state = 'terminated';
    this.schedule.drop(t);
    this.table.delete(t);
    if (!t.silent) this.commands.push({ kind: 'terminated', id: t.id });
  }
}
