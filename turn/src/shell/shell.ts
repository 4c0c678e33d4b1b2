import type { Crypto, SocketAddress } from '@offhook/core';
import { BATCH, MachineTimer, monotonicMs, openUdpPort, type UdpEndpoint, type UdpPort } from '@offhook/core/node';
import { DEFAULT_LIMITS } from '../limits.ts';
import { type TurnCommand, Verdict, type VerdictValue } from '../server/commands.ts';
import type { TurnRules, TurnServerOptions } from '../server/options.ts';
import { TurnServer } from '../server/turn-server.ts';
import { type Connection, Connections } from './connections.ts';
import type { Listeners } from './listeners.ts';
import type { StreamLimits } from './stream-limits.ts';
import type { Certificate } from './stream-listener.ts';

/** Batches read from one socket before others get their turn. */
const ROUNDS = 3;
/** One flow's burst fits. */
const RELAY_BUFFER = 512 * 1024;

export interface TurnShellOptions
  extends Omit<TurnServerOptions, 'listeners' | 'udpListeners' | 'wallMs' | 'isDontFragment'> {
  readonly crypto: Crypto;
  readonly implementation?: 'auto' | 'mmsg' | 'dgram' | undefined;
  /** What connections may cost; default `STREAM_LIMITS`. */
  readonly streamLimits?: Partial<StreamLimits> | undefined;
  /** Opens what is listened on, once there is somebody to take connections. */
  readonly listen: (connections: Connections) => Promise<Listeners>;
}

/** The sockets around a `TurnServer`: it owns them, the machine decides. */
export class TurnShell {
  readonly server: TurnServer;
  readonly connections: Connections;
  readonly listeners: Listeners;
  readonly #implementation: TurnShellOptions['implementation'];
  readonly #udp: readonly UdpPort[];
  readonly #relays: ({ readonly id: number; readonly port: UdpPort } | undefined)[] = [];
  readonly #timer: MachineTimer;
  /** Of relay sockets that are closed again. */
  readonly #past = { sendErrors: 0, oversize: 0 };
  #closed = false;

  /** Opens the listeners; rejects, in words, when an address can't be listened on. */
  static async open(options: TurnShellOptions): Promise<TurnShell> {
    const { streamLimits, crypto } = options;
    const connections = new Connections({
      limits: { ...DEFAULT_LIMITS, ...options.limits },
      streamLimits,
      seed: new DataView(crypto.randomBytes(4).slice().buffer).getInt32(0),
      nowMs: monotonicMs,
    });
    try {
      return new TurnShell(options, connections, await options.listen(connections));
    } catch (error) {
      connections.close();
      throw error;
    }
  }

  private constructor(options: TurnShellOptions, connections: Connections, listeners: Listeners) {
    this.#implementation = options.implementation ?? 'auto';
    this.connections = connections;
    this.listeners = listeners;
    this.#udp = listeners.udp;
    this.server = new TurnServer({
      ...options,
      listeners: listeners.addresses,
      udpListeners: listeners.udp.length,
      isDontFragment: listeners.isDontFragment,
      wallMs: () => Date.now(),
    });
    this.#timer = new MachineTimer((nowMs) => {
      this.server.handleTimeout(nowMs);
      this.#settle();
    });
    connections.events = {
      message: (connection, batch, nowMs) => this.#handleMessage(connection, batch, nowMs),
      settled: () => this.#settle(),
      closed: ({ id, listener, client }) => {
        this.server.handleDisconnect(listener, client, id);
        this.#settle();
      },
      isUsed: ({ listener, client }) => this.server.holds(listener, client),
    };
    for (const [index, port] of this.#udp.entries()) port.onReadable = () => this.#readListener(index, port);
  }

  /** Relay sockets that are open. */
  get relays(): number {
    return this.#relays.filter((relay) => relay !== undefined).length;
  }

  /** Packets that sockets refused to send or couldn't hold. */
  get sendErrors(): number {
    return this.#count('sendErrors');
  }

  /** Packets to UDP sockets that are longer than what is relayed. */
  get oversize(): number {
    return this.#count('oversize');
  }

  /** What holds from now on. */
  apply(rules: TurnRules): void {
    this.connections.limits = { ...DEFAULT_LIMITS, ...rules.limits };
    this.server.apply(rules);
    this.#settle();
  }

  /** TLS clients that come from now on are shown this certificate. */
  use(certificate: Certificate): void {
    for (const listener of this.listeners.streams) listener.use(certificate);
  }

  /** Ends every allocation and closes every socket. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.server.close();
    this.#settle();
    this.#timer.arm(undefined);
    this.listeners.close();
    this.connections.close();
  }

  /** Of all UDP sockets that are or were open. */
  #count(name: 'sendErrors' | 'oversize'): number {
    let sum = this.#past[name];
    for (const port of this.#udp) sum += port.stats[name];
    for (const relay of this.#relays) sum += relay?.port.stats[name] ?? 0;
    return sum;
  }

  #readListener(index: number, port: UdpPort): void {
    const { server } = this;
    for (let round = 0; round < ROUNDS; round++) {
      const n = port.fill();
      const { nowMs } = port.rx;
      for (let i = 0; i < n; i++) this.#act(server.handleClient(index, port.rx, i, nowMs), port, i);
      if (n < BATCH) break;
    }
    this.#settle();
  }

  #readRelay(slot: number, port: UdpPort): void {
    const { server } = this;
    for (let round = 0; round < ROUNDS; round++) {
      const n = port.fill();
      const { nowMs } = port.rx;
      for (let i = 0; i < n; i++) this.#act(server.handlePeer(slot, port.rx, i, nowMs), port, i);
      if (n < BATCH) break;
    }
  }

  #act(verdict: VerdictValue, port: UdpPort, i: number): void {
    const { forward } = this.server;
    switch (verdict) {
      case Verdict.toPeer:
        this.#relays[forward.slot]?.port.stage(forward.offset, forward.length, forward.to);
        return;
      case Verdict.toClient:
        if (forward.connection < 0) this.#udp[forward.listener]!.stage(forward.offset, forward.length, forward.to);
        else {
          const end = forward.offset + forward.length;
          this.connections.send(forward.connection, port.rx.bytes.subarray(forward.offset, end));
        }
        return;
      case Verdict.reply: {
        const { reply } = this.server;
        const offset = port.reserve();
        port.rx.bytes.set(reply, offset);
        port.stageReply(offset, reply.length, i);
        return;
      }
      case Verdict.drop:
        return;
    }
  }

  #handleMessage(
    { id, listener, client }: Connection,
    batch: Parameters<TurnServer['handleClient']>[1],
    nowMs: number,
  ): boolean {
    const { server, connections } = this;
    const verdict = server.handleClient(listener, batch, 0, nowMs, id);
    const { forward } = server;
    if (verdict === Verdict.toPeer) {
      const data = batch.bytes.subarray(forward.offset, forward.offset + forward.length);
      this.#relays[forward.slot]?.port.send(data, forward.to);
      return true;
    }
    if (verdict === Verdict.reply) {
      connections.send(id, server.reply);
      if (!isErrorResponse(server.reply)) return true;
    }
    return server.holds(listener, client);
  }

  #settle(): void {
    for (let command = this.server.poll(); command; command = this.server.poll()) this.#execute(command);
    if (!this.#closed) this.#timer.arm(this.server.nextTimeout());
  }

  #execute(command: TurnCommand): void {
    switch (command.kind) {
      case 'open-relay':
        void this.#openRelay(command.id, command.slot, command.at);
        return;
      case 'close-relay': {
        const relay = this.#relays[command.slot];
        if (relay?.id !== command.id) return;
        this.#relays[command.slot] = undefined;
        relay.port.close(); // what it had staged is sent here
        this.#past.sendErrors += relay.port.stats.sendErrors;
        this.#past.oversize += relay.port.stats.oversize;
        return;
      }
      case 'send':
        if (command.connection < 0) this.#udp[command.listener]!.send(command.bytes, command.to);
        else this.connections.send(command.connection, command.bytes);
        return;
    }
  }

  async #openRelay(id: number, slot: number, at: SocketAddress): Promise<void> {
    let port: UdpPort;
    try {
      port = await openUdpPort({
        ...at,
        receiveBuffer: RELAY_BUFFER,
        implementation: this.#implementation,
        burst: 'few',
        icmp: true,
      });
    } catch (error) {
      this.server.handleRelayFailed(id, isInUse(error) ? 'in-use' : 'other', monotonicMs());
      this.#settle();
      return;
    }
    if (this.#closed || !this.server.handleRelayOpened(id, port.local, monotonicMs())) {
      port.close();
      return;
    }
    this.#relays[slot] = { id, port };
    port.onReadable = () => this.#readRelay(slot, port);
    port.onIcmp = (to: UdpEndpoint, type: number, code: number, data: number) => {
      this.server.handleIcmp(slot, to, { type, code, data }, monotonicMs());
      this.#settle();
    };
    this.#settle();
  }
}

export function isInUse(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}

/** By the class bits of the message type (RFC 8489 5). */
function isErrorResponse(message: Uint8Array): boolean {
  return (message[0]! & 0x01) !== 0 && (message[1]! & 0x10) !== 0;
}
