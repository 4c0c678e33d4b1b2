import { type Crypto, type SocketAddress, socketKey } from '@offhook/core';
import { BATCH, MachineTimer, monotonicMs, openUdpPort, type UdpPort } from '@offhook/core/node';
import { type TurnCommand, TurnServer, type TurnServerOptions, Verdict, type VerdictValue } from './turn-server.ts';

/** Batches read from one socket before others get their turn. */
const ROUNDS = 3;
/** A port in use is skipped so many times. */
const MAX_TRIES = 20;
/** One flow's burst fits; the listener carries everybody's. */
const RELAY_BUFFER = 512 * 1024;
const LISTENER_BUFFER = 4 * 1024 * 1024;

export interface TurnShellOptions extends Omit<TurnServerOptions, 'listeners' | 'wallMs'> {
  readonly listen: readonly SocketAddress[];
  readonly crypto: Crypto;
  readonly implementation?: 'auto' | 'mmsg' | 'dgram';
}

/** The sockets around a `TurnServer`: it owns them, the machine decides. */
export class TurnShell {
  readonly server: TurnServer;
  readonly listeners: readonly UdpPort[];
  readonly #implementation: 'auto' | 'mmsg' | 'dgram';
  readonly #relays: ({ readonly id: number; readonly port: UdpPort } | undefined)[] = [];
  readonly #timer: MachineTimer;
  #closed = false;

  private constructor(options: TurnShellOptions, listeners: readonly UdpPort[]) {
    this.#implementation = options.implementation ?? 'auto';
    this.listeners = listeners;
    this.server = new TurnServer({
      ...options,
      listeners: listeners.map((port) => port.local),
      wallMs: () => Date.now(),
    });
    this.#timer = new MachineTimer((nowMs) => {
      this.server.handleTimeout(nowMs);
      this.#settle();
    });
    for (const [index, port] of listeners.entries()) port.onReadable = () => this.#readListener(index, port);
  }

  /** Opens the listeners; rejects, in words, when an address can't be listened on. */
  static async open(options: TurnShellOptions): Promise<TurnShell> {
    return new TurnShell(options, await openListeners(options));
  }

  /** Relay sockets that are open. */
  get relays(): number {
    return this.#relays.filter((relay) => relay !== undefined).length;
  }

  /** Packets that sockets refused to send or couldn't hold. */
  get sendErrors(): number {
    const open = this.#relays.flatMap((relay) => (relay ? [relay.port] : []));
    return [...this.listeners, ...open].reduce((sum, port) => sum + port.stats.sendErrors, 0);
  }

  /** Ends every allocation and closes every socket. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.server.close();
    this.#settle();
    this.#timer.arm(undefined);
    for (const port of this.listeners) port.close();
  }

  #readListener(index: number, port: UdpPort): void {
    const { server } = this;
    for (let round = 0; round < ROUNDS; round++) {
      const n = port.fill();
      const nowMs = monotonicMs();
      for (let i = 0; i < n; i++) this.#act(server.handleClient(index, port.rx, i, nowMs), port, i);
      if (n < BATCH) break;
    }
    this.#settle();
  }

  #readRelay(slot: number, port: UdpPort): void {
    const { server } = this;
    for (let round = 0; round < ROUNDS; round++) {
      const n = port.fill();
      const nowMs = monotonicMs();
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
        this.listeners[forward.listener]!.stage(forward.offset, forward.length, forward.to);
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
        relay.port.close();
        return;
      }
      case 'send':
        this.listeners[command.listener]!.send(command.bytes, command.to);
        return;
    }
  }

  async #openRelay(id: number, slot: number, at: SocketAddress): Promise<void> {
    let port: UdpPort;
    try {
      const implementation = this.#implementation;
      port = await openUdpPort({ ...at, receiveBuffer: RELAY_BUFFER, burst: 'few', implementation });
    } catch (error) {
      this.server.handleRelayFailed(id, isInUse(error) ? 'in-use' : 'other');
      this.#settle();
      return;
    }
    if (this.#closed || !this.server.handleRelayOpened(id, port.local, monotonicMs())) {
      port.close();
      return;
    }
    this.#relays[slot] = { id, port };
    port.onReadable = () => this.#readRelay(slot, port);
    this.#settle();
  }
}

/** Addresses that ask for the same port get the same, the next one that is free on all of them. */
async function openListeners(options: TurnShellOptions): Promise<UdpPort[]> {
  const opened: UdpPort[] = [];
  try {
    for (const wished of new Set(options.listen.map((at) => at.port))) {
      const addresses = options.listen.filter((at) => at.port === wished).map((at) => at.address);
      opened.push(...(await openTogether(addresses, wished, options.implementation)));
    }
  } catch (error) {
    for (const port of opened) port.close();
    throw error;
  }
  return opened;
}

async function openTogether(
  addresses: readonly string[],
  wished: number,
  implementation: TurnShellOptions['implementation'],
): Promise<UdpPort[]> {
  for (let tries = 0; ; tries++) {
    const opened: UdpPort[] = [];
    let number = wished === 0 ? 0 : wished + tries;
    try {
      for (const address of addresses) {
        const port = await openUdpPort({ address, port: number, receiveBuffer: LISTENER_BUFFER, implementation });
        opened.push(port);
        number = port.local.port;
      }
      return opened;
    } catch (error) {
      for (const port of opened) port.close();
      if (!isInUse(error) || tries >= MAX_TRIES) {
        const places = addresses.map((address) => socketKey({ address, port: number })).join(', ');
        throw new Error(`can't listen on ${places}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
}

function isInUse(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
}
