import type { Aim } from '../aims.ts';
import { median, spread } from '../statistics.ts';
import { type Load, P1000 } from './loads.ts';
import type { Memory } from './rounds.ts';
import { addedMs, type Direct, LATE_PERCENT, OTHERS_PERCENT, ratios, type Sample, samplesOf } from './samples.ts';

/** A server in the tables, and whose figures its own are set against; a peer stands against itself. */
export interface Row {
  readonly server: string;
  readonly peer: string;
}

export interface Tables {
  readonly loads: readonly Load[];
  readonly rows: readonly Row[];
  readonly samples: readonly Sample[];
  readonly direct: readonly Direct[];
  readonly memory: readonly Memory[];
  readonly isAlone: boolean;
}

/** A generator that has less time to spare than this is what limits a load without a rate. */
const SPARE_PERCENT = 5;

/** Appends the aim that the median of some values is at most so much; nothing when there are none. */
export function atMost(aims: Aim[], name: string, values: readonly number[], limit: number): void {
  if (values.length === 0) return;
  const value = Number(median(values).toFixed(3));
  aims.push({ name, value, limit, ok: value <= limit });
}

/** Markdown tables, a line each. */
export function tables(results: Tables): string[] {
  const { loads, rows, memory } = results;
  const out: string[] = [];
  for (const load of loads) out.push(...loadTable(results, load));
  if (results.direct.some(({ load }) => load === P1000.name)) {
    const cell = (server: string, figure: (traffic: Direct) => number) =>
      spread(addedMs(results, P1000.name, server, figure as (traffic: object) => number), 3);
    const added = rows.map(({ server }) => {
      return `${server} p50 ${cell(server, (t) => t.p50Us)} ms, p99 ${cell(server, (t) => t.p99Us)} ms`;
    });
    out.push('', `added latency at ${P1000.name} (with the server less without): ${added.join('; ')}`);
  }
  for (const { server } of rows) {
    const own = memory.filter((one) => one.server === server);
    if (own.length === 0) continue;
    const kb = own.map(({ bytesEach }) => bytesEach / 1000);
    const seconds = own.map((one) => one.seconds);
    out.push(`memory of each of ${own[0]!.calls}: ${server} ${spread(kb, 1)} KB; made in ${spread(seconds, 1)} s`);
  }
  for (const note of notes(results)) out.push(`note: ${note}`);
  return out;
}

function loadTable({ samples, direct, rows }: Tables, { name, about }: Load): string[] {
  const out = ['', `${name}: ${about}`, ''];
  out.push('| server | CPU µs per packet | ratio | packets/s | loss % | p50 ms | p99 ms | busy % |');
  out.push('|-|-|-|-|-|-|-|-|');
  for (const { server, peer } of rows) {
    const own = samplesOf(samples, name, server);
    if (own.length === 0) continue;
    const cell = (figure: (sample: Sample) => number, digits: number) => spread(own.map(figure), digits);
    const ratio = ratios(samples, name, { own: server, peer }, (s) => s.cpuUs);
    const cells = [
      cell((s) => s.cpuUs, 2),
      server === peer ? '1' : spread(ratio, 2),
      cell((s) => s.deliveredPerS, 0),
      cell((s) => s.lossPercent, 2),
      cell((s) => s.p50Us / 1000, 3),
      cell((s) => s.p99Us / 1000, 3),
      cell((s) => s.busyPercent, 0),
    ];
    out.push(`| ${server} | ${cells.join(' | ')} |`);
  }
  const alone = direct.filter((one) => one.load === name);
  if (alone.length > 0) {
    const cell = (figure: (one: Direct) => number, digits: number) => spread(alone.map(figure), digits);
    const latency = `${cell((d) => d.p50Us / 1000, 3)} | ${cell((d) => d.p99Us / 1000, 3)}`;
    out.push(
      `| none | – | – | ${cell((d) => d.deliveredPerS, 0)} | ${cell((d) => d.lossPercent, 2)} | ${latency} | – |`,
    );
  }
  return out;
}

/** What makes a figure worth less. */
function notes({ samples, loads, rows, isAlone }: Tables): string[] {
  const found: string[] = [];
  if (!isAlone) found.push('no network namespace of its own: others had a part in this network');
  for (const { name, perS } of loads)
    for (const { server } of rows) {
      const own = samplesOf(samples, name, server);
      const say = (bad: (sample: Sample) => boolean, words: string) => {
        const count = own.filter(bad).length;
        if (count > 0) found.push(`${name}, ${server}: ${words} in ${count} of ${own.length} rounds`);
      };
      if (perS === 0) say((s) => s.idlePercent < SPARE_PERCENT, 'the generator and not the server was the limit');
      say((s) => s.othersPercent + s.stealPercent > OTHERS_PERCENT, "others used the server's core too");
      say((s) => s.latePercent > LATE_PERCENT, 'the generator was late');
      say((s) => s.lost > 0, 'packets were lost');
      say((s) => s.refused > 0, 'packets were refused to the generator by the system');
    }
  return found;
}
