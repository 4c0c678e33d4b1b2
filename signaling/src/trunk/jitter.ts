import type { Crypto } from '@offhook/core';

/** Between `ms` and that share more, so that not all clients of a server come at one moment. */
export function jittered(ms: number, crypto: Crypto, share = 1): number {
  return Math.round(ms * (1 + (share * crypto.randomBytes(1)[0]!) / 256));
}
