/* mediasoup's rules: a layer must have been active for a while, and is not gone up to soon after it was left. */
const ACTIVE_MS = 2000;
const AFTER_DOWNGRADE_MS = 8000;
/** After going up in vain. */
const AFTER_FAILURE_MS = 10_000;
/** More than the layer takes has to be there before it is gone up to. */
const HEADROOM = 1.1;
/**
 * So much of what the least layer takes is enough for it. An estimate that stands on what is sent is often a little below that;
 * without pictures it stands on nothing, and hardly rises again.
 */
const LEAST_SHARE = 0.5;
/** No packet for so long: the sender has stopped the layer. */
const GONE_MS = 1000;
const MOST_LAYERS = 16;

/** One choice a receiver can be given: a simulcast stream up to a temporal layer. Ordered from the least rate up. */
interface Layer {
  bps: number;
  activeSinceMs: number | undefined;
  lastPacketMs: number;
}

/** Which of the layers offered goes to a receiver, by what its downlink takes. -1: none, audio needs the line. */
export class LayerChoice {
  readonly #layers: Layer[];
  #noUpgradeBeforeMs = Number.NEGATIVE_INFINITY;
  #upgradedAtMs = Number.NEGATIVE_INFINITY;
  current = -1;

  /** @param layers how many, at most 16. */
  constructor(layers: number) {
    const length = Math.min(layers, MOST_LAYERS);
    this.#layers = Array.from({ length }, () => ({ bps: 0, activeSinceMs: undefined, lastPacketMs: 0 }));
  }

  /** Measured rate of a layer with all below it that it needs, bits a second; at least each half second. */
  handleRate(layer: number, bps: number, nowMs: number): void {
    const known = this.#layers[layer];
    if (!known) return;
    if (bps <= 0) return;
    if (known.activeSinceMs === undefined || nowMs - known.lastPacketMs > GONE_MS) known.activeSinceMs = nowMs;
    known.lastPacketMs = nowMs;
    known.bps = bps;
  }

  /** The choice for what video may take now (`videoBps`). */
  choose(videoBps: number, nowMs: number): number {
    const fitting = this.#highest(videoBps, nowMs, this.current);
    const mayUpgrade = nowMs >= this.#noUpgradeBeforeMs;
    if (fitting < this.current) this.#downgrade(fitting, nowMs);
    else if (fitting >= 0 && this.current < 0 && !mayUpgrade) {
      // A picture is better than none: the least of them needn't wait.
      this.current = this.#lowest(nowMs);
    } else if (fitting > this.current && mayUpgrade) {
      this.current = fitting;
      this.#upgradedAtMs = nowMs;
    }
    return this.current;
  }

  #downgrade(to: number, nowMs: number): void {
    const isOver = !this.#isThere(this.#layers[this.current]!, nowMs);
    this.current = to;
    if (isOver) return; // its sender has stopped it: that says nothing of the line
    const wasInVain = nowMs - this.#upgradedAtMs < AFTER_FAILURE_MS;
    this.#noUpgradeBeforeMs = nowMs + (wasInVain ? AFTER_FAILURE_MS : AFTER_DOWNGRADE_MS);
  }

  #lowest(nowMs: number): number {
    return this.#layers.findIndex((layer) => this.#isThere(layer, nowMs));
  }

  #highest(videoBps: number, nowMs: number, current: number): number {
    const lowest = this.#lowest(nowMs);
    let best = -1;
    for (let i = 0; i < this.#layers.length; i++) {
      const layer = this.#layers[i]!;
      if (!this.#isThere(layer, nowMs)) continue;
      const isUp = i > current;
      if (isUp && current >= 0 && nowMs - layer.activeSinceMs! < ACTIVE_MS) continue;
      const takesBps = layer.bps * (i === lowest ? LEAST_SHARE : 1);
      if (takesBps * (isUp ? HEADROOM : 1) <= videoBps) best = i;
    }
    return best;
  }

  #isThere(layer: Layer, nowMs: number): boolean {
    return layer.activeSinceMs !== undefined && nowMs - layer.lastPacketMs <= GONE_MS;
  }
}
