// Figures as every part hands them out: plain numbers by Prometheus name, labels included.

/** `name="value"`, escaped as the text format of Prometheus wants it. */
export function label(name: string, value: string | number): string {
  const escaped = String(value).replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`));
  return `${name}="${escaped}"`;
}

/** `name{a="1",b="2"}`; just the name where there are no labels. */
export function series(name: string, labels: Readonly<Record<string, string | number>> = {}): string {
  const all = Object.entries(labels).map(([key, value]) => label(key, value));
  return all.length === 0 ? name : `${name}{${all.join(',')}}`;
}

/** How often what was measured fell between which bounds; noting costs two additions, nothing is allocated. */
export class Histogram {
  /** Upper bounds, ascending; what is above all of them is counted too. */
  readonly bounds: readonly number[];
  sum = 0;
  /** One for each bound, and one for what is above. */
  readonly #counts: number[];

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = [...bounds, 0].map(() => 0);
  }

  get count(): number {
    let all = 0;
    for (const count of this.#counts) all += count;
    return all;
  }

  observe(value: number): void {
    const { bounds } = this;
    let i = 0;
    while (i < bounds.length && value > bounds[i]!) i++;
    this.#counts[i]!++;
    this.sum += value;
  }

  /** As a histogram of Prometheus: cumulative buckets, sum and count. */
  figures(name: string, labels: Readonly<Record<string, string | number>> = {}): Record<string, number> {
    const out: Record<string, number> = {};
    let up = 0;
    for (const [i, count] of this.#counts.entries()) {
      up += count;
      out[series(`${name}_bucket`, { ...labels, le: this.bounds[i] ?? '+Inf' })] = up;
    }
    out[series(`${name}_sum`, labels)] = this.sum;
    out[series(`${name}_count`, labels)] = up;
    return out;
  }
}
