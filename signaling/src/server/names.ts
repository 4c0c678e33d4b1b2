import { hostname, networkInterfaces } from 'node:os';
import type { SocketAddress } from '@offhook/core';
import { monotonicMs } from '@offhook/core/node';
import type { SignalingConfig } from '../config.ts';
import type { Flow } from '../transaction/index.ts';

/** How long the list of this host's addresses is believed. */
const ADDRESSES_MS = 5000;

/** What this server is called whatever its networks are. */
function fixedNames({ domain, tls }: SignalingConfig): string[] {
  const names = ['localhost', domain, '127.0.0.1', '::1', hostname(), ...(tls?.names ?? [])];
  return names.map((name) => name.toLowerCase());
}

/** All addresses of this host; those of one link alone (fe80::) mean nothing to others. */
function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
  return all.filter((address) => !address.startsWith('fe80:'));
}

/** The names that a certificate of ours has to be good for. */
export function certificateNames(config: SignalingConfig): string[] {
  return [...fixedNames(config), ...ownAddresses()];
}

/**
 * Host names and addresses that mean this server: the domain, localhost, every address of this host, and the names that its
 * certificate is for (`*` stands for one label).
 */
export function localNames(config: SignalingConfig, certified: () => readonly string[]): (host: string) => boolean {
  const { udp, tcp, tls = [] } = config.sip;
  const fixed = new Set([
    ...fixedNames(config),
    ...[...udp, ...tcp, ...tls].map((at) => at.address),
    ...config.http.addresses,
  ]);
  let own = new Set<string>();
  let readAtMs = Number.NEGATIVE_INFINITY;
  return (host) => {
    if (fixed.has(host)) return true;
    const names = certified();
    if (names.includes(host) || names.includes(host.replace(/^[^.]+/, '*'))) return true;
    // Addresses come and go with networks; asking the system for each foreign name would be a gift to attackers.
    if (monotonicMs() - readAtMs > ADDRESSES_MS) {
      readAtMs = monotonicMs();
      own = new Set(Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)));
    }
    return own.has(host);
  };
}

/** A listener on all addresses says nothing of where it is reached; then it is this host's first outside address. */
export function reachableAddress(flow: Flow): SocketAddress {
  const { address, port } = flow.local;
  if (address !== '0.0.0.0' && address !== '::') return flow.local;
  const outside = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find((i) => !i.internal && i.family === (address === '::' ? 'IPv6' : 'IPv4'));
  return { address: outside?.address ?? '127.0.0.1', port };
}
