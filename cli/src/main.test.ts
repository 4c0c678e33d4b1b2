import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Finding } from './doctor/finding.ts';
import { composeParts, portSlice } from './parts.ts';
import type { Ports } from './supervisor/spec.ts';

const folder = mkdtempSync(join(tmpdir(), 'oh-cli-'));

after(() => rmSync(folder, { recursive: true, force: true }));

function offhook(...args: string[]) {
  const bin = join(import.meta.dirname, '../bin/offhook.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], { cwd: folder, encoding: 'utf8' });
  return { status, stdout, stderr };
}

for (const command of ['start', 'stop', 'status', 'user', 'link', 'doctor', 'version']) {
  test(`offhook ${command} --help says what it does`, () => {
    const { status, stdout, stderr } = offhook(command, '--help');
    assert.equal(stderr, '');
    assert.match(stdout, new RegExp(`offhook ${command}`));
    assert.equal(status, 0);
  });
}

const REFUSED: readonly [string[], number, RegExp][] = [
  [['strat'], 2, /'strat' is no command of offhook; did you mean 'start'\?/],
  [['status', '--jsn'], 2, /--jsn/],
  [['stop', 'now'], 2, /'now' is one word too many/],
  [['user'], 2, /offhook user add\|list\|passwd\|remove/],
  [['user', 'rename', 'x'], 2, /'offhook user rename' does not exist/],
  [['user', 'add'], 2, /whom\? offhook user add <name>/],
  [['link'], 2, /whose link\?/],
  [['link', 'alice'], 1, /Offhook does not run with the data folder .*Start it with/],
  [['users', 'list'], 1, /Offhook does not run/],
  [['start', '--config', 'none.json'], 2, /there is no such file/],
  [['start', '--port', 'x'], 2, /'x' is no port/],
  [['start', '--data', 'd'.repeat(120)], 2, /too long for the sockets/],
];

for (const [args, code, words] of REFUSED) {
  test(`offhook ${args.join(' ').slice(0, 40)}: exit code ${code}, in words, without a stack`, () => {
    const { status, stdout, stderr } = offhook(...args);
    assert.match(stderr, words);
    assert.doesNotMatch(stderr, /\n\s+at /);
    assert.equal(stdout, '');
    assert.equal(status, code);
  });
}

test('every problem of a configuration is said at once, exit code 2', () => {
  writeFileSync(join(folder, 'bad.json'), JSON.stringify({ htp: {}, sip: { port: 'x' } }));
  const { status, stderr } = offhook('start', '--config', 'bad.json');
  assert.match(stderr, /did you mean 'http'\?/);
  assert.match(stderr, /sip\.port has to be a whole number/);
  assert.equal(status, 2);
});

test('nothing runs: status says so with exit code 3, stop is content', () => {
  assert.equal(offhook('status').status, 3);
  assert.deepEqual(JSON.parse(offhook('status', '--json').stdout), { parts: [] });
  assert.equal(offhook('stop').status, 0);
});

test('doctor works when nothing runs, and tells a configuration that can’t be used as a finding', () => {
  const findings = JSON.parse(offhook('doctor', '--json').stdout) as Finding[];
  assert.ok(findings.some(({ what, words }) => what === 'parts' && words === 'nothing runs'));
  assert.ok(findings.some(({ what }) => what === 'HTTP port'));
  const bad = offhook('doctor', '--config', 'bad.json');
  assert.match(bad.stdout, /BAD {2}configuration: .*did you mean 'http'/);
  assert.equal(bad.status, 1);
});

test('version is that of package.json, on any Node that starts the shim', () => {
  assert.match(offhook('version').stdout, /^\d+\.\d+\.\d+\n$/);
});

test('RTP ports are shared out among workers without overlap, each slice beginning even', () => {
  const slices = [0, 1, 2].map((worker) => portSlice({ min: 20101, max: 20200 }, worker, 3));
  assert.deepEqual(slices, [
    { min: 20102, max: 20133 },
    { min: 20134, max: 20165 },
    { min: 20166, max: 20197 },
  ]);
  assert.deepEqual(portSlice({ min: 0, max: 0 }, 1, 2), { min: 0, max: 0 });
});

const CONFIG = {
  data: '/d',
  public: false,
  domain: 'offhook.local',
  demoAccounts: true,
  http: { port: 8080, allowedOrigins: [] },
  sip: { port: 5060 },
  media: {
    path: 'opaque',
    workers: 2,
    ngPort: 2223,
    muxPort: 20000,
    rtpPorts: { min: 20100, max: 29999 },
    timeoutS: 60,
  },
  turn: { enabled: true, port: 3478, relayPorts: { min: 49152, max: 65535 }, credentialTtlS: 60 },
} as const;
const PORTS = new Map<string, Ports>([
  ['media-relay-0', { ng: 2223, mux: 20000 }],
  ['media-relay-1', { ng: 2224, mux: 20005 }],
  ['turn', { udp: 3479 }],
]);

function settings(publicly: boolean) {
  const parts = composeParts({
    config: { ...CONFIG, public: publicly },
    secrets: { turn: 'T', session: 'S', nonce: 'N' },
    hostAddresses: ['192.0.2.7'],
    version: '0',
  });
  assert.deepEqual(
    parts.map(({ name }) => name),
    ['media-relay-0', 'media-relay-1', 'turn', 'signaling'],
  );
  return Object.fromEntries(parts.map((part) => [part.name, part.settings(PORTS)])) as Record<
    string,
    // biome-ignore lint/suspicious/noExplicitAny: whatever the parts are told, compared as a whole
    any
  >;
}

test('by default only the media mux and the relayed addresses leave loopback', () => {
  const all = settings(false);
  assert.deepEqual(all['media-relay-1'].mux, { addresses: ['127.0.0.1', '192.0.2.7'], port: 20001 });
  assert.deepEqual(all['media-relay-1'].rtp, { address: '127.0.0.1', portMin: 25050, portMax: 29999 });
  assert.deepEqual(all.turn.listen, [{ address: '127.0.0.1', port: 3478 }]);
  assert.deepEqual(all.turn.relay.addresses, ['127.0.0.1', '192.0.2.7']);
  assert.deepEqual(all.signaling.sip.udp, [{ address: '127.0.0.1', port: 5060 }]);
  assert.equal(all.signaling.http.address, '127.0.0.1');
});

test('without TURN nothing waits for it and no phone is told of it', () => {
  const parts = composeParts({
    config: { ...CONFIG, turn: { ...CONFIG.turn, enabled: false } },
    secrets: { turn: 'T', session: 'S', nonce: 'N' },
    hostAddresses: [],
    version: '0',
  });
  assert.deepEqual(
    parts.map(({ name }) => name),
    ['media-relay-0', 'media-relay-1', 'signaling'],
  );
  const signaling = parts[2]!;
  assert.deepEqual(signaling.needs, ['media-relay-0', 'media-relay-1']);
  const told = signaling.settings(new Map([...PORTS].filter(([name]) => name !== 'turn')));
  assert.deepEqual((told.turn as { uris: unknown }).uris, []);
});

test('--public opens the rest; TURN reaches the real media ports and nothing else; signalling is told the real ports', () => {
  const all = settings(true);
  assert.deepEqual(
    all.turn.listen.map(({ address }: { address: string }) => address),
    ['127.0.0.1', '192.0.2.7'],
  );
  assert.deepEqual(all.turn.peers, [
    { address: '127.0.0.1/32', portMin: 20000, portMax: 20000 },
    { address: '192.0.2.7/32', portMin: 20000, portMax: 20000 },
    { address: '127.0.0.1/32', portMin: 20005, portMax: 20005 },
    { address: '192.0.2.7/32', portMin: 20005, portMax: 20005 },
  ]);
  assert.equal(all['media-relay-0'].rtp.address, '192.0.2.7');
  assert.equal(all.signaling.http.address, '0.0.0.0');
  assert.deepEqual(all.signaling.media.relays, ['udp:127.0.0.1:2223', 'udp:127.0.0.1:2224']);
  assert.deepEqual(all.signaling.turn.uris, ['turn:127.0.0.1:3479?transport=udp', 'turn:192.0.2.7:3479?transport=udp']);
});
