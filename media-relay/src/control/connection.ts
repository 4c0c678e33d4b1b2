import { encodeNg, type NgDictionary, type NgEncoding } from '@offhook/core';
import type { ControlContext } from './commands.ts';
import type { NgDispatcher, NgLink, PushedAs } from './dispatcher.ts';
import type { EventFilter, MediaEvent, Subscription } from './event-hub.ts';
import { malformedAnswer } from './malformed.ts';

/** Clients connected at one time, over TCP and over WebSocket each. */
export const MAX_CONNECTIONS = 64;
/** Requests of one connection that are worked on; nothing more is read meanwhile. */
const MAX_OUTSTANDING = 64;
/** Unwritten bytes above which nothing is read and no event written. */
const HIGH_WATER = 256 * 1024;
/** A client that takes nothing has so many bytes written for it before it is cut off. */
const MAX_UNWRITTEN = 4 * 1024 * 1024;
/** A message has to be whole within this time. */
const MESSAGE_MS = 10_000;
/** A connection without a request and without a subscription is closed after this time. */
const IDLE_MS = 600_000;
/** At the end of the relay, or of a connection that can't be read, a client may take this long to read what was answered. */
const FAREWELL_MS = 500;

/** What the transports' servers share. */
export interface ControlParts {
  readonly context: ControlContext;
  readonly dispatcher: NgDispatcher;
}

/** The socket of a connection. */
export interface Wire {
  write(bytes: Uint8Array, encoding: NgEncoding): void;
  /** Bytes written that have not gone yet. */
  readonly unwritten: number;
  pause(): void;
  resume(): void;
  cut(): void;
  /** Closes once the client has read what was written; one that takes too long is cut. */
  end(why: 'malformed' | 'stopping'): void;
  /** Finds out now and then whether the client is still there, where the system does not. */
  sweep?(nowMs: number): void;
}

/** One client over TCP or WebSocket: its requests under back-pressure, its events. */
export class NgConnection implements NgLink {
  readonly key: string;
  readonly #wire: Wire;
  readonly #context: ControlContext;
  readonly #dispatcher: NgDispatcher;
  #subscription: Subscription | undefined;
  #as: PushedAs = { cookie: '', encoding: 'bencode' };
  #outstanding = 0;
  #isPaused = false;
  #isOpen = true;
  #isTaking = true;
  #lastMs: number;
  #partialSinceMs: number | undefined;
  #hasAsked = false;
  /** Called when requests may come again. */
  onReady: (() => void) | undefined;

  constructor(key: string, wire: Wire, { context, dispatcher }: ControlParts) {
    this.key = key;
    this.#wire = wire;
    this.#context = context;
    this.#dispatcher = dispatcher;
    this.#lastMs = context.monotonicMs();
  }

  /** No further request should be handed over now; `onReady` says when. */
  get isBusy(): boolean {
    return !this.#isTaking || this.#outstanding >= MAX_OUTSTANDING || this.#wire.unwritten > HIGH_WATER;
  }

  /** Whether a whole request has come: before that it may be anybody, and has to make room for others. */
  get hasAsked(): boolean {
    return this.#hasAsked;
  }

  /** One whole message; a malformed one is answered and ends the connection. */
  handle(bytes: Uint8Array): void {
    if (!this.#isOpen || !this.#isTaking) return;
    this.#lastMs = this.#context.monotonicMs();
    this.#partialSinceMs = undefined; // what waits now is another message's part
    const outcome = this.#dispatcher.handle(bytes, this, () => {
      this.#outstanding--;
      this.#press();
    });
    this.#hasAsked ||= outcome !== 'malformed';
    if (outcome === 'accepted') this.#outstanding++;
    else if (outcome === 'malformed') this.refuse(bytes);
    this.#press();
  }

  /** Bytes that are no message, or that none begins with: after what was asked before they are answered, and it ends. */
  refuse(bytes: Uint8Array): void {
    this.#isTaking = false;
    this.#press();
    void this.#dispatcher.settled().then(() => {
      const refusal = malformedAnswer(bytes);
      if (refusal) this.#write(refusal.answer, refusal.encoding);
      this.closed();
      this.#end('malformed');
    });
  }

  send(answer: Uint8Array, encoding: NgEncoding): void {
    this.#write(answer, encoding);
  }

  subscribe(filter: EventFilter | undefined, as: PushedAs): void {
    this.#subscription?.close();
    this.#as = as;
    this.#subscription = filter && this.#isOpen ? this.#context.hub.subscribe(filter, () => this.#push()) : undefined;
    this.#context.rearm();
  }

  /** The wire has written something. */
  drained(): void {
    this.#push();
    this.#press();
  }

  /** Part of a message has come, or none waits any more. */
  notePartial(isWithin: boolean): void {
    this.#partialSinceMs = isWithin ? (this.#partialSinceMs ?? this.#context.monotonicMs()) : undefined;
  }

  /** Ends it when it keeps a message unfinished or has nothing to say. */
  sweep(nowMs: number): void {
    const isStuck = this.#partialSinceMs !== undefined && !this.#isPaused && nowMs - this.#partialSinceMs > MESSAGE_MS;
    const isIdle = !this.#subscription && nowMs - this.#lastMs > IDLE_MS;
    if (isStuck || isIdle) {
      this.#context.counters.idleConnections++;
      this.#wire.cut();
    }
    this.#wire.sweep?.(nowMs);
  }

  cut(): void {
    this.#wire.cut();
  }

  /** The relay stops. */
  bidFarewell(): void {
    this.#end('stopping');
  }

  closed(): void {
    this.#isOpen = false;
    this.#subscription?.close();
    this.#subscription = undefined;
    this.#context.rearm();
  }

  #end(why: 'malformed' | 'stopping'): void {
    this.#wire.end(why);
    setTimeout(() => this.#wire.cut(), FAREWELL_MS).unref();
  }

  #push(): void {
    const subscription = this.#subscription;
    if (!subscription) return;
    while (this.#wire.unwritten <= HIGH_WATER) {
      const event = subscription.poll();
      if (!event) return;
      this.#write(encodeNg(this.#as.cookie, pushed(event, subscription.dropped), this.#as.encoding), this.#as.encoding);
    }
  }

  #write(bytes: Uint8Array, encoding: NgEncoding): void {
    if (!this.#isOpen) return;
    if (this.#wire.unwritten > MAX_UNWRITTEN) this.#wire.cut();
    else this.#wire.write(bytes, encoding);
  }

  #press(): void {
    if (!this.#isOpen || this.isBusy === this.#isPaused) return;
    this.#isPaused = this.isBusy;
    if (this.#isPaused) this.#wire.pause();
    else {
      this.#wire.resume();
      this.onReady?.();
    }
  }
}

/** An event as it goes out; `lost` tells how many the subscriber was too slow for. */
function pushed(event: MediaEvent, lost: number): NgDictionary {
  const head = { event: event.kind, 'call-id': event.callId, ...(lost > 0 ? { lost } : {}) };
  switch (event.kind) {
    case 'ended':
      return { ...head, reason: event.reason };
    case 'media-lost':
      return { ...head, tag: event.tag, 'silent-ms': Math.round(event.silentMs) };
    case 'media-returned':
    case 'key-frame':
      return { ...head, tag: event.tag };
    case 'dtmf':
      return { ...head, tag: event.tag, count: event.count, ...(event.digit === '' ? {} : { digit: event.digit }) };
    case 'statistics':
      return { ...head, statistics: event.statistics };
  }
}
