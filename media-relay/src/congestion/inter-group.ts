/* Packets sent within 5 ms are one group, and what arrives in one burst behind a pause of the line (draft-ietf-rmcat-gcc-02 5.1, 5.2). */
const GROUP_MS = 5;
const LONGEST_BURST_MS = 100;
/** So many groups in a row that arrive before the one sent earlier: the receiver's clock was set. */
const REORDERED_GROUPS = 3;

/** Differences of send and arrival time between groups of packets. The answer is read from its fields. */
export class InterGroup {
  #firstSendMs = Number.NaN;
  #sendMs = 0;
  #firstArrivalMs = 0;
  #arrivalMs = 0;
  #previousSendMs = Number.NaN;
  #previousArrivalMs = 0;
  #reordered = 0;
  /** Milliseconds between the two last whole groups. */
  sendDeltaMs = 0;
  arrivalDeltaMs = 0;

  /** Whether the packet began a new group, so that the differences between the two before it are there. */
  handlePacket(sendMs: number, arrivalMs: number): boolean {
    if (Number.isNaN(this.#firstSendMs)) {
      this.#begin(sendMs, arrivalMs);
      return false;
    }
    if (sendMs < this.#firstSendMs) return false;
    if (!this.#isNewGroup(sendMs, arrivalMs)) {
      this.#sendMs = Math.max(this.#sendMs, sendMs);
      this.#arrivalMs = Math.max(this.#arrivalMs, arrivalMs);
      return false;
    }
    const has = !Number.isNaN(this.#previousSendMs) && this.#difference();
    if (Number.isNaN(this.#firstSendMs)) return false;
    this.#previousSendMs = this.#sendMs;
    this.#previousArrivalMs = this.#arrivalMs;
    this.#begin(sendMs, arrivalMs);
    return has;
  }

  reset(): void {
    this.#firstSendMs = Number.NaN;
    this.#previousSendMs = Number.NaN;
    this.#reordered = 0;
  }

  #difference(): boolean {
    this.sendDeltaMs = this.#sendMs - this.#previousSendMs;
    this.arrivalDeltaMs = this.#arrivalMs - this.#previousArrivalMs;
    if (this.arrivalDeltaMs >= 0) {
      this.#reordered = 0;
      return true;
    }
    if (++this.#reordered >= REORDERED_GROUPS) this.reset();
    return false;
  }

  #begin(sendMs: number, arrivalMs: number): void {
    this.#firstSendMs = sendMs;
    this.#sendMs = sendMs;
    this.#firstArrivalMs = arrivalMs;
    this.#arrivalMs = arrivalMs;
  }

  #isNewGroup(sendMs: number, arrivalMs: number): boolean {
    const sinceSendMs = sendMs - this.#sendMs;
    const sinceArrivalMs = arrivalMs - this.#arrivalMs;
    if (sinceSendMs === 0) return false;
    const isBurst =
      sinceArrivalMs - sinceSendMs < 0 &&
      sinceArrivalMs <= GROUP_MS &&
      arrivalMs - this.#firstArrivalMs < LONGEST_BURST_MS;
    return !isBurst && sendMs - this.#firstSendMs > GROUP_MS;
  }
}
