import { formatIPv4, formatIPv6, parseIPv4, parseIPv6, type SocketAddress } from '../../base/index.ts';
import type { PacketBatch } from './port.ts';

/**
 * An IP address and port as numbers, immutable: make one per flow and keep it, so that staging a packet is five stores.
 * IPv4 is its number in `a` (as `parseIPv4`) with `b`, `c`, `d` zero; IPv6 four big-endian words. The words are signed: V8
 * keeps such a number in the object itself, one above 2^31 in a box of its own.
 */
export class UdpEndpoint {
  readonly family: 4 | 6;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly port: number;
  #text: SocketAddress | undefined;

  constructor(family: 4 | 6, words: ArrayLike<number>, port: number) {
    this.family = family;
    this.a = words[0]! | 0;
    this.b = family === 6 ? words[1]! | 0 : 0;
    this.c = family === 6 ? words[2]! | 0 : 0;
    this.d = family === 6 ? words[3]! | 0 : 0;
    this.port = port;
  }

  /** Reads an address of text; undefined when it is no IP address or the port is out of range. */
  static from(at: SocketAddress): UdpEndpoint | undefined {
    if (!(at.port >= 0 && at.port <= 0xffff)) return undefined;
    const v4 = parseIPv4(at.address);
    if (v4 !== undefined) return new UdpEndpoint(4, [v4], at.port);
    const v6 = parseIPv6(at.address);
    if (!v6) return undefined;
    const view = new DataView(v6.buffer, v6.byteOffset, 16);
    return new UdpEndpoint(6, [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)], at.port);
  }

  /** The source of packet i of a batch. Allocates: for new flows and control packets only. */
  static source(batch: PacketBatch, i: number, family: 4 | 6): UdpEndpoint {
    return new UdpEndpoint(family, batch.address.subarray(4 * i, 4 * i + 4), batch.port[i]!);
  }

  /** Whether packet i of the batch comes from here. */
  isSource(batch: PacketBatch, i: number): boolean {
    return (
      batch.port[i] === this.port &&
      (batch.address[4 * i]! | 0) === this.a &&
      (batch.address[4 * i + 1]! | 0) === this.b &&
      (batch.address[4 * i + 2]! | 0) === this.c &&
      (batch.address[4 * i + 3]! | 0) === this.d
    );
  }

  equals(other: UdpEndpoint): boolean {
    return (
      this.port === other.port &&
      this.a === other.a &&
      this.b === other.b &&
      this.c === other.c &&
      this.d === other.d &&
      this.family === other.family
    );
  }

  /** As text, made once. */
  toSocketAddress(): SocketAddress {
    this.#text ??= { address: formatWords(this.family, this.a, this.b, this.c, this.d), port: this.port };
    return this.#text;
  }
}

function formatWords(family: 4 | 6, a: number, b: number, c: number, d: number): string {
  if (family === 4) return formatIPv4(a >>> 0);
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of [a, b, c, d].entries()) view.setUint32(4 * i, word);
  return formatIPv6(bytes);
}
