import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodeCrypto } from './crypto.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength, size: 'max' });

test('hashes are those of OpenSSL', () => {
  fc.assert(
    fc.property(fc.constantFrom('md5', 'sha1', 'sha256'), bytes(300), (algorithm, data) => {
      assert.deepEqual([...nodeCrypto.hash(algorithm, data)], [...createHash(algorithm).update(data).digest()]);
    }),
  );
});

test('HMACs are those of OpenSSL, whatever the length of the key (RFC 2104)', () => {
  fc.assert(
    fc.property(fc.constantFrom('sha1', 'sha256'), bytes(200), bytes(300), (algorithm, key, data) => {
      assert.deepEqual(
        [...nodeCrypto.hmac(algorithm, key, data)],
        [...createHmac(algorithm, key).update(data).digest()],
      );
    }),
  );
  const long = new Uint8Array(10_000).fill(3);
  assert.deepEqual(
    [...nodeCrypto.hmac('sha1', long, long)],
    [...createHmac('sha1', long).update(long).digest()],
    'more than fits into what is kept for it',
  );
  const view = new Uint8Array(100).fill(7).subarray(20, 84);
  assert.deepEqual(
    [...nodeCrypto.hmac('sha256', view, view)],
    [...createHmac('sha256', view).update(view).digest()],
    'keys and data that are part of something larger',
  );
});

test('random bytes come in the length asked for, never twice, and are the caller’s own', () => {
  const seen = new Set<string>();
  for (let i = 0; i < 3000; i++) {
    const some = nodeCrypto.randomBytes(8 + (i % 30));
    assert.equal(some.length, 8 + (i % 30));
    seen.add(Buffer.from(some).toString('hex').slice(0, 16));
    some.fill(0);
  }
  assert.equal(seen.size, 3000);
  assert.equal(nodeCrypto.randomBytes(0).length, 0);
  assert.ok(nodeCrypto.randomBytes(5000).some((byte) => byte !== 0));
});
