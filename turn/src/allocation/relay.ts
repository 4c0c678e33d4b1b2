import type { PacketBatch, UdpEndpoint } from '@offhook/core/node';
import type { TurnLimits } from '../limits.ts';
import type { Allocation } from './allocation.ts';
import { EndpointList } from './endpoint-list.ts';
import type { PortPool } from './port-pool.ts';

/** RFC 8656 9: 300 seconds, not a setting: browsers refresh each 240. */
export const PERMISSION_LIFETIME_MS = 300_000;
/** Peers that are sent to without a channel and whose address is kept ready; beyond that one gives way. */
const MAX_LOOSE_PEERS = 64;

/** What rules say of peers. */
export interface PeerCheck {
  /** Whether an address (port 0) may have a permission. */
  mayPermit(address: UdpEndpoint): boolean;
  /** `own`: only as a relayed address of ours. */
  verdict(peer: UdpEndpoint): 'allowed' | 'own' | 'forbidden';
}

/** Leave to exchange packets with one IP address, whatever the port. */
export interface Permission {
  /** With port 0. */
  readonly endpoint: UdpEndpoint;
  expiresAtMs: number;
}

/** A peer's address and port as the client uses it, with its channel if it has one. */
export interface Peer {
  readonly relay: Relay;
  readonly endpoint: UdpEndpoint;
  readonly permission: Permission;
  /** No rule allows it: it may be reached for as long as it is a relayed address of ours. */
  isOwn: boolean;
  /** 0x4000–0x7FFF, or 0. */
  channel: number;
  channelExpiresAtMs: number;
}

export interface RelayOptions {
  /** Unique for the life of the process. */
  readonly id: number;
  /** Index of its socket, used again later. */
  readonly slot: number;
  readonly allocation: Allocation;
  readonly pool: PortPool;
  /** The port taken from the pool, 0 when the system chooses. */
  readonly port: number;
  readonly limits: () => TurnLimits;
  /** For hash tables. */
  readonly seed: number;
}

/** One relayed transport address: its socket's place, its permissions and its peers (RFC 8656 3.2). */
export class Relay {
  readonly id: number;
  readonly slot: number;
  readonly allocation: Allocation;
  readonly pool: PortPool;
  port: number;
  /** Where peers reach the client; undefined until the socket is open. */
  relayed: UdpEndpoint | undefined;
  expiresAtMs = Number.POSITIVE_INFINITY;
  readonly #limits: () => TurnLimits;
  readonly #permissions: EndpointList<Permission>;
  readonly #peers: EndpointList<Peer>;
  #loosePeers = 0;
  /** The one found last: most relays have no other. */
  #lastPeer: Peer | undefined;

  constructor(options: RelayOptions) {
    this.id = options.id;
    this.slot = options.slot;
    this.allocation = options.allocation;
    this.pool = options.pool;
    this.port = options.port;
    this.#limits = options.limits;
    this.#permissions = new EndpointList(options.seed);
    this.#peers = new EndpointList(options.seed ^ 0x5bd1e995);
  }

  get family(): 4 | 6 {
    return this.pool.family;
  }

  /** The permission of the address in `key` (its port has to be 0), or undefined when there is none that is live. */
  permission(key: PacketBatch, nowMs: number): Permission | undefined {
    const permission = this.#permissions.find(key, 0);
    return permission !== undefined && permission.expiresAtMs > nowMs ? permission : undefined;
  }

  /** Room for those of the addresses that have no permission yet. */
  hasPermissionRoom(addresses: readonly UdpEndpoint[], nowMs: number): boolean {
    let wanted = 0;
    for (const address of addresses) if (!this.#permissions.get(address)) wanted++;
    const most = this.#limits().permissions;
    if (this.#permissions.size + wanted <= most) return true;
    this.#dropExpired(nowMs);
    return this.#permissions.size + wanted <= most;
  }

  /** Installs or refreshes (RFC 8656 9.2). `address` has port 0; ask `hasPermissionRoom` first. */
  permit(address: UdpEndpoint, nowMs: number): Permission {
    const expiresAtMs = nowMs + PERMISSION_LIFETIME_MS;
    const known = this.#permissions.get(address);
    if (known) {
      known.expiresAtMs = expiresAtMs;
      return known;
    }
    const permission = { endpoint: address, expiresAtMs };
    this.#permissions.add(permission);
    return permission;
  }

  /** The peer at the source of packet i. */
  peer(batch: PacketBatch, i: number): Peer | undefined {
    const last = this.#lastPeer;
    if (last?.endpoint.isSource(batch, i)) return last;
    const found = this.#peers.find(batch, i);
    if (found) this.#lastPeer = found;
    return found;
  }

  peerAt(endpoint: UdpEndpoint): Peer | undefined {
    return this.#peers.get(endpoint);
  }

  /** Keeps a peer's address ready for sending. */
  addPeer(endpoint: UdpEndpoint, permission: Permission, isOwn: boolean): Peer {
    if (this.#loosePeers >= MAX_LOOSE_PEERS) this.#dropLoosePeer();
    const peer: Peer = { relay: this, endpoint, permission, isOwn, channel: 0, channelExpiresAtMs: 0 };
    this.#peers.add(peer);
    this.#loosePeers++;
    return peer;
  }

  /** The peer has a channel from now on, so it stays. */
  keep(peer: Peer): void {
    if (peer.channel === 0) this.#loosePeers--;
  }

  /** The peer's channel is gone; the peer stays, as one of those that may give way. */
  loosen(peer: Peer): void {
    peer.channel = 0;
    peer.channelExpiresAtMs = 0;
    this.#loosePeers++;
    if (this.#loosePeers > MAX_LOOSE_PEERS) this.#dropLoosePeer();
  }

  /** Cuts off what the rules of now don't allow. Channels have been unbound from peers that are not. */
  enforce(rules: PeerCheck): void {
    for (const permission of this.#permissions.items) {
      if (!rules.mayPermit(permission.endpoint)) permission.expiresAtMs = 0;
    }
    for (const peer of [...this.#peers.items]) {
      const verdict = rules.verdict(peer.endpoint);
      peer.isOwn = verdict === 'own';
      if (verdict === 'forbidden' && peer.channel === 0) this.#dropPeer(peer);
    }
  }

  /** Live permissions, for `status` and tests. */
  permissions(nowMs: number): number {
    return this.#permissions.items.filter(({ expiresAtMs }) => expiresAtMs > nowMs).length;
  }

  #dropLoosePeer(): void {
    const loose = this.#peers.items.find(({ channel }) => channel === 0);
    if (loose) this.#dropPeer(loose);
  }

  #dropPeer(peer: Peer): void {
    this.#peers.delete(peer);
    this.#lastPeer = undefined;
    this.#loosePeers--;
  }

  /** Permissions that ran out, with their peers; those of a channel stay, it may be refreshed. */
  #dropExpired(nowMs: number): void {
    this.allocation.dropExpiredChannels(nowMs);
    for (const permission of this.#permissions.items.filter(({ expiresAtMs }) => expiresAtMs <= nowMs)) {
      const peers = this.#peers.items.filter((peer) => peer.permission === permission);
      if (peers.some(({ channel }) => channel !== 0)) continue;
      for (const peer of peers) this.#dropPeer(peer);
      this.#permissions.delete(permission);
    }
  }
}
