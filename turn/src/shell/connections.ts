import type { Socket } from 'node:net';
import { isLoopback, networkOf, type SocketAddress } from '@offhook/core';
import { UdpEndpoint } from '@offhook/core/node';
import { LookupKey } from '../allocation/lookup-key.ts';
import type { TurnLimits } from '../limits.ts';
import { ReplyLimit } from '../server/reply-limit.ts';
import { StreamFramer } from './stream-framer.ts';
import { STREAM_LIMITS, type StreamLimits } from './stream-limits.ts';
import { StreamWriter, WritePool } from './stream-writer.ts';

/** How often connections without an allocation are looked for. */
const SWEEP_MS = 1000;
/** Connections that have something gathered at a time, a buffer each. */
const MAX_GATHERING = 64;

/** A client over TCP or TLS. */
export interface Connection {
  /** Its number; used again when it is gone. */
  readonly id: number;
  /** Index among all listeners of the server. */
  readonly listener: number;
  readonly client: UdpEndpoint;
  readonly socket: Socket;
}

/** What connections tell. */
export interface ConnectionEvents {
  /**
   * A message came: `key` is its source as a batch of one packet. Valid during the call. Answers whether it was of any use:
   * false when it came to nothing and its connection holds no allocation.
   */
  message(connection: Connection, batch: LookupKey, nowMs: number): boolean;
  /** All messages of a chunk were told, or as many as have their turn. */
  settled(): void;
  closed(connection: Connection): void;
  /** Whether it holds an allocation. */
  isUsed(connection: Connection): boolean;
}

export interface ConnectionsOptions {
  readonly limits: TurnLimits;
  readonly streamLimits?: Partial<StreamLimits> | undefined;
  /** Any number that nobody can guess. */
  readonly seed: number;
  readonly nowMs: () => number;
}

interface Held extends Connection {
  readonly framer: StreamFramer;
  readonly writer: StreamWriter;
  /** When it was opened, or was last seen with an allocation. */
  idleSinceMs: number;
  /** Messages that came to nothing. */
  worthless: number;
  /** The turn that `spent` is of. */
  turn: number;
  /** Messages that were handled in that turn. */
  spent: number;
}

/** The open connections of TCP and TLS clients: their limits, their framing, and what waits to be handled and to be sent. */
export class Connections {
  refused = 0;
  dropped = 0;
  oversize = 0;
  /** Cut off, since what they sent came to nothing. */
  cutOff = 0;
  /** Set before the first connection is let in. */
  events: ConnectionEvents | undefined;
  limits: TurnLimits;
  readonly #streamLimits: StreamLimits;
  readonly #nowMs: () => number;
  readonly #open: (Held | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #perNetwork = new Map<string, number>();
  /** Connections in their TLS handshake, oldest first, by the client's address and port. */
  readonly #handshakes = new Map<string, Socket>();
  readonly #handshakeRate: ReplyLimit;
  readonly #batch = new LookupKey();
  readonly #pool = new WritePool();
  /** With something gathered that is not sent yet. */
  readonly #gathering = new Set<Held>();
  /** Paused with something that is not handled yet, in the order in which they have their turn. */
  readonly #waiting = new Set<Held>();
  /** Those that have not been seen with an allocation, oldest first; among them may be some that have one by now. */
  readonly #strangers = new Set<Held>();
  readonly #sweep: NodeJS.Timeout;
  #turn = 0;
  #left: number;
  #isNextTurnDue = false;
  #size = 0;

  constructor({ limits, streamLimits, seed, nowMs }: ConnectionsOptions) {
    this.limits = limits;
    this.#streamLimits = { ...STREAM_LIMITS, ...streamLimits };
    const { handshakesPerS: perS, handshakeBurst: burst, allMessagesPerTurn } = this.#streamLimits;
    this.#handshakeRate = new ReplyLimit({ perS, burst, seed });
    this.#left = allMessagesPerTurn;
    this.#nowMs = nowMs;
    this.#sweep = setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  /** Connections, those in their TLS handshake included. */
  get size(): number {
    return this.#size;
  }

  /** Counts a new TCP connection, until it is closed; false when one more may not come from there. */
  admit(socket: Socket): boolean {
    const at = remoteOf(socket);
    const { limits } = this;
    const network = at && networkOf(at.address);
    const held = network === undefined ? 0 : (this.#perNetwork.get(network) ?? 0);
    const isTooMany = at !== undefined && !isLoopback(at.address) && held >= limits.connectionsPerSource;
    if (network === undefined || isTooMany || (this.#size >= limits.connections && !this.#makeRoom())) {
      this.refused++;
      return false;
    }
    this.#size++;
    this.#perNetwork.set(network, held + 1);
    socket.once('close', () => {
      this.#size--;
      const left = this.#perNetwork.get(network)! - 1;
      if (left > 0) this.#perNetwork.set(network, left);
      else this.#perNetwork.delete(network);
    });
    return true;
  }

  /** As `admit`, of a connection that wants a TLS handshake, which costs more than all that follows; to be asked before TLS is set up. */
  admitHandshake(socket: Socket): boolean {
    const at = remoteOf(socket);
    const client = at && UdpEndpoint.from(at);
    if (!client || !this.#handshakeRate.take(this.#batch.addressOfEndpoint(client), 0, this.#nowMs())) {
      this.refused++;
      return false;
    }
    if (!this.admit(socket)) return false;
    this.#shakeHands(socket);
    return true;
  }

  /** Takes a connection over: reads from it, and forgets it when it ends. */
  add(socket: Socket, listener: number): void {
    this.#handshakes.delete(placeOf(socket));
    const at = remoteOf(socket);
    const client = at && UdpEndpoint.from(at);
    if (!at || !client) {
      socket.destroy();
      return;
    }
    const framer = new StreamFramer({
      message: (bytes, offset, length) => this.#handle(connection, bytes, offset, length),
      oversize: () => {
        this.oversize++;
        this.#spend(connection);
        if (!this.events?.isUsed(connection)) this.#noteWorthless(connection);
      },
    });
    const connection: Held = {
      id: this.#free.pop() ?? this.#open.length,
      listener,
      client,
      socket,
      framer,
      writer: new StreamWriter(socket, this.#pool),
      idleSinceMs: this.#nowMs(),
      worthless: 0,
      turn: this.#turn,
      spent: 0,
    };
    this.#open[connection.id] = connection;
    this.#strangers.add(connection);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    socket.on('data', (chunk: Buffer) => this.#go(connection, framer.handle(chunk, this.#budget(connection))));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#remove(connection));
    socket.on('end', () => socket.end());
  }

  /** Sends a copy of these bytes, or drops them when the client is too slow to take them. */
  send(id: number, bytes: Uint8Array): void {
    const connection = this.#open[id];
    if (!connection?.writer.add(bytes)) {
      this.dropped++;
      return;
    }
    if (this.#gathering.size === 0) queueMicrotask(() => this.flush());
    this.#gathering.add(connection);
    if (this.#gathering.size >= MAX_GATHERING) this.flush();
  }

  /** Hands what was sent since the last time to the system, one write per connection. */
  flush(): void {
    for (const { writer } of this.#gathering) writer.flush();
    this.#gathering.clear();
  }

  close(): void {
    clearInterval(this.#sweep);
    this.flush();
    for (const connection of this.#open) connection?.socket.destroy();
  }

  /**
   * Where all places are taken, the oldest connection that has never had an allocation gives way, since one that is meant has
   * it within a second: who only holds places can't shut others out. False: all have had one.
   */
  #makeRoom(): boolean {
    for (const connection of this.#strangers) {
      this.#strangers.delete(connection);
      if (this.events?.isUsed(connection)) continue;
      this.refused++;
      connection.socket.destroy();
      return true;
    }
    return false;
  }

  #shakeHands(socket: Socket): void {
    const at = placeOf(socket);
    this.#handshakes.set(at, socket);
    socket.once('close', () => {
      if (this.#handshakes.get(at) === socket) this.#handshakes.delete(at);
    });
    if (this.#handshakes.size <= this.#streamLimits.handshakes) return;
    for (const oldest of this.#handshakes.values()) {
      this.refused++;
      oldest.destroy();
      break;
    }
  }

  /** Messages that this connection may have handled in this turn. */
  #budget(connection: Held): number {
    if (connection.turn !== this.#turn) {
      connection.turn = this.#turn;
      connection.spent = 0;
    }
    return Math.min(this.#streamLimits.messagesPerTurn - connection.spent, this.#left);
  }

  #spend(connection: Held): void {
    connection.spent++;
    this.#left--;
  }

  #handle(connection: Held, bytes: Uint8Array, offset: number, length: number): void {
    this.#spend(connection);
    if (connection.socket.destroyed) return;
    const batch = this.#batch.fill(connection.client, bytes, offset, length);
    if (!this.events?.message(connection, batch, this.#nowMs())) this.#noteWorthless(connection);
  }

  #noteWorthless(connection: Held): void {
    if (++connection.worthless <= this.#streamLimits.worthlessMessages || connection.socket.destroyed) return;
    this.cutOff++;
    connection.socket.destroy();
  }

  /** After messages were handled: reads on, or waits for the next turn when some are left. */
  #go(connection: Held, isGood: boolean): void {
    const { socket, framer } = connection;
    if (!isGood) socket.destroy();
    this.events?.settled();
    this.#scheduleTurn();
    if (socket.destroyed) return;
    if (framer.isWaiting) {
      socket.pause();
      this.#waiting.add(connection);
    } else if (socket.isPaused()) socket.resume();
  }

  #scheduleTurn(): void {
    if (this.#isNextTurnDue) return;
    this.#isNextTurnDue = true;
    setImmediate(() => this.#beginTurn());
  }

  /** Sockets of all kinds have been read once: those that waited go on. */
  #beginTurn(): void {
    this.#isNextTurnDue = false;
    this.#turn++;
    this.#left = this.#streamLimits.allMessagesPerTurn;
    let number = this.#waiting.size;
    for (const connection of this.#waiting) {
      if (number-- === 0 || this.#left <= 0) break;
      this.#waiting.delete(connection);
      this.#go(connection, connection.framer.resume(this.#budget(connection)));
    }
    if (this.#waiting.size > 0) this.#scheduleTurn();
  }

  #remove(connection: Held): void {
    if (this.#open[connection.id] !== connection) return;
    this.#open[connection.id] = undefined;
    this.#free.push(connection.id);
    this.#waiting.delete(connection);
    this.#strangers.delete(connection);
    this.events?.closed(connection);
  }

  /** Closes those that have been without an allocation for too long. */
  sweep(): void {
    const nowMs = this.#nowMs();
    const before = nowMs - this.limits.connectionIdleS * 1000;
    for (const connection of this.#open) {
      if (!connection) continue;
      if (this.events?.isUsed(connection)) {
        connection.idleSinceMs = nowMs;
        connection.worthless = 0;
        this.#strangers.delete(connection);
      } else if (connection.idleSinceMs < before) connection.socket.destroy();
    }
  }
}

function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** IPv4 clients of an IPv6 listener come by mapped addresses; they are IPv4. */
function remoteOf({ remoteAddress, remotePort }: Socket): SocketAddress | undefined {
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  return { address, port: remotePort };
}
