import {
  type Crypto,
  decodeStun,
  isChannelData,
  isLoopback,
  isStun,
  type Random,
  type SocketAddress,
  StunClass,
  seededRandom,
} from '@offhook/core';
import { type PacketBatch, UdpEndpoint } from '@offhook/core/node';
import type { Allocation } from '../allocation/allocation.ts';
import { AllocationTable } from '../allocation/allocation-table.ts';
import type { PortPool } from '../allocation/port-pool.ts';
import { Nonces } from '../auth/nonce.ts';
import { RestCredentials } from '../auth/rest-credentials.ts';
import { DEFAULT_LIMITS, MAX_REQUEST, type TurnLimits } from '../limits.ts';
import { PeerPolicy, type PeerRules } from '../peers/peer-policy.ts';
import { DataPath, type Forward } from './data-path.ts';
import { Replies } from './replies.ts';
import { ReplyLimit } from './reply-limit.ts';
import { type AllocateWishes, handleRequest, type RequestContext } from './requests.ts';
import { TurnStats } from './stats.ts';

/** What to do with a packet that was handled. */
export const Verdict = { drop: 0, reply: 1, toPeer: 2, toClient: 3 } as const;
export type VerdictValue = (typeof Verdict)[keyof typeof Verdict];

/** What the shell has to do besides forwarding. */
export type TurnCommand =
  /** Open a socket and answer `handleRelayOpened` or `handleRelayFailed`; port 0 = any. */
  | { readonly kind: 'open-relay'; readonly id: number; readonly slot: number; readonly at: SocketAddress }
  /** Close the socket of that slot, or don't open it any more. */
  | { readonly kind: 'close-relay'; readonly id: number; readonly slot: number }
  | { readonly kind: 'send'; readonly listener: number; readonly to: UdpEndpoint; readonly bytes: Uint8Array };

export interface TurnServerOptions {
  /** The addresses listened on; a packet names its listener by the index. */
  readonly listeners: readonly SocketAddress[];
  /** Addresses of the relay sockets and their ports; portMin 0 = the system chooses. */
  readonly relay: { readonly addresses: readonly string[]; readonly portMin: number; readonly portMax: number };
  readonly realm: string;
  /** Secrets of the time-limited credentials, all good at once. */
  readonly secrets: readonly string[];
  /** The peers that may be reached, besides our own relayed addresses. */
  readonly peers: PeerRules;
  readonly limits?: Partial<TurnLimits>;
  readonly crypto: Crypto;
  /** The wall clock, Unix milliseconds, only for the expiry of credentials. */
  readonly wallMs: () => number;
}

interface Opening extends AllocateWishes {
  readonly allocation: Allocation;
  tries: number;
}

/** Relay ports that turn out to be in use are skipped so many times. */
const MAX_TRIES = 20;

/**
 * A STUN and TURN server over UDP (RFC 8489, RFC 8656; RFC 5766 clients included) as a machine without sockets or
 * clock. After `handleClient`/`handlePeer` act on the verdict with `reply` or `forward`; after any handle call drain
 * `poll()` and arm the timer with `nextTimeout()`.
 */
export class TurnServer {
  readonly stats = new TurnStats();
  readonly #options: TurnServerOptions;
  readonly #allocations: AllocationTable;
  readonly #data: DataPath;
  readonly #replies: Replies;
  readonly #context: RequestContext;
  readonly #opening = new Map<number, Opening>();
  readonly #commands: TurnCommand[] = [];
  #draining = false;

  constructor(options: TurnServerOptions) {
    this.#options = options;
    const { crypto } = options;
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const random: Random = seededRandom(new DataView(crypto.randomBytes(4).slice().buffer).getUint32(0));
    const policy = new PeerPolicy(options.peers);
    this.#replies = new Replies({ realm: options.realm, crypto, stats: this.stats });
    this.#allocations = new AllocationTable({
      listeners: options.listeners.length,
      relay: options.relay,
      limits,
      random,
      crypto,
    });
    this.#data = new DataPath({ allocations: this.#allocations, policy, stats: this.stats, random });
    this.#context = {
      allocations: this.#allocations,
      policy,
      credentials: new RestCredentials({ secrets: options.secrets, realm: options.realm, crypto }),
      nonces: new Nonces(crypto.randomBytes(32), crypto),
      limit: new ReplyLimit({
        perS: limits.unauthenticatedPerS,
        burst: limits.unauthenticatedBurst,
        seed: random.next() * 0x1_0000_0000,
      }),
      replies: this.#replies,
      crypto,
      wallMs: options.wallMs,
      isDraining: () => this.#draining,
      poolFor: (listener, family) => this.#poolFor(listener, family),
      open: (allocation, wishes) => {
        this.#opening.set(allocation.id, { allocation, ...wishes, tries: 1 });
        this.#open(allocation);
      },
      close: (allocation) => this.#close(allocation),
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

  /** Relay ports taken, reserved ones included. */
  get portsTaken(): number {
    return this.#allocations.pools.reduce((sum, pool) => sum + pool.taken, 0);
  }

  /** Of every allocation, for people: no addresses, no user names. */
  describe(nowMs: number): readonly Record<string, number>[] {
    return [...this.#allocations.all()].map((allocation) => ({
      id: allocation.id,
      family: allocation.family,
      expiresInS: Math.round((allocation.expiresAtMs - nowMs) / 1000),
      packetsToPeers: allocation.packetsToPeers,
      packetsToClient: allocation.packetsToClient,
      ...allocation.counts(nowMs),
    }));
  }

  /** Packet i of the batch came to a listener. */
  handleClient(listener: number, batch: PacketBatch, i: number, nowMs: number): VerdictValue {
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
    if (length > MAX_REQUEST) return this.#malformed();
    const message = decodeStun(bytes.subarray(offset, offset + length));
    if (message?.class !== StunClass.request) return this.#malformed();
    const family = this.#options.listeners[listener]!.address.includes(':') ? 6 : 4;
    const client = UdpEndpoint.source(batch, i, family);
    const answered = handleRequest(this.#context, { message, listener, batch, i, client, nowMs });
    return answered ? Verdict.reply : Verdict.drop;
  }

  /** Packet i of the batch came to the relay socket of that slot. */
  handlePeer(slot: number, batch: PacketBatch, i: number, nowMs: number): VerdictValue {
    return this.#data.fromPeer(slot, batch, i, nowMs) ? Verdict.toClient : Verdict.drop;
  }

  /** The socket asked for is open at that address. False: nobody waits for it any more, close it. */
  handleRelayOpened(id: number, local: SocketAddress, nowMs: number): boolean {
    const opening = this.#opening.get(id);
    const relayed = UdpEndpoint.from(local);
    if (!opening || !relayed) return false;
    this.#opening.delete(id);
    const { allocation, lifetimeS, reservation } = opening;
    this.#allocations.opened(allocation, relayed, nowMs + lifetimeS * 1000);
    this.stats.allocationsMade++;
    allocation.allocateReply = this.#replies.allocated(allocation, lifetimeS, reservation);
    const { listener, client: to } = allocation.owner;
    this.#commands.push({ kind: 'send', listener, to, bytes: allocation.allocateReply });
    return true;
  }

  /** The socket asked for can't be opened; `in-use` tries another port. */
  handleRelayFailed(id: number, reason: 'in-use' | 'other'): void {
    const opening = this.#opening.get(id);
    if (!opening) return;
    const { allocation } = opening;
    const another =
      reason === 'in-use' && !opening.reservation && ++opening.tries <= MAX_TRIES
        ? allocation.pool.take(opening.port)
        : undefined;
    if (another !== undefined) {
      allocation.pool.give(allocation.port);
      allocation.port = another;
      this.#open(allocation);
      return;
    }
    this.#opening.delete(id);
    if (opening.reservation) {
      const reserved = this.#allocations.redeem(opening.reservation);
      reserved?.pool.give(reserved.port);
    }
    const { listener, client: to } = allocation.owner;
    this.#commands.push({ kind: 'send', listener, to, bytes: this.#replies.notAllocated(allocation) });
    this.#allocations.remove(allocation);
  }

  handleTimeout(nowMs: number): void {
    for (let over = this.#allocations.expired(nowMs); over; over = this.#allocations.expired(nowMs)) {
      this.stats.allocationsExpired++;
      this.#close(over);
    }
    this.#allocations.expireReservations(nowMs);
  }

  nextTimeout(): number | undefined {
    return this.#allocations.nextTimeout();
  }

  poll(): TurnCommand | undefined {
    return this.#commands.shift();
  }

  /** No new allocations from now on; those that exist go on. */
  drain(): void {
    this.#draining = true;
  }

  /** Ends every allocation. */
  close(): void {
    for (const allocation of [...this.#allocations.all()]) this.#close(allocation);
    this.#allocations.expireReservations(Number.POSITIVE_INFINITY);
  }

  #malformed(): 0 {
    this.stats.droppedMalformed++;
    return Verdict.drop;
  }

  #open({ id, slot, pool, port }: Allocation): void {
    this.#commands.push({ kind: 'open-relay', id, slot, at: { address: pool.address, port } });
  }

  #close(allocation: Allocation): void {
    this.#opening.delete(allocation.id);
    if (allocation.relayed) this.stats.allocationsEnded++;
    this.#allocations.remove(allocation);
    this.#commands.push({ kind: 'close-relay', id: allocation.id, slot: allocation.slot });
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
}
