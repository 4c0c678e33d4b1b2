import {
  type Crypto,
  type Driver,
  decodeNg,
  drive,
  encodeNg,
  ha1,
  type NgDictionary,
  parseSip,
  type SocketAddress,
  socketKey,
  type VirtualNetwork,
} from '@offhook/core';
import { type Flow, SipCore } from '@offhook/signaling';

export interface VirtualServerOptions {
  readonly network: VirtualNetwork;
  readonly crypto: Crypto;
  readonly address: SocketAddress;
  readonly domain: string;
  readonly users: Readonly<Record<string, string>>;
}

/** The whole signalling server, the one that `offhook start` runs, as a node of the virtual network with a relay of its own. */
export class VirtualServer {
  readonly core: SipCore;
  readonly relay = new VirtualRelay();
  readonly #options: VirtualServerOptions;
  readonly #driver: Driver;
  readonly #flows = new Map<string, Flow>();

  constructor(options: VirtualServerOptions) {
    this.#options = options;
    const { network, crypto, address, domain, users } = options;
    const { clock } = network;
    this.core = new SipCore({
      crypto,
      domain,
      isLocal: (host) => host === domain || host === address.address,
      account: (user) => {
        const password = Object.hasOwn(users, user) ? users[user] : undefined;
        if (password === undefined) return undefined;
        const digest = (algorithm: 'MD5' | 'SHA-256') => ha1(algorithm, user, domain, password, crypto);
        return { user, displayName: user, ha1Md5: digest('MD5'), ha1Sha256: digest('SHA-256'), createdAt: '' };
      },
      mediaPath: 'opaque',
      relays: 1,
      nowMs: clock.nowMs,
    });
    this.core.handleTimeout(clock.nowMs);
    this.#driver = drive(this.core, clock, (command) => {
      if (command.kind === 'send') network.send(address, command.flow.remote, command.bytes);
      else if (command.kind === 'relay') {
        const answer = this.relay.answer(command.bytes, clock.nowMs);
        clock.at(clock.nowMs + RELAY_MS, (nowMs) => {
          this.core.handleRelayDatagram(answer, command.relay, nowMs);
          this.#driver.settle();
        });
      }
    });
    network.addNode(address, (bytes, from, nowMs) => {
      const message = parseSip(bytes);
      if (message.kind === 'error') return;
      this.core.handleMessage(message, this.#flow(from), nowMs);
      this.#driver.settle();
    });
  }

  stop(): void {
    this.#driver.stop();
  }

  #flow(remote: SocketAddress): Flow {
    const key = socketKey(remote);
    let flow = this.#flows.get(key);
    if (!flow) {
      flow = { id: this.#flows.size + 1, transport: 'udp', local: this.#options.address, remote };
      this.#flows.set(key, flow);
    }
    return flow;
  }
}

/** A relay on the same machine answers within about a millisecond and loses nothing. */
const RELAY_MS = 1;

/** Without any packet for this long a relay gives a call up. */
const MEDIA_TIMEOUT_MS = 60_000;

/** What a media relay says to signalling. Its calls are shorter than the media timeout: an older one is silent. */
class VirtualRelay {
  /** call-id → when it was made. */
  readonly calls = new Map<string, number>();

  answer(datagram: Uint8Array, nowMs: number): Uint8Array {
    const { cookie, message } = decodeNg(datagram)!;
    return encodeNg(cookie, this.#run(message, nowMs), 'bencode');
  }

  #run(message: NgDictionary, nowMs: number): NgDictionary {
    for (const [id, madeAtMs] of this.calls) if (nowMs - madeAtMs >= MEDIA_TIMEOUT_MS) this.calls.delete(id);
    const callId = String(message['call-id']);
    switch (message.command) {
      case 'ping':
        return { result: 'pong', 'offhook-verbs': ['echo'] };
      case 'echo':
        this.calls.set(callId, this.calls.get(callId) ?? nowMs);
        return { result: 'ok', sdp: String(message.sdp) };
      case 'query':
        return this.calls.has(callId) ? { result: 'ok' } : { result: 'error', 'error-reason': 'Unknown call-id' };
      case 'delete':
        this.calls.delete(callId);
        return { result: 'ok' };
      default:
        return { result: 'error', 'error-reason': `'${message.command}' is not part of this scenario` };
    }
  }
}
