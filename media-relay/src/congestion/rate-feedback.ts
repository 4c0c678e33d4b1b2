import {
  isRemb,
  PayloadFeedback,
  RtcpType,
  readRemb,
  readTmmbn,
  readTmmbr,
  rtcpCount,
  rtcpSsrc,
  rtcpType,
  TransportFeedback,
  writeTmmbn,
} from '@offhook/core';

/** What became of rates in a worker, for its metrics. */
export interface RateCounters {
  /** Transport-wide feedback that was taken, that couldn't be read or spoke of more than was sent, and that we sent. */
  feedback: number;
  badFeedback: number;
  feedbackSent: number;
  /** REMB and TMMBR that came, and ours; TMMBN that named us. */
  caps: number;
  requestsSent: number;
  confirmations: number;
  /** Packets sent to probe a downlink. */
  padding: number;
}

export function noRates(): RateCounters {
  return { feedback: 0, badFeedback: 0, feedbackSent: 0, caps: 0, requestsSent: 0, confirmations: 0, padding: 0 };
}

/** What a feedback packet of a peer is: `cap` and `confirmation` have set the field of that name. */
export type RateFeedbackKind = 'arrivals' | 'cap' | 'confirmation' | 'ignored' | 'other';

/** Reads what a peer says of rates: REMB, TMMBR (RFC 5104 4.2.1) and its notification (4.2.2). */
export class RateFeedback {
  readonly #counters: RateCounters;
  capBps = Number.POSITIVE_INFINITY;
  confirmedBps = 0;
  /** Who asked last by TMMBR, and waits for the notification; whose pictures it was about. */
  #owner = 0;
  #source = 0;
  #ownerBps = 0;
  #overheadBytes = 0;
  #isOwed = false;

  constructor(counters: RateCounters) {
    this.#counters = counters;
  }

  /** @param known our source towards the peer, and the one whose pictures it is sent. */
  take(bytes: Uint8Array, at: number, known: { readonly ours: number; readonly sent: number }): RateFeedbackKind {
    if (rtcpType(bytes, at) === RtcpType.payloadFeedback) {
      if (rtcpCount(bytes, at) !== PayloadFeedback.afb) return 'other';
      return isRemb(bytes, at) ? this.#takeRemb(bytes, at) : 'other';
    }
    switch (rtcpCount(bytes, at)) {
      case TransportFeedback.transportCc:
        return 'arrivals';
      case TransportFeedback.tmmbr:
        return this.#takeTmmbr(bytes, at, known.sent);
      case TransportFeedback.tmmbn: {
        const own = readTmmbn(bytes, at)?.find((entry) => entry.ssrc === known.ours);
        if (own === undefined) return 'ignored';
        this.confirmedBps = own.bitrateBps;
        this.#counters.confirmations++;
        return 'confirmation';
      }
      default:
        return 'other';
    }
  }

  #takeRemb(bytes: Uint8Array, at: number): RateFeedbackKind {
    this.#counters.caps++;
    this.capBps = readRemb(bytes, at)!.bitrateBps;
    return 'cap';
  }

  #takeTmmbr(bytes: Uint8Array, at: number, sent: number): RateFeedbackKind {
    const asked = readTmmbr(bytes, at).find((entry) => entry.ssrc === sent);
    if (asked === undefined) return 'ignored';
    this.#counters.caps++;
    this.capBps = asked.bitrateBps;
    this.#owner = rtcpSsrc(bytes, at);
    this.#source = sent;
    this.#ownerBps = asked.bitrateBps;
    this.#overheadBytes = asked.overheadBytes;
    this.#isOwed = true;
    return 'cap';
  }

  /**
   * RFC 5104 4.2.2.2: every TMMBR is answered by a notification of what holds; its length, or 0. It comes from the media sender that
   * was asked: receivers keep the last one of each media sender (4.2.1.2).
   */
  writeNotification(bytes: Uint8Array, at: number): number {
    if (!this.#isOwed) return 0;
    this.#isOwed = false;
    const entry = { ssrc: this.#owner, bitrateBps: this.#ownerBps, overheadBytes: this.#overheadBytes };
    return writeTmmbn(bytes, at, this.#source, [entry]);
  }
}
