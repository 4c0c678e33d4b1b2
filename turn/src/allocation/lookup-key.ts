import type { PacketBatch } from '@offhook/core/node';

/**
 * One address and port to look up in an `EndpointTable` without allocating: it has the shape of a batch of one packet.
 * Fill it and use it at once, `table.find(key, 0)`.
 */
export class LookupKey implements PacketBatch {
  readonly bytes = new Uint8Array(0);
  readonly view = new DataView(this.bytes.buffer);
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
}
