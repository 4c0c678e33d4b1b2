import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DEFAULT_LIMITS } from '@offhook/turn';
import { skippedPorts } from './commands/skipped-ports.ts';
import type { Secrets } from './config/secrets.ts';
import type { TurnSettings } from './config/turn.ts';
import type { Finding } from './doctor/finding.ts';
import { composeParts, mediaRelays, portSlice } from './parts.ts';
import { configHash, type Ports } from './supervisor/spec.ts';

const folder = mkdtempSync(join(tmpdir(), 'oh-cli-'));

// a folder with settings of its own, so that the project's data is left alone
writeFileSync(join(folder, 'offhook.config.json'), '{}');

after(() => rmSync(folder, { recursive: true, force: true }));

/** Without the shim, which is a second process: `version` and system.test.ts go through that. */
const offhook = (...args: string[]) => run(join(import.meta.dirname, 'main.ts'), args);

function run(program: string, args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { cwd: folder, encoding: 'utf8' });
  return { status, stdout, stderr };
}

for (const command of [
  'start',
  'relay',
  'calls',
  'stop',
  'status',
  'user',
  'link',
  'chat',
  'route',
  'trunks',
  'cdrs',
  'doctor',
  'turn',
  'echo',
  'version',
]) {
  test(`offhook ${command} --help says what it does`, () => {
    const { status, stdout, stderr } = offhook(command, '--help');
    assert.equal(stderr, '');
    assert.match(stdout, new RegExp(`offhook ${command}`));
    assert.equal(status, 0);
  });
}

for (const page of [
  ...['user add', 'user passwd', 'user remove', 'user list', 'echo listen', 'turn status', 'turn users', 'turn drain'],
  ...['turn undrain', 'turn rotate-secret', 'turn credentials', 'turn coturn-conf', 'turn check-conf', 'turn serve'],
]) {
  test(`offhook ${page} --help is a page of its own`, () => {
    const { status, stdout } = offhook(...page.split(' '), '--help');
    assert.match(stdout, new RegExp(`^offhook ${page}.*:`));
    assert.equal(status, 0);
    assert.equal(offhook('help', ...page.split(' ')).stdout, stdout);
  });
}

const REFUSED: readonly [string[], number, RegExp][] = [
  [['bogus'], 2, /'bogus' is no command of offhook\. See: node \/.*\/cli\/bin\/offhook\.mjs --help\n$/],
  [['user add'], 2, /'user add' is no command/],
  [['strat'], 2, /'strat' is no command of offhook; did you mean 'start'\?/],
  [['status', '--jsn'], 2, /'offhook status' has no option '--jsn'; did you mean '--json'\?/],
  [['status', '-x'], 2, /'offhook status' has no option '-x'\. See: .* status --help/],
  [['echo', 'listen', '--foo'], 2, /'offhook echo listen' has no option '--foo'\. See: .* echo listen --help/],
  [['echo', 'lisen'], 2, /'offhook echo lisen' does not exist; did you mean 'listen'\?/],
  [['bans', 'add', 'hello'], 2, /'hello' is no IP address/],
  [['stop', '--port', '1'], 2, /'offhook stop' has no option '--port'\. See: .* stop --help/],
  [['user', 'list', '--password', 'x'], 2, /'offhook user list' has no option '--password'/],
  [['start', '--public=yes'], 2, /--public takes no value, and 'yes' was given/],
  [['status', '--data'], 2, /--data needs a value/],
  [['status', '--data', '--json'], 2, /--data needs a value/],
  [['stop', 'now'], 2, /'now' is one word too many/],
  [['user', 'add', 'x', '--digest', 'SHA-1'], 2, /--digest is MD5 or SHA-256, not 'SHA-1'\./],
  [['user', 'remove', 'x', '--digest', 'MD5'], 2, /has no option '--digest'/],
  [['user'], 2, /what about users\? add, list, passwd, remove, calls\./],
  [['user', 'rename', 'x'], 2, /'offhook user rename' does not exist/],
  [['user', 'ad', 'x'], 2, /did you mean 'add'\?/],
  [['user', 'list', 'extra'], 2, /'extra' is one word too many/],
  [['user', 'add'], 2, /whom\? offhook user add <name>/],
  [['link'], 2, /whose link\?/],
  [['link', 'alice'], 1, /Offhook does not run with the data folder .*Start it with: node \/.* start\n/],
  [['chat'], 2, /who are you\? offhook chat <user>\. See: .* chat --help/],
  [['chat', 'alice', 'bob'], 2, /'bob' is one word too many/],
  [
    ['chat', 'alice', '--password', 'x'],
    2,
    /'offhook chat' has no option '--password'; did you mean '--password-file'\?/,
  ],
  [['chat', 'a b'], 2, /'a b' is no account: alice, or alice@example\.org/],
  [['chat', 'alice@x:5060'], 2, /a port belongs to the server: offhook chat alice@x --server x:5060/],
  [['chat', 'alice', '--transport', 'ws'], 2, /--transport is one of udp, tcp, tls, not 'ws'/],
  [['chat', 'alice', '--server', 'a b'], 2, /--server: 'a b' is no host or host:port/],
  [['chat', 'alice', '--server', 'x', '--to', '<>'], 2, /--to: '<>' is no address/],
  [['chat', 'alice', '--server', 'x', '--ca', 'none.pem'], 2, /--ca: there is no file none\.pem\n/],
  [['chat', 'alice', '--server', 'x', '--password-file', 'none'], 2, /--password-file: there is no file none\n/],
  [
    ['chat', 'alice'],
    1,
    /Offhook does not run .*\nFor an account elsewhere say where: offhook chat alice@example\.org/,
  ],
  [['users', 'list'], 1, /Offhook does not run/],
  [['route', 'alice'], 2, /who calls whom\? offhook route <from> <to>\. See: .* route --help/],
  [['route', 'a', 'b', 'c'], 2, /'c' is one word too many/],
  [['route', 'a', 'b', '--at', 'noon'], 2, /--at: 'noon' is no time like 2026-12-24T20:00/],
  [['route', 'a', 'b', '--trnk', 'x'], 2, /did you mean '--trunk'\?/],
  [['route', 'a', 'b', '--file', 'none.ts'], 2, /--file: .*none\.ts: there is no such file/],
  [
    ['route', 'a', 'b'],
    1,
    /Offhook does not run .*\nRules are tried without it by: .* route <from> <to> --file routes\.ts\n/,
  ],
  [['echo'], 2, /which echo\? offhook echo <url>, .*; or offhook echo listen, to be one\. See: .* echo --help/],
  [['echo', 'localhost:7'], 2, /'localhost:7' does not say over what: .* as in udp:\/\/localhost:7/],
  [['echo', 'udp://localhost'], 2, /lacks the port: .*7007/],
  [['echo', 'udp://h:7', 'x'], 2, /'x' is one word too many/],
  [['echo', 'udp://h:7', '--udp', '7'], 2, /'offhook echo' has no option '--udp'/],
  [['echo', 'udp://h:7', '--count', '0'], 2, /--count: '0' is no whole number from 1 to 100000\./],
  [['echo', 'udp://h:7', '--size', '65508'], 2, /--size: '65508' is no whole number from 24 to 65507\./],
  [['echo', 'tcp://h:7', '--timeout', '1e3'], 2, /--timeout: '1e3' is no number from 0\.1 to 60\./],
  [['echo', 'tcp://h:7', '--insecure'], 2, /--insecure is for tls:\/\/ and wss:\/\//],
  [['echo', 'tls://h:7', '--ca', 'none.pem'], 2, /--ca: .*none\.pem: there is no such file/],
  [['echo', 'tls://h:7', '--fingerprint', 'ab'], 2, /'ab' is no SHA-256 fingerprint/],
  [['echo', 'listen', '--tcp', '70000'], 2, /--tcp: '70000' is no port/],
  [['echo', 'listen', '--rate', '65535'], 2, /--rate: '65535' is no whole number from 65536 to/],
  [['echo', 'listen', '--tls', 'any', '--cert', 'x'], 2, /--key is missing/],
  [['echo', 'listen', '--count', '1'], 2, /'offhook echo listen' has no option '--count'/],
  [['turn'], 1, /Offhook does not run .*no turn answers there/],
  [['turn', 'sttus'], 2, /'offhook turn sttus' does not exist: status, users, drain.*; did you mean 'status'\?/],
  [['turn', 'users', 'add'], 2, /whom\? offhook turn users add <name>\. See: .* turn users --help/],
  [['turn', 'users', 'rename', 'x'], 2, /'offhook turn users rename' does not exist: list, add, remove/],
  [['turn', 'users', 'list', 'x'], 2, /'x' is one word too many/],
  [['turn', 'users', 'add', 'a:b'], 2, /'a:b' is no name of a TURN user/],
  [['turn', 'users', 'add', 'a', '--password', 'short'], 2, /8 characters at least/],
  [['turn', 'users', 'remove', 'a', '--password', 'long enough'], 2, /--password is for offhook turn users add/],
  [['turn', 'drain', '--to', 'other'], 2, /--to: 'other' is no address and port/],
  [['turn', 'status', '--wait'], 2, /'offhook turn status' has no option '--wait'/],
  [['turn', 'credentials'], 2, /for whom\? offhook turn credentials <user>/],
  [['turn', 'credentials', 'x', '--ttl', '0'], 2, /--ttl: '0' is no whole number from 1 to 604800/],
  [['turn', 'credentials', 'x'], 1, /has no secrets yet; the first start makes them/],
  [['turn', 'coturn-conf', '--for', '4.5'], 2, /--for is one of 4\.6, 4\.17, not '4\.5'/],
  [['turn', 'check-conf'], 2, /which file\? offhook turn check-conf <file>/],
  [['turn', 'check-conf', 'none.conf'], 2, /none\.conf: there is no such file/],
  [['turn', 'serve'], 2, /by which file\? offhook turn serve --conf <file>/],
  [['turn', 'serve', '--conf', 'none.conf'], 2, /none\.conf: there is no such file/],
  [['cdrs'], 1, /Offhook does not run/],
  [['cdrs', 'alice'], 2, /'alice' is one word too many/],
  [['cdrs', '--answered', 'maybe'], 2, /--answered is yes or no, not 'maybe'\./],
  [['cdrs', '--limit', '0'], 2, /--limit: a whole number from 1 on/],
  [['cdrs', '--json', '--csv'], 2, /--json or --csv, not both/],
  [['cdrs', '--sinc', '1'], 2, /did you mean '--since'\?/],
  [['status', '--trunk', 'x'], 2, /'offhook status' has no option '--trunk'/],
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
  assert.deepEqual(JSON.parse(offhook('status', '--json').stdout), { parts: [], starting: [], silent: [], down: [] });
  assert.equal(offhook('stop').status, 0);
});

test('doctor works when nothing runs, and tells a configuration that can’t be used as a finding', () => {
  const findings = JSON.parse(offhook('doctor', '--json').stdout) as Finding[];
  assert.ok(findings.some(({ what, words }) => what === 'parts' && words.startsWith('nothing runs')));
  assert.ok(findings.some(({ what }) => what === 'HTTP port'));
  const bad = offhook('doctor', '--config', 'bad.json');
  assert.match(bad.stdout, /BAD {2}configuration: .*did you mean 'http'/);
  assert.equal(bad.status, 1);
});

test('a mistake in the configuration keeps nobody from stop and status', () => {
  const { status, stdout, stderr } = offhook('status', '--config', 'bad.json');
  assert.equal(status, 3);
  assert.match(stdout, /^nothing runs with the data folder /);
  assert.match(stderr, /the configuration has mistakes/);
  assert.equal(offhook('stop', '--config', 'bad.json').status, 0);
});

test('route tries a file without a running system and says each step; a call that is refused is exit code 1', () => {
  const rule = (more: string) => `{ name: 'r', called: '0{n}', ${more} }`;
  const hours = "when: { weekdays: 'thu', hours: '08:00-18:00', zone: 'Europe/Berlin' }";
  const ring = "do: { ring: ['bob', { trunk: 'provider', number: '+49{n}' }], forSeconds: 9 }";
  writeFileSync(join(folder, 'tried.ts'), `export default [${rule(`${hours}, transit: true, ${ring}`)}];`);
  const args = ['route', '+4915', '030', '--trunk', 'provider', '--file', 'tried.ts', '--at'];
  const day = offhook(...args, '2026-11-26T14:10:00+01:00');
  assert.equal(day.stderr, '');
  assert.equal(
    day.stdout,
    [
      '+4915 calls 030 over the trunk provider, 2026-11-26T14:10:00+01:00 (1 rule of tried.ts; who is a user here is not known without the running system)',
      "   1  rule 1 'r': rings 'bob' (taken for a user) and '+4930' over 'provider' for 9 s",
      '  → rings bob and +4930 over the trunk provider for 9 s',
      '',
    ].join('\n'),
  );
  assert.equal(day.status, 0);
  const night = offhook(...args, '2026-11-26T20:10:00+01:00', '--json');
  const { decision, steps } = JSON.parse(night.stdout) as { decision: { status: number }; steps: string[] };
  assert.equal(decision.status, 404);
  assert.equal(steps[0], "rule 1 'r': not now, it is Thu 2026-11-26 20:10 in Europe/Berlin");
  assert.equal(night.status, 1);
  writeFileSync(join(folder, 'wrong.ts'), 'export default [');
  writeFileSync(join(folder, 'routed.json'), JSON.stringify({ routes: 'wrong.ts' }));
  const doctor = offhook('doctor', '--config', 'routed.json').stdout;
  assert.match(
    doctor,
    /BAD {2}routes: the rules can’t be used, .*: wrong\.ts:1: SyntaxError: .*\n.*→ mend .*wrong\.ts/,
  );
  writeFileSync(join(folder, 'routed.json'), JSON.stringify({ routes: 'tried.ts' }));
  assert.match(offhook('doctor', '--config', 'routed.json').stdout, /ok {3}routes: 1 rule of tried\.ts\n/);
  const wrong = offhook('route', 'a', 'b', '--file', 'wrong.ts');
  assert.match(wrong.stderr, /^offhook: the rules can’t be used, .*: wrong\.ts:1: SyntaxError: /);
  assert.doesNotMatch(wrong.stderr, /\n\s+at /);
  assert.equal(wrong.status, 1);
});

test('the shim passes on words, output and exit code; version is that of package.json', () => {
  const shim = (...args: string[]) => run(join(import.meta.dirname, '../bin/offhook.mjs'), args);
  assert.match(shim('version').stdout, /^\d+\.\d+\.\d+\n$/);
  assert.deepEqual(shim('--version'), offhook('version'));
  const refused = shim('user', 'ad', 'x');
  assert.deepEqual([refused.status, refused.stdout], [2, '']);
  assert.deepEqual(refused, offhook('user', 'ad', 'x'));
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
  trunks: {},
  http: { port: 8080, tlsPort: 8443, allowedOrigins: [] },
  sip: { port: 5060, tlsPort: 5061, digest: { tls: 'SHA-256' }, edges: ['192.0.2.9'], challenge: 'digest', bans: true },
  tls: { names: ['phone.example.org'] },
  groups: {},
  media: {
    path: 'opaque',
    encryption: 'optional',
    workers: 2,
    ngPort: 2223,
    muxPort: 20000,
    rtpPorts: { min: 20100, max: 29999 },
    timeoutS: 60,
  },
  turn: {
    enabled: true,
    port: 3478,
    tlsPort: 5349,
    tcp: true,
    tls: true,
    workers: 2,
    relayPorts: { min: 49152, max: 65535 },
    peers: 'relay',
    allowedPeers: [],
    deniedPeers: [],
    sha256: true,
    natDiscovery: false,
    strictExpiry: false,
    ipv6Addresses: [],
    limits: { ...DEFAULT_LIMITS, allocations: 99 },
    gatherUs: 500,
    credentialTtlS: 60,
  },
} as const;
const SECRETS = { turn: ['T', 'before'], session: 'S', nonce: 'N', turnNonce: 'TN' } as const;
const PORTS = new Map<string, Ports>([
  ['media-relay-0', { ng: 2223, mux: 20000 }],
  ['media-relay-1', { ng: 2224, mux: 20005 }],
  ['turn', { udp: 3479, tcp: 3479, tls: 5350 }],
]);

function settings(publicly: boolean, turn: Partial<TurnSettings> = {}, hostAddresses = ['192.0.2.7']) {
  const parts = composeParts({
    config: { ...CONFIG, public: publicly, routes: '/home/routes.ts', turn: { ...CONFIG.turn, ...turn } },
    secrets: () => SECRETS,
    hostAddresses,
    loopback: ['127.0.0.1', '::1'],
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
  const one = (port: number) => [{ address: '127.0.0.1', port }];
  assert.deepEqual(all.turn.listen, { udp: one(3478), tcp: one(3478), tls: one(5349) });
  assert.deepEqual(all.turn.relay.addresses, [{ address: '127.0.0.1' }, { address: '192.0.2.7' }]);
  assert.deepEqual([all.turn.secrets, all.turn.secretsFile], [[], '/d/secrets.json']);
  assert.equal(all.signaling.turn.secret, 'T');
  assert.deepEqual(all.turn.tls, all.signaling.tls);
  const { workers, nonceSecret, usersFile, limits } = all.turn;
  assert.deepEqual([workers, nonceSecret, usersFile, limits.allocations], [2, 'TN', '/d/turn-users.json', 99]);
  assert.deepEqual(all.signaling.turn.uris, [
    'turn:127.0.0.1:3479?transport=udp',
    'turn:127.0.0.1:3479?transport=tcp',
    'turns:127.0.0.1:5350?transport=tcp',
  ]);
  const both = (port: number) => ['127.0.0.1', '::1'].map((address) => ({ address, port }));
  const identity = { digest: { tls: 'SHA-256' }, edges: ['192.0.2.9'], challenge: 'digest', bans: true };
  assert.deepEqual(all.signaling.sip, { ...identity, udp: both(5060), tcp: both(5060), tls: both(5061) });
  assert.deepEqual(all.signaling.http.addresses, ['127.0.0.1', '::1']);
  assert.deepEqual(all.signaling.tls.names, ['phone.example.org', '192.0.2.7']);
  assert.equal(all.signaling.routes, '/home/routes.ts');
});

test('signalling that is restarted on the ports it had is told all else as before', () => {
  const [signaling] = composeParts({
    config: { ...CONFIG, public: false },
    secrets: () => SECRETS,
    hostAddresses: [],
    loopback: ['127.0.0.1'],
    version: '0',
  }).slice(-1);
  const told = signaling!.settings(PORTS);
  const again = signaling!.withPorts(told, { udp: 5070, tcp: 5071, tls: 5072 }) as typeof told;
  const at = (port: number) => [{ address: '127.0.0.1', port }];
  assert.deepEqual(again.sip, { ...(told.sip as object), udp: at(5070), tcp: at(5071), tls: at(5072) });
});

test('media control and WebRTC media on addresses of their own: signalling and TURN are told them, the workers obey us too', () => {
  const media = {
    ...CONFIG.media,
    ngAddress: '10.0.0.7',
    ngAllowedClients: ['10.0.0.2'],
    muxAddresses: [{ address: '10.0.0.7', advertised: '198.51.100.7' }],
  };
  const parts = composeParts({
    config: { ...CONFIG, media },
    secrets: () => SECRETS,
    hostAddresses: ['10.0.0.7'],
    loopback: ['127.0.0.1'],
    version: '0',
  });
  const told = new Map(
    parts.map((spec) => [spec.name, spec.settings(PORTS) as Record<string, Record<string, unknown>>]),
  );
  assert.deepEqual(told.get('media-relay-1')?.ng, {
    address: '10.0.0.7',
    port: 2224,
    fixedPorts: true,
    tcpPort: 0,
    allowedClients: ['10.0.0.2', '10.0.0.7'],
  });
  assert.deepEqual(told.get('media-relay-0')?.mux, { addresses: media.muxAddresses, port: 20000 });
  assert.deepEqual(told.get('signaling')?.media?.relays, ['udp:10.0.0.7:2223', 'udp:10.0.0.7:2224']);
  const allowed = (told.get('turn')!.peers as { allow: { address: string; portMin: number }[] }).allow;
  assert.deepEqual(
    allowed.map(({ address, portMin }) => `${address}:${portMin}`),
    ['10.0.0.7:20000', '198.51.100.7:20000', '10.0.0.7:20005', '198.51.100.7:20005'],
  );
});

test('another TURN secret, which can be told while they run, makes no other parts', () => {
  const hashes = (turn: Secrets['turn']) =>
    composeParts({
      config: { ...CONFIG, public: true },
      secrets: () => ({ ...SECRETS, turn }),
      hostAddresses: [],
      loopback: ['127.0.0.1'],
      version: '0',
    }).map((spec) => configHash(spec, spec.settings(PORTS)));
  assert.deepEqual(hashes(['another', 'T']), hashes(['T']));
});

test('without TURN nothing waits for it and no phone is told of it', () => {
  const parts = composeParts({
    config: { ...CONFIG, turn: { ...CONFIG.turn, enabled: false } },
    secrets: () => SECRETS,
    hostAddresses: [],
    loopback: ['127.0.0.1'],
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
  for (const kind of ['udp', 'tcp', 'tls'])
    assert.deepEqual(
      all.turn.listen[kind].map(({ address }: { address: string }) => address),
      ['127.0.0.1', '192.0.2.7'],
    );
  assert.deepEqual(all.turn.peers, { base: 'none', allow: MEDIA, deny: [] });
  assert.equal(all['media-relay-0'].rtp.address, '192.0.2.7');
  assert.deepEqual(all.signaling.http.addresses, ['0.0.0.0', '::']);
  assert.deepEqual(all.signaling.media.relays, ['udp:127.0.0.1:2223', 'udp:127.0.0.1:2224']);
  assert.deepEqual(all.signaling.turn.uris, [
    'turn:127.0.0.1:3479?transport=udp',
    'turn:192.0.2.7:3479?transport=udp',
    'turn:192.0.2.7:3479?transport=tcp',
    'turns:phone.example.org:5350?transport=tcp',
  ]);
});

test('TURN over TLS is told by address where the certificate has no name of its own', () => {
  for (const names of [[], ['*.example.org', '192.0.2.9', '2001:db8::9']]) {
    const parts = composeParts({
      config: { ...CONFIG, public: true, tls: { names } },
      secrets: () => SECRETS,
      hostAddresses: ['192.0.2.7'],
      loopback: ['127.0.0.1'],
      version: '0',
    });
    const { uris } = parts.at(-1)!.settings(PORTS).turn as { uris: string[] };
    assert.equal(uris.at(-1), 'turns:192.0.2.7:5350?transport=tcp');
  }
});

test('TURN as it is configured: public peers with rules, an address outside, no TCP, NAT discovery', () => {
  const all = settings(
    true,
    {
      tcp: false,
      tls: false,
      peers: 'public',
      allowedPeers: ['10.1.0.0/16', '[fd00::1]:5000'],
      deniedPeers: ['198.18.0.0-198.18.0.9:1-1023'],
      external: { '192.0.2.7': '11.0.0.7' },
      http: '127.0.0.1:9641',
      alternateServer: '[2001:db8::7]:3478',
      natDiscovery: true,
    },
    ['192.0.2.7', '192.0.2.8'],
  );
  assert.equal(all.turn.peers.base, 'public');
  assert.deepEqual(all.turn.peers.allow.slice(-2), [
    { address: '10.1.0.0/16' },
    { address: 'fd00::1', portMin: 5000, portMax: 5000 },
  ]);
  assert.deepEqual(all.turn.peers.deny, [
    { address: '198.18.0.0-198.18.0.9', portMin: 1, portMax: 1023 },
    ...['192.0.2.7', '192.0.2.8', '11.0.0.7'].map((address) => ({ address })),
  ]);
  assert.deepEqual(all.turn.relay.addresses[1], { address: '192.0.2.7', external: '11.0.0.7' });
  assert.deepEqual(all.turn.http, { address: '127.0.0.1', port: 9641 });
  assert.deepEqual(all.turn.alternateServer, { address: '2001:db8::7', port: 3478 });
  assert.deepEqual([all.turn.listen.tcp, all.turn.listen.tls, all.turn.tls], [[], [], undefined]);
  const at = (address: string, port: number) => ({ address, port });
  const [a, b] = ['192.0.2.7', '192.0.2.8'] as const;
  const square = (port: number) => [at(a, port), at(b, port), at(a, port + 1), at(b, port + 1), at('127.0.0.1', port)];
  assert.deepEqual(all.turn.listen.udp, square(3478));
  const parts = composeParts({
    config: { ...CONFIG, public: true, turn: { ...CONFIG.turn, natDiscovery: true } },
    secrets: () => SECRETS,
    hostAddresses: [a, b],
    loopback: ['127.0.0.1'],
    version: '0',
  });
  const turn = parts.find(({ name }) => name === 'turn')!;
  const again = turn.withPorts(turn.settings(PORTS), { udp: 3480, tcp: 3481, tls: 5351 }) as typeof all.turn;
  assert.deepEqual(again.listen.udp, square(3480));
  assert.equal(again.listen.tcp[0].port, 3481);
  assert.equal(again.listen.tls[0].port, 5351);
  assert.deepEqual(all.signaling.turn.uris.slice(0, 2), [
    'turn:127.0.0.1:3479?transport=udp',
    'turn:11.0.0.7:3479?transport=udp',
  ]);
  assert.ok(all.signaling.tls.names.includes('11.0.0.7'));
});

const MEDIA = [20000, 20005].flatMap((port) =>
  ['127.0.0.1', '192.0.2.7'].map((address) => ({ address, portMin: port, portMax: port })),
);

test('every port that somebody else had is said, those of media too', () => {
  const ports = new Map<string, Ports>([
    ['signaling', { http: 8080, udp: 5061, tcp: 5060 }],
    ['turn', { udp: 3478 }],
    ['media-relay-0', { mux: 20000, ng: 2225 }],
    ['media-relay-1', { mux: 20002, ng: 2224 }],
  ]);
  assert.deepEqual(
    skippedPorts(CONFIG, (part) => ports.get(part) ?? {}),
    [
      'port 5060 is taken by another program; SIP over UDP uses 5061 instead',
      'port 2223 is taken by another program; media control of worker 0 uses 2225 instead',
      'port 20001 is taken by another program; media of worker 1 uses 20002 instead',
    ],
  );
  const any = {
    ...CONFIG,
    media: { ...CONFIG.media, workers: 1, muxPort: 0, ngPort: 0 },
    sip: { ...CONFIG.sip, port: 0, tlsPort: 0 },
  } as const;
  assert.deepEqual(
    skippedPorts(any, (part) => ports.get(part) ?? {}),
    [],
  );
});

test('TURN listens and relays on the IPv6 addresses that are named, and phones are told of them', () => {
  const { turn, signaling } = settings(true, { ipv6Addresses: ['2001:db8::5'] });
  const on = (list: readonly { readonly address: string }[]) => list.map(({ address }) => address);
  assert.deepEqual(on(turn.listen.tcp), ['127.0.0.1', '192.0.2.7', '2001:db8::5']);
  assert.deepEqual(on(turn.relay.addresses), ['127.0.0.1', '192.0.2.7', '2001:db8::5']);
  assert.ok(signaling.turn.uris.includes('turn:[2001:db8::5]:3479?transport=tcp'));
});

test("the media workers' NG over TCP and WebSocket, interfaces, and relays of elsewhere in place of workers", () => {
  const rtpInterfaces = [{ name: 'pub', address: '192.0.2.7', advertised: '203.0.113.7' }];
  const compose = (media: object) =>
    composeParts({
      config: { ...CONFIG, media: { ...CONFIG.media, ...media } },
      version: '1',
      loopback: ['127.0.0.1'],
      hostAddresses: ['192.0.2.7'],
      secrets: () => SECRETS,
    });
  const more = { ngTcpPort: 2223, ngWebSocketPort: 0, ngAllowedOrigins: ['https://ops.example'], rtpInterfaces };
  const second = compose(more)[1]!;
  const settings = second.settings(PORTS) as { ng: object; rtp: { interfaces: unknown } };
  assert.deepEqual(settings.ng, {
    address: '127.0.0.1',
    port: 2224,
    fixedPorts: true,
    tcpPort: 2224,
    webSocketPort: 0,
    allowedOrigins: ['https://ops.example'],
  });
  assert.deepEqual(settings.rtp.interfaces, rtpInterfaces);
  // A worker that is followed by another one keeps its ports.
  const again = second.withPorts(settings, { ng: 3000, ngTcp: 3001, ngWebSocket: 3002, mux: 3003 }) as typeof settings;
  assert.deepEqual(again.ng, { ...settings.ng, port: 3000, tcpPort: 3001, webSocketPort: 3002 });
  // Our own signalling hears events over TCP, on whatever port; for others alone there is none unless it is asked for.
  const [first] = compose({});
  const own = first!.settings(PORTS) as { ng: object };
  assert.deepEqual(own.ng, { address: '127.0.0.1', port: 2223, fixedPorts: true, tcpPort: 0 });
  assert.deepEqual((first!.withPorts(own, { ng: 3000, ngTcp: 3001 }) as typeof own).ng, { ...own.ng, port: 3000 });
  const alone = mediaRelays({ config: CONFIG, hostAddresses: [], version: '1' }, { ports: 'fixed', tcp: 'asked' });
  assert.deepEqual((alone[0]!.settings(PORTS) as typeof own).ng, {
    address: '127.0.0.1',
    port: 2223,
    fixedPorts: true,
  });

  const relays = ['udp:192.0.2.20:2223', 'udp:192.0.2.21:2223'];
  const parts = compose({ relays });
  assert.deepEqual(
    parts.map(({ name }) => name),
    ['turn', 'signaling'],
  );
  const signaling = parts.at(-1)!.settings(PORTS) as { media: { relays: readonly string[] } };
  assert.deepEqual(signaling.media.relays, relays);
});
