import { LayerChoice } from '../congestion/index.ts';
import { type SimulcastLayer, TEMPORAL_LAYERS } from './layer.ts';

const MEASURE_MS = 500;
/** A layer changes places with the one above it in the order of rates when it has so much more. */
const CLEARLY_MORE = 1.3;
/** Choices per layer, from fewer temporal layers up: two may go of the lowest, one of the others, which would be slide shows. */
const LOWEST_STEPS = 3;
const STEPS = 2;
const ALL = TEMPORAL_LAYERS - 1;

/** Which layer is to go to the receiver, and how many of its temporal layers: `LayerChoice` over what is measured of each. */
export class LayerSelection {
  /** From the least rate up. */
  #order: SimulcastLayer[] = [];
  #choice = new LayerChoice(0);
  #measuredAtMs = -1;
  #isMeasured = false;
  /** What is to go; undefined = nothing: the line is too narrow, or nothing has come yet. */
  layer: SimulcastLayer | undefined;
  /** Its temporal layers up to this one, 0 to 3. */
  temporal = ALL;

  setLayers(layers: readonly SimulcastLayer[]): void {
    this.#order = [...layers];
    if (this.layer && !layers.includes(this.layer)) this.layer = undefined;
    this.#isMeasured = false;
    this.#anew();
  }

  /** Nothing is known yet: the first one that comes. */
  begin(layer: SimulcastLayer): void {
    this.layer = layer;
    this.temporal = ALL;
    this.#choice.current = this.#topOf(this.#order.indexOf(layer));
  }

  /** To be called each 100 ms or so. @param videoBps what pictures may take; undefined = what goes on now and no more. */
  handleTimeout(videoBps: number | undefined, nowMs: number): void {
    if (this.#measuredAtMs < 0) this.#measuredAtMs = nowMs;
    if (nowMs - this.#measuredAtMs >= MEASURE_MS) this.#measure(nowMs);
    if (!this.#isMeasured) return;
    this.#apply(this.#choice.choose(videoBps ?? this.layer?.bps ?? Number.POSITIVE_INFINITY, nowMs));
  }

  #measure(nowMs: number): void {
    const elapsedMs = nowMs - this.#measuredAtMs;
    this.#measuredAtMs = nowMs;
    let isAny = false;
    for (let i = 0; i < this.#order.length; i++) if (this.#order[i]!.measure(elapsedMs)) isAny = true;
    if (!isAny) return;
    this.#isMeasured = true;
    this.#sort();
    for (let place = 0; place < this.#order.length; place++) this.#tell(place, nowMs);
  }

  /** The rates of a layer's choices. */
  #tell(place: number, nowMs: number): void {
    const layer = this.#order[place]!;
    if (!layer.isThere) return;
    const top = layer.topTemporal;
    const last = this.#topOf(place);
    if (layer === this.layer) {
      // A temporal layer came or is over: what goes on is another choice now.
      const less = this.temporal === ALL ? 0 : Math.max(0, top - this.temporal);
      this.#choice.current = last - Math.min(less, stepsAt(place) - 1);
    }
    for (let less = 0; less < stepsAt(place) && less <= top; less++) {
      this.#choice.handleRate(last - less, layer.rateUpTo(top - less), nowMs);
    }
  }

  /** Rids come in any order. Layers that aren't there have no say in it. */
  #sort(): void {
    for (let i = 0; i + 1 < this.#order.length; i++) {
      const [lower, upper] = [this.#order[i]!, this.#order[i + 1]!];
      if (!lower.isThere || !upper.isThere || lower.bps < CLEARLY_MORE * upper.bps) continue;
      this.#order[i] = upper;
      this.#order[i + 1] = lower;
      this.#anew();
    }
  }

  /** Choices have other numbers now. */
  #anew(): void {
    this.#choice = new LayerChoice(LOWEST_STEPS + STEPS * Math.max(0, this.#order.length - 1));
    if (this.layer) this.begin(this.layer);
  }

  #apply(chosen: number): void {
    if (chosen < 0) {
      this.layer = undefined;
      return;
    }
    const place = chosen < LOWEST_STEPS ? 0 : 1 + Math.floor((chosen - LOWEST_STEPS) / STEPS);
    const layer = this.#order[place]!;
    const less = this.#topOf(place) - chosen;
    this.layer = layer;
    // The sender may have given up some since: the lowest always goes.
    this.temporal = less === 0 ? ALL : Math.max(0, layer.topTemporal - less);
  }

  #topOf(place: number): number {
    return LOWEST_STEPS - 1 + STEPS * place;
  }
}

function stepsAt(place: number): number {
  return place === 0 ? LOWEST_STEPS : STEPS;
}
