import type { Flow } from '../transaction/index.ts';
import type { Greylist } from './greylist.ts';
import { type Hop, hopKey, hopLabel, type Target } from './hop.ts';
import type { Located } from './locate.ts';
import type { Opened } from './locator.ts';
import { Search, type SearchOptions } from './search.ts';

/** Reasons that are told in the end; more would be no sentence. */
const REASONS = 3;

export interface AttemptOptions extends Omit<SearchOptions, 'onProgress'> {
  readonly grey: Greylist;
  readonly open: (hop: Hop, then: (opened: Opened, nowMs: number) => void) => void;
  /** Nothing good came of a connection. */
  readonly doubt: (flow: Flow) => void;
  readonly then: (result: Located, nowMs: number) => void;
}

/**
 * One caller's way through the hops of a target: "If the client … receives a 503, a timeout, or a transport error, it SHOULD
 * try the next" (RFC 3263 4.3). What has failed lately comes last.
 */
export class Attempt {
  readonly #options: AttemptOptions;
  readonly #search: Search;
  readonly #tried = new Set<string>();
  readonly #reasons = new Set<string>();
  /** seeking: for a hop that is known · busy: one is being opened, or is with the caller. */
  #state: 'seeking' | 'busy' | 'ended' = 'seeking';

  constructor(target: Target, options: AttemptOptions) {
    this.#options = options;
    this.#search = new Search(target, { ...options, onProgress: (nowMs) => this.#advance(nowMs) });
  }

  start(nowMs: number): void {
    this.#search.start(nowMs);
  }

  #advance(nowMs: number): void {
    if (this.#state !== 'seeking') return;
    const hop = this.#choose(nowMs);
    if (hop) this.#try(hop);
    else if (this.#search.isDone) {
      this.#state = 'ended';
      this.#options.then({ error: this.#words() }, nowMs);
    }
  }

  #choose(nowMs: number): Hop | undefined {
    const { grey } = this.#options;
    const left = this.#search.hops.filter((hop) => !this.#tried.has(hopKey(hop)));
    return left.find((hop) => !grey.has(hop, nowMs)) ?? (this.#search.isDone ? left[0] : undefined);
  }

  #try(hop: Hop): void {
    this.#state = 'busy';
    this.#tried.add(hopKey(hop));
    this.#options.open(hop, (opened, nowMs) => {
      if ('error' in opened) {
        this.#failed(hop, opened.error, nowMs);
        return;
      }
      if (hop.transport !== 'udp') this.#options.grey.delete(hop); // a connection has been made
      let isOver = false;
      const next = (atMs: number) => {
        if (isOver) return;
        isOver = true;
        if (hop.transport !== 'udp') this.#options.doubt(opened.flow);
        this.#failed(hop, `${hopLabel(hop)} (${hop.transport.toUpperCase()}) did not take the request`, atMs);
      };
      this.#options.then({ flow: opened.flow, next }, nowMs);
    });
  }

  #failed(hop: Hop, reason: string, nowMs: number): void {
    this.#reasons.add(reason);
    this.#options.grey.add(hop, nowMs);
    this.#state = 'seeking';
    this.#advance(nowMs);
  }

  #words(): string {
    const reasons = [...this.#reasons, this.#search.words].filter((words) => words !== '');
    const more = reasons.length - REASONS;
    return `${reasons.slice(0, REASONS).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
  }
}
