import type { Aim } from '../aims.ts';
import { CALLS, FLAT172, type Load, P1000 } from '../load/loads.ts';
import { atMost, type Row, tables } from '../load/report.ts';
import type { Measured, Memory } from '../load/rounds.ts';
import { addedMs, ratios, type Sample, samplesOf } from '../load/samples.ts';
import type { Machine } from '../machine.ts';
import { median } from '../statistics.ts';
import type { Path } from './calls.ts';

export interface Results extends Measured {
  readonly rounds: number;
  readonly loads: readonly Load[];
  readonly calls: number;
  readonly generator: { readonly receiveBuffer: number; readonly isAlone: boolean };
  readonly memory: readonly Memory[];
  readonly machine: Machine & { readonly rtpengine: string };
}

export type Relay = 'rtpengine' | 'Offhook';

/** A relay with calls of one kind. rtpengine has no path on which WebRTC passes unread, nor one port for all calls. */
export interface Combination {
  readonly relay: Relay;
  readonly path: Path;
}

export const COMBINATIONS: readonly Combination[] = [
  { relay: 'rtpengine', path: 'plain' },
  { relay: 'Offhook', path: 'plain' },
  { relay: 'Offhook', path: 'opaque' },
  { relay: 'rtpengine', path: 'srtp' },
  { relay: 'Offhook', path: 'srtp' },
];

export function nameOf({ relay, path }: Combination): string {
  return `${relay} ${path}`;
}

const ROWS: readonly Row[] = COMBINATIONS.map((one) => ({
  server: nameOf(one),
  peer: nameOf({ relay: 'rtpengine', path: one.path === 'srtp' ? 'srtp' : 'plain' }),
}));

/** Packets of a call of two G.711 phones per second. */
const PER_CALL = 100;
const BUSY = 0.8;

function aimsOf(results: Results): Aim[] {
  const { samples, loads } = results;
  const aims: Aim[] = [];
  const cpu = ({ cpuUs }: Sample) => cpuUs;
  const limits: readonly [Path, number][] = [
    ['plain', 0.56],
    ['srtp', 0.56],
    ['opaque', 0.45],
  ];
  for (const [path, limit] of limits) {
    const own = nameOf({ relay: 'Offhook', path });
    const { peer } = ROWS.find(({ server }) => server === own)!;
    for (const { name } of loads) {
      if (name !== P1000.name && name !== FLAT172.name) continue;
      atMost(
        aims,
        `CPU per packet, ${path}, ${name}, ours / rtpengine's`,
        ratios(samples, name, { own, peer }, cpu),
        limit,
      );
    }
    const p50 = addedMs(results, P1000.name, own, ({ p50Us }) => p50Us);
    atMost(aims, `added latency, ${path}, p50, ms`, p50, 0.7);
    const p99 = ratios(samples, P1000.name, { own, peer }, ({ p99Us }) => p99Us);
    atMost(aims, `latency, ${path}, p99, ours / rtpengine's`, p99, 1);
  }
  return aims;
}

/** One line of JSON with everything, and one with the aims. */
export function writeJson(results: Results): void {
  process.stdout.write(`${JSON.stringify(results)}\n${JSON.stringify({ aims: aimsOf(results) })}\n`);
}

/** Markdown for people, and the same last line. */
export function writeTable(results: Results): void {
  const { machine, rounds, generator, samples } = results;
  const { cpu, cpus, system, kernel, node, rtpengine, load } = machine;
  const out = [
    `${cpus} × ${cpu}, ${system}, kernel ${kernel}, node ${node}; ${rtpengine}; load ${load.join(' ')}`,
    `${rounds} rounds; median [least–most]; ratio = ours / rtpengine's of the same round (opaque: / its plain one); ${CALLS} calls`,
    ...tables({ ...results, rows: ROWS, isAlone: generator.isAlone }),
  ];
  for (const { server } of ROWS) {
    const own = samplesOf(samples, P1000.name, server);
    if (own.length === 0) continue;
    const calls = (BUSY * 1e6) / (median(own.map(({ cpuUs }) => cpuUs)) * PER_CALL);
    out.push(
      `calls on a core at ${100 * BUSY} %, by the CPU per packet at ${P1000.name}: ${server} ${Math.round(calls)}`,
    );
  }
  process.stdout.write(`${out.join('\n')}\n\n${JSON.stringify({ aims: aimsOf(results) })}\n`);
}
