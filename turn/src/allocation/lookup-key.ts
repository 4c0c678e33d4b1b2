import type { PacketBatch, UdpEndpoint } from '@offhook/core/node';

const NOTHING = new Uint8Array(0);
const NO_VIEW = new DataView(NOTHING.buffer);

/**
 * One address and port to look up in an `EndpointTable` without allocating: it has the shape of a batch of one packet.
 * Fill it and use it at once, `table.find(key, 0)`.
 */
export class LookupKey implements PacketBatch {
  bytes: Uint8Array = NOTHING;
  view: DataView = NO_VIEW;
  readonly count = 1;
  readonly offset = new Uint32Array(1);
  readonly length = new Uint16Array(1);
  readonly address = new Uint32Array(4);
  readonly port = new Uint16Array(1);

  /** The source of packet i without its port: permissions are by address (RFC 8656 9). */
  addressOf(batch: PacketBatch, i: number): this {
    const at = 4 * i;
    this.address[0] = batch.address[at]!;
    this.address[1] = batch.address[at + 1]!;
    this.address[2] = batch.address[at + 2]!;
    this.address[3] = batch.address[at + 3]!;
    this.port[0] = 0;
    return this;
  }

  addressOfEndpoint({ a, b, c, d }: UdpEndpoint): this {
    this.address[0] = a;
    this.address[1] = b;
    this.address[2] = c;
    this.address[3] = d;
    this.port[0] = 0;
    return this;
  }

  /** A message of that source as a batch of one packet; nothing may be written in front of it or behind it. */
  fill(source: UdpEndpoint, bytes: Uint8Array, offset: number, length: number): this {
    this.addressOfEndpoint(source);
    this.port[0] = source.port;
    this.bytes = bytes;
    this.offset[0] = offset;
    this.length[0] = length;
    return this;
  }
}
