import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type AdminHandler, type PartStatus, ServerCertificate, serveAdmin } from '@offhook/core/node';
import { readCoturnConf } from '@offhook/turn';

const program = join(import.meta.dirname, '../main.ts');

/** A data folder, the words of an admin socket in it, and the command line beside. */
function system(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'oh-turn-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const data = join(folder, 'data');
  mkdirSync(join(data, 'run'), { recursive: true });
  writeFileSync(join(folder, 'offhook.config.json'), '{}');
  const asked: [string, string, Record<string, unknown>][] = [];
  return {
    folder,
    data,
    asked,
    secrets: () => JSON.parse(readFileSync(join(data, 'secrets.json'), 'utf8')) as { turn: string | string[] },
    part: async (name: string, verbs: Record<string, AdminHandler>) => {
      const noted = Object.entries(verbs).map(([verb, handler]) => [
        verb,
        (args: Record<string, unknown>) => {
          if (verb !== 'status') asked.push([name, verb, args]);
          return handler(args);
        },
      ]);
      const admin = await serveAdmin(join(data, 'run', `${name}.sock`), Object.fromEntries(noted));
      t.after(() => admin.close());
    },
    run: (...args: string[]) => called(undefined, 'turn', ...args),
    /** With that on standard input. */
    called,
  };

  async function called(input: string | undefined, ...args: string[]) {
    const child = spawn(process.execPath, [program, ...args], { cwd: folder, stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.on('error', () => {}); // it need not be read
    child.stdin.end(input);
    const said = { out: '', err: '' };
    child.stdout.on('data', (bytes: Buffer) => (said.out += bytes));
    child.stderr.on('data', (bytes: Buffer) => (said.err += bytes));
    const [code] = (await once(child, 'close')) as [number];
    return { ...said, code };
  }
}

const status = (more: Partial<PartStatus> = {}): PartStatus => ({
  part: 'turn',
  pid: process.pid,
  state: 'ready',
  startedAt: '2026-11-27T10:00:00.000Z',
  configHash: '',
  ports: { udp: 3478, tcp: 3478, tls: 5349 },
  details: { allocations: 3, users: 2, workers: 2 },
  ...more,
});
const FIGURES = [
  { user: 'alice', allocations: 1, packetsToPeers: 9, bytesToPeers: 900, packetsToClient: 1, bytesToClient: 99 },
  { user: 'bob', allocations: 2, packetsToPeers: 3000, bytesToPeers: 1_234_567, packetsToClient: 0, bytesToClient: 0 },
];

test('status in words and as JSON: what is held, and who uses it, the most first', async (t) => {
  const { part, run } = system(t);
  await part('turn', {
    status: () => status({ state: 'draining', details: { ...status().details, drainsTo: '192.0.2.7 port 3478' } }),
    figures: () => ({ users: FIGURES }),
  });
  const { out, code } = await run('status');
  assert.match(
    out,
    /^turn draining, pid \d+, since .*; udp 3478, tcp 3478, tls 5349\n {2}3 allocations, 2 users, 2 workers\n/,
  );
  assert.match(
    out,
    /no new allocations are made, clients are sent to 192\.0\.2\.7 port 3478; to take them again: .* turn undrain/,
  );
  assert.match(out, /\nbob +2 +1\.2 MB in 3000 +0 B in 0\nalice +1 +900 B in 9 +99 B in 1\n$/);
  assert.equal(code, 0);
  const json = JSON.parse((await run('--json')).out) as PartStatus & { figures: unknown };
  assert.deepEqual([json.details.allocations, json.figures], [3, FIGURES]);
});

test('long-term users are listed, made with a password that is said once, and removed', async (t) => {
  const { part, run, asked } = system(t);
  let users: string[] = [];
  await part('turn', {
    users: ({ op, name }) => {
      if (op === 'put') users = [...users, String(name)];
      if (op === 'remove') {
        if (!users.includes(String(name))) throw new Error(`there is no user '${name}'`);
        users = users.filter((one) => one !== name);
      }
      return { users };
    },
  });
  assert.match((await run('users')).out, /^no long-term users; web phones need none\. .* turn users add <name>\n$/);
  const added = await run('users', 'add', 'gateway');
  const [, password] = /^gateway may use TURN until removed\npassword: (\S{20})\n$/.exec(added.out)!;
  assert.deepEqual(asked.at(-1), ['turn', 'users', { op: 'put', name: 'gateway', password }]);
  const given = await run('users', 'add', 'other', '--password', 'well known', '--json');
  assert.deepEqual(JSON.parse(given.out), { user: 'other' });
  assert.equal((await run('users', 'list')).out, 'gateway\nother\n');
  assert.equal((await run('users', 'remove', 'gateway')).out, 'gateway is removed\n');
  const gone = await run('users', 'remove', 'gateway');
  assert.deepEqual([gone.err, gone.code], ["offhook: there is no user 'gateway'\n", 1]);
});

test('a password comes by standard input, so that it stands in no command line', async (t) => {
  const { part, called, asked } = system(t);
  await part('turn', { users: () => ({}) });
  await part('signaling', { status, users: ({ user, password }) => ({ user, password }) });
  const add = (input: string) => called(input, 'turn', 'users', 'add', 'gateway', '--password', '-');
  for (const input of ['well known', 'well known\n', 'well known\r\nand more\n']) {
    assert.deepEqual(await add(input), { out: 'gateway may use TURN until removed\n', err: '', code: 0 });
    assert.deepEqual(asked.at(-1), ['turn', 'users', { op: 'put', name: 'gateway', password: 'well known' }]);
  }
  for (const op of ['add', 'passwd']) {
    const { out, err, code } = await called('well known\n', 'user', op, 'desk', '--password', '-');
    assert.deepEqual([err, code], ['', 0]);
    assert.doesNotMatch(out, /password:/);
    assert.deepEqual(asked.at(-1), ['signaling', 'users', { op, user: 'desk', password: 'well known' }]);
  }
  const before = asked.length;
  const short = await add('short\n');
  assert.deepEqual([short.err, short.code], ['offhook: --password: 8 characters at least.\n', 2]);
  const empty = await add('\nwell known\n');
  assert.deepEqual([empty.err, empty.code], ['offhook: --password -: the first line of standard input is empty.\n', 2]);
  assert.equal(asked.length, before);
});

test('drain sends clients elsewhere and waits until nobody is left', async (t) => {
  const { part, run, asked } = system(t);
  let left = 3;
  let drainsTo: string | undefined = '2001:db8::7 port 3478';
  await part('turn', {
    status: () => status({ details: { drainsTo, allocations: left > 0 ? left-- : 0 } }),
    drain: () => ({}),
    undrain: () => ({}),
  });
  const { out, code } = await run('drain', '--to', '[2001:db8::7]:3478', '--wait');
  assert.match(out, /^TURN makes no new allocations, clients are sent to 2001:db8::7 port 3478; to take it back: /);
  assert.match(out, /\n2 allocations are left\n1 allocation is left\nno allocation is left\n$/);
  assert.equal(code, 0);
  assert.deepEqual(asked, [['turn', 'drain', { alternate: { address: '2001:db8::7', port: 3478 } }]]);
  drainsTo = undefined;
  assert.match((await run('drain')).out, /^TURN makes no new allocations, clients are refused \(there is neither --to/);
  assert.deepEqual(asked.at(-1), ['turn', 'drain', {}]);
  assert.equal((await run('undrain')).out, 'TURN makes allocations again\n');
  assert.equal(asked.at(-1)?.[1], 'undrain');
});

test('TURN that is switched off is told apart from a system that does not run', async (t) => {
  const { part, run, folder } = system(t);
  assert.match((await run('status')).err, /^offhook: Offhook does not run with the data folder /);
  await part('signaling', { status: () => status({ part: 'signaling' }) });
  assert.match(
    (await run('status')).err,
    /^offhook: TURN does not run with the data folder .*, though signaling does\. /,
  );
  const path = join(folder, 'offhook.config.json');
  writeFileSync(path, JSON.stringify({ turn: { enabled: false } }));
  for (const words of [['status'], ['drain'], ['undrain'], ['users']]) {
    const { err, code } = await run(...words);
    assert.deepEqual([err, code], [`offhook: TURN is switched off (turn.enabled is false in ${path})\n`, 1]);
  }
});

test('a new secret: kept in the file, told to TURN first and then to signalling', async (t) => {
  const { part, run, asked, secrets } = system(t);
  assert.match((await run('rotate-secret')).out, /used from the next start on/);
  const [first, before] = secrets().turn as [string, string];
  await part('turn', { status, secrets: () => ({}) });
  await part('signaling', { status: () => status({ part: 'signaling' }), 'turn-secret': () => ({}) });
  const { out, code } = await run('rotate-secret', '--force');
  assert.match(
    out,
    /^TURN credentials are signed with a new secret; those of the one before are good until they end\.\nThat takes up to 43200 s/,
  );
  assert.equal(code, 0);
  const now = secrets().turn as string[];
  assert.deepEqual([now.length, now[1]], [2, first]);
  assert.ok(!now.includes(before));
  assert.deepEqual(asked, [
    ['turn', 'secrets', { secrets: now }],
    ['signaling', 'turn-secret', { secret: now[0] }],
  ]);
});

test('a second new secret within the time that credentials are good is refused, since it would cut clients off', async (t) => {
  const { run, folder, data, secrets } = system(t);
  const config = (credentialTtlS: number) =>
    writeFileSync(join(folder, 'offhook.config.json'), JSON.stringify({ turn: { credentialTtlS } }));
  config(600);
  assert.equal((await run('rotate-secret')).code, 0);
  const { turn } = secrets();
  const refused = await run('rotate-secret');
  const [, ago, wait] = /^offhook: the last change was (\d+) s ago: .* wait (\d+) s or use --force\n$/.exec(
    refused.err,
  )!;
  assert.deepEqual([Number(ago) + Number(wait), refused.code], [600, 1]);
  assert.deepEqual(secrets().turn, turn);

  const rotated = (agoS: number) =>
    writeFileSync(
      join(data, 'secrets.json'),
      JSON.stringify({ ...secrets(), turnRotatedAt: new Date(Date.now() - agoS * 1000).toISOString() }),
    );
  rotated(700);
  // signalling was started when credentials were good for longer
  writeFileSync(join(data, 'run/signaling.config.json'), JSON.stringify({ turn: { ttlS: 3600 } }));
  assert.match((await run('rotate-secret')).err, /the last change was 70\d s ago: /);
  rotated(3700);
  assert.equal((await run('rotate-secret')).code, 0);
  assert.equal((await run('rotate-secret', '--force')).code, 0);
  assert.ok(!secrets().turn.includes(turn[0]!));
});

test('when TURN can’t be told, signalling goes on with the secret that is good there', async (t) => {
  const { part, run, asked } = system(t);
  await part('turn', {
    status,
    secrets: () => {
      throw new Error('not now');
    },
  });
  await part('signaling', { status: () => status({ part: 'signaling' }), 'turn-secret': () => ({}) });
  const { err, code } = await run('rotate-secret');
  assert.match(
    err,
    /not everybody could be told: not now\nIt is used from the next start on: .* stop, then .* start\n$/,
  );
  assert.equal(code, 1);
  assert.deepEqual(
    asked.map(([name]) => name),
    ['turn'],
  );
});

test('credentials for trying are those of the first secret, with the addresses that phones are told', async (t) => {
  const { part, run, secrets, data } = system(t);
  await run('rotate-secret');
  const apart = await run('credentials', 'bob');
  assert.match(apart.err, /TURN does not run here/);
  await part('turn', { status });
  writeFileSync(
    join(data, 'run/signaling.config.json'),
    JSON.stringify({ turn: { uris: ['turn:192.0.2.1:3478?transport=udp'] } }),
  );
  const { out } = await run('credentials', 'bob', '--ttl', '60', '--json');
  const { username, credential, ttl, uris } = JSON.parse(out) as Record<string, unknown>;
  assert.match(String(username), /^\d+:bob$/);
  assert.ok(Math.abs(Number.parseInt(String(username), 10) - Date.now() / 1000 - 60) < 30);
  assert.equal(credential, createHmac('sha1', secrets().turn[0]!).update(String(username)).digest('base64'));
  assert.deepEqual([ttl, uris], [60, ['turn:192.0.2.1:3478?transport=udp']]);
  assert.match(
    (await run('credentials', 'bob')).out,
    /^username {2}\d+:bob\npassword {2}\S+=\nuri {7}turn:192\.0\.2\.1:3478\?transport=udp\n$/,
  );
});

test('the configuration as a coturn.conf, for its owner alone, and what our server makes of that', async (t) => {
  const { run, folder, secrets } = system(t);
  const config = {
    public: true,
    hostAddresses: ['10.0.0.5'],
    turn: { external: '11.0.0.1', allowedPeers: ['10.1.0.0/16', '127.0.0.1:7000', '10.0.0.5:20000-20010'] },
  };
  writeFileSync(join(folder, 'offhook.config.json'), JSON.stringify(config));
  const { out, err, code } = await run('coturn-conf', '--for', '4.6', '--out', 'coturn.conf');
  assert.deepEqual([out, code], ['', 0]);
  assert.match(err, /coturn\.conf is for coturn 4\.6 to 4\.15, and for its user alone to read:\nit holds the secrets/);
  assert.match(
    err,
    /note: turn\.allowedPeers, or media relay: 10\.0\.0\.5 port 20000, 20000–20010: coturn knows no ports of peers/,
  );
  assert.match(
    err,
    /note: turn\.allowedPeers, or media relay: 127\.0\.0\.1 port 7000: coturn lets nobody reach loopback/,
  );
  assert.doesNotMatch(err, /127\.0\.0\.1 port 20000/);
  const path = join(folder, 'coturn.conf');
  // once for what is relayed there, once for all rules
  const lines = readFileSync(path, 'utf8').split('\n');
  assert.equal(lines.filter((line) => line === 'allowed-peer-ip=10.0.0.5').length, 2);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const { settings, problems, unknown } = readCoturnConf(readFileSync(path, 'utf8'));
  assert.deepEqual([problems, unknown], [[], []]);
  assert.deepEqual(settings.secrets, [secrets().turn]);
  assert.deepEqual(settings.relay.addresses, [{ address: '10.0.0.5', external: '11.0.0.1' }]);
  assert.deepEqual(settings.listen.tls, [{ address: '10.0.0.5', port: 5349 }]);
  assert.match((await run('coturn-conf', '--for', '4.17')).out, /^unauthorized-ratelimit-rps=20$/m);

  // a link is replaced, not followed, and what somebody has open already gets no secrets
  const elsewhere = join(folder, 'elsewhere');
  writeFileSync(elsewhere, 'old', { mode: 0o644 });
  rmSync(path);
  linkSync(elsewhere, path);
  symlinkSync(elsewhere, join(folder, 'link.conf'));
  for (const file of ['coturn.conf', 'link.conf']) {
    assert.equal((await run('coturn-conf', '--for', '4.6', '--out', file)).code, 0);
    const found = lstatSync(join(folder, file));
    assert.deepEqual([found.mode & 0o777, found.isFile()], [0o600, true]);
  }
  assert.deepEqual([readFileSync(elsewhere, 'utf8'), statSync(elsewhere).mode & 0o777], ['old', 0o644]);
  assert.deepEqual(
    readdirSync(folder).filter((name) => /\.conf\./.test(name)),
    [],
  );

  const unmade = await run('check-conf', 'coturn.conf');
  assert.match(unmade.out, /\n {2}BAD {2}line \d+: cert: \/.*\/data\/tls\/server\.pem: there is no such file/);
  assert.equal(unmade.code, 1);
  const log = { info: () => {}, warn: () => {} };
  const names = () => ['localhost'];
  new ServerCertificate({ settings: { folder: join(folder, 'data/tls') }, names, nowMs: Date.now, log }).close();
  const checked = await run('check-conf', 'coturn.conf');
  assert.match(
    checked.out,
    /^coturn\.conf can be served: .* turn serve --conf coturn\.conf\n {2}listens on udp 10\.0\.0\.5 port 3478/,
  );
  assert.match(checked.out, /relays at 10\.0\.0\.5 \(outside 11\.0\.0\.1\), ports 49152 to 65535\n/);
  assert.match(checked.out, /peers: nobody but each other, and 10\.0\.0\.5, 10\.1\.0\.0\/16\n/);
  assert.equal(checked.code, 0);
  writeFileSync(join(folder, 'bad.conf'), 'no-auth\nlistning-port=1\nrealm=r\nmobility\n');
  const bad = await run('check-conf', 'bad.conf');
  assert.match(bad.out, /^bad\.conf can’t be served:\n/);
  for (const words of [
    /BAD {2}line 1: no-auth is refused/,
    /\? {4}line 2: listning-port: nobody .*'listening-port'/,
    /note line 4: mobility/,
  ])
    assert.match(bad.out, words);
  assert.equal(bad.code, 1);
  const served = await run('serve', '--conf', 'bad.conf');
  assert.match(served.err, /^the configuration can’t be used:\nbad\.conf: line 1: no-auth is refused/);
  assert.equal(served.code, 2);
});
