import type { SipMessage } from '@offhook/core';
import type { Located } from '../locate/index.ts';

/** One call on its way out over a trunk, which has given it a line. */
export interface Outgoing {
  readonly trunk: string;
  /** The account whose call it is. */
  readonly payer: string;
  /** The called number, in its international form where that is known. */
  readonly number: string;
  /** Request-URI. */
  readonly uri: string;
  /** From and To, without tags. */
  readonly from: string;
  readonly to: string;
  /** Identity (P-Asserted-Identity, Privacy) and whatever else the trunk wants to see. */
  readonly headers: readonly (readonly [string, string])[];
  /** Route headers: an outbound proxy. */
  readonly route: readonly string[];
  /** The ways to the trunk's targets, one after the other: see `Way.next`. */
  locate(nowMs: number, then: (result: Located, nowMs: number) => void): void;
  /** The Authorization or Proxy-Authorization for a challenged request; undefined when that realm gets no password of ours. */
  authorize(request: SipMessage, challenge: SipMessage): readonly [string, string] | undefined;
  /** The call is over, or never came to be: its line is free again. Once more does nothing. */
  release(): void;
}

/** The trunks as calls see them. */
export interface Trunks {
  /** A way out for one call, or why there is none: no such trunk, all lines busy, too fast, none of its targets up. */
  dial(
    what: { readonly trunk: string; readonly number: string; readonly caller: OutgoingCaller },
    nowMs: number,
  ): Outgoing | { readonly status: number; readonly words: string };
}

/** Who calls out, as the trunk may show it. */
export interface OutgoingCaller {
  /** Account, or number when the call came over another trunk: whom the called side is shown. */
  readonly user: string;
  /** The account whose call it is: the caller's, or that of who passed the call on. */
  readonly payer: string;
  readonly displayName?: string;
  /** The caller wants not to be shown (RFC 3323). */
  readonly isPrivate: boolean;
}
