import {
  CHANNEL_HEADER,
  channelDataLength,
  channelNumber,
  type Random,
  readU16,
  STUN_COOKIE,
  STUN_HEADER,
  StunAttribute,
  writeChannelHeader,
  writeU16,
  writeU32,
} from '@offhook/core';
import { type PacketBatch, UdpEndpoint } from '@offhook/core/node';
import type { AllocationTable } from '../allocation/allocation-table.ts';
import { LookupKey } from '../allocation/lookup-key.ts';
import type { PeerPolicy } from '../peers/peer-policy.ts';
import type { TurnStats } from './stats.ts';

/** Where a packet goes; one record, used again for each packet. */
export interface Forward {
  /** First byte and length in the batch's memory. */
  offset: number;
  length: number;
  to: UdpEndpoint;
  /** The allocation's slot: its relay socket sends towards peers. */
  slot: number;
  /** The listener that sends towards clients. */
  listener: number;
}

const NOWHERE = new UdpEndpoint(4, [0, 0, 0, 0], 0);
/** Data indication in front of the data: header, XOR-PEER-ADDRESS, the head of DATA (RFC 8656 11.6). */
const DATA_HEAD_V4 = STUN_HEADER + 12 + 4;
const DATA_HEAD_V6 = STUN_HEADER + 24 + 4;
const DATA_INDICATION = 0x0017;

/**
 * What happens to each relayed packet: looked up by number, checked, and handed on in place. Nothing is allocated here
 * except for the first Send to a peer.
 */
export class DataPath {
  /** Valid after a method answered true, until the next call. */
  readonly forward: Forward = { offset: 0, length: 0, to: NOWHERE, slot: 0, listener: 0 };
  readonly #allocations: AllocationTable;
  readonly #policy: PeerPolicy;
  readonly #stats: TurnStats;
  readonly #key = new LookupKey();
  readonly #peerKey = new LookupKey();

  constructor(options: {
    readonly allocations: AllocationTable;
    readonly policy: PeerPolicy;
    readonly stats: TurnStats;
    readonly random: Random;
  }) {
    this.#allocations = options.allocations;
    this.#policy = options.policy;
    this.#stats = options.stats;
    this.#transaction = (options.random.next() * 0x1_0000_0000) | 0 || 1;
  }

  /** ChannelData from a client (RFC 8656 12.6): true = forward to the peer. */
  channelData(listener: number, batch: PacketBatch, i: number, nowMs: number): boolean {
    const offset = batch.offset[i]!;
    const allocation = this.#allocations.ofClient(listener, batch, i);
    const peer = allocation?.channel(channelNumber(batch.bytes, offset), nowMs);
    const length = channelDataLength(batch.bytes, offset, batch.length[i]!);
    if (!allocation || !peer || length < 0) {
      this.#stats.droppedFromClients++;
      return false;
    }
    allocation.packetsToPeers++;
    return this.#toPeer(allocation.slot, offset + CHANNEL_HEADER, length, peer.endpoint);
  }

  /** A Send indication (RFC 8656 11.2), already known to be STUN by its header: true = forward to the peer. */
  sendIndication(listener: number, batch: PacketBatch, i: number, nowMs: number): boolean {
    const allocation = this.#allocations.ofClient(listener, batch, i);
    if (!allocation?.relayed || !this.#readSend(batch, i) || this.#peerFamily !== allocation.family) {
      this.#stats.droppedFromClients++;
      return false;
    }
    const key = this.#peerKey;
    let peer = allocation.peer(key, 0);
    if (!peer) {
      const permission = allocation.permission(this.#key.addressOf(key, 0), nowMs);
      const allowed =
        this.#policy.allows(allocation.family, key.address, 0, key.port[0]!) || this.#allocations.isOwnRelay(key, 0);
      if (!permission || !allowed) {
        this.#stats.droppedFromClients++;
        return false;
      }
      peer = allocation.addPeer(new UdpEndpoint(allocation.family, key.address, key.port[0]!), permission);
    } else if (peer.permission.expiresAtMs <= nowMs) {
      this.#stats.droppedFromClients++;
      return false;
    }
    allocation.packetsToPeers++;
    return this.#toPeer(allocation.slot, this.#dataAt, this.#dataLength, peer.endpoint);
  }

  /** A packet from outside at the relay socket of that slot (RFC 8656 11.5, 12.7): true = forward to the client. */
  fromPeer(slot: number, batch: PacketBatch, i: number, nowMs: number): boolean {
    const allocation = this.#allocations.at(slot);
    if (!allocation) return this.#refusePeer();
    const peer = allocation.peer(batch, i);
    if (peer) {
      if (peer.permission.expiresAtMs <= nowMs) return this.#refusePeer();
    } else {
      // The rules name ports, a permission doesn't: so what comes in is checked as well.
      const allowed =
        this.#policy.allows(allocation.family, batch.address, 4 * i, batch.port[i]!) ||
        this.#allocations.isOwnRelay(batch, i);
      if (!allowed || !allocation.permission(this.#key.addressOf(batch, i), nowMs)) return this.#refusePeer();
    }
    const { forward } = this;
    const length = batch.length[i]!;
    if (peer && peer.channelExpiresAtMs > nowMs) {
      forward.offset = batch.offset[i]! - CHANNEL_HEADER;
      forward.length = length + CHANNEL_HEADER;
      writeChannelHeader(batch.bytes, forward.offset, peer.channel, length);
    } else if (allocation.family === 4) {
      forward.offset = batch.offset[i]! - DATA_HEAD_V4;
      forward.length = this.#writeDataIndication(batch, i, DATA_HEAD_V4);
    } else {
      forward.offset = batch.offset[i]! - DATA_HEAD_V6;
      forward.length = this.#writeDataIndication(batch, i, DATA_HEAD_V6);
    }
    forward.slot = slot;
    forward.listener = allocation.owner.listener;
    forward.to = allocation.owner.client;
    allocation.packetsToClient++;
    this.#stats.packetsToClients++;
    this.#stats.bytesToClients += length;
    return true;
  }

  #toPeer(slot: number, offset: number, length: number, to: UdpEndpoint): boolean {
    const { forward } = this;
    forward.offset = offset;
    forward.length = length;
    forward.to = to;
    forward.slot = slot;
    this.#stats.packetsToPeers++;
    this.#stats.bytesToPeers += length;
    return true;
  }

  #refusePeer(): false {
    this.#stats.droppedFromPeers++;
    return false;
  }

  #transaction: number;
  #peerFamily: 0 | 4 | 6 = 0;
  #dataAt = 0;
  #dataLength = 0;

  /**
   * Walks the attributes of packet i: peer into `#peerKey` and `#peerFamily`, data into `#dataAt`. False when one of
   * them is missing or malformed or something that has to be understood isn't (DONT-FRAGMENT among it).
   */
  #readSend(batch: PacketBatch, i: number): boolean {
    const { bytes } = batch;
    const start = batch.offset[i]!;
    const end = start + batch.length[i]!;
    this.#peerFamily = 0;
    this.#dataAt = -1;
    let at = start + STUN_HEADER;
    while (at < end) {
      const type = readU16(bytes, at);
      const length = readU16(bytes, at + 2);
      const next = at + 4 + ((length + 3) & ~3);
      if (next > end) return false;
      if (type === StunAttribute.xorPeerAddress) {
        if (this.#peerFamily === 0 && !this.#readPeer(bytes, start, at + 4, length)) return false;
      } else if (type === StunAttribute.data) {
        if (this.#dataAt < 0) {
          this.#dataAt = at + 4;
          this.#dataLength = length;
        }
      } else if (type < 0x8000) return false;
      at = next;
    }
    return this.#peerFamily !== 0 && this.#dataAt >= 0;
  }

  #readPeer(bytes: Uint8Array, message: number, at: number, length: number): boolean {
    if (length < 8) return false;
    const { address, port } = this.#peerKey;
    port[0] = readU16(bytes, at + 2) ^ (STUN_COOKIE >>> 16);
    address[0] = readI32(bytes, at + 4) ^ STUN_COOKIE;
    if (bytes[at + 1] === 1 && length === 8) {
      address[1] = 0;
      address[2] = 0;
      address[3] = 0;
      this.#peerFamily = 4;
      return true;
    }
    if (bytes[at + 1] !== 2 || length !== 20) return false;
    for (let w = 1; w < 4; w++) address[w] = readI32(bytes, at + 4 + w * 4) ^ readI32(bytes, message + 4 + w * 4);
    this.#peerFamily = 6;
    return true;
  }

  /** Writes the head in front of packet i and the padding behind it; the whole length. */
  #writeDataIndication(batch: PacketBatch, i: number, head: number): number {
    const { bytes } = batch;
    const data = batch.offset[i]!;
    const length = batch.length[i]!;
    const at = data - head;
    const padded = (length + 3) & ~3;
    for (let p = length; p < padded; p++) bytes[data + p] = 0;
    writeU16(bytes, at, DATA_INDICATION);
    writeU16(bytes, at + 2, head - STUN_HEADER + padded);
    writeU32(bytes, at + 4, STUN_COOKIE);
    for (let w = 8; w < STUN_HEADER; w += 4) {
      // An indication is never answered, so its transaction id only has to differ: xorshift, as integers.
      let x = this.#transaction;
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      this.#transaction = x;
      writeU32(bytes, at + w, x);
    }
    const six = head === DATA_HEAD_V6;
    writeU16(bytes, at + 20, StunAttribute.xorPeerAddress);
    writeU16(bytes, at + 22, six ? 20 : 8);
    writeU16(bytes, at + 24, six ? 2 : 1);
    writeU16(bytes, at + 26, batch.port[i]! ^ (STUN_COOKIE >>> 16));
    writeU32(bytes, at + 28, batch.address[4 * i]! ^ STUN_COOKIE);
    if (six) {
      for (let w = 1; w < 4; w++) {
        writeU32(bytes, at + 28 + w * 4, batch.address[4 * i + w]! ^ readI32(bytes, at + 4 + w * 4));
      }
    }
    writeU16(bytes, data - 4, StunAttribute.data);
    writeU16(bytes, data - 2, length);
    return head + padded;
  }
}

/** As `readU32` but signed: such a number is never put on the heap. */
function readI32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
