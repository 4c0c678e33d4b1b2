import {
  createResponse,
  isLoopback,
  networkOf,
  parseSip,
  type SipMessage,
  type SipParseError,
  type SocketAddress,
} from '@offhook/core';
import type { Shown } from '../auth/index.ts';
import type { Flow } from '../transaction/index.ts';
import { Traffic } from './traffic.ts';

/** What the transports tell the server. */
export interface TransportEvents {
  onMessage(message: SipMessage, flow: Flow): void;
  /** A connection is gone; its flow will carry nothing any more. */
  onFlowClosed(flow: Flow): void;
  /** Whether a message of somebody unknown may be answered: not too many to one source. */
  mayAnswer(flow: Flow): boolean;
  /** Whether nothing is taken from there; `shown` says what a datagram has to say for itself. Without it nobody is refused. */
  refuses?(remote: SocketAddress, over: Flow['transport'], shown: () => Shown): boolean;
  /** Something came that can't be read. */
  onMalformed?(flow: Flow): void;
  /** Whether a datagram of somebody unknown is read; without it each is. */
  hears?(remote: SocketAddress): boolean;
}

export interface TransportLimits {
  /** Connections (TCP, TLS and WebSocket) in all, from one address (IPv6: /64), and from one loopback address. */
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly connectionsPerLoopbackAddress: number;
  /** Connections that nobody known has used yet: beyond so many the oldest of them goes. */
  readonly strangers: number;
  /** Connections that we have opened to other servers, beside those. */
  readonly outgoing: number;
  /** HTTP connections that are no WebSocket (yet), on all ports. */
  readonly http: number;
  /** A connection on which no account has asked for anything is closed after this time, whatever it sends. */
  readonly strangerMs: number;
  /** Bytes of begun messages that are held for one such connection, and for all of them. */
  readonly strangerBytes: number;
  readonly strangersBytes: number;
  /** Keep-alives of one connection: phones send one in 30 s. */
  readonly keepAlivesPerSecond: number;
  readonly keepAlivesAtOnce: number;
  /** A new connection must finish its TLS handshake, then bring a whole message, and a begun message be whole, within this time. */
  readonly messageMs: number;
  /** A connection without any traffic is closed after this time. */
  readonly idleMs: number;
  /** What we open to another server must be open, TLS and all, within this time; and its pings when nothing comes (RFC 5626 4.4.1). */
  readonly connectMs: number;
  readonly crlfPingMs: number;
  /** What has been silent for as long as a request is waited for (64*T1), with one sent, is dead (RFC 3261 17.1.1.2). */
  readonly unansweredMs: number;
  /** WebSocket pings, and how long a pong of any kind may take (RFC 6455 5.5.2). */
  readonly pingMs: number;
  readonly pongMs: number;
  /** Bytes that a slow reader may have waiting. */
  readonly sendBuffer: number;
}

/** A failure over UDP is at most so many times as long as its request: nobody is flooded through us by a forged source. */
export const LARGEST_FACTOR = 2.5;

export const TRANSPORT_LIMITS: TransportLimits = {
  connections: 20_000,
  connectionsPerAddress: 50,
  connectionsPerLoopbackAddress: 12_000,
  strangers: 4000,
  outgoing: 500,
  http: 5000,
  strangerMs: 30_000,
  strangerBytes: 4096,
  strangersBytes: 8 << 20,
  keepAlivesPerSecond: 2,
  keepAlivesAtOnce: 20,
  messageMs: 10_000,
  idleMs: 900_000,
  connectMs: 4000,
  crlfPingMs: 30_000,
  unansweredMs: 32_000,
  pingMs: 25_000,
  pongMs: 10_000,
  sendBuffer: 1 << 20,
};

/** Counted, never logged per message. */
export interface TransportCounters {
  received: number;
  sent: number;
  malformedAnswered: number;
  malformedDropped: number;
  /** Failures that were too large for their request. */
  amplifiedDropped: number;
  keepAlives: number;
  /** STUN Bindings on a SIP port (RFC 5626 4.4.2). */
  stunAnswered: number;
  notSip: number;
  connectionsRefused: number;
  /** Connections to other servers: opened, and those that could not be. */
  connectionsOpened: number;
  connectionsNotOpened: number;
  connectionsTimedOut: number;
  handshakesFailed: number;
  slowReadersCut: number;
  /** Connections cut: for too many keep-alives, for a message begun by a stranger and too long, for newer strangers. */
  keepAliveFloodsCut: number;
  strangersTooLong: number;
  strangersReplaced: number;
  sendErrors: number;
}

/** One connection as the hub sees it. */
export interface Connection {
  readonly flow: Flow;
  send(bytes: Uint8Array): void;
  /** When the last message went over it, either way; pings are none. Undefined where nobody asks. */
  readonly usedMs?: number;
  /** Called twice a `messageMs`: close yourself when you have been silent or slow for too long. */
  sweep(nowMs: number): void;
  /** A request on it got no answer: close yourself when nothing at all has come for as long as that takes. */
  doubt?(nowMs: number): void;
  close(): void;
}

/** Where all transports meet: flows, limits and counters shared by UDP, TCP, TLS and WebSocket. */
export class TransportHub {
  readonly limits: TransportLimits;
  readonly counters: TransportCounters = {
    received: 0,
    sent: 0,
    malformedAnswered: 0,
    malformedDropped: 0,
    amplifiedDropped: 0,
    keepAlives: 0,
    stunAnswered: 0,
    notSip: 0,
    connectionsRefused: 0,
    connectionsOpened: 0,
    connectionsNotOpened: 0,
    connectionsTimedOut: 0,
    handshakesFailed: 0,
    slowReadersCut: 0,
    keepAliveFloodsCut: 0,
    strangersTooLong: 0,
    strangersReplaced: 0,
    sendErrors: 0,
  };
  readonly traffic = new Traffic();
  readonly #events: TransportEvents;
  readonly #connections = new Map<Flow, Connection>();
  /** Connections that nobody known has used yet, oldest first; some may have become known since. */
  readonly #strangers = new Set<Flow>();
  /** Bytes of messages that strangers have begun. */
  #begun = 0;
  #webSockets = 0;
  #outgoing = 0;
  readonly #perAddress = new Map<string, number>();
  /** Kept as long as somebody keeps the flow: a dialog may outlive the listener's memory of its peer. */
  readonly #senders = new WeakMap<Flow, (bytes: Uint8Array) => void>();
  readonly #sweeper: NodeJS.Timeout;
  #nextFlow = 1;
  /** The datagram that is being handled: who sent it, and how long a failure in answer to it may be. */
  #asking: Flow | undefined;
  #longestFailure = 0;

  constructor(events: TransportEvents, limits: TransportLimits = TRANSPORT_LIMITS) {
    this.#events = events;
    this.limits = limits;
    this.#sweeper = setInterval(() => {
      const now = performance.now();
      for (const connection of this.#connections.values()) connection.sweep(now);
    }, limits.messageMs / 2);
  }

  /** Open TCP, TLS (in their handshake too) and WebSocket connections. */
  get connections(): number {
    return this.#connections.size;
  }

  get webSockets(): number {
    return this.#webSockets;
  }

  /** Of these, the ones that we have opened to other servers. */
  get outgoing(): number {
    return this.#outgoing;
  }

  /** Notes that a stranger's begun message has grown, or shrunk; false when that is too much for all of them. */
  begun(bytes: number): boolean {
    this.#begun += bytes;
    return bytes <= 0 || this.#begun <= this.limits.strangersBytes;
  }

  /** Whether a message of somebody unknown may be answered. */
  mayAnswer(flow: Flow): boolean {
    return this.#events.mayAnswer(flow);
  }

  /** Whether nothing is taken from there just now: no datagram, no connection. */
  refuses(remote: SocketAddress, over: Flow['transport'], shown: () => Shown = () => 'nothing'): boolean {
    return this.#events.refuses?.(remote, over, shown) ?? false;
  }

  /** Closes the connections from where nothing is taken any more: those of strangers, or all. */
  closeRefused(whose: 'strangers' | 'everybody'): void {
    for (const flow of whose === 'everybody' ? [...this.#connections.keys()] : [...this.#strangers])
      if ((whose === 'everybody' || !flow.isKnown) && !flow.isOutgoing && this.refuses(flow.remote, flow.transport))
        this.#connections.get(flow)?.close();
  }

  /** Takes note of what can't be read, whether it is answered or not. */
  malformed(flow: Flow): void {
    this.#events.onMalformed?.(flow);
  }

  /** Whether a datagram of somebody unknown is read: not when the server is behind with those of others. */
  hears(remote: SocketAddress): boolean {
    return this.#events.hears?.(remote) ?? true;
  }

  newFlow(parts: Omit<Flow, 'id'>): Flow {
    return { id: this.#nextFlow++, ...parts };
  }

  /** Whether one more connection from there is welcome; if so it must be handed to `opened`. */
  admits(remote: SocketAddress): boolean {
    const { connections, connectionsPerAddress, connectionsPerLoopbackAddress } = this.limits;
    const most = isLoopback(remote.address) ? connectionsPerLoopbackAddress : connectionsPerAddress;
    const open = this.#perAddress.get(networkOf(remote.address)) ?? 0;
    const fine = this.#connections.size - this.#outgoing < connections && open < most;
    if (!fine) this.counters.connectionsRefused++;
    return fine;
  }

  opened(connection: Connection): void {
    if (connection.flow.isOutgoing) {
      this.#connections.set(connection.flow, connection);
      this.#outgoing++;
      return;
    }
    const network = networkOf(connection.flow.remote.address);
    this.#perAddress.set(network, (this.#perAddress.get(network) ?? 0) + 1);
    this.#connections.set(connection.flow, connection);
    if (connection.flow.transport.startsWith('ws')) this.#webSockets++;
    if (connection.flow.isKnown) return;
    if (this.#strangers.size >= this.limits.strangers) this.#replaceStranger();
    this.#strangers.add(connection.flow);
  }

  /** Phones are strangers for a second: whoever has been one for longest gives way. */
  #replaceStranger(): void {
    for (const flow of this.#strangers) {
      this.#strangers.delete(flow);
      if (flow.isKnown) continue;
      this.counters.strangersReplaced++;
      this.#connections.get(flow)?.close();
      return;
    }
  }

  /** A request on that flow failed: perhaps nobody is at its other end any more. */
  doubt(flow: Flow, nowMs: number): void {
    if (flow.isOutgoing) this.#connections.get(flow)?.doubt?.(nowMs);
  }

  /** Whether there may be one more connection to another server; if need be one goes that has carried nothing for long. */
  admitsOutgoing(opening: number, nowMs: number): boolean {
    if (this.#outgoing + opening < this.limits.outgoing) return true;
    let oldest: Connection | undefined;
    for (const connection of this.#connections.values())
      if (connection.usedMs !== undefined && connection.usedMs < (oldest?.usedMs ?? nowMs - this.limits.idleMs))
        oldest = connection;
    oldest?.close();
    return oldest !== undefined;
  }

  closed(connection: Connection): void {
    const { flow } = connection;
    if (!this.#connections.delete(flow)) return;
    this.#strangers.delete(flow);
    if (flow.transport.startsWith('ws')) this.#webSockets--;
    if (flow.isOutgoing) this.#outgoing--;
    else this.#leave(networkOf(flow.remote.address));
    this.#events.onFlowClosed(flow);
  }

  #leave(network: string): void {
    const left = (this.#perAddress.get(network) ?? 1) - 1;
    if (left > 0) this.#perAddress.set(network, left);
    else this.#perAddress.delete(network);
  }

  /** Names the function that sends on a connectionless flow. */
  bind(flow: Flow, send: (bytes: Uint8Array) => void): void {
    this.#senders.set(flow, send);
  }

  /**
   * Sends one message; on a flow that is gone it is counted and lost, as on a wire. So is a failure that answers a
   * datagram at once, therefore perhaps without knowing its sender, and is much longer than it.
   */
  send(flow: Flow, bytes: Uint8Array): void {
    if (flow === this.#asking && bytes.length > this.#longestFailure && isFailure(bytes)) {
      this.counters.amplifiedDropped++;
      return;
    }
    const send = this.#senders.get(flow);
    const connection = send ? undefined : this.#connections.get(flow);
    if (send) send(bytes);
    else if (connection) connection.send(bytes);
    else {
      this.counters.sendErrors++;
      return;
    }
    this.counters.sent++;
    this.traffic.sent(bytes, flow.transport);
  }

  /**
   * One datagram or framed message; answers what is malformed itself (RFC 3261 21.4.1). Answers whether it was SIP.
   * `listeningAt` gives the flow of the same source that is sent to at another of its ports.
   */
  receive(bytes: Uint8Array, flow: Flow, listeningAt?: (flow: Flow, port: number) => Flow): boolean {
    const parsed = parseSip(bytes);
    const request = parsed.kind === 'error' ? parsed.request : parsed.kind === 'request' ? parsed : undefined;
    const port = request && listeningAt ? answerPort(request, flow) : flow.remote.port;
    const from = port === flow.remote.port ? flow : listeningAt!(flow, port);
    if (request) noteSource(request, from.remote);
    if (parsed.kind === 'error') {
      this.#answerMalformed(parsed, from, bytes.length);
      this.malformed(from);
      return false;
    }
    this.counters.received++;
    this.traffic.received(parsed, from.transport, bytes.length);
    if (from.transport === 'udp') {
      this.#asking = from;
      this.#longestFailure = LARGEST_FACTOR * bytes.length;
    }
    try {
      this.#events.onMessage(parsed, from);
    } finally {
      this.#asking = undefined;
    }
    if (from.isKnown) {
      this.#strangers.delete(from);
      flow.isKnown = true; // the same phone, which listens at another of its ports
    }
    return true;
  }

  #answerMalformed(error: SipParseError, flow: Flow, length: number): void {
    if (!error.request || error.status === undefined || !this.#events.mayAnswer(flow)) {
      this.counters.malformedDropped++;
      return;
    }
    const answer = createResponse(error.request, error.status, error.reason, { toTag: 'malformed' }).serialize();
    if (flow.transport === 'udp' && answer.length > LARGEST_FACTOR * length) {
      this.counters.amplifiedDropped++;
      return;
    }
    this.counters.malformedAnswered++;
    this.send(flow, answer);
  }

  /** Closes every connection. Listeners are closed by those who opened them. */
  close(): void {
    clearInterval(this.#sweeper);
    for (const connection of [...this.#connections.values()]) connection.close();
  }
}

/** Whether bytes are a response of 300 or above: `SIP/2.0 3…` to `SIP/2.0 6…`. */
function isFailure(bytes: Uint8Array): boolean {
  return bytes[3] === 0x2f && bytes[7] === 0x20 && bytes[8]! >= 0x33;
}

/**
 * The port that answers over UDP go to. Without rport (RFC 3581 4) it is that of the sent-by, 5060 unless given (RFC 3261
 * 18.2.2), at the address the request came from: maddr and the sent-by's host send nothing anywhere.
 */
function answerPort(request: SipMessage, flow: Flow): number {
  const via = request.vias[0];
  return via === undefined || via.rport !== undefined || via.port === 0 ? flow.remote.port : (via.port ?? 5060);
}

/** Writes `received` and `rport` into the top Via (RFC 3261 18.2.1, RFC 3581 4). */
function noteSource(request: SipMessage, from: SocketAddress): void {
  const via = request.vias[0];
  if (!via) return;
  const asked = via.rport !== undefined;
  if (via.host === from.address && !asked) return;
  if (via.host !== from.address || asked) via.params.set('received', from.address);
  if (asked) via.params.set('rport', String(from.port));
  request.setTopVia(via);
}
