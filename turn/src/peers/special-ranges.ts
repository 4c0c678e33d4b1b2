import { type AddressRange, parseAddressRange, rangeSize } from '@offhook/core';

/**
 * Special-purpose ranges (RFC 6890 and its registries): nobody's peers by themselves, and opened only by a rule at least as narrow.
 * The last two are what is beyond 2000::/3, IANA's global unicast.
 */
const SPECIAL = [
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24',
  '192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24',
  '203.0.113.0/24 224.0.0.0/4 240.0.0.0/4',
  '::/128 ::1/128 ::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32',
  '2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8',
  '100::-1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 4000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
];

/** Never a peer, whatever the rules say: unspecified, multicast, broadcast. */
const NEVER = ['0.0.0.0/8 224.0.0.0/4 255.255.255.255 ::/128 ff00::/8'];

const SPECIAL_RANGES = read(SPECIAL);
const NEVER_RANGES = read(NEVER);

/** The deny list of `public`, in the order of the registries: of our own rules, and of what is written for coturn. */
export function specialRanges(): readonly AddressRange[] {
  return SPECIAL_RANGES;
}

export function neverPeers(): readonly AddressRange[] {
  return NEVER_RANGES;
}

/** The special ranges of one family, the narrowest first: the first that holds an address says how narrow a rule has to be. */
export function narrowestFirst(family: 4 | 6): readonly AddressRange[] {
  return SPECIAL_RANGES.filter((range) => range.family === family).sort((a, b) =>
    rangeSize(a) < rangeSize(b) ? -1 : 1,
  );
}

function read(lines: readonly string[]): readonly AddressRange[] {
  return lines.flatMap((line) => line.split(' ')).map((text) => parseAddressRange(text)!);
}
