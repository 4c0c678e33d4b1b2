/* libwebrtc's RembThrottler: at most each 200 ms, at once when it falls by 3 %. */
const INTERVAL_MS = 200;
const FALL = 0.97;
/** Said again: RTCP is lost too, and what was lost is missed. */
const REPEAT_MS = 1000;

/** How the sender is told: REMB, or TMMBR where its SDP has `a=rtcp-fb … ccm tmmbr`. */
export type RateForm = 'remb' | 'tmmbr';

export interface RateRequest {
  readonly kind: RateForm;
  readonly bps: number;
}

/** Two-party rule: the sender may send what the other side's downlink takes (videoBps). */
export class RembThrottler {
  readonly #form: RateForm;
  #bps: number | undefined;
  #toldBps: number | undefined;
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #isConfirmed = false;
  #isDue = false;

  constructor(form: RateForm) {
    this.#form = form;
  }

  /** The rate that is to hold from now on, bits a second. */
  handleRate(bps: number, nowMs: number): void {
    this.#bps = bps;
    this.handleTimeout(nowMs);
  }

  /** A TMMBN that names us with that rate: nothing need be repeated until it changes (RFC 5104 4.2.1.2). */
  handleConfirmation(bps: number): void {
    this.#isConfirmed = this.#toldBps !== undefined && Math.abs(bps - this.#toldBps) <= this.#toldBps / 1000;
  }

  handleTimeout(nowMs: number): void {
    const dueAtMs = this.nextTimeout();
    if (dueAtMs !== undefined && nowMs >= dueAtMs) this.#isDue = true;
    if (this.#isDue) this.#toldAtMs = nowMs;
  }

  nextTimeout(): number | undefined {
    if (this.#bps === undefined) return undefined;
    if (this.#toldBps === undefined || this.#bps < FALL * this.#toldBps) return Number.NEGATIVE_INFINITY;
    if (this.#bps !== this.#toldBps) return this.#toldAtMs + INTERVAL_MS;
    return this.#isConfirmed ? undefined : this.#toldAtMs + REPEAT_MS;
  }

  poll(): RateRequest | undefined {
    if (!this.#isDue || this.#bps === undefined) return undefined;
    this.#isDue = false;
    this.#isConfirmed = this.#isConfirmed && this.#bps === this.#toldBps;
    this.#toldBps = this.#bps;
    return { kind: this.#form, bps: this.#bps };
  }
}
