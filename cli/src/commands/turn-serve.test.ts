import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  decodeStun,
  longTermKey,
  StunAttribute,
  StunClass,
  type StunMessage,
  StunMethod,
  StunWriter,
  turnRestPassword,
  turnRestUsername,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';

const bin = join(import.meta.dirname, '../../bin/offhook.mjs');
const REALM = 'turn.example.org';
const REST = turnRestUsername(Math.floor(Date.now() / 1000) + 600, 'web');
const KEY_USER = Buffer.from(longTermKey('keyed', REALM, 'unknown here', nodeCrypto)).toString('hex');

const CONF = (port: number) => `
listening-ip=127.0.0.1
listening-port=${port}
relay-ip=127.0.0.1
realm=${REALM}
use-auth-secret
static-auth-secret=north
static-auth-secret=previous
user=alice:pw
user=keyed:0x${KEY_USER}
mobility
`;

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

/** Allocates as somebody: the code of the answer, 200 when it was granted. */
async function allocate(port: number, username: string, password: string): Promise<number> {
  const socket = createSocket('udp4');
  const ask = async (nonce: string | undefined): Promise<StunMessage> => {
    const writer = new StunWriter(new Uint8Array(500));
    writer.start(StunClass.request, StunMethod.allocate, nodeCrypto.randomBytes(12));
    writer.u32(StunAttribute.requestedTransport, 0x11000000);
    if (nonce !== undefined)
      writer
        .text(StunAttribute.username, username)
        .text(StunAttribute.realm, REALM)
        .text(StunAttribute.nonce, nonce)
        .integrity(longTermKey(username, REALM, password, nodeCrypto), nodeCrypto);
    socket.send(writer.message(), port, '127.0.0.1');
    const [bytes] = (await once(socket, 'message', { signal: AbortSignal.timeout(5000) })) as [Buffer];
    return decodeStun(bytes)!;
  };
  try {
    const challenge = await ask(undefined);
    assert.equal(challenge.errorCode()?.code, 401);
    return (await ask(challenge.text(StunAttribute.nonce))).errorCode()?.code ?? 200;
  } finally {
    socket.close();
  }
}

function output(child: ChildProcess): { out: string; err: string } {
  const said = { out: '', err: '' };
  child.stdout!.on('data', (bytes: Buffer) => (said.out += bytes));
  child.stderr!.on('data', (bytes: Buffer) => (said.err += bytes));
  return said;
}

test('a coturn.conf is served: its secrets, its users with passwords and keys, until Ctrl-C', {
  timeout: 60_000,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'oh-serve-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'coturn.conf');
  const port = await freePort();
  writeFileSync(file, CONF(port));
  const child = spawn(process.execPath, [bin, 'turn', 'serve', '--conf', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  const said = output(child);
  while (!said.out.includes('Ctrl-C')) {
    assert.equal(child.exitCode, null, said.err);
    await Promise.race([once(child.stdout!, 'data'), once(child, 'exit')]);
  }
  assert.match(
    said.out,
    new RegExp(`listens on 127\\.0\\.0\\.1 udp port ${port}\nlistens on 127\\.0\\.0\\.1 tcp port ${port}\n`),
  );
  assert.match(said.err, /line 11: mobility is not supported here: /);
  assert.match(said.err, /these are let in beside static-auth-secret/);
  for (const secret of ['north', 'previous'])
    assert.equal(await allocate(port, REST, turnRestPassword(secret, REST, nodeCrypto)), 200, secret);
  assert.equal(await allocate(port, 'alice', 'pw'), 200);
  assert.equal(await allocate(port, 'keyed', 'unknown here'), 200);
  assert.equal(await allocate(port, 'alice', 'wrong'), 401);
  child.kill('SIGINT');
  const [code] = (await once(child, 'exit')) as [number];
  assert.equal(code, 0);
  assert.match(said.out, /\nstopped\n$/);
});

for (const threads of [1, 2])
  test(`a port that is taken is an error and no other one is served (relay-threads ${threads})`, {
    timeout: 60_000,
  }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'oh-serve-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const other = createSocket({ type: 'udp4', reusePort: true });
    other.bind(0, '127.0.0.1');
    await once(other, 'listening');
    t.after(() => other.close());
    const { port } = other.address();
    const file = join(folder, 'coturn.conf');
    writeFileSync(file, `${CONF(port)}\nrelay-threads=${threads}\n`);
    const child = spawn(process.execPath, [bin, 'turn', 'serve', '--conf', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    const said = output(child);
    const [code] = (await once(child, 'close')) as [number];
    assert.equal(code, 1, said.out);
    assert.match(said.err, new RegExp(`can't listen on 127\\.0\\.0\\.1:${port}: .*EADDRINUSE`));
  });
