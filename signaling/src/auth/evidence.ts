import { Recent } from './recent.ts';

/** What a network is suspected of. */
export type Suspicion = 'accounts' | 'targets' | 'passwords' | 'malformed';

/** Questions that were challenged and not answered with any credentials, each counted once however often it is asked. */
const QUESTIONS = {
  /** Names that somebody wants to be. */
  accounts: { old: 20, all: 200 },
  /** Numbers that somebody wants to call, and servers that are not this one. */
  targets: { old: 10, all: 100 },
} as const;
/** A phone answers a challenge within this time; who has not done so by then does not mean to. */
const OLD_MS = 5000;
/** Questions are forgotten after this time. */
const FORGET_MS = 3_600_000;
/** Longer names and targets are compared by their beginnings. */
const LONGEST = 64;

/** A bucket that leaks: so many at once, so many a second in the long run. */
const BUCKETS = {
  /**
   * Wrong passwords, and tries while an account is locked: five times what the lockout's long limit allows; a phone that has
   * a wrong one and tries again every two seconds stays below that for ever.
   */
  passwords: { most: 100, perSecond: 0.5 },
  /** A phone whose messages can't be read sends one in some seconds. */
  malformed: { most: 200, perSecond: 2 },
} as const;

/** Networks and questions that are remembered in all. */
const MAX_NETWORKS = 20_000;
const MAX_QUESTIONS = 50_000;

interface Dossier {
  /** Question → when it was asked first, oldest first. */
  readonly accounts: Map<string, number>;
  readonly targets: Map<string, number>;
  readonly passwords: Bucket;
  readonly malformed: Bucket;
}

interface Bucket {
  level: number;
  atMs: number;
}

/**
 * What strangers have done, by network. Each note answers how much it is by now when that is too much for anybody who means
 * well, else undefined. Bounded: networks that were quiet for longest are forgotten first.
 *
 * The names that exist here and those that don't count alike: whom it takes longer to ban would tell.
 */
export class Evidence {
  readonly #networks = new Recent<Dossier>(MAX_NETWORKS, (forgotten) => this.#dropped(forgotten));
  #questions = 0;

  /** Networks of which something is remembered. */
  get size(): number {
    return this.#networks.size;
  }

  /** Questions remembered. */
  get questions(): number {
    return this.#questions;
  }

  /** Somebody there has been challenged who wants to be `what`, or to reach it. */
  asked(network: string, of: 'accounts' | 'targets', what: string, nowMs: number): number | undefined {
    const questions = this.#dossier(network)[of];
    for (const [question, atMs] of questions) {
      if (nowMs - atMs < FORGET_MS) break; // in the order of time
      questions.delete(question);
      this.#questions--;
    }
    const key = what.slice(0, LONGEST);
    if (!questions.has(key)) {
      questions.set(key, nowMs);
      this.#questions++;
      this.#makeRoom();
    }
    return isTooMuch(questions, QUESTIONS[of], nowMs) ? questions.size : undefined;
  }

  /** Somebody there has answered the challenge to this question, well or not. */
  answered(network: string, of: 'accounts' | 'targets', what: string): void {
    if (this.#networks.peek(network)?.[of].delete(what.slice(0, LONGEST))) this.#questions--;
  }

  counted(network: string, of: 'passwords' | 'malformed', nowMs: number): number | undefined {
    const { most, perSecond } = BUCKETS[of];
    const bucket = this.#dossier(network)[of];
    bucket.level = Math.max(0, bucket.level - ((nowMs - bucket.atMs) / 1000) * perSecond) + 1;
    bucket.atMs = nowMs;
    return bucket.level > most ? Math.round(bucket.level) : undefined;
  }

  forget(network: string): void {
    const known = this.#networks.delete(network);
    if (known) this.#dropped(known);
  }

  #dossier(network: string): Dossier {
    const known = this.#networks.touch(network);
    if (known) return known;
    const made = {
      accounts: new Map<string, number>(),
      targets: new Map<string, number>(),
      passwords: { level: 0, atMs: 0 },
      malformed: { level: 0, atMs: 0 },
    };
    this.#networks.set(network, made);
    return made;
  }

  #dropped({ accounts, targets }: Dossier): void {
    this.#questions -= accounts.size + targets.size;
  }

  #makeRoom(): void {
    while (this.#questions > MAX_QUESTIONS) this.#networks.age();
  }
}

/** So many at once are a scan; fewer are one when nobody has answered for long. */
function isTooMuch(
  questions: ReadonlyMap<string, number>,
  { old, all }: (typeof QUESTIONS)[keyof typeof QUESTIONS],
  nowMs: number,
): boolean {
  if (questions.size >= all) return true;
  if (questions.size < old) return false;
  let count = 0;
  for (const atMs of questions.values()) {
    if (nowMs - atMs < OLD_MS) return false;
    if (++count >= old) return true;
  }
  return false;
}
