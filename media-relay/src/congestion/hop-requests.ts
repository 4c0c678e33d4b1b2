import { RtcpWriter, writeTmmbr } from '@offhook/core';
import type { RateCounters } from './rate-feedback.ts';
import { type RateForm, RembThrottler } from './remb-throttler.ts';

/** IPv4, UDP and RTP: what a packet is larger than its payload (RFC 5104 4.2.1.2). */
const OVERHEAD_BYTES = 40;
/** Changes below a thousandth of a megabit are nothing to tell of; and it is never 0, a REMB that libwebrtc takes for no limit. */
const STEP_BPS = 1000;

/** What a sender is told by us of the rate that the far side takes. */
export class HopRequests {
  readonly #counters: RateCounters;
  #form: RateForm | undefined;
  #throttler: RembThrottler | undefined;
  /** Said last, bits a second. */
  toldBps: number | undefined;

  constructor(counters: RateCounters) {
    this.#counters = counters;
  }

  setForm(form: RateForm | undefined): void {
    if (form === this.#form) return;
    this.#form = form;
    this.#throttler = form && new RembThrottler(form);
  }

  handleRate(bps: number, nowMs: number): void {
    this.#throttler?.handleRate(Math.max(STEP_BPS, Math.floor(bps / STEP_BPS) * STEP_BPS), nowMs);
  }

  /** See `RembThrottler`. */
  handleConfirmation(bps: number): void {
    this.#throttler?.handleConfirmation(bps);
  }

  /** Appends the request that is due; its length, or 0. */
  write(bytes: Uint8Array, at: number, { sender, media }: { readonly sender: number; readonly media: number }): number {
    const request = this.#throttler?.poll();
    if (request === undefined) return 0;
    const { kind, bps } = request;
    this.toldBps = bps;
    this.#counters.requestsSent++;
    if (kind === 'remb') return new RtcpWriter(bytes, at).remb(sender, bps, [media]).length;
    return writeTmmbr(bytes, at, sender, [{ ssrc: media, bitrateBps: bps, overheadBytes: OVERHEAD_BYTES }]);
  }
}
