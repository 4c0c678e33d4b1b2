import assert from 'node:assert/strict';
import { drive, type SocketAddress, seededCrypto, VirtualNetwork } from '@offhook/core';
import { HEADROOM, nodeCrypto, type PacketBatch, SLOT_BYTES, UdpEndpoint } from '@offhook/core/node';
import { sharedMemory } from '../allocation/shared.ts';
import { type TurnCommand, Verdict } from '../server/commands.ts';
import { TurnServer } from '../server/turn-server.ts';
import { type Inside, REALM, type Received, SECRET, type TestSocket, type World, type WorldOptions } from './world.ts';

/** A batch of one packet, laid out as a port would: headroom, packet, tailroom. */
export class OnePacket implements PacketBatch {
  readonly bytes = new Uint8Array(SLOT_BYTES);
  readonly view = new DataView(this.bytes.buffer);
  count = 0;
  readonly offset = new Uint32Array([HEADROOM]);
  readonly length = new Uint16Array(1);
  readonly address = new Uint32Array(4);
  readonly port = new Uint16Array(1);

  fill(bytes: Uint8Array, from: SocketAddress): this {
    const source = UdpEndpoint.from(from)!;
    this.bytes.fill(0xee); // whatever was there before must not get out
    this.bytes.set(bytes, HEADROOM);
    this.count = 1;
    this.length[0] = bytes.length;
    this.address.set([source.a, source.b, source.c, source.d]);
    this.port[0] = source.port;
    return this;
  }
}

export const LISTENER = { address: '192.0.2.1', port: 3478 };
export const LISTENER_V6 = { address: '2001:db8::1', port: 3478 };
/** The other three corners of NAT behaviour discovery. */
export const DISCOVERY = [
  { address: '192.0.2.1', port: 3479 },
  { address: '192.0.2.9', port: 3478 },
  { address: '192.0.2.9', port: 3479 },
];
export const RELAY = '192.0.2.2';
export const RELAY_V6 = '2001:db8::2';
/** Where `peer(6)` is. */
const PEERS_V6 = '2001:db8:77::';
/** Where the wall clock stands when virtual time is 0, Unix milliseconds. */
export const WALL_MS = 1_800_000_000_000;

/** A `TurnServer` in a virtual network: clients are 198.51.100.x, peers may be anybody there too. */
export class VirtualWorld implements World {
  readonly net = new VirtualNetwork({ seed: 1, link: { delayMs: 5 } });
  readonly server: TurnServer;
  readonly listener: SocketAddress = LISTENER;
  readonly inside: Inside;
  readonly hasIPv6: boolean;
  readonly packet = new OnePacket();
  /** Relay sockets take that long to open. */
  openDelayMs = 1;
  /** 0 or more: clients of the first listener come by connections of that number. */
  connection = -1;
  /** Answers each wish for a socket; undefined = opens. */
  refuse: (at: SocketAddress) => 'in-use' | 'other' | undefined = () => undefined;
  readonly #relays = new Map<number, { id: number; at: SocketAddress; remove: () => void }>();
  readonly #driver: { settle(): void; stop(): void };
  readonly #sockets = new Set<TestSocket>();
  readonly #listeners: readonly SocketAddress[];
  #nextHost = 1;
  /** What the system chooses next. */
  nextPort = 50_000;

  constructor(options: WorldOptions = {}) {
    const { net } = this;
    const listeners = [LISTENER, LISTENER_V6, ...(options.natDiscovery ? DISCOVERY : [])];
    this.hasIPv6 = !options.isIPv4Only;
    const addresses = [{ address: RELAY }, ...(this.hasIPv6 ? [{ address: RELAY_V6 }] : [])];
    const relay = options.relay ?? { addresses, portMin: 0, portMax: 0 };
    this.server = new TurnServer({
      listeners,
      realm: REALM,
      secrets: [SECRET],
      users: [],
      isDontFragment: true,
      worker: 0,
      nonceKey: new Uint8Array(32).fill(7),
      memory: sharedMemory(1, relay.addresses.length, nodeCrypto),
      peers: { base: 'none', allow: [{ address: '198.51.100.0/24' }, { address: `${PEERS_V6}/48` }], deny: [] },
      ...options,
      relay,
      crypto: seededCrypto(1, nodeCrypto),
      wallMs: () => WALL_MS + net.clock.nowMs,
    });
    this.inside = { server: this.server, relays: () => this.relays() };
    this.#listeners = listeners;
    this.#driver = drive(this.server, net.clock, (command) => this.#execute(command));
    for (const [index, at] of listeners.entries()) {
      net.addNode(at, (bytes, from, nowMs) => {
        const verdict = this.server.handleClient(index, this.packet.fill(bytes, from), 0, nowMs, this.connection);
        this.#act(verdict, at, from);
      });
    }
  }

  relays(): number {
    return this.#relays.size;
  }

  /** Does what the machine has asked for. */
  settle(): void {
    this.#driver.settle();
  }

  /** Moves time on. */
  advance(ms: number): void {
    this.net.run(this.net.clock.nowMs + ms);
  }

  client(): Promise<TestSocket> {
    return this.socket();
  }

  peer(family: 4 | 6 = 4): Promise<TestSocket> {
    return this.socket(family === 6 ? { address: `${PEERS_V6}${this.#nextHost++}`, port: 40_000 } : undefined);
  }

  async socket(at?: SocketAddress): Promise<TestSocket> {
    const { net } = this;
    const local = at ?? { address: `198.51.100.${this.#nextHost++}`, port: 40_000 };
    const got: Received[] = [];
    const remove = net.addNode(local, (bytes, from) => got.push({ bytes, from }));
    const socket: TestSocket = {
      local,
      send: (bytes, to) => net.send(local, to, bytes),
      receive: async () => {
        if (got.length === 0) this.advance(100);
        return got.shift();
      },
      close: () => {
        assert.deepEqual(got, [], 'datagrams nobody expected');
        this.#sockets.delete(socket);
        remove();
      },
    };
    this.#sockets.add(socket);
    return socket;
  }

  async close(): Promise<void> {
    this.advance(100);
    for (const socket of [...this.#sockets]) socket.close();
    this.server.close();
    this.#driver.settle();
    assert.equal(this.#relays.size, 0);
    assert.equal(this.server.allocations, 0);
    assert.equal(this.server.users, 0);
    assert.equal(this.server.portsTaken, 0);
    assert.equal(this.server.nextTimeout(), undefined);
    assert.equal(this.server.poll(), undefined);
    this.#driver.stop();
    this.net.run(this.net.clock.nowMs + this.openDelayMs);
    assert.equal(this.net.clock.pending, 0);
  }

  #act(verdict: number, at: SocketAddress, from: SocketAddress): void {
    const { forward } = this.server;
    const bytes = this.packet.bytes.subarray(forward.offset, forward.offset + forward.length);
    if (verdict === Verdict.reply) this.net.send(at, from, this.server.reply);
    else if (verdict === Verdict.toPeer) {
      this.net.send(this.#relays.get(forward.slot)!.at, forward.to.toSocketAddress(), bytes);
    } else if (verdict === Verdict.toClient) {
      this.net.send(this.#listeners[forward.listener]!, forward.to.toSocketAddress(), bytes);
    }
    this.#driver.settle();
  }

  #execute(command: TurnCommand): void {
    const { net } = this;
    switch (command.kind) {
      case 'open-relay':
        net.at(net.clock.nowMs + this.openDelayMs, (nowMs) => this.#open(command.id, command.slot, command.at, nowMs));
        return;
      case 'close-relay': {
        const relay = this.#relays.get(command.slot);
        if (relay?.id !== command.id) return;
        relay.remove();
        this.#relays.delete(command.slot);
        return;
      }
      case 'send':
        net.send(this.#listeners[command.listener]!, command.to.toSocketAddress(), command.bytes);
    }
  }

  #open(id: number, slot: number, wished: SocketAddress, nowMs: number): void {
    const at = { address: wished.address, port: wished.port === 0 ? this.nextPort++ : wished.port };
    const refused = this.refuse(at);
    if (refused) this.server.handleRelayFailed(id, refused, nowMs);
    else if (this.server.handleRelayOpened(id, at, nowMs)) {
      assert.ok(!this.#relays.has(slot));
      const remove = this.net.addNode(at, (bytes, from, receivedMs) => {
        const verdict = this.server.handlePeer(slot, this.packet.fill(bytes, from), 0, receivedMs);
        this.#act(verdict, at, from);
      });
      this.#relays.set(slot, { id, at, remove });
    }
    this.#driver.settle();
  }
}
