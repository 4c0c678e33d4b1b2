import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtIn } from './built-in.ts';
import { checkRouted } from './check.ts';
import type { CallFacts, Directory, Routed } from './decision.ts';
import { type Known, leaves } from './evaluate.ts';
import { missingNames } from './missing.ts';
import { RoutesError, RoutesThread, type ThreadOptions } from './thread.ts';
import type { Question, Sources } from './thread-messages.ts';
import { FilesWatch } from './watch.ts';

/** What the routes may ask of this server. */
export interface RoutingDirectory extends Directory {
  isSignedIn(user: string): boolean;
  isInCall(user: string): boolean;
  /** Left out where trunks are not known. */
  isTrunk?(name: string): boolean;
  /** Set where nobody is known: names are taken for users. */
  readonly isGuess?: boolean;
}

export interface RouterOptions {
  /** The user's file. */
  readonly path: string;
  readonly directory: RoutingDirectory;
  readonly log: { info(words: string): void; warn(words: string): void };
  readonly limits?: Partial<RouterLimits>;
}

export interface RouterLimits {
  readonly loadMs: number;
  /** What a call waits for the user's code. */
  readonly decideMs: number;
  /** What it waits longer, for a thread that should have given up by itself. */
  readonly graceMs: number;
  readonly settleMs: number;
  readonly memoryMb: number;
  /** Calls that wait at once. */
  readonly waiting: number;
  /** How many threads may break down within a minute, before rules are left alone for a while. */
  readonly failures: number;
  /** That while at first; it doubles. */
  readonly backoffMs: number;
}

export const ROUTER_LIMITS: RouterLimits = {
  loadMs: 10_000,
  decideMs: 2000,
  graceMs: 250,
  settleMs: 200,
  memoryMb: 64,
  waiting: 1000,
  failures: 3,
  backoffMs: 5000,
};
const MAX_BACKOFF_MS = 300_000;
const FAILURES_MS = 60_000;
/** A call is given to a second thread when the first broke down, and to no third. */
const MAX_ATTEMPTS = 2;

interface Waiting {
  readonly facts: CallFacts;
  readonly atMs: number;
  readonly answer: (routed: Routed) => void;
  timer: NodeJS.Timeout | undefined;
  thread: RoutesThread | undefined;
  attempts: number;
}

/**
 * Answers what becomes of calls, by the rules of the user's file. They run in a thread; a new version replaces the old one
 * when it has been loaded and found good, and a thread that hangs or breaks down is replaced too.
 */
export class Router {
  readonly counters = { decided: 0, failed: 0, loaded: 0, broken: 0 };
  readonly #options: RouterOptions;
  readonly #limits: RouterLimits;
  readonly #watch: FilesWatch;
  readonly #threads = new Set<RoutesThread>();
  readonly #waiting = new Set<Waiting>();
  readonly #closing = new AbortController();
  #current: RoutesThread | undefined;
  /** The version that was in use last; it takes over when its thread breaks down. */
  #good: Sources | undefined;
  #loading: Promise<string> | undefined;
  #changedMeanwhile = false;
  /** Why the newest version of the file is not in use. */
  #trouble: string | undefined;
  /** Names in the file that this server does not know. */
  #missing: readonly string[] = [];
  #failuresAtMs: number[] = [];
  #backoffMs: number;
  #pause: { readonly timer: NodeJS.Timeout; readonly words: string } | undefined;
  readonly #told = new Map<string, number>();

  /** Begins to load at once; calls that come meanwhile wait for it. */
  constructor(options: RouterOptions) {
    this.#options = options;
    this.#limits = { ...ROUTER_LIMITS, ...options.limits };
    this.#backoffMs = this.#limits.backoffMs;
    this.#watch = new FilesWatch(this.#limits.settleMs, () => this.#check());
    this.#watch.follow([options.path], 'followed');
    void this.reload().catch(() => {}); // it is in the log and in the warnings
  }

  /** What becomes of a call; never rejects. `atMs` is Unix time. */
  route(facts: CallFacts, atMs: number = Date.now()): Promise<Routed> {
    const { waiting } = this.#limits;
    if (this.#closing.signal.aborted) return Promise.resolve(refused(503, 'the server is being stopped'));
    if (this.#waiting.size >= waiting)
      return Promise.resolve(refused(503, `${waiting} calls wait for the routes already`));
    return new Promise((resolve) => {
      const call: Waiting = { facts, atMs, answer: resolve, ...NEW };
      this.#waiting.add(call);
      this.#dispatch(call);
    });
  }

  /** Loads the file anew and says in words what came of it; throws when the old version is kept, or none is there. */
  reload(): Promise<string> {
    if (this.#loading) return this.#loading.catch(() => {}).then(() => this.reload());
    this.#resume();
    return this.#load();
  }

  /** When what was begun to be loaded is in use; throws, in words, when it can't be. */
  async loaded(): Promise<void> {
    await this.#loading;
    if (!this.#current) throw new Error(this.warnings[0] ?? 'the rules are not loaded');
  }

  /** Why the newest version of the file is not in use, if so. */
  get trouble(): string | undefined {
    return this.#trouble ?? this.#pause?.words;
  }

  /** What a person should know. */
  get warnings(): string[] {
    return [this.#trouble, this.#pause?.words, ...this.#missing].filter((words) => words !== undefined);
  }

  /** In words: which version is in use. */
  get state(): string {
    const file = basename(this.#options.path);
    if (this.#current) return `${counted(this.#current)} of ${file}`;
    return this.#loading ? `${file} is being loaded` : 'built-in';
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#watch.close();
    clearTimeout(this.#pause?.timer);
    for (const call of this.#waiting) this.#settle(call, refused(503, 'the server is being stopped'));
    await this.#loading?.catch(() => {});
    await Promise.all([...this.#threads].map((thread) => thread.stop()));
    this.#threads.clear();
  }

  #dispatch(call: Waiting): void {
    const thread = this.#current;
    if (thread) {
      call.thread = thread;
      call.attempts++;
      const { decideMs, graceMs } = this.#limits;
      call.timer = setTimeout(() => this.#late(call, thread), decideMs + graceMs);
      thread.ask(call.facts, call.atMs, (evaluated) => this.#answered(call, evaluated));
    } else if (!this.#loading) {
      const why = this.trouble ?? 'the rules are not loaded';
      const { decision, steps } = this.#builtIn(call.facts, 'as called');
      this.#settle(call, { decision, steps: [why, ...steps.map((step) => `built-in: ${step}`)] });
    }
  }

  #answered(call: Waiting, evaluated: unknown): void {
    const routed = checkRouted(evaluated);
    if (typeof routed === 'string') {
      this.#settle(call, refused(500, 'the routes decided what can’t be done', this.#sentences(evaluated), routed));
      return;
    }
    const { decision } = routed;
    const isOutside = call.facts.account === undefined;
    const mayLeave = !isOutside || (evaluated as { transit?: unknown }).transit === true;
    // The rules have been held to this in their thread; but that is where the user's code runs.
    if (!mayLeave && decision.kind === 'ring' && decision.steps.some(({ targets }) => targets.some(leaves)))
      this.#settle(call, refused(403, 'a call from outside may not leave this server again', routed.steps));
    else this.#settle(call, routed);
  }

  #sentences(evaluated: unknown): readonly string[] {
    const steps = (evaluated as { steps?: unknown } | null)?.steps;
    return Array.isArray(steps) ? steps.filter((step) => typeof step === 'string').slice(0, 500) : [];
  }

  #settle(call: Waiting, routed: Routed): void {
    if (!this.#waiting.delete(call)) return;
    clearTimeout(call.timer);
    this.counters.decided++;
    const { decision, steps } = routed;
    if (decision.kind === 'reject' && (decision.status === 500 || decision.status === 503)) {
      this.counters.failed++;
      this.#warnOnce(`${basename(this.#options.path)}: ${steps.at(-1) ?? decision.reason}`);
    }
    call.answer(routed);
  }

  /** The thread should have given up by itself before this: something in it does not let go. */
  #late(call: Waiting, thread: RoutesThread): void {
    const rule = thread.runs;
    const whose = rule === undefined ? 'the code' : `the code of rule '${rule}'`;
    const why = `${whose} does not come to an end within ${this.#limits.decideMs / 1000} s`;
    this.#settle(call, refused(503, 'the routes gave no answer in time', [], `the rules gave no answer: ${why}`));
    void thread.stop();
    this.#gone(thread, why, 'found');
  }

  #gone(thread: RoutesThread, words: string, culprit: 'found' | 'unknown'): void {
    const rule = thread.runs;
    const why = rule === undefined || words.includes(`'${rule}'`) ? words : `${words}, while rule '${rule}' was tried`;
    if (!this.#threads.delete(thread) || this.#closing.signal.aborted) return;
    this.counters.broken++;
    this.#options.log.warn(`the routes' thread is ended: ${why}`);
    const wasCurrent = thread === this.#current;
    if (wasCurrent) {
      this.#current = undefined;
      const nowMs = performance.now();
      this.#failuresAtMs = [...this.#failuresAtMs.filter((atMs) => nowMs - atMs < FAILURES_MS), nowMs];
      if (this.#failuresAtMs.length >= this.#limits.failures) this.#rest(thread.sources, why);
      else if (!this.#loading) this.#load(thread.sources).catch(() => {});
    }
    const orphans = [...this.#waiting].filter((call) => call.thread === thread);
    for (const call of orphans) {
      call.thread = undefined;
      clearTimeout(call.timer);
      // one that was alone when the thread broke down has done it, and would do it again
      const isCulprit = orphans.length === 1 && culprit === 'unknown';
      if (!isCulprit && call.attempts < MAX_ATTEMPTS) this.#dispatch(call);
      else this.#settle(call, refused(503, 'the routes gave no answer', [], `the rules gave no answer: ${why}`));
    }
  }

  /** Leaves the rules alone for a while. */
  #rest(sources: Sources, why: string): void {
    const ms = this.#backoffMs;
    this.#backoffMs = Math.min(2 * ms, MAX_BACKOFF_MS);
    const words = `the rules have broken down ${this.#failuresAtMs.length} times (${why}) and rest for ${ms / 1000} s; calls go the built-in way`;
    this.#options.log.warn(words);
    const timer = setTimeout(() => {
      this.#resume();
      this.#load(sources).catch(() => {});
    }, ms).unref();
    this.#pause = { timer, words };
  }

  #resume(): void {
    clearTimeout(this.#pause?.timer);
    if (this.#pause) this.#failuresAtMs = [];
    this.#pause = undefined;
  }

  /** Loads what the disk holds, or what once was good. */
  #load(sources?: Sources): Promise<string> {
    const loading = this.#loadOnce(sources).finally(() => {
      this.#loading = undefined;
      // its thread broke down while a newer version was tried in vain
      if (!this.#current && this.#good && !this.#pause && !this.#closing.signal.aborted)
        this.#load(this.#good).catch(() => {});
      // those that came before there was a thread, or a reason to do without
      for (const call of this.#waiting) if (!call.thread) this.#dispatch(call);
      if (!this.#changedMeanwhile || this.#closing.signal.aborted) return;
      this.#changedMeanwhile = false;
      this.#check();
    });
    this.#loading = loading;
    return loading;
  }

  async #loadOnce(sources: Sources | undefined): Promise<string> {
    const { path, log } = this.#options;
    try {
      if (!existsSync(path)) throw new RoutesError([`${path}: there is no such file`]);
      const thread = await RoutesThread.load(this.#threadOptions(sources), this.#closing.signal);
      const missing = missingNames(thread, this.#options.directory, path);
      if (this.#current && missing.length > 0 && !sources) {
        await thread.stop();
        throw new RoutesError(missing, thread.sources);
      }
      return this.#use(thread, sources ? this.#missing : missing, sources);
    } catch (error) {
      const known = error instanceof RoutesError ? error : new RoutesError([String(error)]);
      const kept = this.#good ? 'the old rules are kept' : 'the rules can’t be used, calls go the built-in way';
      const words = `${kept}: ${known.message}`;
      if (words !== this.#trouble && !this.#closing.signal.aborted) log.warn(words);
      this.#trouble = words;
      this.#follow([...known.sources.keys(), ...(this.#current?.sources.keys() ?? [])], 'followed');
      if (sources && !this.#closing.signal.aborted) this.#rest(sources, known.message);
      throw new Error(words);
    }
  }

  #use(thread: RoutesThread, missing: readonly string[], sources: Sources | undefined): string {
    const { path, log } = this.#options;
    this.counters.loaded++;
    this.#threads.add(thread);
    const old = this.#current;
    this.#current = thread;
    this.#good = thread.sources;
    old?.retire(() => this.#threads.delete(old));
    this.#missing = missing;
    for (const words of missing) log.warn(words);
    // a replacement runs what was good before; whatever is wrong with the file of now remains wrong
    if (!sources) {
      this.#trouble = undefined;
      this.#backoffMs = this.#limits.backoffMs;
      this.#follow([...thread.sources.keys()], 'ignored');
    }
    const words = `${counted(thread)} of ${basename(path)} in use: ${thread.rules.slice(0, 20).join(', ')}`;
    log.info(words);
    return words;
  }

  #follow(urls: readonly string[], others: 'ignored' | 'followed'): void {
    if (this.#closing.signal.aborted) return;
    this.#watch.follow([this.#options.path, ...urls.map((url) => fileURLToPath(url))], others);
  }

  /** Some file has changed. */
  #check(): void {
    if (this.#loading) {
      this.#changedMeanwhile = true;
      return;
    }
    if (!this.#trouble && this.#current && isSame(this.#current.sources)) return;
    this.reload().catch(() => {}); // it is in the log and in the warnings
  }

  #threadOptions(sources: Sources | undefined): ThreadOptions {
    const { path, log } = this.#options;
    return {
      path,
      sources,
      ...this.#limits,
      answer: (question, facts) => this.#tell(question, facts),
      onPrinted: (line) => log.info(`${basename(path)} prints: ${line}`),
      onGone: (thread, why) => this.#gone(thread, why, 'unknown'),
    };
  }

  #tell(question: Question, facts: CallFacts): Known | Routed {
    if (question.kind === 'built-in') return this.#builtIn({ ...facts, to: String(question.to) }, question.how);
    const name = String(question.name);
    const { directory } = this.#options;
    const isUser = directory.isUser(name);
    const isAsked = isUser && question.about === 'state';
    return {
      isUser,
      isSignedIn: isAsked && directory.isSignedIn(name),
      isInCall: isAsked && directory.isInCall(name),
      group: directory.group(name),
      isGuess: directory.isGuess,
    };
  }

  #builtIn(facts: CallFacts, how: 'forwarded' | 'as called'): Routed {
    return builtIn(facts, this.#options.directory, how);
  }

  /** What goes wrong with each call is told once a minute. */
  #warnOnce(words: string): void {
    const nowMs = performance.now();
    if (nowMs - (this.#told.get(words) ?? Number.NEGATIVE_INFINITY) < FAILURES_MS) return;
    if (this.#told.size >= 100) this.#told.delete(this.#told.keys().next().value!);
    this.#told.set(words, nowMs);
    this.#options.log.warn(words);
  }
}

const NEW = { timer: undefined, thread: undefined, attempts: 0 };

function refused(status: number, reason: string, before: readonly string[] = [], last: string = reason): Routed {
  return { decision: { kind: 'reject', status, reason }, steps: [...before, last] };
}

function counted({ rules }: RoutesThread): string {
  return rules.length === 1 ? '1 rule' : `${rules.length} rules`;
}

/** Whether the disk holds what was loaded. */
function isSame(sources: Sources): boolean {
  for (const [url, { source }] of sources) {
    try {
      if (readFileSync(fileURLToPath(url), 'utf8') !== source) return false;
    } catch {
      return false;
    }
  }
  return true;
}
