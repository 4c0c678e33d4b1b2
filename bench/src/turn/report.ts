import type { Aim } from '../aims.ts';
import { CALLS, FLAT172, type Load, P1000, VID } from '../load/loads.ts';
import { atMost, type Row, tables } from '../load/report.ts';
import type { Measured, Memory } from '../load/rounds.ts';
import { addedMs, ratios, type Sample } from '../load/samples.ts';
import type { Machine } from '../machine.ts';

export interface Results extends Measured {
  readonly rounds: number;
  readonly loads: readonly Load[];
  readonly calls: number;
  readonly generator: { readonly receiveBuffer: number; readonly isAlone: boolean };
  readonly memory: readonly Memory[];
  readonly machine: Machine & { readonly coturn: string };
}

export const OURS = 'Offhook';
export const PEER = 'coturn';
const BOTH = { own: OURS, peer: PEER };
const ROWS: readonly Row[] = [PEER, OURS].map((server) => ({ server, peer: PEER }));

function aimsOf(results: Results): Aim[] {
  const { samples, memory } = results;
  const aims: Aim[] = [];
  const cpu = ({ cpuUs }: Sample) => cpuUs;
  atMost(aims, 'CPU per packet at 50,000 packets/s, ours / coturn', ratios(samples, P1000.name, BOTH, cpu), 0.67);
  atMost(aims, 'CPU per packet flat out, ours / coturn', ratios(samples, FLAT172.name, BOTH, cpu), 0.71);
  atMost(aims, 'CPU per packet of 1,200 bytes, ours / coturn', ratios(samples, VID.name, BOTH, cpu), 1);
  const p50 = addedMs(results, P1000.name, OURS, ({ p50Us }) => p50Us);
  atMost(aims, 'added latency at 50,000 packets/s, p50, ms', p50, 0.7);
  const p99 = ratios(samples, P1000.name, BOTH, ({ p99Us }) => p99Us);
  atMost(aims, 'latency at 50,000 packets/s, p99, ours / coturn', p99, 1);
  const kb = memory.filter(({ server }) => server === OURS).map(({ bytesEach }) => bytesEach / 1000);
  atMost(aims, 'memory of an allocation, KB', kb, 8);
  return aims;
}

/** One line of JSON with everything, and one with the aims. */
export function writeJson(results: Results): void {
  process.stdout.write(`${JSON.stringify(results)}\n${JSON.stringify({ aims: aimsOf(results) })}\n`);
}

/** Markdown for people, and the same last line. */
export function writeTable(results: Results): void {
  const { machine, rounds, generator } = results;
  const { cpu, cpus, system, kernel, node, coturn, load } = machine;
  const out = [
    `${cpus} × ${cpu}, ${system}, kernel ${kernel}, node ${node}; ${coturn}; load ${load.join(' ')}`,
    `${rounds} rounds; median [least–most]; ratio = ours / coturn's of the same round; ${CALLS} allocations, each with a channel`,
    ...tables({ ...results, rows: ROWS, isAlone: generator.isAlone }),
  ];
  process.stdout.write(`${out.join('\n')}\n\n${JSON.stringify({ aims: aimsOf(results) })}\n`);
}
