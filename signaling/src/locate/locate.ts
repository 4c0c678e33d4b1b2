import type { Flow } from '../transaction/index.ts';

/** A flow on which a request can be sent to an address outside, found by RFC 3263. */
export interface Way {
  readonly flow: Flow;
  /**
   * This address did not answer, refused the connection or said 503: `then` of `Locate` is called again, with the next
   * one or with why there is none (RFC 3263 4.3). What failed is tried last for a while by everybody.
   */
  next(nowMs: number): void;
}

export type Located = Way | { readonly error: string };

/**
 * Finds where a SIP URI is reached: NAPTR, SRV, A and AAAA, and a flow there, over a listener of ours (UDP) or a connection
 * that is open or opened for it. `then` may be called at once or later, and again after `next`.
 */
export type Locate = (uri: string, nowMs: number, then: (result: Located, nowMs: number) => void) => void;
