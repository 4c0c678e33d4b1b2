import { RateLimit } from './rate-limit.ts';

/** How one stretch of the event loop was. */
export interface Tick {
  /** It began much later than it was due. */
  readonly isLate: boolean;
  /** The part of it in which the loop did not wait for anything, 0 to 1. */
  readonly busy: number;
}

/** A loop that has waited for less than this part of a tick had something to do all the time. */
const FULL = 0.99;
/** Always something to do for so long: more comes in than is done. One look of the loop at an empty socket ends it. */
const STRANGERS_AFTER_MS = 200;
/** Strangers are cut first; when that does not help within this time, new calls. */
const CALLS_AFTER_MS = 3000;
/** Cuts are looked at for this long before the next one. */
const CALLS_PAUSE_MS = 200;
/** Up to here there is room for more. */
const STRANGERS_ROOM = 0.7;
const CALLS_ROOM = 0.9;
/** So many a second are always looked at, however much else there is to do: it need not be they that keep us busy. */
const LEAST_STRANGERS = 100;
const LEAST_CALLS = 100;
/** What one address has of the strangers' share once that runs short, so that a flood from few leaves room for others. */
const PER_ADDRESS = { perSecond: 20, burst: 20 };
/** So much of a second's share is saved up for a burst. */
const SAVED_S = 0.3;
/** Nothing was refused for so long: there is no limit any more. */
const OVER_MS = 2000;

/**
 * What a server that is behind with its work leaves out, so that what it does is done in time (RFC 5390: goodput must not
 * fall when more is offered). First datagrams of strangers, unread: their senders repeat them. Then new calls, with 503
 * and Retry-After. Running calls and known phones go on.
 *
 *     tick is full for 200 ms ─► strangers: a quarter of what was heard; again each tick, down to 100/s
 *               … for 3 s    ─► new calls: nine tenths of what was taken, each 200 ms, down to 100/s
 *     tick has room          ─► both grow; no limit after 2 s without a refusal
 */
export class Shedding {
  readonly #strangers = new Allowance(LEAST_STRANGERS);
  readonly #calls = new Allowance(LEAST_CALLS);
  #addresses = new RateLimit();
  #fullMs = 0;
  #callsCutMs = Number.NEGATIVE_INFINITY;
  #tickMs: number | undefined;

  /** Datagrams of strangers that were not read, and new calls that were refused. */
  get counters(): { readonly strangersShed: number; readonly callsShed: number } {
    return { strangersShed: this.#strangers.refused, callsShed: this.#calls.refused };
  }

  /** So many may ask a second; undefined: as many as come. */
  get limits(): { readonly strangersPerS: number | undefined; readonly callsPerS: number | undefined } {
    return { strangersPerS: this.#strangers.limit, callsPerS: this.#calls.limit };
  }

  handleTick({ isLate, busy }: Tick, nowMs: number): void {
    const passedMs = nowMs - (this.#tickMs ?? nowMs);
    this.#tickMs = nowMs;
    this.#strangers.tick(passedMs, nowMs);
    this.#calls.tick(passedMs, nowMs);
    if (!isLate && busy < FULL) this.#fullMs = 0;
    else this.#fullMs += isLate ? Math.max(passedMs, STRANGERS_AFTER_MS) : passedMs;
    if (this.#fullMs >= STRANGERS_AFTER_MS) this.#strangers.cut(0.25, nowMs);
    else if (busy < STRANGERS_ROOM) this.#strangers.grow(passedMs);
    if (this.#fullMs >= CALLS_AFTER_MS) {
      if (nowMs - this.#callsCutMs < CALLS_PAUSE_MS) return;
      this.#callsCutMs = nowMs;
      this.#calls.cut(0.9, nowMs);
    } else if (busy < CALLS_ROOM) this.#calls.grow(passedMs);
    if (this.#strangers.limit === undefined && this.#addresses.size > 0) this.#addresses = new RateLimit();
  }

  /** Whether a datagram of somebody unknown is read. */
  hears(network: string, nowMs: number): boolean {
    if (this.#strangers.isScarce && !this.#addresses.take(network, PER_ADDRESS, nowMs))
      return this.#strangers.refuse(nowMs);
    return this.#strangers.take(nowMs);
  }

  /** Whether one more call may begin. */
  takesCall(nowMs: number): boolean {
    return this.#calls.take(nowMs);
  }
}

/** As many as come, until it is cut: then a rate that falls by parts and grows again. */
class Allowance {
  refused = 0;
  readonly #least: number;
  #perS: number | undefined;
  #tokens = 0;
  /** What was taken since the last tick, and of late, a second. */
  #taken = 0;
  #takenPerS = 0;
  #refusedMs = Number.NEGATIVE_INFINITY;

  constructor(least: number) {
    this.#least = least;
  }

  get limit(): number | undefined {
    return this.#perS;
  }

  /** Less than half is left of what is saved up. */
  get isScarce(): boolean {
    return this.#perS !== undefined && this.#tokens < this.#perS * SAVED_S * 0.5;
  }

  take(nowMs: number): boolean {
    if (this.#perS !== undefined) {
      if (this.#tokens < 1) return this.refuse(nowMs);
      this.#tokens--;
    }
    this.#taken++;
    return true;
  }

  refuse(nowMs: number): false {
    this.refused++;
    this.#refusedMs = nowMs;
    return false;
  }

  tick(passedMs: number, nowMs: number): void {
    if (passedMs <= 0) return;
    const weight = Math.min(1, passedMs / 500);
    this.#takenPerS += ((this.#taken * 1000) / passedMs - this.#takenPerS) * weight;
    this.#taken = 0;
    if (this.#perS === undefined) return;
    this.#tokens = Math.min(this.#tokens + (this.#perS * passedMs) / 1000, this.#perS * SAVED_S);
    if (nowMs - this.#refusedMs > OVER_MS) this.#perS = undefined;
  }

  cut(to: number, nowMs: number): void {
    const from = Math.min(this.#perS ?? Number.POSITIVE_INFINITY, this.#takenPerS);
    const isFirst = this.#perS === undefined;
    this.#perS = Math.max(this.#least, from * to);
    if (!isFirst) return;
    this.#refusedMs = nowMs; // it has to last for a while
    this.#tokens = this.#perS * SAVED_S;
  }

  /** By half within a second. */
  grow(passedMs: number): void {
    if (this.#perS !== undefined) this.#perS *= 1 + (0.4 * passedMs) / 1000;
  }
}
