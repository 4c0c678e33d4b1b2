import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ownCertificate } from '@offhook/core/node';
import { lacking, SPEECH } from './src/peers.ts';
import { PlainPhone } from './src/plain-phone.ts';
import { assertHears, middle } from './src/proof.ts';
import { Stage } from './src/stage.ts';
import { System, waitUntil } from './src/system.ts';

const skip = lacking(...SPEECH, 'baresip', 'openssl');
const has6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));

let stage: Stage;
let system: System;

before(async () => {
  if (skip) return;
  stage = new Stage();
  system = await System.start({ folder: stage.folder });
});

after(async () => {
  await system?.stop();
  await stage?.close();
});

/** What OpenSSL's own client says of a TLS port, trusting that CA alone. */
function openssl(at: string, caPath: string, ...more: string[]): string {
  const args = ['s_client', '-connect', at, '-CAfile', caPath, '-verify_return_error', ...more];
  const { stdout, stderr } = spawnSync('openssl', args, { input: '', encoding: 'utf8', timeout: 10_000 });
  return stdout + stderr;
}

test('openssl s_client finds the certificate of SIP and HTTPS in order, by every name, with the own CA alone', {
  skip,
}, () => {
  const other = ownCertificate({ folder: join(stage.folder, 'other'), names: [], nowMs: Date.now() });
  for (const port of [system.ports.tls, system.ports.https]) {
    for (const host of ['127.0.0.1', ...(has6 ? ['[::1]'] : [])]) {
      const ip = host.replace(/[[\]]/g, '');
      const said = openssl(`${host}:${port}`, system.caPath, '-verify_ip', ip);
      assert.match(said, /Verify return code: 0 \(ok\)/);
      assert.match(said, /New, TLSv1\.3/);
    }
    for (const name of ['localhost', system.domain])
      assert.match(openssl(`127.0.0.1:${port}`, system.caPath, '-verify_hostname', name), /return code: 0 \(ok\)/);
    assert.match(openssl(`127.0.0.1:${port}`, system.caPath, '-tls1_2'), /New, TLSv1\.2, Cipher is ECDHE-ECDSA-/);
    assert.match(openssl(`127.0.0.1:${port}`, other.caPath), /Verify return code: 2[01] /);
  }
});

test('baresip registers over TLS, hears itself at 600, and is called by baresip over UDP, across a reload by SIGHUP', {
  skip,
}, async () => {
  const { alicesWords, bobsWords } = stage;
  const codecs = ['pcma'];
  const desk = await stage.baresip(system, 'desk', {
    words: bobsWords,
    codecs,
    transport: 'tls',
    caPath: system.caPath,
  });
  await desk.command('dial', `sip:600@${system.domain}`);
  await desk.waitFor('CALL_ESTABLISHED');
  await new Promise((resolve) => setTimeout(resolve, 7000));
  await desk.command('hangup');
  await desk.waitFor('CALL_CLOSED');
  assertHears('desk', middle(desk.heard(), 1, 5), bobsWords, alicesWords);

  const { pid } = await system.status('signaling');
  const reloads = () => system.log('signaling').split('the certificate is the same as before').length;
  const before = reloads();
  process.kill(pid, 'SIGHUP');
  await waitUntil('signalling has read its certificate anew', async () => reloads() > before);
  assert.match(String(((await system.verb('signaling', 'reload')) as { words: string }).words), /the same as before/);

  const lamp = await stage.baresip(system, 'lamp', { words: alicesWords, codecs });
  await lamp.command('dial', `sip:desk@${system.domain}`);
  await desk.waitFor('CALL_INCOMING');
  const figures = await system.metrics('signaling');
  assert.equal(figures.sip_connections, 1, 'the connection it has registered over, and no other');
  await desk.command('accept');
  await desk.waitFor('CALL_ESTABLISHED');
  await lamp.waitFor('CALL_ESTABLISHED');
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await desk.command('hangup');
  await lamp.waitFor('CALL_CLOSED');
  assert.equal((await system.metrics('signaling')).sip_transport_connections_timed_out_total, 0);
  await system.assertNothingLeft();
});

test('an INVITE above 1,300 bytes reaches baresip, registered over UDP, by TCP (RFC 3261 18.1.1), and the call is whole', {
  skip,
}, async () => {
  const account = { user: 'plain', password: 'pw-plain-aA1' };
  await system.addUser(account.user, account.password);
  const hall = await stage.baresip(system, 'hall', { words: stage.bobsWords, codecs: ['pcma'] });
  const connections = async () => (await system.metrics('signaling')).sip_connections!;
  const idle = await connections();
  const phone = await PlainPhone.open(system, account);
  try {
    const called = phone.call(
      'hall',
      Array.from({ length: 20 }, (_, i) => `a=x-filler:${i} ${'x'.repeat(80)}`),
    );
    await hall.waitFor('CALL_INCOMING');
    assert.equal(await connections(), idle + 1, 'one connection, opened by the server');
    await hall.command('accept');
    await called;
    await hall.waitFor('CALL_ESTABLISHED');
    await waitUntil('baresip is heard', async () => phone.foreignPackets > 20);
    await phone.hangUp();
    await hall.waitFor('CALL_CLOSED');
  } finally {
    await phone.close();
  }
  await system.assertNothingLeft();
});
