import type { Aim } from '../aims.ts';
import type { Machine } from '../machine.ts';
import { median, spread } from '../statistics.ts';
import type { IdlePhones } from './alone.ts';
import type { Load, Sample } from './loads.ts';

export interface Results {
  readonly rounds: number;
  readonly loads: { readonly register: Load; readonly call: Load; readonly webPhones: number };
  readonly registers: readonly Sample[];
  readonly calls: readonly Sample[];
  /** After the last load; what processes share counts once. */
  readonly memory: readonly { readonly name: string; readonly rssKb: number }[];
  readonly afterwards: readonly { readonly name: string; readonly seconds: number; readonly cpuMs: number }[];
  readonly servers: readonly { readonly name: string; readonly command: string; readonly settings: string }[];
  readonly parsed?: { readonly bytes: number; readonly usPerMessage: readonly number[] };
  readonly webPhones: readonly IdlePhones[];
  readonly machine: Machine & { readonly kamailio: string; readonly sipp: string };
}

const PEER = 'Kamailio';

function variantsOf(samples: readonly Sample[]): string[] {
  return [...new Set(samples.map(({ variant }) => variant))].sort((a, b) => Number(b === PEER) - Number(a === PEER));
}

/** Ours / Kamailio's of the same round, round by round. */
function ratios(samples: readonly Sample[], variant: string): number[] {
  return samples
    .filter((own) => own.variant === variant)
    .flatMap(({ round, cpuUs }) => {
      const peer = samples.find((other) => other.round === round && other.variant === PEER);
      return peer ? [cpuUs / peer.cpuUs] : [];
    });
}

function aimsOf({ registers, calls, parsed, webPhones }: Results): Aim[] {
  const aims: Aim[] = [];
  const atMost = (name: string, values: readonly number[], limit: number) => {
    if (values.length === 0) return;
    const value = Math.round(median(values) * 1000) / 1000;
    aims.push({ name, value, limit, ok: value <= limit });
  };
  atMost('REGISTER with digest: CPU, ours / Kamailio without', ratios(registers, 'Offhook, digest'), 2);
  const digest = ratios(calls, 'Offhook, digest');
  atMost('call with digest, no media relay: CPU, ours / Kamailio without', digest, 2);
  atMost('call over a trunk, no media relay: CPU, ours / Kamailio', ratios(calls, 'Offhook, trunk'), 2);
  const own = calls.filter(({ variant }) => variant !== PEER);
  const created = own.reduce((sum, sample) => sum + sample.created, 0);
  const lost = own.reduce((sum, sample) => sum + sample.created - sample.completed, 0);
  if (created > 0) {
    const value = Math.round((lost / created) * 100_000) / 1000;
    aims.push({ name: 'failed calls of ours, %', value, limit: 0.1, ok: value < 0.1 });
  }
  atMost('parse an INVITE of 2 kB, µs', parsed?.usPerMessage ?? [], 8);
  atMost(
    'memory of an idle registered WebSocket phone, KB',
    webPhones.map(({ rssBytes }) => rssBytes / 1000),
    12,
  );
  return aims;
}

/** One line of JSON with everything, and one with the aims. */
export function writeJson(results: Results): void {
  process.stdout.write(`${JSON.stringify(results)}\n${JSON.stringify({ aims: aimsOf(results) })}\n`);
}

/** Markdown for people, and the same last line. */
export function writeTable(results: Results): void {
  const { registers, calls, memory, afterwards, parsed, webPhones, machine, rounds, loads } = results;
  const out: string[] = [];
  const { cpu, cpus, system, kernel, node, kamailio, sipp, load } = machine;
  out.push(`${cpus} × ${cpu}, ${system}, kernel ${kernel}, node ${node}; ${kamailio}; ${sipp}; load ${load.join(' ')}`);
  out.push(`${rounds} rounds; median [least–most]; ratio = ours / Kamailio's of the same round`);
  const { register, call } = loads;
  if (registers.length > 0) {
    out.push('', `REGISTER, ${register.ratePerS}/s for ${register.seconds} s, each of an address that is new`, '');
    out.push('| server | CPU µs each | ratio | failed | retransmissions |', '|-|-|-|-|-|');
    for (const variant of variantsOf(registers)) {
      const own = registers.filter((sample) => sample.variant === variant);
      const cells = [
        spread(
          own.map((s) => s.cpuUs),
          0,
        ),
        ratioCell(registers, variant),
        ...troubles(own),
      ];
      out.push(`| ${variant} | ${cells.join(' | ')} |`);
    }
  }
  if (calls.length > 0) {
    out.push('', `calls, ${call.ratePerS}/s for ${call.seconds} s: INVITE 100 180 200 ACK, 0.5 s, BYE 200`, '');
    out.push(
      '| server | CPU µs each | ratio | media relay µs | p95 to 180 ms | p95 to 200 ms | failed | retransmissions |',
      '|-|-|-|-|-|-|-|-|',
    );
    for (const variant of variantsOf(calls)) {
      const own = calls.filter((sample) => sample.variant === variant);
      const cells = [
        spread(
          own.map((s) => s.cpuUs),
          0,
        ),
        ratioCell(calls, variant),
        spread(
          own.flatMap((s) => s.relayCpuUs ?? []),
          0,
        ),
        spread(
          own.flatMap((s) => s.p95To180Ms ?? []),
          1,
        ),
        spread(
          own.flatMap((s) => s.p95To200Ms ?? []),
          1,
        ),
        ...troubles(own),
      ];
      out.push(`| ${variant} | ${cells.join(' | ')} |`);
    }
  }
  if (memory.length > 0)
    out.push(
      '',
      `memory after that: ${memory.map(({ name, rssKb }) => `${name} ${Math.round(rssKb / 1000)} MB`).join(', ')}`,
    );
  if (afterwards.length > 0) {
    const each = afterwards.map(({ name, cpuMs }) => `${name} ${cpuMs.toFixed(0)} ms`);
    out.push(`CPU in the ${afterwards[0]!.seconds} s after the last load, not counted above: ${each.join(', ')}`);
  }
  if (parsed) out.push(`parser: ${spread(parsed.usPerMessage)} µs for an INVITE of ${parsed.bytes} bytes`);
  if (webPhones.length > 0) {
    const kb = (of: (idle: IdlePhones) => number) =>
      spread(
        webPhones.map((idle) => of(idle) / 1000),
        1,
      );
    out.push(
      `an idle registered WebSocket phone (${loads.webPhones} of them, ${webPhones.length} runs): ` +
        `${kb((idle) => idle.rssBytes)} KB of memory, ${kb((idle) => idle.heapBytes)} KB of them heap`,
    );
  }
  process.stdout.write(`${out.join('\n')}\n\n${JSON.stringify({ aims: aimsOf(results) })}\n`);
}

function ratioCell(samples: readonly Sample[], variant: string): string {
  return variant === PEER ? '1' : spread(ratios(samples, variant));
}

function troubles(own: readonly Sample[]): string[] {
  const sum = (of: (sample: Sample) => number) => own.reduce((total, sample) => total + of(sample), 0);
  return [`${sum((s) => s.created - s.completed)} of ${sum((s) => s.created)}`, String(sum((s) => s.retransmissions))];
}
