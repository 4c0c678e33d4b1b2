import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { callAdmin, type PartStatus } from '@offhook/core/node';
import type { TurnConfig } from './config.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const PATIENCE_S = 60;

/** Without coturn's client tools this is skipped, except where every peer has to be there. */
const missing = spawnSync('turnutils_uclient', ['-h'], { timeout: 5000 }).error !== undefined;
const skip = missing && process.env.CI !== 'true' ? 'turnutils_uclient is missing: apt-get install coturn' : false;

/** A UDP echo on loopback. */
async function echo(): Promise<{ port: number; close: () => void }> {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, from) => socket.send(bytes, from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, close: () => socket.close() };
}

async function startPart(config: Omit<TurnConfig, 'part' | 'runDir' | 'configHash'>): Promise<{
  readonly process: ChildProcess;
  readonly socket: string;
  readonly port: number;
  stop(): Promise<number | null>;
}> {
  const runDir = mkdtempSync(join(tmpdir(), 'offhook-turn-'));
  const file = join(runDir, 'turn.json');
  writeFileSync(file, JSON.stringify({ part: 'turn', runDir, configHash: '', ...config }));
  const child = spawn(process.execPath, [MAIN, '--config', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const socket = join(runDir, 'turn.sock');
  const until = Date.now() + 20_000;
  let status: PartStatus | undefined;
  while (!status) {
    assert.ok(child.exitCode === null && Date.now() < until, `the part did not start: ${said}`);
    status = (await callAdmin(socket, 'status').catch(() => undefined)) as PartStatus | undefined;
    if (!status) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    process: child,
    socket,
    port: status.ports.udp!,
    stop: async () => {
      const ended = child.exitCode === null ? once(child, 'exit') : undefined;
      child.kill('SIGTERM');
      await ended;
      rmSync(runDir, { recursive: true, force: true });
      return child.exitCode;
    },
  };
}

/** Runs coturn's client; it ends with 0 even when packets were lost, so its words count. */
function uclient(args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const all = ['-s', 'KILL', String(PATIENCE_S), 'turnutils_uclient', ...args];
    execFile('timeout', all, { maxBuffer: 1 << 24 }, (_error, stdout, stderr) => resolve(`${stdout}${stderr}`));
  });
}

test('coturn’s client loses nothing: channels, Send indications, client to client', {
  skip,
  concurrency: true,
}, async (t) => {
  const peer = await echo();
  const part = await startPart({
    listen: { udp: [{ address: '127.0.0.1', port: 0 }], tcp: [], tls: [] },
    relay: { addresses: [{ address: '127.0.0.1' }], portMin: 0, portMax: 0 },
    realm: 'offhook.test',
    secrets: ['s3cr3t', 'older'],
    // The client asks for the port behind the peer's as well, RTCP's.
    peers: {
      base: 'none',
      allow: [{ address: '127.0.0.1', portMin: peer.port, portMax: peer.port + 1 }],
      deny: [],
    },
    limits: { allocationsPerUser: 200 },
  });
  try {
    const common = ['-W', 's3cr3t', '-u', 'alice', '-e', '127.0.0.1', '-r', String(peer.port), '-L', '127.0.0.1'];
    const load = ['-n', '25', '-m', '2', '-l', '170', '-c', '-p', String(part.port)];
    const variants: [string, string[]][] = [
      ['channels', []],
      ['Send indications', ['-s']],
      ['client to client', ['-y']],
      ['client to client by Send indications', ['-y', '-s']],
      ['the older secret', ['-W', 'older']],
    ];
    const runs = variants.map(([name, flags]) =>
      t.test(name, async () => {
        const said = await uclient([...common, ...flags, ...load, '127.0.0.1']);
        assert.match(said, /Total lost packets 0 \(0\.000000%\)/, said.slice(-2000));
        assert.doesNotMatch(said, /error \d{3}/i);
      }),
    );
    await Promise.all(runs);
    await t.test('a wrong secret gets nothing', async () => {
      const said = await uclient([...common, '-W', 'wrong', ...load, '127.0.0.1']);
      assert.match(said, /Cannot complete Allocation/);
    });
    await t.test('a peer outside of the rules gets nothing', async () => {
      const said = await uclient([...common, '-r', String(peer.port + 5), ...load, '127.0.0.1']);
      assert.match(said, /error 403/);
    });
    const metrics = (await callAdmin(part.socket, 'metrics')) as Record<string, number>;
    assert.ok(metrics.offhook_turn_packets_to_peers_total! >= 250);
    assert.equal(metrics.offhook_turn_send_errors_total, 0);
    await callAdmin(part.socket, 'drain');
    assert.equal(((await callAdmin(part.socket, 'status')) as PartStatus).state, 'draining');
  } finally {
    peer.close();
    assert.equal(await part.stop(), 0);
  }
});

test('a configuration that can’t be used is refused with all its faults at once', () => {
  const runDir = mkdtempSync(join(tmpdir(), 'offhook-turn-'));
  const file = join(runDir, 'turn.json');
  writeFileSync(
    file,
    JSON.stringify({
      part: 'turn',
      runDir,
      configHash: '',
      listen: { udp: [{ address: 'localhost', port: 70_000 }], tcp: [], tls: [] },
      relay: { addresses: [{ address: '0.0.0.0' }], portMin: 10, portMax: 5 },
      realm: '',
      secrets: [''],
      peers: { base: 'none', allow: [{ address: '10.0.0.1/8' }], deny: [] },
      limits: { channel: 0 },
    }),
  );
  const { status, stderr } = spawnSync(process.execPath, [MAIN, '--config', file], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  rmSync(runDir, { recursive: true, force: true });
  assert.equal(status, 1);
  for (const words of [
    "'localhost'",
    '70000',
    "'0.0.0.0'",
    'above',
    'realm',
    'secrets',
    '10.0.0.1/8',
    'limits.channel',
  ]) {
    assert.ok(stderr.includes(words), `${words} in ${stderr}`);
  }
});
