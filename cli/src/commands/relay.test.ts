import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { NgDictionary } from '@offhook/core';
import { NgClient } from '@offhook/core/node';
import { loadConfig } from '../config/config.ts';
import { relayInWords } from './relay.ts';

const bin = join(import.meta.dirname, '../../bin/offhook.mjs');
const ANY = { muxPort: 0, rtpPorts: { min: 0, max: 0 } };

async function boundSocket(t: TestContext): Promise<Socket> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return socket;
}

/** Two ports in a row that nobody has. */
async function freePair(): Promise<number> {
  for (;;) {
    const first = createSocket('udp4').bind(0, '127.0.0.1');
    await once(first, 'listening');
    const { port } = first.address();
    const second = createSocket('udp4').bind(port + 1, '127.0.0.1');
    const isFree = await Promise.race([
      once(second, 'listening').then(() => true),
      once(second, 'error').then(() => false),
    ]);
    first.close();
    second.close();
    if (isFree) return port;
  }
}

/** A folder with that configuration; it is removed when nothing runs there any more. */
function home(t: TestContext, media: object): string {
  const folder = mkdtempSync(join(tmpdir(), 'oh-relay-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'offhook.config.json'), JSON.stringify({ hostAddresses: [], media }));
  return folder;
}

function run(t: TestContext, cwd: string, ...words: string[]) {
  const child = spawn(process.execPath, [bin, ...words], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    // SIGKILL would leave its workers behind
    child.kill('SIGTERM');
    await once(child, 'exit');
  });
  const said = { out: '', err: '' };
  child.stdout!.on('data', (bytes: Buffer) => (said.out += bytes));
  child.stderr!.on('data', (bytes: Buffer) => (said.err += bytes));
  return { child, said };
}

async function until(child: ChildProcess, said: { out: string; err: string }, words: string): Promise<void> {
  while (!said.out.includes(words)) {
    assert.equal(child.exitCode, null, said.err);
    await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')]);
  }
}

async function ping(port: number): Promise<NgDictionary> {
  using ng = await NgClient.open(port);
  return await ng.call({ command: 'ping' });
}

test('the relay alone: its workers on their ports, what kamailio.cfg says, nothing else, until SIGTERM', {
  timeout: 60_000,
}, async (t) => {
  const port = await freePair();
  const folder = home(t, { ...ANY, workers: 2, ngPort: port });
  const { child, said } = run(t, folder, 'relay');
  await until(child, said, 'Ctrl-C');
  assert.ok(
    said.out.includes(
      `modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:${port} udp:127.0.0.1:${port + 1}")\n` +
        'NG control obeys: this machine\nplain RTP:        127.0.0.1, UDP any free ports\n',
    ),
    said.out,
  );
  for (const at of [port, port + 1]) assert.equal((await ping(at)).result, 'pong');
  assert.deepEqual(
    ['media-relay-0', 'media-relay-1', 'turn', 'signaling'].map((part) =>
      existsSync(join(folder, 'data/run', `${part}.pid`)),
    ),
    [true, true, false, false],
  );
  assert.equal(existsSync(join(folder, 'data/secrets.json')), false);
  const doctor = run(t, folder, 'doctor', '--json');
  await once(doctor.child, 'close');
  const bad = (JSON.parse(doctor.said.out) as { what: string; state: string }[]).filter(({ state }) => state === 'bad');
  assert.deepEqual(bad, []);
  const beside = run(t, home(t, { ...ANY, ngPort: port }), 'doctor', '--json');
  await once(beside.child, 'close');
  const findings = JSON.parse(beside.said.out) as { what: string; remedy?: string }[];
  assert.match(
    findings.find(({ what }) => what === 'media control port')?.remedy ?? '',
    /^to examine that system: .* doctor --data \S+; to end it: .* stop --data \S+; or set another media\.ngPort$/,
  );
  for (const [words, who] of [
    [['user', 'list'], 'no signaling answers in'],
    [['turn', 'status'], 'TURN does not run with'],
  ] as const) {
    const asked = run(t, folder, ...words);
    await once(asked.child, 'close');
    assert.match(
      asked.said.err,
      new RegExp(
        `^offhook: ${who} the data folder .*, though media-relay-0, media-relay-1 .*, as after 'offhook relay', .* For all of Offhook: .* stop, then .* start\n$`,
      ),
    );
  }
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [0, null]);
  assert.match(said.out, /\nstopped\n$/);
});

for (const command of ['relay', 'start'])
  test(`'${command}' refuses a control port that is set and taken, and says who has it`, {
    timeout: 60_000,
  }, async (t) => {
    const { port } = (await boundSocket(t)).address();
    const folder = home(t, { ...ANY, ngPort: port });
    const { child, said } = run(t, folder, command);
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 1, said.out);
    assert.match(
      said.err,
      new RegExp(
        `^offhook: not started: the port of the media relay's NG control, udp ${port} is taken by .*\\(pid ${process.pid}\\)\\. End that program, or set another media\\.ngPort\\.\n$`,
      ),
    );
    assert.equal(existsSync(join(folder, 'data/run/supervisor.pid')), false);
  });

test('a relay for controllers elsewhere names the addresses that they reach', (t) => {
  const folder = home(t, {
    ...ANY,
    ngAddress: '10.0.0.7',
    ngAllowedClients: ['10.0.0.2'],
    ngWebSocketPort: 2300,
    muxAddresses: [{ address: '10.0.0.7', advertised: '192.0.2.7' }, '10.0.0.8'],
    rtpInterfaces: [{ name: 'out', address: '10.0.0.7', advertised: '192.0.2.7' }],
    rtpPorts: { min: 20100, max: 29999 },
  });
  const config = loadConfig({}, folder);
  assert.deepEqual(
    relayInWords({ config, hostAddresses: [], version: '0' }, [{ ng: 2223, ngWebSocket: 2300, mux: 20000 }]),
    [
      '',
      'The media relay is ready; there is no SIP server, TURN server or web phone beside it.',
      'In kamailio.cfg:',
      '  modparam("rtpengine", "rtpengine_sock", "udp:10.0.0.7:2223")',
      'NG control too at: ws://10.0.0.7:2300/ng',
      'NG control obeys: 10.0.0.2, and this machine by 10.0.0.7',
      'plain RTP:        10.0.0.7 (told as 192.0.2.7), UDP 20100–29999',
      'WebRTC:           10.0.0.7 (told as 192.0.2.7), 10.0.0.8, UDP 20000',
      'Ctrl-C stops it, and ends the media of its calls.',
    ],
  );
});
