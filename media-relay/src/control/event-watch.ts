import type { NgDictionary } from '@offhook/core';
import { type Call, isHeld, type Leg, type SessionBook } from '../session/index.ts';
import type { EventHub } from './event-hub.ts';

/** A peer that was heard and is silent for this long has lost its media. */
export const LOST_MS = 5000;
/** How often calls are looked at while somebody listens. */
export const WATCH_MS = 1000;

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

  constructor(options: EventWatchOptions) {
    this.#options = options;
  }

  /** Undefined while nobody asks for what is made here. */
  nextTimeout(): number | undefined {
    return this.#nextMs;
  }

  /** Subscribers came or went. */
  handleSubscribers(nowMs: number): void {
    if (!this.#options.hub.wants('statistics', 'media-lost', 'media-returned')) this.#nextMs = undefined;
    else this.#nextMs ??= nowMs + WATCH_MS;
  }

  handleTimeout(nowMs: number): void {
    if (this.#nextMs === undefined || nowMs < this.#nextMs) return;
    // As often as the clock says, but never a burst for seconds that were missed.
    this.#nextMs = Math.max(this.#nextMs + WATCH_MS, nowMs);
    const { hub, book, statisticsOf } = this.#options;
    const wantsStatistics = hub.wants('statistics');
    for (const call of book.calls()) {
      if (wantsStatistics) {
        hub.publish({ kind: 'statistics', callId: call.id, statistics: statisticsOf(call, nowMs) });
      }
      if (!call.answered) continue;
      const held = isHeld(call);
      for (const leg of call.legs) this.#look(call, leg, held, nowMs);
    }
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
