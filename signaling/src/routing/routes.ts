/**
 * The words of a `routes.ts`: what a person writes who wants calls to go their own ways. Types alone, so that the file
 * needs nothing of this project when it runs:
 *
 *     import type { Routes } from 'offhook/routes';
 *
 *     export default [
 *       { name: 'emergency', called: ['110', '112'], do: { trunk: ['provider', 'backup'] } },
 *       { name: 'out', called: '0{number}', source: 'user', do: { trunk: 'provider', number: '+49{number}' } },
 *     ] satisfies Routes;
 *
 * Rules are tried from the first to the last. The first that fits and has a `do` decides; one that only rewrites changes
 * the call for the rules after it. What no rule takes goes the built-in way. docs/routing.md has examples.
 */
export type Routes = readonly Rule[];

interface Conditions {
  /** Words for people: they stand in the log and in what `offhook route` prints. Unique. */
  readonly name: string;
  /** The number or name that is called; of several patterns one has to fit. */
  readonly called?: Pattern | readonly Pattern[];
  /** Whom the called side would see: the account's name, or the number that a trunk told. */
  readonly caller?: Pattern | readonly Pattern[];
  /** Where the call comes from: a user of this server, any trunk, or certain trunks. Left out: from anywhere. */
  readonly source?: 'user' | 'trunk' | { readonly trunk: string | readonly string[] };
  /** Only then; of several times one has to be now. */
  readonly when?: When | readonly When[];
  /** Not then, whatever `when` says. */
  readonly unless?: When | readonly When[];
  /** Anything else, in code. It is asked last. */
  readonly if?: (call: Call) => boolean | Promise<boolean>;
  /**
   * Lets a call that came from outside leave this server again, over a trunk or to another server. Without it such a call
   * is refused: a stranger could call the world at your cost.
   */
  readonly transit?: boolean;
}

/** Conditions, and what is done when all of them hold: a decision, changes for the rules that follow, or both. */
export type Rule = Conditions &
  (
    | { readonly do: Action | Decide; readonly rewrite?: Rewrite }
    | { readonly do?: undefined; readonly rewrite: Rewrite }
  );

/** Undefined: this rule does not apply after all, the next one is tried. */
export type Decide = (call: Call) => Action | undefined | Promise<Action | undefined>;

/**
 * What a number has to be as a whole:
 *
 * - `'112'`, `'alice'`: this and nothing else
 * - `'00{number}'`: `{…}` stands for one digit or more, `{number:4}` for four, `{number:3-5}` for three to five; the name
 *   can be used in what is done
 * - `{ prefix: '+49' }`: whatever begins so; `{rest}` is what follows
 * - a regular expression, which has to fit the whole number, not a part of it; its groups are `{1}`, `{2}` or, named,
 *   `{name}`
 */
export type Pattern = string | RegExp | { readonly prefix: string };

/** What is changed of the call; `{…}` stands for what the patterns have caught, `{called}` and `{caller}` for the whole. */
export interface Rewrite {
  readonly called?: string;
  /** The number or name that the called side is shown, */
  readonly caller?: string;
  /** and the words beside it. */
  readonly displayName?: string;
}

export type Action =
  | Step
  /** Steps one after the other, each when nobody has answered the one before. */
  | readonly Step[]
  /** Refuses the call with a SIP status (400 to 699) and words. */
  | { readonly reject: number; readonly reason?: string }
  /** A conference. */
  | { readonly room: string }
  /** A place where calls wait. */
  | { readonly park: string }
  /** Takes a call that rings: at that user's phone, or at any phone of the caller's groups. */
  | { readonly pickup: string | 'any' }
  /** The caller hears themselves. */
  | 'echo'
  /** Users, groups and service numbers, as without any rules. */
  | 'built-in';

export type Step =
  | { readonly ring: Place | readonly Place[]; readonly forSeconds?: number }
  /** Out over a trunk, the number as called unless another is given. Of several trunks the next is tried when one fails. */
  | { readonly trunk: string | readonly string[]; readonly number?: string; readonly forSeconds?: number }
  /** A SIP address of another server. */
  | { readonly uri: string; readonly forSeconds?: number }
  /** As if this number had been called: all rules are tried anew. Only as the last step. */
  | { readonly forward: string };

/** A user or a group by its name, a number over a trunk, a SIP address of another server. */
export type Place = string | { readonly trunk: string; readonly number: string } | { readonly uri: string };

/**
 * A time that comes again. All that is given has to hold. After midnight, hours like `'22:00-06:00'` belong to the day on which
 * they began.
 */
export interface When {
  readonly weekdays?: Weekdays | readonly Weekdays[];
  /** `'08:00-18:00'`: from the first minute on, before the last. */
  readonly hours?: Hours | readonly Hours[];
  /** `'2026-05-14'`, each year's `'12-25'`, or `'12-24..01-01'`: both days and all between them. */
  readonly dates?: string | readonly string[];
  /** IANA name as `'Europe/Berlin'`. Left out: what the file exports as `zone`, or else this machine's. */
  readonly zone?: string;
}

export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun';
export type Weekdays = Weekday | `${Weekday}-${Weekday}`;
export type Hours = `${number}:${number}-${number}:${number}`;

/** The call as code in a rule sees it, with the changes of the rules before. */
export interface Call {
  readonly called: string;
  readonly caller: string;
  readonly displayName: string | undefined;
  /** Which user calls; undefined: somebody from outside. */
  readonly account: string | undefined;
  /** The trunk it came over. */
  readonly trunk: string | undefined;
  /** What the rule's `called` pattern has caught, by name or number. */
  readonly match: Readonly<Record<string, string>>;
  /** When the call came, or the time that `offhook route --at` pretends. */
  readonly now: Date;
  /** Ends when the call waits no longer for an answer: for `fetch(url, { signal: call.signal })`. */
  readonly signal: AbortSignal;
  /** The first value of a header field of the INVITE. */
  header(name: string): string | undefined;
  is(when: When): boolean;
  /** Asks this server about a name or number. */
  lookup(name: string): Promise<Found>;
}

export interface Found {
  readonly isUser: boolean;
  /** Some phone of that user is there. */
  readonly isSignedIn: boolean;
  readonly isInCall: boolean;
  /** The members, when it is a group. */
  readonly group?: readonly string[];
}
