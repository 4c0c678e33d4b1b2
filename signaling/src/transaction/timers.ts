/** The base values of RFC 3261 17.1.1.1, milliseconds; everything else follows from them (table 4 in appendix A). */
export interface SipTimers {
  /** Round-trip estimate: first retransmission. */
  readonly t1: number;
  /** Longest interval between retransmissions of non-INVITE requests and INVITE responses. */
  readonly t2: number;
  /** How long a message may stay in the network. */
  readonly t4: number;
}

export const SIP_TIMERS: SipTimers = { t1: 500, t2: 4000, t4: 5000 };

/** Timer D on unreliable transports: at least 32 s (RFC 3261 17.1.1.2). */
export const TIMER_D_MS = 32_000;
