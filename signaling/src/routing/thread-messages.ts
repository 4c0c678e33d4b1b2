import type { CallFacts, Routed } from './decision.ts';
import type { Evaluated, Known } from './evaluate.ts';
import type { Named } from './rules.ts';

/** What the thread is started with. */
export interface ThreadData {
  /** The user's file, as a file: URL. */
  readonly url: string;
  /** One number: the index of the rule that runs now, readable while the thread hangs. */
  readonly at: SharedArrayBuffer;
  /** How long one call may take, before it is given up with the step told. */
  readonly decideMs: number;
  /** Sources to run again as they were; files that are not in here are read from the disk. */
  readonly sources?: Sources;
}

/** The loaded files by URL; without `source` where they are too big to be kept. */
export type Sources = ReadonlyMap<string, { readonly format: string; readonly source?: string }>;

export type ToThread =
  | { readonly kind: 'route'; readonly id: number; readonly facts: CallFacts; readonly atMs: number }
  | { readonly kind: 'told'; readonly question: number; readonly answer: Known | Routed };

/** From the thread; whatever is in it was made beside code of the user's. */
export type FromThread =
  | {
      readonly kind: 'loaded';
      readonly rules: readonly string[];
      readonly named: readonly Named[];
      readonly sources: Sources;
    }
  | { readonly kind: 'unusable'; readonly problems: readonly string[]; readonly sources: Sources }
  | ({ readonly question: number; readonly id: number } & Question)
  | { readonly kind: 'routed'; readonly id: number; readonly evaluated: Evaluated };

export type Question =
  | { readonly kind: 'lookup'; readonly name: string; readonly about: 'who' | 'state' }
  | { readonly kind: 'built-in'; readonly to: string; readonly how: 'forwarded' | 'as called' };
