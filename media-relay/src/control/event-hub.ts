import type { NgDictionary } from '@offhook/core';

/** What subscribers can be told of. */
export type MediaEvent =
  | { readonly kind: 'ended'; readonly callId: string; readonly reason: 'deleted' | 'timeout' }
  /** Nothing has come from that peer for `silentMs`, though it spoke before and nobody holds the call. */
  | { readonly kind: 'media-lost'; readonly callId: string; readonly tag: string; readonly silentMs: number }
  | { readonly kind: 'media-returned'; readonly callId: string; readonly tag: string }
  /** An RFC 4733 event of that peer has begun; `count` of them so far on its port. */
  | {
      readonly kind: 'dtmf';
      readonly callId: string;
      readonly tag: string;
      readonly count: number;
      readonly digit: string;
    }
  /** Somebody needs a key frame of that peer, which has named no RTCP feedback: INFO may reach it (RFC 5168). */
  | { readonly kind: 'key-frame'; readonly callId: string; readonly tag: string }
  /** Once a second. */
  | { readonly kind: 'statistics'; readonly callId: string; readonly statistics: NgDictionary };

export type MediaEventKind = MediaEvent['kind'];
export const MEDIA_EVENT_KINDS: readonly MediaEventKind[] = [
  'ended',
  'media-lost',
  'media-returned',
  'dtmf',
  'key-frame',
  'statistics',
];

export interface EventFilter {
  readonly kinds: ReadonlySet<MediaEventKind>;
  /** Undefined: every call. */
  readonly callIds: ReadonlySet<string> | undefined;
  /** Which key was pressed, not only that one was. */
  readonly digits: boolean;
}

/** Events that wait for a subscriber that reads slowly; the oldest of more are dropped. */
export const MAX_QUEUED = 256;

/** One subscriber's events, in order. */
export class Subscription {
  readonly filter: EventFilter;
  readonly #hub: EventHub;
  readonly #wake: () => void;
  readonly #queue: MediaEvent[] = [];
  /** Events it lost because it read too slowly. */
  dropped = 0;

  constructor(hub: EventHub, filter: EventFilter, wake: () => void) {
    this.#hub = hub;
    this.filter = filter;
    this.#wake = wake;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** The next event, undefined when none waits. */
  poll(): MediaEvent | undefined {
    return this.#queue.shift();
  }

  close(): void {
    this.#queue.length = 0;
    this.#hub.forget(this);
  }

  /** Takes the event if it is asked for; true when an older one had to go for it. */
  offer(event: MediaEvent): boolean {
    const { kinds, callIds, digits } = this.filter;
    if (!kinds.has(event.kind) || callIds?.has(event.callId) === false) return false;
    const isFull = this.#queue.length >= MAX_QUEUED;
    if (isFull) {
      this.#queue.shift();
      this.dropped++;
    }
    this.#queue.push(event.kind === 'dtmf' && !digits ? { ...event, digit: '' } : event);
    this.#wake();
    return isFull;
  }
}

/** Tells subscribers what happens to calls. Synchronous; a queue per subscriber, bounded. */
export class EventHub {
  readonly #subscriptions = new Set<Subscription>();
  readonly counters = { published: 0, dropped: 0 };

  get size(): number {
    return this.#subscriptions.size;
  }

  /** @param wake called when events wait; the subscriber polls then, or when it has room. */
  subscribe(filter: EventFilter, wake: () => void): Subscription {
    const subscription = new Subscription(this, filter, wake);
    this.#subscriptions.add(subscription);
    return subscription;
  }

  forget(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
  }

  /** Whether anybody asks for one of these kinds: what nobody wants need not be made. */
  wants(...kinds: readonly MediaEventKind[]): boolean {
    for (const { filter } of this.#subscriptions) if (kinds.some((kind) => filter.kinds.has(kind))) return true;
    return false;
  }

  /** Whether anybody asks for that kind about this call. */
  wantsOf(kind: MediaEventKind, callId: string): boolean {
    for (const { filter } of this.#subscriptions) {
      if (filter.kinds.has(kind) && filter.callIds?.has(callId) !== false) return true;
    }
    return false;
  }

  publish(event: MediaEvent): void {
    this.counters.published++;
    for (const subscription of this.#subscriptions) if (subscription.offer(event)) this.counters.dropped++;
  }
}
