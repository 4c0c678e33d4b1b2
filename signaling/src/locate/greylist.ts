import { type Hop, hopKey } from './hop.ts';

/** How long what has failed is tried last, and how many such hops are remembered. */
const GREY_MS = 60_000;
const HOPS = 1000;

/** Hops that did not answer a while ago: whoever has others tries those first (RFC 3263 4.3 lets clients remember). */
export class Greylist {
  readonly #untilMs = new Map<string, number>();

  add(hop: Hop, nowMs: number): void {
    const key = hopKey(hop);
    this.#untilMs.delete(key);
    if (this.#untilMs.size >= HOPS) this.#untilMs.delete(this.#untilMs.keys().next().value!);
    this.#untilMs.set(key, nowMs + GREY_MS);
  }

  /** It works again. */
  delete(hop: Hop): void {
    this.#untilMs.delete(hopKey(hop));
  }

  has(hop: Hop, nowMs: number): boolean {
    const key = hopKey(hop);
    const untilMs = this.#untilMs.get(key);
    if (untilMs === undefined) return false;
    if (untilMs > nowMs) return true;
    this.#untilMs.delete(key);
    return false;
  }
}
