import { EndpointTable, type PacketBatch, type UdpEndpoint } from '@offhook/core/node';
import type { PortPool } from './port-pool.ts';

/** RFC 8656 9: 300 seconds, not a setting: browsers refresh each 240. */
export const PERMISSION_LIFETIME_MS = 300_000;
/** RFC 8656 12. */
export const CHANNEL_LIFETIME_MS = 600_000;
/** Peers that are sent to without a channel and whose address is kept ready; beyond that one gives way. */
const MAX_LOOSE_PEERS = 64;

/** Leave to exchange packets with one IP address, whatever the port. */
export interface Permission {
  readonly address: UdpEndpoint;
  expiresAtMs: number;
}

/** A peer's address and port as the client uses it, with its channel if it has one. */
export interface Peer {
  readonly endpoint: UdpEndpoint;
  readonly permission: Permission;
  /** 0x4000–0x7FFF, or 0. */
  channel: number;
  channelExpiresAtMs: number;
}

/** Whose allocation it is. */
export interface AllocationOwner {
  readonly listener: number;
  readonly client: UdpEndpoint;
  readonly username: string;
  /** Whom quotas count for. */
  readonly user: string;
  /** What requests and responses are signed with. */
  readonly key: Uint8Array;
}

export interface AllocationOptions {
  /** Unique for the life of the process. */
  readonly id: number;
  /** Index in the table of allocations, used again later. */
  readonly slot: number;
  readonly owner: AllocationOwner;
  readonly pool: PortPool;
  /** The port taken from the pool, 0 when the system chooses. */
  readonly port: number;
  readonly limits: { readonly permissions: number; readonly channels: number };
  /** For its hash tables. */
  readonly seed: number;
}

/** One relayed transport address of one client: its permissions, channels and peers (RFC 8656 3.2). */
export class Allocation {
  readonly id: number;
  readonly slot: number;
  readonly owner: AllocationOwner;
  readonly pool: PortPool;
  readonly family: 4 | 6;
  port: number;
  /** Where peers reach the client; undefined until the socket is open. */
  relayed: UdpEndpoint | undefined;
  expiresAtMs = Number.POSITIVE_INFINITY;
  /** Transaction id of the Allocate, and what it was answered: a retransmission gets the same. */
  allocateId = new Uint8Array(12);
  allocateReply: Uint8Array | undefined;
  packetsToPeers = 0;
  packetsToClient = 0;

  readonly #limits: AllocationOptions['limits'];
  readonly #permissionTable: EndpointTable;
  readonly #permissions: (Permission | undefined)[] = [];
  readonly #peerTable: EndpointTable;
  readonly #peers: (Peer | undefined)[] = [];
  readonly #channels = new Map<number, Peer>();
  #loosePeers = 0;

  constructor(options: AllocationOptions) {
    this.id = options.id;
    this.slot = options.slot;
    this.owner = options.owner;
    this.pool = options.pool;
    this.port = options.port;
    this.family = options.pool.family;
    this.#limits = options.limits;
    this.#permissionTable = new EndpointTable(options.seed, 8);
    this.#peerTable = new EndpointTable(options.seed ^ 0x5bd1e995, 8);
  }

  /** The permission of the address in `key` (its port has to be 0), or undefined when there is none that is live. */
  permission(key: PacketBatch, nowMs: number): Permission | undefined {
    const index = this.#permissionTable.find(key, 0);
    if (index < 0) return undefined;
    const permission = this.#permissions[index]!;
    return permission.expiresAtMs > nowMs ? permission : undefined;
  }

  /** Room for that many addresses that have no permission yet. */
  hasPermissionRoom(addresses: readonly UdpEndpoint[], nowMs: number): boolean {
    let wanted = 0;
    for (const address of addresses) if (this.#permissionTable.get(address) < 0) wanted++;
    if (this.#permissionTable.size + wanted <= this.#limits.permissions) return true;
    this.#dropExpired(nowMs);
    return this.#permissionTable.size + wanted <= this.#limits.permissions;
  }

  /** Installs or refreshes (RFC 8656 9.2). `address` has port 0; ask `hasPermissionRoom` first. */
  permit(address: UdpEndpoint, nowMs: number): Permission {
    const index = this.#permissionTable.get(address);
    if (index >= 0) {
      const known = this.#permissions[index]!;
      known.expiresAtMs = nowMs + PERMISSION_LIFETIME_MS;
      return known;
    }
    const permission = { address, expiresAtMs: nowMs + PERMISSION_LIFETIME_MS };
    this.#permissionTable.set(address, place(this.#permissions, permission));
    return permission;
  }

  /** The peer at the source of packet i, or undefined. */
  peer(batch: PacketBatch, i: number): Peer | undefined {
    const index = this.#peerTable.find(batch, i);
    return index < 0 ? undefined : this.#peers[index];
  }

  /** Keeps a peer's address ready for sending. */
  addPeer(endpoint: UdpEndpoint, permission: Permission): Peer {
    if (this.#loosePeers >= MAX_LOOSE_PEERS) this.#dropLoosePeer();
    const peer: Peer = { endpoint, permission, channel: 0, channelExpiresAtMs: 0 };
    this.#peerTable.set(endpoint, place(this.#peers, peer));
    this.#loosePeers++;
    return peer;
  }

  /** The peer a channel is bound to, or undefined when it isn't or no longer is. */
  channel(number: number, nowMs: number): Peer | undefined {
    const peer = this.#channels.get(number);
    return peer !== undefined && peer.channelExpiresAtMs > nowMs ? peer : undefined;
  }

  /** Whether the channel or the peer is bound to something else (RFC 8656 12.2). */
  isBoundElsewhere(number: number, endpoint: UdpEndpoint, nowMs: number): boolean {
    const bound = this.channel(number, nowMs);
    if (bound) return !bound.endpoint.equals(endpoint);
    const index = this.#peerTable.get(endpoint);
    const peer = index < 0 ? undefined : this.#peers[index];
    return peer !== undefined && peer.channel !== 0 && peer.channelExpiresAtMs > nowMs;
  }

  /** Whether a further channel may be bound, or this one again. */
  hasChannelRoom(number: number, nowMs: number): boolean {
    if (this.#channels.has(number) || this.#channels.size < this.#limits.channels) return true;
    for (const peer of [...this.#channels.values()]) if (peer.channelExpiresAtMs <= nowMs) this.#unbind(peer);
    return this.#channels.size < this.#limits.channels;
  }

  /** Binds or refreshes, after the checks above; refreshes the permission too (RFC 8656 12.2). */
  bind(number: number, endpoint: UdpEndpoint, permission: Permission, nowMs: number): void {
    const before = this.#channels.get(number);
    if (before && !before.endpoint.equals(endpoint)) this.#unbind(before);
    const index = this.#peerTable.get(endpoint);
    const peer = (index < 0 ? undefined : this.#peers[index]) ?? this.addPeer(endpoint, permission);
    if (peer.channel !== number) {
      if (peer.channel !== 0) this.#unbind(peer);
      peer.channel = number;
      this.#loosePeers--;
      this.#channels.set(number, peer);
    }
    peer.channelExpiresAtMs = nowMs + CHANNEL_LIFETIME_MS;
    while (this.#loosePeers > MAX_LOOSE_PEERS) this.#dropLoosePeer();
  }

  /** Live ones, for `status` and tests. */
  counts(nowMs: number): { readonly permissions: number; readonly channels: number } {
    const live = this.#permissions.filter((p) => p !== undefined && p.expiresAtMs > nowMs);
    const bound = [...this.#channels.values()].filter((peer) => peer.channelExpiresAtMs > nowMs);
    return { permissions: live.length, channels: bound.length };
  }

  /** The peer stays, as one without a channel. */
  #unbind(peer: Peer): void {
    this.#channels.delete(peer.channel);
    peer.channel = 0;
    peer.channelExpiresAtMs = 0;
    this.#loosePeers++;
  }

  #dropLoosePeer(): void {
    const index = this.#peers.findIndex((peer) => peer !== undefined && peer.channel === 0);
    if (index >= 0) this.#dropPeer(index);
  }

  #dropPeer(index: number): void {
    this.#peerTable.delete(this.#peers[index]!.endpoint);
    this.#peers[index] = undefined;
    this.#loosePeers--;
  }

  /** Permissions that ran out, with their peers; those of a live channel stay, it may be refreshed. */
  #dropExpired(nowMs: number): void {
    for (const peer of [...this.#channels.values()]) if (peer.channelExpiresAtMs <= nowMs) this.#unbind(peer);
    for (const [index, permission] of this.#permissions.entries()) {
      if (!permission || permission.expiresAtMs > nowMs) continue;
      const peers = this.#peers.flatMap((peer, at) => (peer?.permission === permission ? [at] : []));
      if (peers.some((at) => this.#peers[at]!.channel !== 0)) continue;
      for (const at of peers) this.#dropPeer(at);
      this.#permissionTable.delete(permission.address);
      this.#permissions[index] = undefined;
    }
  }
}

/** Puts a value into the first free place of a list; its index. */
function place<T>(list: (T | undefined)[], value: T): number {
  const free = list.indexOf(undefined);
  const index = free < 0 ? list.length : free;
  list[index] = value;
  return index;
}
