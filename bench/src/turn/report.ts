import type { Aim } from '../aims.ts';
import type { Machine } from '../machine.ts';
import { median, spread } from '../statistics.ts';
import { FLAT172, type Load, P1000, type Traffic } from './loads.ts';

/** One load on one server in one round. */
export interface Sample extends Traffic {
  readonly round: number;
  readonly server: string;
  readonly load: string;
  /** Of the server, all threads, per packet that arrived. */
  readonly cpuUs: number;
  /** Share of its core that the server had. */
  readonly busyPercent: number;
}

/** The generator with itself, from client to peer and back without a server. */
export interface Direct extends Traffic {
  readonly round: number;
  readonly load: string;
}

export interface Memory {
  readonly run: number;
  readonly server: string;
  readonly allocations: number;
  /** Until all were made. */
  readonly seconds: number;
  readonly retransmissions: number;
  readonly beforeKb: number;
  readonly afterKb: number;
  readonly bytesEach: number;
}

export interface Results {
  readonly rounds: number;
  readonly loads: readonly Load[];
  readonly calls: number;
  readonly servers: readonly { readonly name: string; readonly command: string; readonly settings: string }[];
  readonly generator: { readonly receiveBuffer: number; readonly isAlone: boolean };
  readonly samples: readonly Sample[];
  readonly direct: readonly Direct[];
  readonly memory: readonly Memory[];
  readonly machine: Machine & { readonly coturn: string };
}

export const OURS = 'Offhook';
export const PEER = 'coturn';

/** A generator that has less time to spare than this is what limits a load without a rate. */
const SPARE_PERCENT = 5;
/** When others have more of the server's core than this, its figures are worth less: caches are theirs, and they are in the way. */
const OTHERS_PERCENT = 10;
/** More late packets than this, and the generator did not keep the rate. */
const LATE_PERCENT = 1;

function of(samples: readonly Sample[], load: string, server: string): Sample[] {
  return samples.filter((sample) => sample.load === load && sample.server === server);
}

/** Ours / coturn's of the same round, round by round. */
function ratios(samples: readonly Sample[], load: string, figure: (sample: Sample) => number): number[] {
  return of(samples, load, OURS).flatMap((own) => {
    const peer = of(samples, load, PEER).find(({ round }) => round === own.round);
    return peer ? [figure(own) / figure(peer)] : [];
  });
}

/** Ours through the relay less what the generator takes for itself in the same round, ms. */
function addedMs({ samples, direct }: Results, server: string, figure: (traffic: Traffic) => number): number[] {
  return of(samples, P1000.name, server).flatMap((own) => {
    const base = direct.find(({ round, load }) => round === own.round && load === P1000.name);
    return base ? [(figure(own) - figure(base)) / 1000] : [];
  });
}

function aimsOf(results: Results): Aim[] {
  const { samples, memory } = results;
  const aims: Aim[] = [];
  const atMost = (name: string, values: readonly number[], limit: number) => {
    if (values.length === 0) return;
    const value = Number(median(values).toFixed(3));
    aims.push({ name, value, limit, ok: value <= limit });
  };
  const cpu = ({ cpuUs }: Sample) => cpuUs;
  atMost('CPU per packet at 50,000 packets/s, ours / coturn', ratios(samples, P1000.name, cpu), 0.67);
  atMost('CPU per packet flat out, ours / coturn', ratios(samples, FLAT172.name, cpu), 0.71);
  atMost('CPU per packet of 1,200 bytes, ours / coturn', ratios(samples, 'vid', cpu), 1);
  const p50 = addedMs(results, OURS, ({ p50Us }) => p50Us);
  atMost('added latency at 50,000 packets/s, p50, ms', p50, 0.7);
  const p99 = ratios(samples, P1000.name, ({ p99Us }) => p99Us);
  atMost('latency at 50,000 packets/s, p99, ours / coturn', p99, 1);
  const kb = memory.filter(({ server }) => server === OURS).map(({ bytesEach }) => bytesEach / 1000);
  atMost('memory of an allocation, KB', kb, 8);
  return aims;
}

/** One line of JSON with everything, and one with the aims. */
export function writeJson(results: Results): void {
  process.stdout.write(`${JSON.stringify(results)}\n${JSON.stringify({ aims: aimsOf(results) })}\n`);
}

/** Markdown for people, and the same last line. */
export function writeTable(results: Results): void {
  const { samples, direct, memory, machine, rounds, calls, loads } = results;
  const out: string[] = [];
  const { cpu, cpus, system, kernel, node, coturn, load } = machine;
  out.push(`${cpus} × ${cpu}, ${system}, kernel ${kernel}, node ${node}; ${coturn}; load ${load.join(' ')}`);
  out.push(
    `${rounds} rounds; median [least–most]; ratio = ours / coturn's of the same round; ${calls} allocations, each with a channel`,
  );
  for (const { name, about } of loads) {
    out.push('', `${name}: ${about}`, '');
    out.push('| server | CPU µs per packet | ratio | packets/s | loss % | p50 ms | p99 ms | busy % |');
    out.push('|-|-|-|-|-|-|-|-|');
    for (const server of [PEER, OURS]) {
      const own = of(samples, name, server);
      if (own.length === 0) continue;
      const cell = (figure: (sample: Sample) => number, digits: number) => spread(own.map(figure), digits);
      const cells = [
        cell((s) => s.cpuUs, 2),
        server === PEER
          ? '1'
          : spread(
              ratios(samples, name, (s) => s.cpuUs),
              2,
            ),
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
  }
  const added = [PEER, OURS].map((server) => {
    const p50 = spread(
      addedMs(results, server, ({ p50Us }) => p50Us),
      3,
    );
    const p99 = spread(
      addedMs(results, server, ({ p99Us }) => p99Us),
      3,
    );
    return `${server} p50 ${p50} ms, p99 ${p99} ms`;
  });
  if (direct.length > 0)
    out.push('', `added latency at ${P1000.name} (with the server less without): ${added.join('; ')}`);
  for (const server of [PEER, OURS]) {
    const own = memory.filter((one) => one.server === server);
    if (own.length === 0) continue;
    const kb = spread(
      own.map(({ bytesEach }) => bytesEach / 1000),
      1,
    );
    const seconds = spread(
      own.map((one) => one.seconds),
      1,
    );
    out.push(`memory of an allocation of ${own[0]!.allocations}: ${server} ${kb} KB; made in ${seconds} s`);
  }
  for (const note of notes(results)) out.push(`note: ${note}`);
  process.stdout.write(`${out.join('\n')}\n\n${JSON.stringify({ aims: aimsOf(results) })}\n`);
}

/** What makes a figure worth less. */
function notes({ samples, loads, generator }: Results): string[] {
  const found: string[] = [];
  if (!generator.isAlone) found.push('no network namespace of its own: others had a part in this network');
  for (const { name, perS } of loads)
    for (const server of [PEER, OURS]) {
      const own = of(samples, name, server);
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

/** How much others were in the way, on either core. */
export function disturbance({ othersPercent, stealPercent, latePercent }: Sample): number {
  return othersPercent + stealPercent + latePercent;
}

export function isDisturbed({ othersPercent, stealPercent, latePercent }: Sample): boolean {
  return othersPercent + stealPercent > OTHERS_PERCENT || latePercent > LATE_PERCENT;
}

export function inWords(s: Sample): string {
  const ms = (us: number) => (us / 1000).toFixed(3);
  const trouble = [
    s.lost > 0 ? `, ${s.lost} lost` : '',
    s.othersPercent + s.stealPercent > OTHERS_PERCENT ? `, others ${s.othersPercent} % of the core` : '',
    s.latePercent > LATE_PERCENT ? `, ${s.latePercent} % sent late` : '',
  ].join('');
  const use = `busy ${s.busyPercent} %, generator idle ${s.idlePercent} %`;
  const latency = `p50 ${ms(s.p50Us)} ms, p99 ${ms(s.p99Us)} ms`;
  return `${s.server}: ${s.load}: ${s.cpuUs.toFixed(2)} µs, ${s.deliveredPerS}/s, ${latency}, ${use}${trouble}`;
}
