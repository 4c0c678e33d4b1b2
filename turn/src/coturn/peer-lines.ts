import {
  type AddressRange,
  addressText,
  parseAddressRange,
  rangeHolds,
  rangeIncludes,
  rangePrefixes,
  rangeSize,
  rangeText,
  rangeWithout,
} from '@offhook/core';
import type { RelayAddress } from '../allocation/relay-address.ts';
import { type PeerRule, type PeerRules, peerRuleProblem } from '../peers/peer-rule.ts';
import { neverPeers, specialRanges } from '../peers/special-ranges.ts';
import type { CoturnSettings, CoturnVersion } from './settings.ts';

/** Where a rule comes from that lets clients reach somebody. */
const ALLOWED = 'turn.allowedPeers, or media relay:';
const EVERYTHING = ['0.0.0.0/0', '::/0'].map((text) => parseAddressRange(text)!);
/** coturn refuses these by itself, whatever its lists say; without `allow-loopback-peers` no line opens them. */
const LOOPBACK = ['127.0.0.0/8', '::1'].map((text) => parseAddressRange(text)!);

/** IPv4 inside IPv6: our server looks at both, coturn at the outer address only. */
const EMBEDDING = [
  '::/96',
  '::ffff:0:0/96',
  '::ffff:0:0:0/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '2002::/16',
  '2001::/32',
].map((text) => parseAddressRange(text)!);

interface PeerLines {
  readonly lines: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Our rules as `allowed-peer-ip` (which wins in coturn too) and `denied-peer-ip`. The relay's own addresses are allowed, because
 * two clients of one server meet there.
 */
export function peerLines(settings: CoturnSettings, version: CoturnVersion): PeerLines {
  const { peers, relay } = settings;
  const notes: string[] = [];
  const rules = new Set<string>();
  const own = ownAddresses(relay.addresses);
  const ownLines = own.map((address) => `allowed-peer-ip=${address}`);
  // a rule for an address of ours is a second line: read again, it opens more than what is relayed there
  const lines = () => [...ownLines, ...rules];
  const opened: PeerRule[] = [];
  for (const rule of peers.allow) {
    const range = parseAddressRange(rule.address)!;
    if (LOOPBACK.some((one) => rangeHolds(one, range))) {
      notes.push(`${ALLOWED} ${ruleText(rule)}: coturn lets nobody reach loopback, so this is left out`);
      continue;
    }
    if (EMBEDDING.some((one) => rangeHolds(one, range))) {
      notes.push(`${ALLOWED} ${ruleText(rule)}: coturn does not look at the IPv4 address inside, so this is left out`);
      continue;
    }
    // in coturn's lists what is allowed wins, however wide; ours opens nothing narrower than itself
    const narrower = specialRanges().filter((special) => rangeSize(special) < rangeSize(range));
    const parts = rangeWithout(range, [...neverPeers(), ...narrower]);
    if (parts.length === 0) continue;
    opened.push(rule);
    for (const part of parts) for (const text of boxes(part, version)) rules.add(`allowed-peer-ip=${text}`);
  }
  notes.push(...portNotes(ALLOWED, opened, 'open'));
  if (own.length > 0)
    notes.push(`coturn knows no ports of peers: every UDP port of ${own.join(' and ')} is open to clients`);
  if (peers.base === 'none') {
    for (const range of EVERYTHING) rules.add(`denied-peer-ip=${coturnRange(range)}`);
    return { lines: lines(), notes };
  }
  notes.push(...portNotes('turn.deniedPeers', peers.deny, 'closed'));
  for (const rule of peers.deny) {
    for (const text of boxes(parseAddressRange(rule.address)!, version)) rules.add(`denied-peer-ip=${text}`);
  }
  for (const address of closedListeners(settings)) rules.add(`denied-peer-ip=${address}`);
  for (const text of specialLines(version)) rules.add(`denied-peer-ip=${text}`);
  return { lines: lines(), notes };
}

/** The other way: what the lists of a coturn.conf mean as our rules. */
export function peersFrom(
  { allowed, denied }: { readonly allowed: readonly string[]; readonly denied: readonly string[] },
  settings: Pick<CoturnSettings, 'listen' | 'relay'>,
): { readonly peers: PeerRules; readonly problems: readonly string[]; readonly notes: readonly string[] } {
  const problems: string[] = [];
  const notes: string[] = [];
  const read = (key: string, texts: readonly string[]) =>
    texts.flatMap((text) => {
      const problem = peerRuleProblem({ address: text });
      if (problem !== undefined) problems.push(`${key}: ${problem}`);
      else if (text.includes('/'))
        notes.push(`${key}=${text} is taken; coturn itself does not read prefixes (up to 4.10 it ignores such a line)`);
      return parseAddressRange(text) ?? [];
    });
  const allow = read('allowed-peer-ip', allowed);
  const deny = read('denied-peer-ip', denied).map((range) => rangeText(range));
  for (const address of ownAddresses(settings.relay.addresses)) {
    const at = allow.findIndex((range) => rangeText(range) === address);
    if (at >= 0) allow.splice(at, 1); // relayed addresses of ours are reached without a rule
  }
  for (const range of allow) {
    const closed = specialRanges().filter(
      (special) => rangeSize(special) < rangeSize(range) && rangeHolds(range, special),
    );
    if (closed.length > 0)
      notes.push(
        `allowed-peer-ip=${rangeText(range)} opens nothing of ${closed.map(rangeText).join(', ')}: that takes a rule as narrow`,
      );
  }
  const rules = (texts: readonly string[]): PeerRule[] => texts.map((address) => ({ address }));
  const allowRules = rules(allow.map(rangeText));
  if (EVERYTHING.every((range) => deny.includes(rangeText(range)))) {
    if (deny.length > EVERYTHING.length)
      notes.push('denied-peer-ip: all addresses are denied, so the other lines of it say nothing more');
    return { peers: { base: 'none', allow: allowRules, deny: [] }, problems, notes };
  }
  if (denied.length === 0)
    notes.push(
      'without denied-peer-ip coturn lets clients reach every address but loopback; here it is every public one',
    );
  for (const address of closedListeners(settings)) {
    const at = deny.indexOf(address);
    if (at >= 0) deny.splice(at, 1); // closed without a rule
  }
  const left = deny.filter((text) => !ALREADY_CLOSED.has(text));
  return { peers: { base: 'public', allow: allowRules, deny: rules(left) }, problems, notes };
}

/** The deny list of `public` as coturn writes ranges. `::` itself it refuses by itself, and would take for "any" here. */
function specialLines(version: CoturnVersion): string[] {
  return specialRanges().flatMap((range) => boxes(range, version));
}

/** What `public` closes already: a line of it in a coturn.conf is no rule of its own. */
const ALREADY_CLOSED: ReadonlySet<string> = new Set([
  ...specialRanges().map(rangeText),
  ...(['4.6', '4.17'] as const).flatMap(specialLines).map((text) => rangeText(parseAddressRange(text)!)),
]);

/** Where the relay is and is told to be; loopback can't be opened, and need not be. */
function ownAddresses(addresses: readonly RelayAddress[]): string[] {
  const all = addresses.flatMap(({ address, external }) => (external === undefined ? [address] : [address, external]));
  const ranges = all.flatMap((text) => parseAddressRange(text) ?? []);
  return [...new Set(ranges.filter((range) => !LOOPBACK.some((one) => rangeHolds(one, range))).map(rangeText))];
}

/** Addresses that are listened at and no relay's: closed under `public`, as this machine's all are. */
function closedListeners({ listen, relay }: Pick<CoturnSettings, 'listen' | 'relay'>): string[] {
  const own = new Set(ownAddresses(relay.addresses));
  const all = [...listen.udp, ...listen.tcp, ...listen.tls].flatMap(({ address }) => parseAddressRange(address) ?? []);
  const closed = all.filter((range) => !specialRanges().some((special) => rangeHolds(special, range))).map(rangeText);
  return [...new Set(closed)].filter((text) => !own.has(text));
}

/**
 * A range as lines that hold exactly its addresses. coturn 4.6 compares IPv6 addresses byte by byte, each for itself: that is
 * right for a prefix, and a range is the sum of its prefixes. One that begins at `::` would hold everything, IPv4 too ("any"), so
 * there has to be a line for each byte that may be the first above zero. 4.17 compares numbers, and needs but a step up.
 */
function boxes(range: AddressRange, version: CoturnVersion): string[] {
  if (range.family === 4) return [coturnRange(range)];
  const isAnyFirst = range.first.every((word) => word === 0);
  if (version === '4.17') {
    const from = [0, 0, 0, 1];
    if (!isAnyFirst) return [coturnRange(range)];
    return rangeIncludes(range, 6, from, 0) ? [coturnRange({ ...range, first: from })] : [];
  }
  return rangePrefixes(range).flatMap((prefix) => {
    if (prefix.first.some((word) => word !== 0)) return [coturnRange(prefix)];
    return Array.from({ length: 16 }, (_, byte) => oneAt(byte))
      .filter((first) => rangeIncludes(prefix, 6, first, 0))
      .reverse()
      .map((first) => coturnRange({ ...prefix, first }));
  });
}

/** The IPv6 address that has a 1 in that byte, and else zeros. */
function oneAt(byte: number): number[] {
  return [0, 1, 2, 3].map((word) => (word === byte >> 2 ? (1 << (24 - 8 * (byte & 3))) >>> 0 : 0));
}

function coturnRange({ family, first, last }: AddressRange): string {
  const [from, to] = [addressText(family, first), addressText(family, last)];
  return from === to ? from : `${from}-${to}`;
}

/** One note for each address whose ports get lost, with all of its ports. */
function portNotes(key: string, rules: readonly PeerRule[], state: 'open' | 'closed'): string[] {
  const addresses = [...new Set(rules.map(({ address }) => address))];
  return addresses.flatMap((address) => {
    const same = rules.filter((rule) => rule.address === address);
    if (same.some(({ portMin }) => portMin === undefined)) return []; // all are meant
    const ports = [...new Set(same.map(portText))].join(', ');
    return `${key} ${address} port ${ports}: coturn knows no ports of peers, so all ports there are ${state}`;
  });
}

function ruleText(rule: PeerRule): string {
  return rule.portMin === undefined ? rule.address : `${rule.address} port ${portText(rule)}`;
}

function portText({ portMin, portMax }: PeerRule): string {
  return portMax === undefined || portMax === portMin ? String(portMin) : `${portMin}–${portMax}`;
}
