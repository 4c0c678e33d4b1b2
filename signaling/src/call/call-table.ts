import type { Call } from './call.ts';

/** All calls: by what begins or changes them, by the user who began them, and by what they are doing. */
export class CallTable {
  readonly #calls = new Set<Call>();
  /** By the transactions of their INVITEs, re-INVITEs too, that are not answered yet. */
  readonly #byInvite = new Map<string, Call>();
  readonly #perUser = new Map<string, number>();

  get size(): number {
    return this.#calls.size;
  }

  /** A copy: they may end while it is read. */
  all(): Call[] {
    return [...this.#calls];
  }

  add(call: Call): void {
    this.#calls.add(call);
    this.#count(call, 1);
  }

  delete(call: Call): void {
    this.#calls.delete(call);
    this.#byInvite.delete(call.inviteTransaction);
    this.#count(call, -1);
  }

  /** How many calls that user has begun. */
  begunBy(user: string): number {
    return this.#perUser.get(user) ?? 0;
  }

  invited(transaction: string, call: Call): void {
    this.#byInvite.set(transaction, call);
  }

  ofInvite(transaction: string): Call | undefined {
    return this.#byInvite.get(transaction);
  }

  /** That INVITE has its final answer. */
  inviteAnswered(transaction: string): void {
    this.#byInvite.delete(transaction);
  }

  parkedIn(slot: string): Call | undefined {
    for (const call of this.#calls) if (call.slot === slot) return call;
    return undefined;
  }

  /** Those that ring at phones of users whom that holds for, the oldest first. */
  ringingAt(matches: (user: string) => boolean): Call[] {
    return [...this.#calls].filter(
      ({ state, finalSent, branches }) =>
        state === 'ringing' &&
        !finalSent &&
        branches.some((b) => b.state !== 'failed' && !b.abandoned && matches(b.leg.user)),
    );
  }

  #count({ a }: Call, more: 1 | -1): void {
    const calls = this.begunBy(a.user) + more;
    if (calls > 0) this.#perUser.set(a.user, calls);
    else this.#perUser.delete(a.user);
  }
}
