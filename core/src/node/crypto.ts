import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Crypto } from '../base/index.ts';

/** OpenSSL's hashes and random source as the synchronous `Crypto` argument of the machines. */
export const nodeCrypto: Crypto = {
  hash: (algorithm, data) => createHash(algorithm).update(data).digest(),
  hmac: (algorithm, key, data) => createHmac(algorithm, key).update(data).digest(),
  randomBytes: (length) => randomBytes(length),
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
};
