import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { hex } from '@offhook/core';
import { MachineTimer, monotonicMs } from '@offhook/core/node';
import { type DtlsCommand, DtlsEndpoint, type DtlsRole, makeCertificate, matchesFingerprint } from './index.ts';

const found = spawnSync('openssl', ['version'], { encoding: 'utf8' });
const skip = found.status === 0 ? false : 'the openssl command is not installed';
const folder = mkdtempSync(join(tmpdir(), 'offhook-dtls-'));
const certificate = makeCertificate();
after(() => {
  certificate.close();
  rmSync(folder, { recursive: true });
});

/** A key and certificate for the openssl command; the certificate's DER. */
function makePem(name: string, newKey: string[]): { key: string; cert: string; der: Uint8Array } {
  const key = join(folder, `${name}.key`);
  const cert = join(folder, `${name}.pem`);
  execFileSync(
    'openssl',
    ['req', '-x509', '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-keyout', key, '-out', cert, ...newKey],
    { stdio: 'ignore', timeout: 20_000 },
  );
  const body = readFileSync(cert, 'latin1').replace(/-----[^-]+-----|\s/g, '');
  return { key, cert, der: Buffer.from(body, 'base64') };
}

interface Run {
  readonly said: Exclude<DtlsCommand, { kind: 'send' }>;
  /** What the openssl command printed. */
  readonly output: string;
}

/** One endpoint of ours on a UDP socket against one openssl process. */
async function runAgainst(
  role: DtlsRole,
  start: (port: number) => readonly string[],
  expectKeys: boolean,
  onConnected: (end: DtlsEndpoint) => void = () => {},
): Promise<Run> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const peerPort = role === 'client' ? await freePort() : 0;
  const child = spawn('timeout', [
    '-s',
    'KILL',
    '20',
    'openssl',
    ...start(role === 'client' ? peerPort : socket.address().port),
  ]);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  try {
    if (role === 'client') await until(child, () => output.includes('ACCEPT'));
    const said = await converse(role, socket, peerPort, onConnected);
    if (expectKeys) await until(child, () => /Keying material: [0-9A-F]+\n/.test(output));
    return { said, output };
  } finally {
    socket.close();
    child.kill('SIGKILL');
  }
}

async function freePort(): Promise<number> {
  const probe = createSocket('udp4');
  probe.bind(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  return port;
}

/** Waits for output of the process that fulfils the condition; fails when it ends first. */
async function until(child: ChildProcess, done: () => boolean): Promise<void> {
  while (!done()) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('openssl ended too early');
    await Promise.race([once(child.stdout!, 'data'), once(child.stderr!, 'data'), once(child, 'exit')]);
  }
}

/** Encrypted records of every length up to 60 bytes, with wrong contents. The endpoint must not even answer. */
function forgeShortRecords(end: DtlsEndpoint): void {
  for (let length = 0; length < 60; length++) {
    end.handlePacket(
      Uint8Array.of(21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 9, length, 0, length, ...new Uint8Array(length)),
      monotonicMs(),
    );
    assert.equal(end.poll(), undefined, `${length} bytes`);
  }
}

function converse(
  role: DtlsRole,
  socket: Socket,
  peerPort: number,
  onConnected: (end: DtlsEndpoint) => void,
): Promise<Run['said']> {
  const end = new DtlsEndpoint({ role, certificate });
  let to = peerPort;
  return new Promise((resolve) => {
    const timer = new MachineTimer((nowMs) => {
      end.handleTimeout(nowMs);
      drain();
    });
    const drain = () => {
      for (let command = end.poll(); command; command = end.poll()) {
        if (command.kind === 'send') socket.send(command.bytes, to, '127.0.0.1');
        else {
          if (command.kind === 'connected') onConnected(end);
          end.close();
          resolve(command);
        }
      }
      timer.arm(end.nextTimeout());
    };
    socket.on('message', (bytes, from) => {
      to = from.port;
      end.handlePacket(bytes, monotonicMs());
      drain();
    });
    end.handleStart(monotonicMs());
    drain();
  });
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const RSA = ['-newkey', 'rsa:2048'];

const exportOf = (length: number) => ['-keymatexport', 'EXTRACTOR-dtls_srtp', '-keymatexportlen', `${length}`];

function assertExported(run: Run, role: DtlsRole, profile: string): void {
  const { said } = run;
  assert.equal(said.kind, 'connected', `${JSON.stringify(said)}\n${run.output}`);
  if (said.kind !== 'connected') return;
  assert.equal(said.profile, profile);
  assert.ok(said.extendedMasterSecret);
  const client = role === 'client' ? said.local : said.remote;
  const server = role === 'client' ? said.remote : said.local;
  const own = hex(client.key) + hex(server.key) + hex(client.salt) + hex(server.salt);
  assert.match(run.output.toLowerCase(), new RegExp(`keying material: ${own}`));
}

for (const [kind, newKey] of [
  ['ec', EC],
  ['rsa', RSA],
] as const) {
  test(`openssl s_client with an ${kind} certificate connects to our server with the same keys`, { skip }, async () => {
    const pem = makePem(`client-${kind}`, newKey);
    const run = await runAgainst(
      'server',
      (port) => [
        ...['s_client', '-dtls1_2', '-connect', `127.0.0.1:${port}`, '-cert', pem.cert, '-key', pem.key],
        ...['-use_srtp', 'SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM', ...exportOf(56)],
      ],
      true,
    );
    assertExported(run, 'server', 'AEAD_AES_128_GCM');
    if (run.said.kind !== 'connected') return;
    assert.deepEqual(Buffer.from(run.said.peerCertificate), Buffer.from(pem.der));
    assert.ok(!matchesFingerprint(run.said.peerCertificate, certificate.fingerprint), 'another fingerprint surfaces');
  });
}

test('with ChaCha20-Poly1305 too, forged short records do no harm', { skip }, async () => {
  const pem = makePem('chacha', EC);
  const run = await runAgainst(
    'server',
    (port) => [
      ...['s_client', '-dtls1_2', '-connect', `127.0.0.1:${port}`, '-cert', pem.cert, '-key', pem.key],
      ...['-cipher', 'ECDHE-ECDSA-CHACHA20-POLY1305', '-use_srtp', 'SRTP_AEAD_AES_128_GCM', ...exportOf(56)],
    ],
    true,
    forgeShortRecords,
  );
  assertExported(run, 'server', 'AEAD_AES_128_GCM');
  assert.match(run.output, /CHACHA20/);
});

test('our client connects to openssl s_server, here with AES-CM and SHA-1', { skip }, async () => {
  const pem = makePem('server', EC);
  const run = await runAgainst(
    'client',
    (port) => [
      ...['s_server', '-dtls1_2', '-accept', `127.0.0.1:${port}`, '-cert', pem.cert, '-key', pem.key, '-Verify', '1'],
      ...['-use_srtp', 'SRTP_AES128_CM_SHA1_80', ...exportOf(60)],
    ],
    true,
  );
  assertExported(run, 'client', 'AES_CM_128_HMAC_SHA1_80');
});

test('a client without a certificate, one without SRTP and one without a common profile fail in words', {
  skip,
}, async () => {
  const pem = makePem('plain', EC);
  const base = (port: number) => ['s_client', '-dtls1_2', '-connect', `127.0.0.1:${port}`];
  const own = ['-cert', pem.cert, '-key', pem.key];
  for (const [args, words] of [
    [['-use_srtp', 'SRTP_AEAD_AES_128_GCM'], /certificate/],
    [own, /SRTP profiles/],
    [[...own, '-use_srtp', 'SRTP_AEAD_AES_256_GCM'], /SRTP profiles/],
    [[...own, '-use_srtp', 'SRTP_AEAD_AES_128_GCM', '-cipher', 'AES128-SHA'], /no shared cipher/],
  ] as const) {
    const { said } = await runAgainst('server', (port) => [...base(port), ...args], false);
    assert.equal(said.kind, 'failed');
    if (said.kind === 'failed') assert.match(said.reason, words);
  }
});
