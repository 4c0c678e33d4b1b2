import { type Crypto, decodeNg, encodeNg, hex, type NgDictionary, NgStreamReader } from '@offhook/core';

/** Where a relay's events can be had, as its pong tells: the port, and which process it is. */
export interface EventPlace {
  readonly port: number;
  readonly instance: string | undefined;
}

/** What is to be done with the one connection of a relay, and what has come over it. */
export type StreamCommand =
  /** At the address of the relay's datagrams. What is open is closed before. */
  | { readonly kind: 'open'; readonly port: number }
  | { readonly kind: 'write'; readonly bytes: Uint8Array }
  /** Nothing more is wanted of it, not even its end. */
  | { readonly kind: 'close' };

export type StreamInput =
  | { readonly kind: 'opened' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** It ended, or never came about. */
  | { readonly kind: 'closed' };

/** What we want to be told of; each kind makes work at the relay. */
const KINDS = ['key-frame'];
/** Until the connection is there and the relay has answered. */
const ANSWER_MS = 5000;
const RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

/**
 * One relay's events (the NG verb `events`), over a TCP connection that is kept. It is opened anew with a pong of the relay
 * and with nothing else, so it needs no timers; after a failure not before 1 s, doubled up to 30 s, have passed.
 */
export class EventStream {
  readonly counters: { events: number; eventStreams: number; eventStreamsLost: number };
  readonly #crypto: Crypto;
  readonly #commands: (StreamCommand | { readonly kind: 'event'; readonly message: NgDictionary })[] = [];
  #state: 'closed' | 'opening' | 'asking' | 'heard' = 'closed';
  #place: EventPlace | undefined;
  #reader = new NgStreamReader();
  #cookie = '';
  #sinceMs = 0;
  #retryAtMs = Number.NEGATIVE_INFINITY;
  #retryMs = RETRY_MS;

  constructor(crypto: Crypto, counters: EventStream['counters']) {
    this.#crypto = crypto;
    this.counters = counters;
  }

  poll(): StreamCommand | { readonly kind: 'event'; readonly message: NgDictionary } | undefined {
    return this.#commands.shift();
  }

  /** The relay has answered a ping; `place` is undefined where it tells no events, or not over TCP. */
  handlePong(place: EventPlace | undefined, nowMs: number): void {
    const isOther = place?.port !== this.#place?.port || place?.instance !== this.#place?.instance;
    const isLate = this.#state !== 'heard' && nowMs - this.#sinceMs >= ANSWER_MS;
    if (this.#state !== 'closed' && (isOther || isLate)) this.#giveUp(nowMs);
    else if (isOther) {
      // what another process did says nothing of this one
      this.#retryAtMs = Number.NEGATIVE_INFINITY;
      this.#retryMs = RETRY_MS;
    }
    if (place === undefined || this.#state !== 'closed' || nowMs < this.#retryAtMs) return;
    this.#state = 'opening';
    this.#place = place;
    this.#sinceMs = nowMs;
    this.#commands.push({ kind: 'open', port: place.port });
  }

  handle(input: StreamInput, nowMs: number): void {
    if (this.#state === 'closed') return;
    switch (input.kind) {
      case 'opened': {
        this.#state = 'asking';
        this.#reader = new NgStreamReader();
        this.#cookie = hex(this.#crypto.randomBytes(8));
        const bytes = encodeNg(this.#cookie, { command: 'events', kinds: KINDS }, 'bencode');
        this.#commands.push({ kind: 'write', bytes });
        return;
      }
      case 'bytes':
        this.#read(input.bytes, nowMs);
        return;
      case 'closed':
        this.#ended(nowMs);
        return;
      default:
        input satisfies never;
    }
  }

  #read(bytes: Uint8Array, nowMs: number): void {
    for (let rest = bytes; this.#state !== 'closed'; ) {
      rest = rest.subarray(this.#reader.push(rest));
      const item = this.#reader.next();
      if (item === 'malformed') this.#giveUp(nowMs);
      else if (item !== 'incomplete') this.#message(item, nowMs);
      else if (rest.length === 0) return;
    }
  }

  #message(bytes: Uint8Array, nowMs: number): void {
    const decoded = decodeNg(bytes);
    if (decoded?.cookie !== this.#cookie) {
      this.#giveUp(nowMs);
      return;
    }
    const { message } = decoded;
    if (message.event !== undefined) {
      this.counters.events++;
      this.#commands.push({ kind: 'event', message });
    } else if (message.result === 'ok') {
      if (this.#state === 'asking') this.counters.eventStreams++;
      this.#state = 'heard';
      this.#retryMs = RETRY_MS;
    } else this.#giveUp(nowMs);
  }

  #giveUp(nowMs: number): void {
    this.#commands.push({ kind: 'close' });
    this.#ended(nowMs);
  }

  #ended(nowMs: number): void {
    if (this.#state === 'heard') this.counters.eventStreamsLost++;
    this.#state = 'closed';
    this.#retryAtMs = nowMs + this.#retryMs;
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
  }
}
