import type { NgDictionary } from '@offhook/core';
import { type Call, isHeld, type Leg, type SessionBook } from '../session/index.ts';
import type { EventHub } from './event-hub.ts';

/** A peer that was heard and is silent for this long has lost its media. */
export const LOST_MS = 5000;
/** How often each call is looked at while somebody listens. */
export const WATCH_MS = 1000;
/** All calls at once would keep packets waiting, so that is done in this many turns. */
const TURNS = 20;

export interface EventWatchOptions {
  readonly hub: EventHub;
  readonly book: SessionBook;
  readonly statisticsOf: (call: Call, nowMs: number) => NgDictionary;
}

/** Makes the events that no packet and no command makes: statistics, media lost and returned. */
export class EventWatch {
  readonly #options: EventWatchOptions;
  readonly #lost = new WeakSet<Leg>();
  #nextMs: number | undefined;
  /** The calls of this round that have not had their turn. */
  #rest: Iterator<Call> | undefined;
  #restCount = 0;
  #perTurn = 0;
  #roundMs = 0;

  constructor(options: EventWatchOptions) {
    this.#options = options;
  }

  /** Undefined while nobody asks for what is made here. */
  nextTimeout(): number | undefined {
    return this.#nextMs;
  }

  /** Subscribers came or went. */
  handleSubscribers(nowMs: number): void {
    if (this.#options.hub.wants('statistics', 'media-lost', 'media-returned')) {
      this.#nextMs ??= nowMs + WATCH_MS;
      return;
    }
    this.#nextMs = undefined;
    this.#rest = undefined;
  }

  handleTimeout(nowMs: number): void {
    if (this.#nextMs === undefined || nowMs < this.#nextMs) return;
    const { book } = this.#options;
    if (!this.#rest) {
      this.#rest = book.calls();
      this.#restCount = book.size;
      this.#perTurn = Math.ceil(book.size / TURNS);
      this.#roundMs = this.#nextMs;
    }
    for (let i = 0; i < this.#perTurn && this.#restCount > 0; i++, this.#restCount--) {
      const { value, done } = this.#rest.next();
      if (done)
        this.#restCount = 1; // some have ended meanwhile
      else this.#tell(value, nowMs);
    }
    if (this.#restCount > 0) {
      this.#nextMs = nowMs + WATCH_MS / TURNS;
      return;
    }
    this.#rest = undefined;
    // As often as the clock says, but never a burst for seconds that were missed.
    this.#nextMs = Math.max(this.#roundMs + WATCH_MS, nowMs);
  }

  #tell(call: Call, nowMs: number): void {
    const { hub, statisticsOf } = this.#options;
    if (hub.wantsOf('statistics', call.id)) {
      hub.publish({ kind: 'statistics', callId: call.id, statistics: statisticsOf(call, nowMs) });
    }
    if (!call.answered) return;
    const held = isHeld(call);
    for (const leg of call.legs) this.#look(call, leg, held, nowMs);
  }

  #look(call: Call, leg: Leg, held: boolean, nowMs: number): void {
    const { hub } = this.#options;
    let lastMs = -1;
    for (const transport of leg.transports()) lastMs = Math.max(lastMs, transport.lastInMs);
    if (lastMs < 0) return; // never heard: nothing is lost yet
    const silentMs = nowMs - lastMs;
    const tag = leg.tag ?? '';
    if (silentMs < LOST_MS) {
      if (this.#lost.delete(leg)) hub.publish({ kind: 'media-returned', callId: call.id, tag });
    } else if (!held && !this.#lost.has(leg)) {
      this.#lost.add(leg);
      hub.publish({ kind: 'media-lost', callId: call.id, tag, silentMs });
    }
  }
}
