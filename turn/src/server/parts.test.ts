import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkOf, turnRestPassword } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import fc from 'fast-check';
import { Nonces } from '../auth/nonce.ts';
import { quotaUser, RestCredentials } from '../auth/rest-credentials.ts';
import { OnePacket } from '../testkit/virtual.ts';
import { ReplyLimit } from './reply-limit.ts';

const NO_FEATURES = { passwordAlgorithms: false, usernameAnonymity: false };

test('a nonce is good for its client for ten minutes, and nothing is remembered', () => {
  const nonces = new Nonces(new Uint8Array(32).fill(7), NO_FEATURES, nodeCrypto);
  const nonce = nonces.make('192.0.2.1:5000', 1_000_000);
  assert.equal(nonce.length, 16);
  assert.ok(nonces.check(nonce, '192.0.2.1:5000', 1_000_000));
  assert.ok(nonces.check(nonce, '192.0.2.1:5000', 1_600_000));
  assert.equal(nonces.check(nonce, '192.0.2.1:5000', 1_601_000), false);
  assert.equal(nonces.check(nonce, '192.0.2.1:5000', 994_000), false, 'from the future');
  assert.equal(nonces.check(nonce, '192.0.2.1:5001', 1_000_000), false);
  assert.equal(nonces.check(nonce, '192.0.2.2:5000', 1_000_000), false);
  const other = new Nonces(new Uint8Array(32).fill(8), NO_FEATURES, nodeCrypto);
  assert.equal(other.check(nonce, '192.0.2.1:5000', 1_000_000), false);
  fc.assert(fc.property(fc.string({ maxLength: 20 }), (s) => !nonces.check(s, '192.0.2.1:5000', 1_000_000)));
});

test('time-limited credentials: expiry, tolerance, several secrets, malformed names', () => {
  const credentials = new RestCredentials(['new', 'old'], nodeCrypto);
  const username = '1000:alice';
  const passwords = credentials.passwords(username, 999_000);
  assert.deepEqual(
    passwords,
    ['new', 'old'].map((s) => turnRestPassword(s, username, nodeCrypto)),
  );
  assert.equal(credentials.passwords(username, 1_300_000).length, 2, 'a clock that is off by five minutes');
  assert.equal(credentials.passwords(username, 1_301_000).length, 0);
  assert.equal(credentials.passwords('2000', 1_000).length, 2);
  for (const bad of ['', 'alice', 'alice:2000', '2000x:alice', ':alice', '-1:alice']) {
    assert.equal(credentials.passwords(bad, 1_000).length, 0, bad);
  }
  assert.equal(quotaUser('1000:alice:phone'), 'alice:phone');
  assert.equal(quotaUser('1000'), '1000');
});

test('replies to one source are limited, others are not affected', () => {
  const limit = new ReplyLimit({ perS: 20, burst: 50, seed: 1 });
  const packet = new OnePacket();
  const attacker = packet.fill(new Uint8Array(1), { address: '203.0.113.1', port: 1 });
  let answered = 0;
  for (let i = 0; i < 1000; i++) if (limit.take(attacker, 0, 0)) answered++;
  assert.equal(answered, 50);
  packet.fill(new Uint8Array(1), { address: '203.0.113.1', port: 999 });
  assert.equal(limit.take(packet, 0, 0), false, 'another port of the same source');
  packet.fill(new Uint8Array(1), { address: '203.0.113.2', port: 1 });
  assert.ok(limit.take(packet, 0, 0));
  packet.fill(new Uint8Array(1), { address: '203.0.113.1', port: 1 });
  answered = 0;
  for (let ms = 0; ms < 10_000; ms++) if (limit.take(packet, 0, ms)) answered++;
  assert.ok(answered >= 199 && answered <= 201, `${answered} in ten seconds`);
});

test('a source is what other limits count by too: an IPv4 address, or an IPv6 /64', () => {
  const addresses = ['203.0.113.1', '203.0.113.2', '2001:db8:1:2::1', '2001:db8:1:2:ffff::9', '2001:db8:1:3::1'];
  const packet = new OnePacket();
  const take = (limit: ReplyLimit, address: string) =>
    limit.take(packet.fill(new Uint8Array(1), { address, port: 1 }), 0, 0);
  for (const one of addresses) {
    for (const other of addresses) {
      const limit = new ReplyLimit({ perS: 1, burst: 1, seed: 1 });
      take(limit, one);
      assert.equal(take(limit, other), networkOf(one) !== networkOf(other), `${one} ${other}`);
    }
  }
});
