import type { Crypto } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';
import { Attempt } from './attempt.ts';
import type { DnsReply } from './dns.ts';
import { Greylist } from './greylist.ts';
import { type Hop, type HopTransport, type TlsPeer, targetOf } from './hop.ts';
import type { Locate } from './locate.ts';
import { type QuestionCommand, Resolver, type ResolverCounters } from './resolver.ts';

export interface LocatorOptions {
  readonly crypto: Crypto;
  /** Whether this server sends over that transport to addresses of that family (default: to IPv4). */
  readonly sends?: (transport: HopTransport, family: 4 | 6) => boolean;
}

/** What is special about one peer: how TLS is done with it. */
export interface PeerOptions {
  readonly tls?: TlsPeer;
}

/**
 * To be carried out by the shell, and answered with the same id: by `handleAnswer`, or by `handleOpened`. A connection that is
 * in doubt, because a request on it failed, is to be closed if it has been silent for too long.
 */
export type LocatorCommand = QuestionCommand | OpenCommand | { readonly kind: 'doubt'; readonly flow: Flow };

export interface OpenCommand {
  readonly kind: 'open';
  readonly id: number;
  readonly hop: Hop;
  readonly tls: TlsPeer | undefined;
}

/** A flow that can be sent on, or why there is none, in words that name the hop. */
export type Opened = { readonly flow: Flow } | { readonly error: string };

/**
 * Finds other servers and the flows to them (RFC 3263), as a machine: DNS and connections are the shell's. Answers and what
 * has failed lately are shared by all who look; TLS is each peer's own (`for`). Every question is answered by the shell, so
 * there is nothing to wake up for.
 */
export class Locator {
  /** For URIs of nobody in particular. */
  readonly locate: Locate;
  readonly #options: Required<LocatorOptions>;
  readonly #resolver = new Resolver();
  readonly #grey = new Greylist();
  readonly #commands: LocatorCommand[] = [];
  readonly #opening = new Map<number, (opened: Opened, nowMs: number) => void>();
  #nextId = 1;

  constructor({ crypto, sends = (_transport, family) => family === 4 }: LocatorOptions) {
    this.#options = { crypto, sends };
    this.locate = this.for({});
  }

  get counters(): ResolverCounters {
    return this.#resolver.counters;
  }

  /** Names that are remembered, and questions and connections that are awaited. */
  get names(): number {
    return this.#resolver.size;
  }

  get waiting(): number {
    return this.#resolver.asking + this.#opening.size;
  }

  /** The same for one peer. */
  for(peer: PeerOptions): Locate {
    return (uri, nowMs, then) => {
      const target = targetOf(uri);
      if ('error' in target) {
        then(target, nowMs);
        return;
      }
      const shared = { ...this.#options, resolver: this.#resolver, grey: this.#grey };
      const open = (hop: Hop, opened: (result: Opened, nowMs: number) => void) => this.#open(hop, peer.tls, opened);
      const doubt = (flow: Flow) => this.#commands.push({ kind: 'doubt', flow });
      new Attempt(target, { ...shared, open, doubt, then }).start(nowMs);
    };
  }

  poll(): LocatorCommand | undefined {
    return this.#resolver.poll() ?? this.#commands.shift();
  }

  handleAnswer(id: number, reply: DnsReply, nowMs: number): void {
    this.#resolver.handleAnswer(id, reply, nowMs);
  }

  handleOpened(id: number, opened: Opened, nowMs: number): void {
    const then = this.#opening.get(id);
    this.#opening.delete(id);
    then?.(opened, nowMs);
  }

  #open(hop: Hop, tls: TlsPeer | undefined, then: (opened: Opened, nowMs: number) => void): void {
    const id = this.#nextId++;
    this.#opening.set(id, then);
    this.#commands.push({ kind: 'open', id, hop, tls: hop.transport === 'tls' ? tls : undefined });
  }
}
