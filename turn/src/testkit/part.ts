import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callAdmin, type PartStatus } from '@offhook/core/node';
import type { TurnConfig } from '../config.ts';

const MAIN = join(import.meta.dirname, '..', 'main.ts');
const START_MS = 20_000;
/** After that a tool is ended, and what it has said counts. */
const PATIENCE_S = 60;

/** The part as a process of its own. */
export interface RunningPart {
  /** Of its admin verbs. */
  readonly socket: string;
  readonly ports: PartStatus['ports'];
  /** Its exit code. */
  stop(): Promise<number | null>;
}

/** Starts `main.ts` and waits until it serves. */
export async function startPart(config: Omit<TurnConfig, 'part' | 'runDir' | 'configHash'>): Promise<RunningPart> {
  const runDir = mkdtempSync(join(tmpdir(), 'offhook-turn-'));
  const file = join(runDir, 'turn.json');
  writeFileSync(file, JSON.stringify({ part: 'turn', runDir, configHash: '', ...config }));
  const child = spawn(process.execPath, [MAIN, '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const socket = join(runDir, 'turn.sock');
  const until = Date.now() + START_MS;
  let status: PartStatus | undefined;
  while (!status) {
    assert.ok(child.exitCode === null && Date.now() < until, `the part did not start: ${said}`);
    status = (await callAdmin(socket, 'status').catch(() => undefined)) as PartStatus | undefined;
    if (!status) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    socket,
    ports: status.ports,
    stop: async () => {
      const ended = child.exitCode === null ? once(child, 'exit') : undefined;
      child.kill('SIGTERM');
      await ended;
      rmSync(runDir, { recursive: true, force: true });
      return child.exitCode;
    },
  };
}

/** UDP echoes on loopback, on an even port and the next one as RTP and RTCP have them. */
export async function echoPair(addresses: readonly string[]): Promise<{ readonly port: number; close(): void }> {
  for (;;) {
    const opened: Socket[] = [];
    const close = () => {
      for (const socket of opened) socket.close();
    };
    const open = async (address: string, port: number) => {
      const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address));
      socket.bind(port, address);
      await once(socket, 'listening');
      opened.push(socket);
      return socket.address().port;
    };
    try {
      const [first, ...others] = addresses;
      const port = await open(first!, 0);
      if (port % 2 !== 0) throw new Error('odd');
      await open(first!, port + 1);
      for (const address of others) for (const one of [port, port + 1]) await open(address, one);
      return { port, close };
    } catch {
      close();
    }
  }
}

/** Runs one of coturn's tools; it may end with 0 all the same, so its words count. */
export function coturnTool(name: string, args: readonly string[], patienceS = PATIENCE_S): Promise<string> {
  return new Promise((resolve) => {
    const all = ['-s', 'KILL', String(patienceS), name, ...args];
    execFile('timeout', all, { maxBuffer: 1 << 26 }, (_error, stdout, stderr) => resolve(`${stdout}${stderr}`));
  });
}
