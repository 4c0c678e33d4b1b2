import { helpFor } from './metric-help.ts';

/** A part of the system with its figures: plain numbers by Prometheus name, labels included. */
export interface PartFigures {
  readonly part: string;
  readonly figures: Readonly<Record<string, number>>;
}

/** The endings of a histogram's samples. */
const SAMPLE = /_(?:bucket|sum|count)$/;

/**
 * The text format of Prometheus (0.0.4): all samples of one family together, under its HELP and TYPE. What a name means is
 * told by its end: `_total` is a counter, names that have a `_bucket` are histograms, everything else is a gauge.
 */
export function prometheus(parts: readonly PartFigures[]): string {
  const histograms = new Set<string>();
  for (const { figures } of parts)
    for (const key of Object.keys(figures)) {
      const name = nameOf(key);
      if (name.endsWith('_bucket')) histograms.add(name.replace(SAMPLE, ''));
    }
  const families = new Map<string, string[]>();
  for (const { part, figures } of parts) {
    for (const [key, value] of Object.entries(figures)) {
      if (typeof value !== 'number') continue;
      const name = nameOf(key);
      const base = name.replace(SAMPLE, '');
      const family = histograms.has(base) ? base : name;
      const labels = key.length > name.length ? `,${key.slice(name.length + 1, -1)}` : '';
      const lines = families.get(family) ?? [];
      lines.push(`${name}{part="${part}"${labels}} ${value}\n`);
      families.set(family, lines);
    }
  }
  return [...families]
    .map(([family, lines]) => {
      const type = histograms.has(family) ? 'histogram' : family.endsWith('_total') ? 'counter' : 'gauge';
      return `# HELP ${family} ${helpFor(family)}\n# TYPE ${family} ${type}\n${lines.join('')}`;
    })
    .join('');
}

function nameOf(key: string): string {
  const brace = key.indexOf('{');
  return brace < 0 ? key : key.slice(0, brace);
}
