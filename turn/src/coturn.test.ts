import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { callAdmin, ownCertificate, type PartStatus } from '@offhook/core/node';
import type { PeerRules } from './peers/peer-rule.ts';
import { coturnSkip as skip, startCoturn } from './testkit/coturn.ts';
import { coturnTool, echoPair, startPart } from './testkit/part.ts';
import { hasLoopbackIPv6 } from './testkit/real.ts';

const REALM = 'turn.example.org';
const SECRETS = ['s3cr3t', 'older'];
const LOAD = ['-n', '10', '-m', '2', '-l', '170'];
/**
 * Over TLS the client itself loses what comes while it waits for an answer, and against coturn it now and then waits for
 * good: so many rounds may it take until no more is lost than against coturn.
 */
const STREAM_ROUNDS = 3;
const STREAM_PATIENCE_S = 25;
const RELAYED = ['127.0.0.1', ...(hasLoopbackIPv6 ? ['::1'] : [])];
/** Beyond what Linux gives to others by itself: a reserved port has to be free still when its client comes. */
const relay = { addresses: RELAYED.map((address) => ({ address })), portMin: 61_000, portMax: 65_535 };
const limits = { allocationsPerUser: 1000, allocations: 4000 };

type Target = Readonly<Record<string, number>>;

/** `-p` and address, behind all other flags; TLS has a port of its own. */
function at(ports: Target, flags: readonly string[]): string[] {
  const kind = flags.includes('-t') ? (flags.includes('-S') ? 'tls' : 'tcp') : 'udp';
  return ['-p', String(ports[kind]), '127.0.0.1'];
}

let runs = 0;

/**
 * Each run has an address of its own: the client leaves half of its allocations behind, and who gets the port of one is told
 * 437 as the RFC wants it.
 */
function uclient(ports: Target, flags: readonly string[], patienceS?: number): Promise<string> {
  const own = `127.1.${runs >> 7}.${(runs++ & 0x7f) + 1}`;
  return coturnTool('turnutils_uclient', ['-L', own, ...flags, ...at(ports, flags)], patienceS);
}

/** -1: it did not come to its end. */
function lostIn(said: string): number {
  const [, lost] = /Total lost packets (\d+)/.exec(said) ?? [];
  return lost === undefined ? -1 : Number(lost);
}

/** coturn's line and code of each refusal. */
function codesIn(said: string): number[] {
  return [...new Set([...said.matchAll(/error (\d{3})\b/g)].map(([, code]) => Number(code)))].sort();
}

function peersAt(port: number): PeerRules {
  const allow = RELAYED.map((address) => ({ address, portMin: port, portMax: port + 1 }));
  return { base: 'none', allow, deny: [] };
}

/**
 * Over UDP nothing may be lost; over streams no more than against coturn. Those that differ from another one only in what is
 * combined, and those over TLS, where the client waits for half a minute now and then, are left to `npm run prove -- turn-modes`.
 */
const MODES: readonly (readonly [string, readonly string[], 'prove'?])[] = [
  ['channels', ['-c']],
  ['Send indications', ['-s', '-c']],
  ['EVEN-PORT and its sibling, channels', []],
  ['EVEN-PORT and its sibling, Send indications', ['-s'], 'prove'],
  ['client to client', ['-y', '-c']],
  ['client to client by Send indications', ['-y', '-s', '-c'], 'prove'],
  ['the older secret', ['-W', 'older', '-c']],
  ['IPv4 asked for', ['-X', '-c'], 'prove'],
  ['IPv6 relayed address, channels', ['-x', '-c', '-e', '::1']],
  ['IPv6 relayed address, Send indications', ['-x', '-s', '-c', '-e', '::1'], 'prove'],
  ['IPv6 relayed address, EVEN-PORT', ['-x', '-e', '::1'], 'prove'],
  ['both families in one Allocate', ['-Z']],
  ['both families, Send indications', ['-Z', '-s'], 'prove'],
  ['both families, client to client', ['-Z', '-y'], 'prove'],
  ['padded channels', ['-D', '-c']],
  ['connections that end at random', ['-B', '-c']],
  ['mobility asked for, which is not granted', ['-M', '-c']],
  ['permissions left to channels', ['-I', '-c'], 'prove'],
  ['ORIGIN', ['-o', 'https://offhook.example', '-c']],
  ['bandwidth asked for', ['-a', '100000', '-c'], 'prove'],
  ['TCP, channels', ['-t', '-c']],
  ['TCP, Send indications', ['-t', '-s', '-c'], 'prove'],
  ['TCP, EVEN-PORT and its sibling', ['-t']],
  ['TCP, client to client', ['-t', '-y', '-c'], 'prove'],
  ['TCP, padded channels', ['-t', '-D', '-c'], 'prove'],
  ['TCP, both families', ['-t', '-Z'], 'prove'],
  ['TLS, channels', ['-t', '-S', '-c'], 'prove'],
  ['TLS, Send indications', ['-t', '-S', '-s', '-c'], 'prove'],
  ['TLS, EVEN-PORT and its sibling', ['-t', '-S'], 'prove'],
  ['TLS, client to client', ['-t', '-S', '-y', '-c'], 'prove'],
];

const isAll = process.env.COTURN_MODES === 'all';

test('coturn’s client in every mode', { skip, concurrency: 6, timeout: 230_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'offhook-uclient-'));
  ownCertificate({ folder, names: ['127.0.0.1'], nowMs: Date.now() });
  const peer = await echoPair(RELAYED);
  const anywhere = [{ address: '127.0.0.1', port: 0 }];
  const part = await startPart({
    listen: { udp: anywhere, tcp: anywhere, tls: anywhere },
    tls: { folder },
    relay,
    realm: REALM,
    secrets: SECRETS,
    peers: peersAt(peer.port),
    limits,
  });
  const who = ['-W', 's3cr3t', '-u', 'alice', '-e', '127.0.0.1', '-r', String(peer.port)];
  const { udp, tcp, tls } = part.ports;
  const ours: Target = { udp: udp!, tcp: tcp!, tls: tls! };
  const theirs = lazily(() => startOther(peer.port));
  const skipOf = (flags: readonly string[]) =>
    !hasLoopbackIPv6 && flags.some((flag) => flag === '-x' || flag === '-Z') && 'this machine has no ::1';
  try {
    await Promise.all([
      ...MODES.filter(([, , where]) => isAll || where !== 'prove').map(([name, flags]) =>
        t.test(name, { skip: skipOf(flags) }, async () => {
          const args = [...who, ...LOAD, ...flags];
          if (!flags.includes('-t')) {
            const said = await uclient(ours, args);
            assert.equal(lostIn(said), 0, said.slice(-2000));
            assert.doesNotMatch(said, /\bFAIL|Cannot complete/);
            assert.deepEqual(codesIn(said), []);
            return;
          }
          for (let round = 1; ; round++) {
            const lost = lostIn(await uclient(ours, args, STREAM_PATIENCE_S));
            if (lost === 0) return;
            const other = lostIn(await uclient(await theirs.value(), args, STREAM_PATIENCE_S));
            if (lost > 0 && (other < 0 || lost <= other)) return;
            assert.ok(round < STREAM_ROUNDS, `${lost} packets lost, ${other} against coturn`);
          }
        }),
      ),
      ...refusals(t, ours, who, peer.port),
    ]);
    const metrics = (await callAdmin(part.socket, 'metrics')) as Record<string, number>;
    assert.ok(metrics.offhook_turn_packets_to_peers_total! >= 300);
    assert.equal(metrics.offhook_turn_send_errors_total, 0);
    await callAdmin(part.socket, 'drain');
    assert.equal(((await callAdmin(part.socket, 'status')) as PartStatus).state, 'draining');
    assert.deepEqual(codesIn(await uclient(ours, [...who, ...LOAD, '-c'])), [508], 'no new ones while draining');
  } finally {
    peer.close();
    await theirs.close();
    rmSync(folder, { recursive: true, force: true });
    assert.equal(await part.stop(), 0);
  }

  /** What has to go wrong, by its code, and the server is none the worse for it. */
  function refusals(t: TestContext, ports: Target, who: readonly string[], peerPort: number): Promise<void>[] {
    const works = async () => assert.equal(lostIn(await uclient(ports, [...who, '-n', '2', '-c'])), 0);
    return [
      t.test('DONT-FRAGMENT is granted by batched sockets, else 420', async () => {
        const { details } = (await callAdmin(part.socket, 'status')) as { details?: { udp?: string } };
        const variants = ['-c', '-s', '-X'];
        for (const said of await Promise.all(
          variants.map((flag) => uclient(ports, [...who, ...LOAD, '-g', '-c', flag])),
        )) {
          if (codesIn(said).includes(420)) assert.notEqual(details?.udp, 'mmsg');
          else assert.equal(lostIn(said), 0, said.slice(-2000));
        }
      }),
      t.test('further permissions and channels: those outside of the rules are 403 and 443', async () => {
        for (const said of await Promise.all(
          ['-c', '-s'].map((flag) => uclient(ports, [...who, ...LOAD, '-G', '-c', flag])),
        )) {
          assert.equal(lostIn(said), 0, said.slice(-2000));
          for (const code of codesIn(said)) assert.ok(code === 403 || code === 443, `${code}`);
        }
      }),
      t.test('a peer bound to a second channel: 400', async () => {
        assert.deepEqual(codesIn(await uclient(ports, [...who, ...LOAD, '-N', '-c'])), [400]);
      }),
      t.test('messages changed at random: codes of the RFC or no answer, and the next client is served', async () => {
        // A request that is changed beyond recognition gets no answer, and this client waits for one for good.
        const runs = await Promise.all([1, 2, 3, 4].map(() => uclient(ports, [...who, ...LOAD, '-R', '-c'], 8)));
        const known = [400, 401, 403, 420, 437, 438, 440, 441, 442, 443];
        for (const code of runs.flatMap(codesIn)) assert.ok(known.includes(code), `${code}`);
        await works();
      }),
      t.test('TCP relay: 442, actively and passively', async () => {
        for (const flag of ['-T', '-P']) assert.deepEqual(codesIn(await uclient(ports, [...who, flag, '-t'])), [442]);
      }),
      t.test('DTLS: no answer, and nobody is disturbed', async () => {
        const [said] = await Promise.all([uclient(ports, [...who, '-S', '-c', '-n', '2'], 3), works()]);
        assert.equal(lostIn(said), -1);
      }),
      t.test('clients that connect and go at once', async () => {
        for (const flags of [
          ['-O', '-c'],
          ['-O', '-c', '-t'],
        ])
          await uclient(ports, [...who, ...LOAD, ...flags], 10);
        await works();
      }),
      t.test('a long-term user is served, with a wrong password not', async () => {
        await callAdmin(part.socket, 'users', { op: 'put', name: 'desk', password: 'correct horse' });
        const desk = ['-u', 'desk', ...who.slice(4), ...LOAD, '-c'];
        assert.equal(lostIn(await uclient(ports, [...desk, '-w', 'correct horse'])), 0);
        assert.match(await uclient(ports, [...desk, '-w', 'wrong horse']), /Cannot complete Allocation/);
      }),
      t.test('a wrong secret gets nothing', async () => {
        const said = await uclient(ports, [...who, '-W', 'wrong', ...LOAD, '-c']);
        assert.match(said, /Cannot complete Allocation/);
      }),
      t.test('a peer outside of the rules gets nothing', async () => {
        assert.deepEqual(codesIn(await uclient(ports, [...who, '-r', String(peerPort + 5), ...LOAD, '-c'])), [403]);
      }),
    ];
  }
});

/** coturn with the same peers, started when it is needed. */
async function startOther(peerPort: number): Promise<{ readonly value: Target; close(): Promise<void> }> {
  const coturn = await startCoturn(
    ({ port, tlsPort, folder }) => {
      const plain = [{ address: '127.0.0.1', port }];
      return {
        listen: { udp: plain, tcp: plain, tls: [{ address: '127.0.0.1', port: tlsPort }] },
        tls: { folder },
        relay,
        realm: REALM,
        secrets: SECRETS,
        peers: peersAt(peerPort),
        limits,
        workers: 1,
      };
    },
    ['allow-loopback-peers', ...RELAYED.map((address) => `allowed-peer-ip=${address}`)],
  );
  const { port, tlsPort } = coturn;
  return { value: { udp: port, tcp: port, tls: tlsPort }, close: () => coturn.stop() };
}

function lazily<T>(open: () => Promise<{ readonly value: T; close(): Promise<void> }>): {
  value(): Promise<T>;
  close(): Promise<void>;
} {
  let opened: ReturnType<typeof open> | undefined;
  return {
    value: async () => {
      opened ??= open();
      return (await opened).value;
    },
    close: async () => (await opened)?.close(),
  };
}

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
  const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), '--config', file], {
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
