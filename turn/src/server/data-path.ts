import { CHANNEL_HEADER, channelDataLength, channelNumber, type Random, writeChannelHeader } from '@offhook/core';
import { MAX_PACKET, type PacketBatch, UdpEndpoint } from '@offhook/core/node';
import type { Allocation } from '../allocation/allocation.ts';
import type { AllocationTable } from '../allocation/allocation-table.ts';
import { LookupKey } from '../allocation/lookup-key.ts';
import type { Meter, Rate } from '../allocation/meter.ts';
import type { Peer, Relay } from '../allocation/relay.ts';
import type { TurnLimits } from '../limits.ts';
import type { PeerPolicy } from '../peers/peer-policy.ts';
import { DataIndicationWriter, dataIndicationHead } from './data-indication.ts';
import { SendIndication } from './send-indication.ts';
import type { TurnStats } from './stats.ts';

/** Where a packet goes; one record, used again for each packet. */
export interface Forward {
  /** First byte and length in the batch's memory. */
  offset: number;
  length: number;
  to: UdpEndpoint;
  /** The relay's slot: its socket sends towards peers. */
  slot: number;
  /** The listener that sends towards clients, or the client's connection when that is 0 or more. */
  listener: number;
  connection: number;
}

/** The longest packet of a client, less the padding that its data may need. */
const LONGEST = MAX_PACKET - 3;
const NOWHERE = new UdpEndpoint(4, [0, 0, 0, 0], 0);

export interface DataPathOptions {
  readonly allocations: AllocationTable;
  readonly stats: TurnStats;
  readonly random: Random;
  readonly isDontFragment: boolean;
}

/**
 * What happens to each relayed packet: looked up by number, checked, counted, and handed on in place. Nothing is
 * allocated here except for the first Send to a peer.
 */
export class DataPath {
  /** Valid after a method answered true, until the next call. */
  readonly forward: Forward = { offset: 0, length: 0, to: NOWHERE, slot: 0, listener: 0, connection: -1 };
  readonly #allocations: AllocationTable;
  readonly #stats: TurnStats;
  readonly #key = new LookupKey();
  readonly #send: SendIndication;
  readonly #indication: DataIndicationWriter;
  readonly #hasExternal: boolean;
  #policy!: PeerPolicy;
  #rate: Rate = { bytesPerS: 0, packetsPerS: 0 };
  #userRate: Rate = { bytesPerS: 0, packetsPerS: 0 };

  constructor(options: DataPathOptions) {
    this.#allocations = options.allocations;
    this.#stats = options.stats;
    this.#send = new SendIndication(options.isDontFragment);
    this.#indication = new DataIndicationWriter(options.random);
    this.#hasExternal = options.allocations.pools.some(({ external }) => external !== undefined);
  }

  /** What holds from now on. */
  apply(policy: PeerPolicy, limits: TurnLimits): void {
    this.#policy = policy;
    this.#rate = { bytesPerS: limits.bytesPerS, packetsPerS: limits.packetsPerS };
    this.#userRate = { bytesPerS: limits.userBytesPerS, packetsPerS: limits.userPacketsPerS };
  }

  /** ChannelData from a client (RFC 8656 12.6): true = forward to the peer. */
  channelData(listener: number, batch: PacketBatch, i: number, nowMs: number): boolean {
    const offset = batch.offset[i]!;
    const allocation = this.#allocations.ofClient(listener, batch, i);
    const peer = allocation?.channel(channelNumber(batch.bytes, offset), nowMs);
    const length = channelDataLength(batch.bytes, offset, batch.length[i]!);
    if (!peer || length < 0 || (peer.isOwn && !this.#isOwn(peer.endpoint))) {
      this.#stats.droppedFromClients++;
      return false;
    }
    return this.#toPeer(peer, offset + CHANNEL_HEADER, length, nowMs);
  }

  /** A Send indication (RFC 8656 11.2), already known to be STUN by its header: true = forward to the peer. */
  sendIndication(listener: number, batch: PacketBatch, i: number, nowMs: number): boolean {
    const allocation = this.#allocations.ofClient(listener, batch, i);
    const send = this.#send;
    const peer = allocation?.isOpen && send.read(batch, i) ? this.#sendTo(allocation, nowMs) : undefined;
    if (!peer) {
      this.#stats.droppedFromClients++;
      return false;
    }
    return this.#toPeer(peer, send.dataAt, send.dataLength, nowMs);
  }

  /** A packet from outside at the relay socket of that slot (RFC 8656 11.3, 12.7): true = forward to the client. */
  fromPeer(slot: number, batch: PacketBatch, i: number, nowMs: number): boolean {
    const relay = this.#allocations.at(slot);
    if (!relay) return this.#refusePeer();
    const peer = relay.peer(batch, i);
    const mayReach = peer
      ? peer.permission.expiresAtMs > nowMs && (!peer.isOwn || this.#isOwn(peer.endpoint))
      : this.#mayReach(relay, batch, i, nowMs);
    if (!mayReach) return this.#refusePeer();
    const { allocation } = relay;
    const { owner } = allocation;
    const length = batch.length[i]!;
    const hasChannel = peer !== undefined && peer.channelExpiresAtMs > nowMs;
    const head = hasChannel ? CHANNEL_HEADER : dataIndicationHead(relay.family);
    // what doesn't fit into a packet with its head; a stream takes everything
    if (length + head > LONGEST && owner.connection < 0) return this.#refusePeer();
    if (!this.#mayPass(allocation.toClient, owner.use.toClient, length, nowMs)) return false;
    const { forward } = this;
    forward.offset = batch.offset[i]! - head;
    if (hasChannel) {
      forward.length = length + CHANNEL_HEADER;
      writeChannelHeader(batch.bytes, forward.offset, peer.channel, length);
      if (owner.connection >= 0) this.#pad(batch.bytes);
    } else {
      const { family } = relay;
      const told = this.#hasExternal ? this.#told(family, batch, i) : undefined;
      forward.length = this.#indication.write(batch, i, family, told);
    }
    forward.slot = slot;
    forward.listener = owner.listener;
    forward.connection = owner.connection;
    forward.to = owner.client;
    this.#stats.packetsToClients++;
    this.#stats.bytesToClients += length;
    return true;
  }

  /** Whether an ICMP message about a packet to `peer` may be told to the client of that relay (RFC 8656 11.5). */
  maySeeIcmp(slot: number, peer: UdpEndpoint, nowMs: number): Relay | undefined {
    const relay = this.#allocations.at(slot);
    const permission = relay?.permission(this.#key.addressOfEndpoint(peer), nowMs);
    return permission && relay;
  }

  #toPeer(peer: Peer, offset: number, length: number, nowMs: number): boolean {
    const { relay } = peer;
    const { allocation } = relay;
    if (!this.#mayPass(allocation.toPeers, allocation.owner.use.toPeers, length, nowMs)) return false;
    const { forward } = this;
    forward.offset = offset;
    forward.length = length;
    forward.to = peer.endpoint;
    forward.slot = relay.slot;
    this.#stats.packetsToPeers++;
    this.#stats.bytesToPeers += length;
    return true;
  }

  #mayPass(own: Meter, user: Meter, length: number, nowMs: number): boolean {
    if (!own.fits(length, this.#rate, nowMs) || !user.fits(length, this.#userRate, nowMs)) {
      this.#stats.droppedByRate++;
      return false;
    }
    own.count(length);
    user.count(length);
    return true;
  }

  /** Where a Send indication goes: its peer, if the client may reach it. */
  #sendTo(allocation: Allocation, nowMs: number): Peer | undefined {
    const { peer: key, family } = this.#send;
    if (family === 0) return undefined;
    const relay = allocation.relay(family);
    if (!relay) return undefined;
    if (this.#hasExternal) this.#toLocal(family, key);
    const known = relay.peer(key, 0);
    if (known) {
      const mayReach = known.permission.expiresAtMs > nowMs && (!known.isOwn || this.#isOwn(known.endpoint));
      return mayReach ? known : undefined;
    }
    const permission = relay.permission(this.#key.addressOf(key, 0), nowMs);
    if (!permission || !this.#isAllowed(relay, key, 0)) return undefined;
    const isOwn = !this.#policy.allows(family, key.address, 0, key.port[0]!);
    return relay.addPeer(new UdpEndpoint(family, key.address, key.port[0]!), permission, isOwn);
  }

  /** The rules name ports, a permission doesn't: so what comes in is checked as well. */
  #mayReach(relay: Relay, batch: PacketBatch, i: number, nowMs: number): boolean {
    // strangers cost the look-up only
    return relay.permission(this.#key.addressOf(batch, i), nowMs) !== undefined && this.#isAllowed(relay, batch, i);
  }

  #isAllowed({ family }: Relay, { address, port }: PacketBatch, i: number): boolean {
    return (
      this.#policy.allows(family, address, 4 * i, port[i]!) ||
      this.#allocations.isOwnRelay(family, address, 4 * i, port[i]!)
    );
  }

  /** Whether a peer is a relayed address of ours, still. */
  #isOwn({ family, a, b, c, d, port }: UdpEndpoint): boolean {
    const { address } = this.#key;
    address[0] = a;
    address[1] = b;
    address[2] = c;
    address[3] = d;
    return this.#allocations.isOwnRelay(family, address, 0, port);
  }

  /** A peer at one of our external addresses is a relay socket of ours. */
  #toLocal(family: 4 | 6, key: LookupKey): void {
    for (const pool of this.#allocations.pools) {
      if (pool.family !== family || !pool.isExternal(key.address, 0)) continue;
      const { a, b, c, d } = pool.local;
      key.address[0] = a;
      key.address[1] = b;
      key.address[2] = c;
      key.address[3] = d;
      return;
    }
  }

  /** The address that clients know a relay socket of ours by. */
  #told(family: 4 | 6, batch: PacketBatch, i: number): UdpEndpoint | undefined {
    for (const pool of this.#allocations.pools) {
      if (pool.family === family && pool.external && pool.isLocal(batch.address, 4 * i)) return pool.external;
    }
    return undefined;
  }

  /** "Over TCP and TLS-over-TCP, the ChannelData message MUST be padded to a multiple of four bytes" (RFC 8656 12.5). */
  #pad(bytes: Uint8Array): void {
    const { forward } = this;
    while ((forward.length & 3) !== 0) bytes[forward.offset + forward.length++] = 0;
  }

  #refusePeer(): false {
    this.#stats.droppedFromPeers++;
    return false;
  }
}
