import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hostAddresses } from './addresses.ts';
import { processIdentity } from './supervisor/identity.ts';

const bin = join(import.meta.dirname, '../bin/offhook.mjs');
const program = join(import.meta.dirname, 'main.ts');
const LONG = { timeout: 120_000 };
const folders: string[] = [];

after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A real system with its settings and data in a folder of its own, started as a user does. */
class System {
  readonly folder = mkdtempSync(join(tmpdir(), 'oh-sys-'));
  said = '';
  #shim: ChildProcess | undefined;
  ended: Promise<number | null> = Promise.resolve(null);

  constructor(settings: Record<string, Record<string, unknown> | string | boolean> = {}) {
    folders.push(this.folder);
    this.configure(settings);
  }

  configure({ media, ...more }: Record<string, Record<string, unknown> | string | boolean>): void {
    const any = { min: 0, max: 0 };
    const free = {
      http: { port: 0, tlsPort: 0 },
      sip: { port: 0, tlsPort: 0 },
      turn: { port: 0, tlsPort: 0, relayPorts: any },
    };
    const ownMedia = { ngPort: 0, muxPort: 0, rtpPorts: any, ...(media as object) };
    writeFileSync(join(this.folder, 'offhook.config.json'), JSON.stringify({ ...free, media: ownMedia, ...more }));
  }

  async start(...args: string[]): Promise<void> {
    const env = { ...process.env };
    delete env.NODE_TEST_CONTEXT;
    this.said = '';
    const shim = spawn(process.execPath, [bin, 'start', ...args], { cwd: this.folder, env, stdio: 'pipe' });
    this.#shim = shim;
    this.ended = new Promise((resolve) => shim.once('close', resolve));
    shim.stderr.on('data', (bytes: Buffer) => {
      this.said += bytes.toString();
    });
    await new Promise<void>((resolve, reject) => {
      shim.stdout.on('data', (bytes: Buffer) => {
        this.said += bytes.toString();
        if (this.said.includes('Ctrl-C stops everything')) resolve();
      });
      this.ended.then(() => reject(new Error(`ended:\n${this.said}`)));
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#shim?.kill(signal);
  }

  run(...args: string[]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
      cwd: this.folder,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  }

  pid(name: string): number {
    return (JSON.parse(readFileSync(join(this.folder, `data/run/${name}.pid`), 'utf8')) as { pid: number }).pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.run('stop');
    await this.ended;
  }
}

test('with --public the greeting, doctor and user add name the host’s addresses and that browsers there need HTTPS', {
  ...LONG,
  skip: hostAddresses().length === 0 && 'this host has loopback only',
}, async () => {
  await using system = new System();
  await system.start('--public');
  const own = hostAddresses().join(' or ');
  const { ports } = JSON.parse(system.run('status', '--json').stdout).parts.find(
    ({ part }: { part: string }) => part === 'signaling',
  ) as { ports: Record<string, number> };
  assert.ok(system.said.includes(`SIP phones: server ${own}, port ${ports.udp}`), system.said);
  assert.ok(system.said.includes(`https://${hostAddresses()[0]}:${ports.https}`), system.said);
  const ca = join(system.folder, 'data/tls/ca.pem');
  assert.ok(
    system.said.includes(`https://localhost:${ports.https}   (own CA, to be trusted once: ${ca})`),
    system.said,
  );
  assert.match(system.said, /browsers on other machines need HTTPS/);
  const doctor = system.run('doctor').stdout;
  assert.match(
    doctor,
    /note reach: from other machines too, at .*\n.*need HTTPS .* import .*\/tls\/ca\.pem there once/,
  );
  assert.match(doctor, /ok {3}certificate: for localhost, offhook\.local, .*; 395 days left; signed by Offhook CA of /);
  assert.match(doctor, /→ whoever connects has to trust its own CA, once: give .*ca\.pem to phones/);
  for (const what of ['HTTPS', 'SIP over TLS'])
    assert.match(doctor, new RegExp(`ok {3}${what}: TLSv1\\.3, the certificate is in order`));
  const routed = system.run('route', 'alice', 'bob');
  assert.match(
    routed.stdout,
    /^alice calls bob \(built-in\)\n {3}1 {2}bob is a user .*\n {2}→ rings bob \(no phone is there\)\n$/,
  );
  assert.equal(routed.status, 0);
  const added = system.run('user', 'add', 'desk').stdout;
  assert.match(added, /^desk is added\npassword: \S+\n/);
  const tcp = ports.udp === ports.tcp ? `${ports.udp} (UDP or TCP)` : `${ports.udp} (UDP) or ${ports.tcp} (TCP)`;
  assert.ok(
    added.includes(`SIP phone: server ${own}, port ${tcp} or ${ports.tls} (TLS), domain offhook.local, user desk\n`),
    added,
  );
  const { sip } = JSON.parse(system.run('user', 'add', 'lamp', '--json').stdout) as { sip: Record<string, unknown> };
  assert.deepEqual(sip, {
    domain: 'offhook.local',
    servers: ['127.0.0.1', ...hostAddresses()],
    udp: ports.udp,
    tcp: ports.tcp,
    tls: ports.tls,
  });
});

test(
  'one system: a media port that somebody has, a second start, another data folder, and one SIGINT',
  LONG,
  async (t) => {
    const other = createSocket('udp4');
    other.bind(0, '127.0.0.1');
    await once(other, 'listening');
    t.after(() => other.close());
    const taken = other.address().port;
    await using system = new System({ media: { muxPort: taken } });
    await system.start();

    await t.test('the media port that somebody has is said; a second start is refused in words, exit code 1', () => {
      assert.match(system.said, new RegExp(`port ${taken} is taken by another program; media uses \\d+ instead\n`));
      const { status, stderr } = system.run('start');
      assert.equal(status, 1);
      assert.match(stderr, /^Offhook runs already with the data folder .*\. See 'node .*offhook\.mjs status'/);
    });

    await t.test('doctor names the Offhook of another data folder that has a port', () => {
      const { http } = (
        JSON.parse(system.run('status', '--json').stdout).parts as { part: string; ports: { http: number } }[]
      ).find(({ part }) => part === 'signaling')!.ports;
      const { stdout } = new System({ http: { port: http } }).run('doctor');
      assert.ok(stdout.includes(`of the Offhook with the data folder ${system.folder}/data`), stdout);
      assert.ok(stdout.includes(`offhook.mjs doctor --data ${system.folder}/data`), stdout);
      assert.doesNotMatch(stdout, /Nothing is wrong/);
    });

    await t.test('one SIGINT to the shim counts once: everything stops in order, exit code 0', async () => {
      system.signal('SIGINT');
      assert.equal(await system.ended, 0);
      assert.match(system.said, /stopping; Ctrl-C once more[\s\S]*stopped\n$/);
      assert.equal(system.run('status').status, 3);
    });
  },
);

test(
  'a hung part: status and doctor name it and its pid; a dead supervisor is told; stop ends all, and a start follows',
  LONG,
  async () => {
    await using system = new System();
    await system.start();
    const turn = system.pid('turn');
    const supervisor = system.pid('supervisor');
    process.kill(supervisor, 'SIGKILL');
    await system.ended;
    const none = 'no supervisor: parts that die are not restarted';
    assert.ok(system.run('status').stdout.includes(none));
    const doctor = system.run('doctor');
    assert.ok(doctor.stdout.includes(none), doctor.stdout);
    assert.match(doctor.stdout, /→ adopt them with: node .* start\n/);
    assert.equal(doctor.status, 1);
    process.kill(turn, 'SIGSTOP');
    const status = system.run('status');
    assert.match(status.stdout, new RegExp(`^turn: +no answer \\(pid ${turn}\\)$`, 'm'));
    assert.equal(status.status, 1);
    assert.match(
      system.run('doctor').stdout,
      new RegExp(`BAD  turn: no answer \\(pid ${turn}\\)\n.*stop, then .*start`),
    );
    assert.equal(system.run('stop').status, 0);
    assert.equal(processIdentity(turn), undefined);
    assert.equal(system.run('status').status, 3);
    await system.start();
  },
);

test(
  'doctor says what keeps a start from succeeding: accounts of another domain, and the words a log ends in',
  LONG,
  async () => {
    await using system = new System();
    await system.start();
    system.run('stop');
    await system.ended;
    assert.match(system.run('doctor').stdout, /Nothing runs here, and nothing was found|not built/);
    system.configure({ domain: 'other.example' });
    const before = system.run('doctor');
    assert.equal(before.status, 1);
    assert.match(before.stdout, /BAD {2}accounts: .*made for the domain 'offhook\.local'.*'other\.example'/);
    const failed = system.run('start');
    assert.equal(failed.status, 1);
    assert.match(
      system.run('doctor').stdout,
      /BAD {2}signaling: its log ends in an error: signaling could not start: /,
    );
  },
);
