import { ipFamily, parseIPv4, parseIPv6, type SocketAddress, unmapped } from '@offhook/core';

/** Addresses that share a prefix, all of them or on one port. */
export interface Network {
  readonly bytes: Uint8Array;
  readonly bits: number;
  readonly port?: number;
}

/** `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`, and of one port `192.0.2.7:5080` or `[2001:db8::1]:5080`. */
export function parseNetwork(text: string): Network | undefined {
  const withPort = /^(?:\[([0-9a-f:.]+)\]|(\d+\.\d+\.\d+\.\d+)):(\d{1,5})$/i.exec(text);
  if (withPort) {
    const bytes = bytesOf(withPort[1] ?? withPort[2] ?? '');
    const port = Number(withPort[3]);
    return bytes && port >= 1 && port <= 65_535 ? { bytes, bits: bytes.length * 8, port } : undefined;
  }
  const [, address, length] = /^([0-9a-f:.]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const bytes = address === undefined ? undefined : bytesOf(address);
  if (!bytes) return undefined;
  const bits = length === undefined ? bytes.length * 8 : Number(length);
  if (bits > bytes.length * 8) return undefined;
  // 192.0.2.7/24 may mean the host or its network: whoever means the network writes its first address.
  return isZeroAfter(bytes, bits) ? { bytes, bits } : undefined;
}

export function contains(network: Network, source: SocketAddress): boolean {
  if (network.port !== undefined && network.port !== source.port) return false;
  const bytes = bytesOf(unmapped(source.address));
  if (bytes?.length !== network.bytes.length) return false;
  const whole = network.bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== network.bytes[i]) return false;
  const rest = network.bits & 7;
  return rest === 0 || ((bytes[whole]! ^ network.bytes[whole]!) & (0xff00 >> rest) & 0xff) === 0;
}

function bytesOf(address: string): Uint8Array | undefined {
  if (ipFamily(address) !== 4) return parseIPv6(address);
  const value = parseIPv4(address)!;
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

function isZeroAfter(bytes: Uint8Array, bits: number): boolean {
  for (let i = bits; i < bytes.length * 8; i++) if ((bytes[i >> 3]! >> (7 - (i & 7))) & 1) return false;
  return true;
}
