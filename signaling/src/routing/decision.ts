/** Who calls whom, as routing sees it. */
export interface CallFacts {
  /** The account that calls; undefined when the call came over a trunk. */
  readonly account?: string;
  /** The trunk that the call came over. */
  readonly trunk?: string;
  /** What the trunk's own settings make of the called number, or why they lead nowhere; rules may know better. */
  readonly did?: { readonly to: string } | { readonly nowhere: string };
  /** What the caller shows: the account's name, or the number that the trunk told. */
  readonly from: string;
  readonly displayName?: string;
  /** User part of the address that is called. */
  readonly to: string;
  /** First value of each header field of the INVITE, by lower-case name. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Who is to be rung. */
export type Target =
  /** Every phone of that user; with them rung alone, and not as a member of a group, the user's own forwarding holds. */
  | { readonly kind: 'user'; readonly user: string; readonly isMember?: true }
  /** A number over a trunk, in the form that the trunk takes. */
  | { readonly kind: 'trunk'; readonly trunk: string; readonly number: string }
  /** A SIP address of another server, found by RFC 3263. */
  | { readonly kind: 'uri'; readonly uri: string };

/** Targets that are rung at once; the next step begins when all have failed, or the time is over. */
export interface RingStep {
  readonly targets: readonly Target[];
  /** Undefined: until the call's own limit. */
  readonly ringS?: number;
}

/** What becomes of a call. */
export type Decision =
  | {
      readonly kind: 'ring';
      readonly steps: readonly RingStep[];
      /** What the called side is shown instead of the caller's own. */
      readonly showAs?: { readonly from?: string; readonly displayName?: string };
    }
  | { readonly kind: 'echo' }
  /** Called: fetches who is parked there. Transferred to: parks there. */
  | { readonly kind: 'park'; readonly slot: string }
  /** Takes a call that rings at that user's phone, or at anybody's in the caller's groups. */
  | { readonly kind: 'pickup'; readonly user?: string }
  | { readonly kind: 'room'; readonly room: string }
  | { readonly kind: 'reject'; readonly status: number; readonly reason: string };

/** A decision and how it came about, one sentence a step. */
export interface Routed {
  readonly decision: Decision;
  readonly steps: readonly string[];
}

/** What routing may ask about this server. */
export interface Directory {
  readonly isUser: (user: string) => boolean;
  readonly group: (name: string) => RingGroup | undefined;
}

/** Users who are rung together. */
export interface RingGroup {
  readonly members: readonly string[];
  /** At once, or one after the other. */
  readonly ring: 'parallel' | 'serial';
  /** How long one step rings. */
  readonly ringS: number;
}
