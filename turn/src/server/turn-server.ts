import {
  type Crypto,
  decodeStun,
  isChannelData,
  isLoopback,
  isStun,
  type Random,
  type SocketAddress,
  StunClass,
  utf8,
} from '@offhook/core';
import { type PacketBatch, UdpEndpoint } from '@offhook/core/node';
import type { Allocation } from '../allocation/allocation.ts';
import { AllocationTable } from '../allocation/allocation-table.ts';
import type { PortPool } from '../allocation/port-pool.ts';
import type { Relay } from '../allocation/relay.ts';
import { SharedTables } from '../allocation/shared.ts';
import type { UserFigures } from '../allocation/user-use.ts';
import { Authenticator } from '../auth/authenticator.ts';
import { quotaUser } from '../auth/rest-credentials.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import { PeerPolicy } from '../peers/peer-policy.ts';
import { type TurnCommand, Verdict, type VerdictValue } from './commands.ts';
import { DataPath, type Forward } from './data-path.ts';
import { handleRequest } from './handle-request.ts';
import { NatDiscovery } from './nat-discovery.ts';
import { type Opened, Openings } from './openings.ts';
import type { TurnRules, TurnServerOptions } from './options.ts';
import { PeerVerdicts } from './peer-verdicts.ts';
import { Replies } from './replies.ts';
import { ReplyLimit } from './reply-limit.ts';
import type { RequestContext, Rules } from './request.ts';
import { TurnStats } from './stats.ts';

/**
 * A STUN and TURN server (RFC 8489, RFC 8656; RFC 5766 clients included) as a machine without sockets or clock. After
 * `handleClient`/`handlePeer` act on the verdict with `reply` or `forward`; after any handle call drain `poll()` and arm the
 * timer with `nextTimeout()`.
 */
export class TurnServer {
  readonly stats = new TurnStats();
  readonly #options: TurnServerOptions;
  readonly #allocations: AllocationTable;
  readonly #openings: Openings;
  readonly #data: DataPath;
  readonly #replies: Replies;
  readonly #limit: ReplyLimit;
  readonly #bindingLimit: ReplyLimit;
  readonly #peers: PeerVerdicts;
  readonly #context: RequestContext;
  readonly #families: readonly (4 | 6)[];
  readonly #commands: TurnCommand[] = [];
  #rules!: Rules;
  #isDraining = false;
  /** Where clients are sent while draining, said last; it wins over the rules' server. */
  #drainTo: SocketAddress | undefined;
  /** Secrets and users as they were applied last. */
  #credentials = '';

  constructor(options: TurnServerOptions) {
    this.#options = options;
    const { crypto, listeners, relay, isDontFragment, natDiscovery } = options;
    const random = randomOf(crypto);
    this.#families = listeners.map(({ address }) => (address.includes(':') ? 6 : 4));
    this.#replies = new Replies({ crypto, stats: this.stats });
    this.#allocations = new AllocationTable({
      listeners: listeners.length,
      relay,
      limits: () => this.#rules.limits,
      shared: new SharedTables(options.memory, options.worker, crypto),
      random,
      crypto,
    });
    this.#openings = new Openings(this.#allocations);
    this.#data = new DataPath({ allocations: this.#allocations, stats: this.stats, random, isDontFragment });
    this.#peers = new PeerVerdicts(() => this.#rules.policy, this.#allocations);
    const replyLimit = () => new ReplyLimit({ perS: 0, burst: 0, seed: random.next() * 0x1_0000_0000 });
    this.#limit = replyLimit();
    this.#bindingLimit = replyLimit();
    this.apply(options);
    this.#context = {
      allocations: this.#allocations,
      rules: () => this.#rules,
      peers: this.#peers,
      limit: this.#limit,
      bindingLimit: this.#bindingLimit,
      replies: this.#replies,
      discovery: natDiscovery ? NatDiscovery.of(listeners.slice(0, options.udpListeners)) : undefined,
      isDontFragment,
      crypto,
      wallMs: options.wallMs,
      redirection: () => (this.#isDraining ? (this.#drainTo ?? this.#rules.alternateServer ?? 'draining') : 'none'),
      poolFor: (listener, family) => this.#poolFor(listener, family),
      toLocal: (peer) => this.#toLocal(peer),
      open: (allocation, grant) => {
        for (const one of allocation.relays) this.#openings.add(one, grant);
        for (const one of allocation.relays) this.#open(one);
      },
      closeRelay: (one) => this.#closeRelay(one),
      closeAll: (allocation) => this.#closeAll(allocation),
      listenerAt: (listener) => listeners[listener]!,
      sendFrom: (listener, to) => {
        const bytes = this.#replies.bytes.slice();
        this.#commands.push({ kind: 'send', listener, connection: -1, to, bytes });
      },
      mayAsk: (username, allocation, nowMs) => {
        const { requests } = allocation?.owner.use ?? this.#allocations.use(quotaUser(username));
        const rate = { bytesPerS: 1, packetsPerS: this.#rules.limits.userRequestsPerS };
        if (requests.fits(0, rate, nowMs)) {
          requests.count(0);
          return true;
        }
        this.stats.droppedLimited++;
        return false;
      },
      onLimited: () => {
        this.stats.droppedLimited++;
      },
    };
  }

  /** After `Verdict.reply`: the answer to the packet's source, valid until the next call. */
  get reply(): Uint8Array {
    return this.#replies.bytes;
  }

  /** After `Verdict.toPeer` and `Verdict.toClient`: what goes where, in the batch's memory. */
  get forward(): Readonly<Forward> {
    return this.#data.forward;
  }

  get allocations(): number {
    return this.#allocations.size;
  }

  get users(): number {
    return this.#allocations.users;
  }

  /** Relay ports taken, reserved ones included, on all threads. */
  get portsTaken(): number {
    return this.#allocations.pools.reduce((sum, pool) => sum + pool.taken, 0);
  }

  /** Whether that client has an allocation. */
  holds(listener: number, client: UdpEndpoint): boolean {
    return this.#allocations.ofEndpoint(listener, client) !== undefined;
  }

  /** Of every allocation, for people: no addresses, no user names. */
  describe(nowMs: number): readonly Record<string, number>[] {
    return [...this.#allocations.all()].map((allocation) => ({
      id: allocation.id,
      relays: allocation.relays.length,
      expiresInS: Math.round((Math.max(...allocation.relays.map((relay) => relay.expiresAtMs)) - nowMs) / 1000),
      packetsToPeers: allocation.toPeers.packets,
      packetsToClient: allocation.toClient.packets,
      ...allocation.counts(nowMs),
    }));
  }

  /** Of every user that has or had an allocation. */
  figures(): readonly UserFigures[] {
    return this.#allocations.figures();
  }

  /**
   * Packet i of the batch came to a listener, over that connection when it is 0 or more (then it is one message without
   * padding behind ChannelData, RFC 8656 12.5).
   */
  handleClient(listener: number, batch: PacketBatch, i: number, nowMs: number, connection = -1): VerdictValue {
    const { bytes } = batch;
    const offset = batch.offset[i]!;
    const length = batch.length[i]!;
    if (isChannelData(bytes, offset, length)) {
      return this.#data.channelData(listener, batch, i, nowMs) ? Verdict.toPeer : Verdict.drop;
    }
    if (!isStun(bytes, offset, length)) return this.#malformed();
    if (bytes[offset] === 0x00 && bytes[offset + 1] === 0x16) {
      return this.#data.sendIndication(listener, batch, i, nowMs) ? Verdict.toPeer : Verdict.drop;
    }
    // Classes: only requests are answered, never indications or responses.
    if ((bytes[offset]! & 0x01) !== 0 || (bytes[offset + 1]! & 0x10) !== 0) return Verdict.drop;
    const message = decodeStun(bytes.subarray(offset, offset + length));
    if (message?.class !== StunClass.request) return this.#malformed();
    const client = UdpEndpoint.source(batch, i, this.#families[listener]!);
    const answered = handleRequest(this.#context, { message, listener, connection, batch, i, client, nowMs });
    return answered ? Verdict.reply : Verdict.drop;
  }

  /** Packet i of the batch came to the relay socket of that slot. */
  handlePeer(slot: number, batch: PacketBatch, i: number, nowMs: number): VerdictValue {
    return this.#data.fromPeer(slot, batch, i, nowMs) ? Verdict.toClient : Verdict.drop;
  }

  /** What a relay socket sent to `peer` was answered by an ICMP message (RFC 8656 11.5). */
  handleIcmp(
    slot: number,
    peer: UdpEndpoint,
    message: { readonly type: number; readonly code: number; readonly data: number },
    nowMs: number,
  ): void {
    // "verifies that the type is either 3 or 11 for an ICMPv4 packet or either 1, 2, or 3 for an ICMPv6 packet"
    const types = peer.family === 4 ? [3, 11] : [1, 2, 3];
    const relay = this.#data.maySeeIcmp(slot, peer, nowMs);
    if (!relay || !types.includes(message.type)) return;
    const { listener, connection, client: to } = relay.allocation.owner;
    const { address } = this.#told(peer).toSocketAddress();
    this.stats.icmp++;
    const bytes = this.#replies.icmp({ address, port: peer.port }, message);
    this.#commands.push({ kind: 'send', listener, connection, to, bytes });
  }

  /** The client's connection is gone, and what it had with it (RFC 8656 5). A client may come back from the same port before this is told. */
  handleDisconnect(listener: number, client: UdpEndpoint, connection: number): void {
    const allocation = this.#allocations.ofEndpoint(listener, client);
    if (allocation?.owner.connection === connection) this.#closeAll(allocation);
  }

  /** The socket asked for is open at that address. False: nobody waits for it any more, close it. */
  handleRelayOpened(id: number, local: SocketAddress, nowMs: number): boolean {
    const relay = this.#openings.relay(id);
    if (!relay) return false;
    if (relay.port === 0) {
      if (!relay.pool.note(local.port)) {
        this.handleRelayFailed(id, 'in-use', nowMs); // it is kept for a RESERVATION-TOKEN
        return false;
      }
      relay.port = local.port;
    }
    relay.pool.opened(local.port);
    relay.relayed = relay.pool.told(local.port);
    this.#answer(this.#openings.opened(id), nowMs);
    return true;
  }

  /** The socket asked for can't be opened; `in-use` tries another port. */
  handleRelayFailed(id: number, reason: 'in-use' | 'other', nowMs: number): void {
    const another = reason === 'in-use' ? this.#openings.takeAnother(id, nowMs) : undefined;
    if (another) this.#open(another);
    else this.#answer(this.#openings.failed(id), nowMs);
  }

  handleTimeout(nowMs: number): void {
    for (let over = this.#allocations.expired(nowMs); over; over = this.#allocations.expired(nowMs)) {
      if (over.allocation.relays.length === 1) this.stats.allocationsExpired++;
      this.#closeRelay(over);
    }
    this.#allocations.expireReservations(nowMs);
  }

  nextTimeout(): number | undefined {
    return this.#allocations.nextTimeout();
  }

  poll(): TurnCommand | undefined {
    return this.#commands.shift();
  }

  /**
   * What holds from now on, for allocations that exist too: peers that are no longer allowed are cut off, and so are users
   * whose key no secret makes any more.
   */
  apply(rules: TurnRules): void {
    const { realm, sha256 = true, nonceKey, crypto } = this.#options;
    const { secrets, users, peers, alternateServer, strictExpiry = false } = rules;
    const limits = { ...DEFAULT_LIMITS, ...rules.limits };
    const policy = new PeerPolicy(peers, this.#ownAddresses(rules.hostAddresses));
    const authenticator = new Authenticator({ realm, secrets, users, strictExpiry, sha256, nonceKey, crypto });
    this.#rules = { authenticator, policy, limits, alternateServer };
    this.#data.apply(policy, limits);
    const { unauthenticatedPerS: perS, unauthenticatedBurst: burst } = limits;
    for (const limit of [this.#limit, this.#bindingLimit]) limit.set({ perS, burst });
    for (const allocation of this.#allocations.all()) allocation.enforce(this.#peers);
    const credentials = JSON.stringify([secrets, users]);
    if (credentials !== this.#credentials) this.#endRevoked(authenticator);
    this.#credentials = credentials;
  }

  #endRevoked(authenticator: Authenticator): void {
    const known = new Map<string, boolean>();
    for (const allocation of [...this.#allocations.all()]) {
      const { owner } = allocation;
      const isGood = known.get(owner.username) ?? authenticator.isStillGood(owner);
      known.set(owner.username, isGood);
      if (!isGood) this.#closeAll(allocation);
    }
  }

  /**
   * No new allocations from now on; those that exist go on. New clients are sent to `alternate`, else where they were sent
   * before, else to the rules' server.
   */
  drain(alternate?: SocketAddress): void {
    this.#isDraining = true;
    this.#drainTo = alternate ?? this.#drainTo;
  }

  /** Takes new allocations again. */
  undrain(): void {
    this.#isDraining = false;
    this.#drainTo = undefined;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Ends every allocation. */
  close(): void {
    for (const allocation of [...this.#allocations.all()]) this.#closeAll(allocation);
    this.#allocations.expireReservations(Number.POSITIVE_INFINITY);
  }

  #ownAddresses(hostAddresses: readonly string[] = []): string[] {
    const { listeners, relay } = this.#options;
    const relays = relay.addresses.flatMap(({ address, external }) => (external ? [address, external] : [address]));
    const all = [...listeners.map(({ address }) => address), ...relays, ...hostAddresses];
    return [...new Set(all)].filter((address) => address !== '0.0.0.0' && address !== '::');
  }

  #malformed(): 0 {
    this.stats.droppedMalformed++;
    return Verdict.drop;
  }

  #open({ id, slot, pool, port }: Relay): void {
    this.#commands.push({ kind: 'open-relay', id, slot, at: { address: pool.address, port } });
  }

  /** Answers the Allocate once all of its sockets have been seen to. */
  #answer(opened: Opened | undefined, nowMs: number): void {
    if (!opened) return;
    const { allocation, grant } = opened;
    const { listener, connection, client: to } = allocation.owner;
    const open = allocation.relays.filter((relay) => relay.relayed !== undefined);
    if (open.length === 0) {
      const bytes = this.#replies.notAllocated(allocation);
      this.#commands.push({ kind: 'send', listener, connection, to, bytes });
      this.#allocations.remove(allocation);
      const reserved = grant.token && this.#allocations.redeem(grant.token);
      reserved?.pool.give(reserved.port);
      return;
    }
    for (const relay of open) this.#allocations.extend(relay, nowMs + grant.lifetimeS * 1000);
    this.stats.allocationsMade++;
    allocation.allocateReply = this.#replies.allocated(allocation, grant);
    this.#commands.push({ kind: 'send', listener, connection, to, bytes: allocation.allocateReply });
  }

  #closeAll(allocation: Allocation): void {
    for (const relay of [...allocation.relays]) this.#closeRelay(relay);
  }

  #closeRelay(relay: Relay): void {
    this.#openings.delete(relay);
    const { allocation } = relay;
    this.#allocations.removeRelay(relay);
    if (allocation.isOpen && allocation.relays.length === 0) this.stats.allocationsEnded++;
    this.#commands.push({ kind: 'close-relay', id: relay.id, slot: relay.slot });
  }

  /** The listener's own address where relays are made on it, else one that is loopback exactly when the listener is, else any. */
  #poolFor(listener: number, family: 4 | 6): PortPool | undefined {
    const { address } = this.#options.listeners[listener]!;
    const pools = this.#allocations.pools.filter((pool) => pool.family === family);
    return (
      pools.find((pool) => pool.address === address) ??
      pools.find((pool) => isLoopback(pool.address) === isLoopback(address)) ??
      pools[0]
    );
  }

  #toLocal(peer: UdpEndpoint): UdpEndpoint {
    const words = [peer.a, peer.b, peer.c, peer.d];
    const pool = this.#allocations.pools.find((one) => one.family === peer.family && one.isExternal(words, 0));
    if (!pool) return peer;
    const { family, a, b, c, d } = pool.local;
    return new UdpEndpoint(family, [a, b, c, d], peer.port);
  }

  #told(peer: UdpEndpoint): UdpEndpoint {
    const words = [peer.a, peer.b, peer.c, peer.d];
    const pool = this.#allocations.pools.find((one) => one.family === peer.family && one.isLocal(words, 0));
    return pool?.told(peer.port) ?? peer;
  }
}

/** 32 bytes that make nonces: from the configured secret, or random. */
export function nonceKeyOf(secret: string | undefined, crypto: Crypto): Uint8Array {
  return secret === undefined
    ? crypto.randomBytes(32).slice()
    : crypto.hash('sha256', utf8(`offhook nonces ${secret}`));
}

/** Ports and seeds that nobody can tell from others that were seen. */
function randomOf(crypto: Crypto): Random {
  return { next: () => new DataView(crypto.randomBytes(4).slice().buffer).getUint32(0) / 0x1_0000_0000 };
}
