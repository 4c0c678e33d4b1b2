/** Handshakes that may be started at once. */
export const HANDSHAKES_AT_ONCE = 8;
/** After those one more each second: DTLS says its hello again, so a peer that was refused comes back for it. */
export const HANDSHAKE_EVERY_MS = 1000;

/** Whoever can send in a peer's name must not keep us busy with handshakes, nor use up those of the peer for good. */
export class HandshakeBudget {
  #left = HANDSHAKES_AT_ONCE;
  #earnedAtMs = 0;

  /** Takes one; false when none is left now. */
  take(nowMs: number): boolean {
    const earned = Math.floor((nowMs - this.#earnedAtMs) / HANDSHAKE_EVERY_MS);
    if (this.#left + earned >= HANDSHAKES_AT_ONCE) {
      this.#left = HANDSHAKES_AT_ONCE;
      this.#earnedAtMs = nowMs;
    } else {
      this.#left += earned;
      this.#earnedAtMs += earned * HANDSHAKE_EVERY_MS;
    }
    if (this.#left === 0) return false;
    this.#left--;
    return true;
  }
}
