import type { CallFacts, Routed } from './decision.ts';

export interface RouteCommand {
  readonly kind: 'route';
  readonly id: number;
  readonly facts: CallFacts;
}

type Then = (routed: Routed, nowMs: number) => void;

/** Calls that wait for a decision from outside of the machine; whoever drains `poll` answers each of them by `handle`, once. */
export class AskedRoutes {
  readonly #commands: RouteCommand[] = [];
  readonly #waiting = new Map<number, Then>();
  #nextId = 1;

  get size(): number {
    return this.#waiting.size;
  }

  ask(facts: CallFacts, then: Then): void {
    const id = this.#nextId++;
    this.#waiting.set(id, then);
    this.#commands.push({ kind: 'route', id, facts });
  }

  poll(): RouteCommand | undefined {
    return this.#commands.shift();
  }

  /** An answer that nobody waits for is none. */
  handle(id: number, routed: Routed, nowMs: number): void {
    const then = this.#waiting.get(id);
    this.#waiting.delete(id);
    then?.(routed, nowMs);
  }
}
