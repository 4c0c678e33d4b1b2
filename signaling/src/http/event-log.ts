import { seenBy } from '../call/index.ts';
import type { MessageNews } from '../messaging/index.ts';
import type { Presence } from '../presence/index.ts';
import type { QualityNews } from '../quality/index.ts';

/** What happened, as watchers are told it. */
export type ServerEvent =
  | ({ readonly type: 'message' } & MessageNews)
  | ({ readonly type: 'presence'; readonly user: string } & Presence)
  | ({ readonly type: 'quality' } & QualityNews)
  | { readonly type: 'registration'; readonly user: string; readonly online: boolean }
  | {
      readonly type: 'call';
      readonly id: string;
      readonly from: string;
      readonly to: string;
      readonly answeredBy?: string;
      readonly isPrivate?: boolean;
      /** Users whose phones ring or talk; it is told to them too. */
      readonly users: readonly string[];
      readonly state: 'setup' | 'ringing' | 'answered' | 'ended';
      /** How it ended: status code and words. */
      readonly status?: number;
      readonly reason?: string;
    };

export interface ToldEvent {
  /** `node-epoch-sequence`: comparable within one epoch of one node, and never the same twice; none when it is not kept. */
  readonly id?: string;
  /** Unix milliseconds. */
  readonly at: number;
  readonly event: ServerEvent;
}

export interface LoggedEvent extends ToldEvent {
  readonly id: string;
  readonly sequence: number;
}

/** Events that a watcher who was away can still have. */
const KEPT = 10_000;

/** The last events in order, in a ring, and who watches them. */
export class EventLog {
  readonly #prefix: string;
  readonly #ring: LoggedEvent[] = [];
  readonly #watchers = new Set<(told: ToldEvent) => void>();
  #next = 1;

  /** @param epoch differs for each start of the node */
  constructor(node: string, epoch: number) {
    this.#prefix = `${node}-${epoch}`;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  add(event: ServerEvent, at: number): void {
    const sequence = this.#next++;
    const logged = { id: `${this.#prefix}-${sequence}`, sequence, at, event };
    this.#ring[sequence % KEPT] = logged;
    for (const watch of this.#watchers) watch(logged);
  }

  /** Tells those who watch now; nobody can have it later. */
  pass(event: ServerEvent, at: number): void {
    for (const watch of this.#watchers) watch({ at, event });
  }

  /**
   * The events after that id, oldest first; `complete` is false when some of them are gone already, or the id is of
   * another node or epoch: then everything that is kept.
   */
  after(id: string): { readonly complete: boolean; readonly events: LoggedEvent[] } {
    const known = id.startsWith(`${this.#prefix}-`) ? Number(id.slice(this.#prefix.length + 1)) : Number.NaN;
    const oldest = Math.max(1, this.#next - KEPT);
    const isKnown = Number.isInteger(known) && known >= 0 && known < this.#next;
    const first = isKnown ? Math.max(known + 1, oldest) : oldest;
    const events: LoggedEvent[] = [];
    for (let sequence = first; sequence < this.#next; sequence++) events.push(this.#ring[sequence % KEPT]!);
    return { complete: isKnown && known + 1 >= oldest, events };
  }

  /** Told of each event from now on; the result ends it. */
  watch(watcher: (told: ToldEvent) => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

/** An event as an account may see it, if at all: calls, how they sound, and messages are their parties', how somebody is is everybody's. */
export function toldTo(event: ServerEvent, user: string): object | undefined {
  if (event.type === 'registration' || event.type === 'presence') return event;
  if (event.type === 'message') return messageTo(event, user);
  if (event.type === 'quality') return qualityTo(event, user);
  const { users, isPrivate: _, ...call } = event;
  if (event.from !== user && event.to !== user && !users.includes(user)) return undefined;
  return { ...call, from: seenBy(event, user).from };
}

/** Whoever may see the call; what is told of a private caller's phone does not say whose it is. */
function qualityTo(event: Extract<ServerEvent, { type: 'quality' }>, user: string): object | undefined {
  if (event.from !== user && event.to !== user && event.user !== user && !event.users.includes(user)) return undefined;
  const { from, to: _, users: __, isPrivate, ...told } = event;
  return isPrivate && event.user === from && from !== user ? { ...told, user: 'anonymous' } : told;
}

/** The sender knows the message by its own Call-ID; whoever gets it may not be told who sent it. */
function messageTo(event: Extract<ServerEvent, { type: 'message' }>, user: string): object | undefined {
  const { isPrivate, callId, ...rest } = event;
  if (event.from === user) return { ...rest, callId };
  if (event.to !== user || event.state === 'failed') return undefined;
  return isPrivate ? { ...rest, from: 'anonymous' } : rest;
}
