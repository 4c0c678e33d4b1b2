const REMEMBERED = 16;
/** 1/65536 s per ms, the unit of DLSR (RFC 3550 6.4.1) and DLRR (RFC 3611 4.5). */
export const PER_MS = 65.536;
/** Clocks of whole milliseconds may answer a little before they were asked. */
const TOLERANCE_MS = 5;
const MAX_ROUND_TRIP_MS = 60_000;

/** When times of ours, or that passed here, left for a peer: by the middle 32 bits of their NTP time. The last sixteen. */
export class SentTimes {
  /** Rings that grow to their length: most calls of a phone that sends no reports need none. */
  readonly #times: number[] = [];
  readonly #sentMs: number[] = [];
  #count = 0;

  remember(middle: number, nowMs: number): void {
    const at = this.#count++ % REMEMBERED;
    this.#times[at] = middle;
    this.#sentMs[at] = nowMs;
  }

  /** The round trip that a peer's answer shows, ms: when it came, less how long the peer kept it (1/65536 s). Undefined when it can't be. */
  roundTrip(middle: number, delay: number, nowMs: number): number | undefined {
    if (middle === 0) return undefined;
    for (let back = 1; back <= Math.min(this.#count, REMEMBERED); back++) {
      const at = (this.#count - back) % REMEMBERED;
      if (this.#times[at] !== middle) continue;
      const ms = nowMs - this.#sentMs[at]! - delay / PER_MS;
      return ms < -TOLERANCE_MS || ms > MAX_ROUND_TRIP_MS ? undefined : Math.max(0, ms);
    }
    return undefined;
  }
}

/** The middle 32 bits of an NTP time. */
export function middleOf(ntpSeconds: number, ntpFraction: number): number {
  return (((ntpSeconds & 0xffff) << 16) | (ntpFraction >>> 16)) >>> 0;
}
