import type { Flow } from '../transaction/index.ts';

/** Flows remembered per listener, so that a peer keeps its identity; the oldest is forgotten beyond this. */
const KNOWN = 20_000;
/** Those of strangers apart: a flood of forged sources pushes out strangers only. */
const STRANGERS = 4000;

/** The flows of one datagram listener by their key, the one used last at the end. */
export class FlowTable {
  readonly #known = new Map<string, Flow>();
  readonly #strangers = new Map<string, Flow>();

  /** The flow of that key, which was used just now. */
  get(key: string): Flow | undefined {
    const known = this.#known.get(key);
    if (known) {
      this.#known.delete(key);
      this.#known.set(key, known);
      return known;
    }
    const flow = this.#strangers.get(key);
    if (!flow) return undefined;
    this.#strangers.delete(key);
    this.set(key, flow);
    return flow;
  }

  /** Keeps a flow; it moves to the known ones at its first use after it has become known. */
  set(key: string, flow: Flow): void {
    const [flows, most] = flow.isKnown ? [this.#known, KNOWN] : [this.#strangers, STRANGERS];
    if (flows.size >= most) flows.delete(flows.keys().next().value!);
    flows.set(key, flow);
  }

  clear(): void {
    this.#known.clear();
    this.#strangers.clear();
  }
}
