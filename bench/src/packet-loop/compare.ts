import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import type { LoadResult } from './generator.ts';
import type { RelayVariant } from './relay.ts';

const VARIANTS: readonly RelayVariant[] = ['dgram', 'loop', 'loop+500', 'thread', 'thread+500'];
const LOADS = [
  { name: 'p1000 (172 B, 50,000/s)', pps: 50_000, bytes: 172 },
  { name: 'p100 (172 B, 5,000/s)', pps: 5_000, bytes: 172 },
  { name: 'flat172', pps: 0, bytes: 172 },
];
const SECONDS = 2;

/** Interleaved rounds: every round runs every variant once under every load; medians [min–max] go to stdout as Markdown. */
export async function comparePacketLoops(args: string[]): Promise<void> {
  const rounds = Number(args[0] ?? 5);
  const results = new Map<string, LoadResult[]>();
  for (let round = 0; round < rounds; round++)
    for (const load of LOADS)
      for (const variant of VARIANTS) {
        const key = `${load.name} ${variant}`;
        const result = await run(variant, load.pps, load.bytes);
        process.stderr.write(`round ${round + 1}: ${key}: ${result.cpuUsPerPacket.toFixed(2)} µs\n`);
        results.set(key, [...(results.get(key) ?? []), result]);
      }
  for (const load of LOADS) {
    process.stdout.write(
      `\n${load.name}, ${rounds} rounds\n\n| variant | CPU µs/packet | dgram / this | packets/s | loss % | p50 / p99 µs |\n|-|-|-|-|-|-|\n`,
    );
    const base = results.get(`${load.name} dgram`)!;
    for (const variant of VARIANTS) {
      const own = results.get(`${load.name} ${variant}`)!;
      const cpu = own.map((r) => r.cpuUsPerPacket);
      const ratios = own.map((r, i) => base[i]!.cpuUsPerPacket / r.cpuUsPerPacket);
      process.stdout.write(
        `| ${variant} | ${spread(cpu)} | ${spread(ratios)} | ${Math.round(median(own.map((r) => r.deliveredPps)))} ` +
          `| ${median(own.map((r) => r.lossPercent)).toFixed(2)} | ${median(own.map((r) => r.p50Us))} / ${median(own.map((r) => r.p99Us))} |\n`,
      );
    }
  }
}

async function run(variant: RelayVariant, pps: number, bytes: number): Promise<LoadResult> {
  const script = new URL('generator.ts', import.meta.url).pathname;
  const child = spawn('taskset', ['-c', '1', process.execPath, script, variant, `${pps}`, `${bytes}`, `${SECONDS}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  if (code !== 0) throw new Error(`the generator ended with ${String(code)}`);
  return JSON.parse(out) as LoadResult;
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function spread(values: number[]): string {
  return `${median(values).toFixed(2)} [${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)}]`;
}
