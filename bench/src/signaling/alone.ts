import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { GENERATOR_CPU, Pinned, SERVER_CPU } from '../pinned.ts';
import { waitUntil } from '../ports.ts';
import { DOMAIN, registrant } from './loads.ts';
import { PASSWORD, startOffhook } from './offhook.ts';

/** What is measured of our server alone. */

/** CPU µs for one INVITE of 2 kB, a figure for each batch. */
export async function parsing(batches: number): Promise<{ bytes: number; usPerMessage: readonly number[] }> {
  const script = new URL('parse.ts', import.meta.url).pathname;
  const child = spawn('taskset', ['-c', String(SERVER_CPU), process.execPath, script, String(batches)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  if (code !== 0) throw new Error(`the parser's bench ended with ${String(code)}`);
  const { bytes, usPerMessage } = JSON.parse(out) as { bytes: number; usPerMessage: number[] };
  return { bytes, usPerMessage };
}

/** Phones that come and go first, so that what the server makes once is not counted. */
const WARM_UP_PHONES = 200;

export interface IdlePhones {
  readonly phones: number;
  /** Growth of resident memory for each of them, after garbage was collected. */
  readonly rssBytes: number;
  /** Of that, JavaScript's heap, and what buffers hold. */
  readonly heapBytes: number;
  readonly externalBytes: number;
}

/** Memory of a fresh server for each WebSocket phone that has registered and does nothing. */
export async function idlePhones(folder: string, phones: number, name: string): Promise<IdlePhones> {
  const users = Array.from({ length: WARM_UP_PHONES + phones }, (_, i) => registrant(i));
  const server = await startOffhook({ folder, name, domain: DOMAIN, path: 'opaque', users });
  const own = join(folder, `${name}-phones`);
  mkdirSync(own);
  const open = async (first: number, count: number) => {
    const log = join(own, `log-${first}`);
    const args = [String(server.httpPort), DOMAIN, PASSWORD, String(first), String(count)];
    const path = new URL('web-phones.ts', import.meta.url).pathname;
    const script = await Pinned.start([process.execPath, path, ...args], { cpu: GENERATOR_CPU, cwd: own, log });
    await waitUntil(
      `${count} WebSocket phones are registered`,
      () => {
        const said = readFileSync(log, 'utf8');
        if (!script.isRunning) throw new Error(`the WebSocket phones failed:\n${said.slice(-1500)}`);
        return said.includes('ready');
      },
      60_000,
    );
    return script;
  };
  const online = async (count: number) => {
    const is = async () => (await server.status()).registrations === count;
    await waitUntil(`the server has ${count} registrations`, is, 10_000);
    // Answers are remembered for a moment, notes are written: neither belongs to a phone that does nothing.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    return (await server.verb('collect')) as NodeJS.MemoryUsage;
  };
  try {
    await (await open(0, WARM_UP_PHONES)).stop();
    const before = await online(0);
    const all = await open(WARM_UP_PHONES, phones);
    const after = await online(phones);
    await all.stop();
    const each = (of: (usage: NodeJS.MemoryUsage) => number) => (of(after) - of(before)) / phones;
    return {
      phones,
      rssBytes: each((usage) => usage.rss),
      heapBytes: each((usage) => usage.heapUsed),
      externalBytes: each((usage) => usage.external + usage.arrayBuffers),
    };
  } finally {
    await server.stop();
  }
}
