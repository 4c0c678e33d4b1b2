import { Recent } from '../auth/index.ts';
import type { Flow } from '../transaction/index.ts';

/** Flows remembered per listener at least, so that a peer keeps its identity; twice as many at most. */
const KNOWN = 20_000;
/** Those of strangers apart: a flood of forged sources pushes out strangers only. */
const STRANGERS = 4000;

/** The flows of one datagram listener by their key; those used longest ago are forgotten first. */
export class FlowTable {
  #known = new Recent<Flow, FlowKey>(2 * KNOWN);
  #strangers = new Recent<Flow, FlowKey>(2 * STRANGERS);

  /** The flow of that key, which was used just now. */
  get(key: FlowKey): Flow | undefined {
    const known = this.#known.touch(key);
    if (known) return known;
    const flow = this.#strangers.touch(key);
    if (!flow?.isKnown) return flow;
    this.#strangers.delete(key);
    this.#known.set(key, flow);
    return flow;
  }

  /** Keeps a flow; it moves to the known ones at its first use after it has become known. */
  set(key: FlowKey, flow: Flow): void {
    (flow.isKnown ? this.#known : this.#strangers).set(key, flow);
  }

  clear(): void {
    this.#known = new Recent(2 * KNOWN);
    this.#strangers = new Recent(2 * STRANGERS);
  }
}

/** What tells flows apart: of a source over IPv4 a number. */
export type FlowKey = string | number;
