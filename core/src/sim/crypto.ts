import { type Crypto, seededBytes, seededRandom } from '../base/index.ts';

/** Real hashes with reproducible "random" bytes: the same seed gives the same branches, tags and nonces. Tests only. */
export function seededCrypto(seed: number, real: Crypto): Crypto {
  const random = seededRandom(seed);
  return {
    hash: (algorithm, data) => real.hash(algorithm, data),
    hmac: (algorithm, key, data) => real.hmac(algorithm, key, data),
    randomBytes: (length) => seededBytes(random, length),
    equal: (a, b) => real.equal(a, b),
  };
}
