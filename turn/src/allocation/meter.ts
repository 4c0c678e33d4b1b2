/** What may pass in a second. */
export interface Rate {
  readonly bytesPerS: number;
  readonly packetsPerS: number;
}

/** Counts packets of one direction and lets no more than a rate of them pass in each second that begins with a packet. */
export class Meter {
  bytes = 0;
  packets = 0;
  #sinceMs = -1_000_000;
  #windowBytes = 0;
  #windowPackets = 0;

  /** Whether a packet of that length still fits. With whole milliseconds nothing is boxed. */
  fits(length: number, rate: Rate, nowMs: number): boolean {
    if (nowMs - this.#sinceMs >= 1000) {
      this.#sinceMs = nowMs;
      this.#windowBytes = 0;
      this.#windowPackets = 0;
    }
    return this.#windowPackets < rate.packetsPerS && this.#windowBytes + length <= rate.bytesPerS;
  }

  /** It passes: to be called once it fits everywhere. */
  count(length: number): void {
    this.#windowPackets++;
    this.#windowBytes += length;
    this.packets++;
    this.bytes += length;
  }
}
