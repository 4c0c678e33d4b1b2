import { BRANCH_COOKIE, type SipMessage } from '@offhook/core';
import { type Flow, isReliable } from './flow.ts';
import type { Transaction } from './transaction.ts';

/** All transactions: by what a message names, by flow, and how many each owner has. */
export class TransactionTable {
  readonly #byId = new Map<string, Transaction>();
  /** Of connections only. */
  readonly #perFlow = new WeakMap<Flow, Set<Transaction>>();
  /** Server transactions by owner. */
  readonly #perOwner = new Map<string, number>();

  get size(): number {
    return this.#byId.size;
  }

  find(id: string): Transaction | undefined {
    return this.#byId.get(id);
  }

  /** Those of one flow, a copy: they may be removed while it is read. Datagrams are hardly ever asked for: all are looked at. */
  onFlow(flow: Flow): Transaction[] {
    if (!isReliable(flow)) return [...this.#byId.values()].filter((t) => t.flow === flow);
    return [...(this.#perFlow.get(flow) ?? [])];
  }

  ofOwner(owner: string): number {
    return this.#perOwner.get(owner) ?? 0;
  }

  add(t: Transaction): void {
    this.#byId.set(t.id, t);
    if (isReliable(t.flow)) {
      const siblings = this.#perFlow.get(t.flow);
      if (siblings) siblings.add(t);
      else this.#perFlow.set(t.flow, new Set([t]));
    }
    if (t.owner !== undefined) this.#perOwner.set(t.owner, this.ofOwner(t.owner) + 1);
  }

  delete(t: Transaction): void {
    this.#byId.delete(t.id);
    if (isReliable(t.flow)) {
      const siblings = this.#perFlow.get(t.flow);
      siblings?.delete(t);
      if (siblings?.size === 0) this.#perFlow.delete(t.flow);
    }
    if (t.owner === undefined) return;
    const left = this.ofOwner(t.owner) - 1;
    if (left > 0) this.#perOwner.set(t.owner, left);
    else this.#perOwner.delete(t.owner);
  }
}

export function clientKey(branch: string, method: string): string {
  return `c ${branch} ${method}`;
}

/** RFC 3261 17.2.3: branch, sent-by and method; without the cookie the fields that RFC 2543 compared. */
export function serverKey(message: SipMessage, method: string): string {
  const via = message.vias[0]!;
  if (via.branch.startsWith(BRANCH_COOKIE)) return `s ${via.branch} ${via.sentBy} ${method}`;
  return `s ${message.callId} ${message.cseq.number} ${message.from.tag ?? ''} ${via} ${method}`;
}
