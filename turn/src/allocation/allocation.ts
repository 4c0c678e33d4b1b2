import type { UdpEndpoint } from '@offhook/core/node';
import type { Signature } from '../auth/signature.ts';
import type { TurnLimits } from '../limits.ts';
import { Meter } from './meter.ts';
import type { Peer, PeerCheck, Relay } from './relay.ts';
import type { UserUse } from './user-use.ts';

/** RFC 8656 12: ten minutes, not a setting: browsers refresh each four. */
export const CHANNEL_LIFETIME_MS = 600_000;

/** Whose allocation it is: the client's side of the 5-tuple, and the user. */
export interface AllocationOwner {
  /** Index of the listener. */
  readonly listener: number;
  readonly client: UdpEndpoint;
  /** The connection's number, or -1 over UDP. */
  readonly connection: number;
  readonly username: string;
  /** How the user's requests are signed, and our answers. */
  readonly signature: Signature;
  readonly use: UserUse;
}

/** What one client has: one relayed transport address or two, of both families, and the channels over them (RFC 8656 3.2). */
export class Allocation {
  /** Unique for the life of the process. */
  readonly id: number;
  readonly owner: AllocationOwner;
  readonly relays: Relay[] = [];
  /** Transaction id of the Allocate, and what it was answered: a retransmission gets the same. */
  readonly allocateId: Uint8Array;
  allocateReply: Uint8Array | undefined;
  /** The Allocate had a FINGERPRINT, so its answer has one too. */
  hasFingerprint = false;
  readonly toPeers = new Meter();
  readonly toClient = new Meter();
  readonly #limits: () => TurnLimits;
  readonly #channels: Peer[] = [];
  /** The same by number, once there are many. */
  #byNumber: Map<number, Peer> | undefined;
  /** The peer of the channel used last. */
  #lastPeer: Peer | undefined;

  constructor(options: {
    readonly id: number;
    readonly owner: AllocationOwner;
    readonly allocateId: Uint8Array;
    readonly limits: () => TurnLimits;
  }) {
    this.id = options.id;
    this.owner = options.owner;
    this.allocateId = options.allocateId.slice();
    this.#limits = options.limits;
  }

  /** Whether every socket that was asked for is open, so that the client knows of the allocation. */
  get isOpen(): boolean {
    return this.allocateReply !== undefined;
  }

  /** The relayed address of that family. */
  relay(family: 4 | 6): Relay | undefined {
    const { relays } = this;
    if (relays[0]?.family === family) return relays[0];
    return relays[1]?.family === family ? relays[1] : undefined;
  }

  /** The peer a channel is bound to, or undefined when it isn't or no longer is. */
  channel(number: number, nowMs: number): Peer | undefined {
    const peer = this.#channel(number);
    return peer !== undefined && peer.channelExpiresAtMs > nowMs ? peer : undefined;
  }

  /** Whether the channel is bound to another peer, or the peer to another channel (RFC 8656 12.2). */
  isBoundElsewhere(number: number, relay: Relay, endpoint: UdpEndpoint, nowMs: number): boolean {
    const bound = this.channel(number, nowMs);
    if (bound) return bound.relay !== relay || !bound.endpoint.equals(endpoint);
    const peer = relay.peerAt(endpoint);
    return peer !== undefined && peer.channel !== 0 && peer.channelExpiresAtMs > nowMs;
  }

  /** Whether a further channel may be bound, or this one again. */
  hasChannelRoom(number: number, nowMs: number): boolean {
    const most = this.#limits().channels;
    if (this.#channel(number) || this.#channels.length < most) return true;
    this.dropExpiredChannels(nowMs);
    return this.#channels.length < most;
  }

  /** Binds or refreshes, after the checks above. */
  bind(number: number, wanted: Omit<Peer, 'channel' | 'channelExpiresAtMs'>, nowMs: number): void {
    const { relay, endpoint } = wanted;
    const before = this.#channel(number);
    if (before && (before.relay !== relay || !before.endpoint.equals(endpoint))) this.#unbind(before);
    const peer = relay.peerAt(endpoint) ?? relay.addPeer(endpoint, wanted.permission, wanted.isOwn);
    peer.isOwn = wanted.isOwn;
    if (peer.channel === 0) {
      relay.keep(peer);
      peer.channel = number;
      this.#add(peer);
    } else if (peer.channel !== number) {
      // its expired channel gets a new number
      this.#byNumber?.delete(peer.channel);
      this.#byNumber?.set(number, peer);
      peer.channel = number;
    }
    peer.channelExpiresAtMs = nowMs + CHANNEL_LIFETIME_MS;
  }

  dropExpiredChannels(nowMs: number): void {
    for (const peer of this.#channels.filter(({ channelExpiresAtMs }) => channelExpiresAtMs <= nowMs)) {
      this.#unbind(peer);
    }
  }

  /** One of two relayed addresses is over, and the channels that went over it. */
  dropRelay(relay: Relay): void {
    this.relays.splice(this.relays.indexOf(relay), 1);
    for (const peer of this.#channels.filter((one) => one.relay === relay)) this.#unbind(peer);
  }

  /** Cuts off permissions, channels and peers that the rules of now don't allow. */
  enforce(rules: PeerCheck): void {
    for (const peer of [...this.#channels]) if (rules.verdict(peer.endpoint) === 'forbidden') this.#unbind(peer);
    for (const relay of this.relays) relay.enforce(rules);
  }

  /** Live ones, for `status` and tests. */
  counts(nowMs: number): { readonly permissions: number; readonly channels: number } {
    return {
      permissions: this.relays.reduce((sum, relay) => sum + relay.permissions(nowMs), 0),
      channels: this.#channels.filter(({ channelExpiresAtMs }) => channelExpiresAtMs > nowMs).length,
    };
  }

  #channel(number: number): Peer | undefined {
    const last = this.#lastPeer;
    if (last?.channel === number) return last;
    const found = this.#byNumber ? this.#byNumber.get(number) : this.#channels.find((peer) => peer.channel === number);
    if (found) this.#lastPeer = found;
    return found;
  }

  #add(peer: Peer): void {
    this.#channels.push(peer);
    if (this.#byNumber) this.#byNumber.set(peer.channel, peer);
    else if (this.#channels.length > 8) this.#byNumber = new Map(this.#channels.map((one) => [one.channel, one]));
  }

  #unbind(peer: Peer): void {
    this.#channels.splice(this.#channels.indexOf(peer), 1);
    this.#byNumber?.delete(peer.channel);
    this.#lastPeer = undefined;
    peer.relay.loosen(peer);
  }
}
