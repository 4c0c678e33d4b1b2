import type { Crypto } from '@offhook/core';
import type { SrvRecord } from './dns.ts';

/** SRV records of one name that are used. */
const RECORDS = 16;

/**
 * The order in which a client tries SRV records: by priority, and within one at random, weighted (RFC 2782, "The format of
 * the SRV RR"). Those beyond the limit are left out, the last priorities first.
 */
export function orderSrv(records: readonly SrvRecord[], crypto: Crypto): SrvRecord[] {
  const priorities = [...new Set(records.map(({ priority }) => priority))].sort((a, b) => a - b);
  const ordered: SrvRecord[] = [];
  for (const priority of priorities) {
    if (ordered.length >= RECORDS) break;
    // "all those with weight 0 are placed at the beginning of the list", so that they are chosen now and then.
    const left = records
      .filter((record) => record.priority === priority)
      .slice(0, RECORDS - ordered.length)
      .sort((a, b) => Number(a.weight !== 0) - Number(b.weight !== 0));
    while (left.length > 0) {
      const sum = left.reduce((total, { weight }) => total + weight, 0);
      // "choose a uniform random number between 0 and the sum computed (inclusive)"
      const wanted = Math.floor(fraction(crypto) * (sum + 1));
      let running = 0;
      // "select the RR whose running sum value is the first in the selected order which is greater than or equal"
      const at = left.findIndex(({ weight }) => {
        running += weight;
        return running >= wanted;
      });
      ordered.push(...left.splice(at, 1));
    }
  }
  return ordered;
}

/** A number in [0, 1). */
function fraction(crypto: Crypto): number {
  return crypto.randomBytes(4).reduce((value, byte) => value * 256 + byte, 0) / 0x1_0000_0000;
}
