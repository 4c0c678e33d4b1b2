import type { Dialog } from '../dialog/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { EventPackage } from './event-package.ts';

/** One watcher of one state: a dialog that NOTIFYs go out in (RFC 6665 4.2). */
export interface Subscription {
  readonly dialog: Dialog;
  readonly watcher: string;
  /** The watcher's phone, where it has said which it is (RFC 5626 4.1, 5627). */
  readonly instance?: string;
  readonly of: EventPackage;
  /** The user whose state it is. */
  readonly resource: string;
  readonly eventId?: string;
  expiresAtMs: number;
  /** Of the next document. */
  version: number;
  /** Whether a NOTIFY waits for its answer; what changes meanwhile is told by one more. */
  isTelling: boolean;
  isStale: boolean;
  /** Its connection is gone; it goes on when the phone registers anew. */
  isLost: boolean;
}

export interface SubscriptionLimits {
  readonly perWatcher: number;
  /** Of one watcher to the same state; the oldest gives way, for a phone that has lost its memory subscribes anew. */
  readonly perState: number;
  readonly all: number;
  readonly minS: number;
  readonly maxS: number;
}

export const SUBSCRIPTION_LIMITS: SubscriptionLimits = {
  perWatcher: 500,
  perState: 5,
  all: 50_000,
  minS: 60,
  maxS: 3600,
};

/** Subscriptions by what they are looked up by. */
export class SubscriptionTable {
  readonly #byTag = new Map<string, Subscription>();
  readonly #byState = new Map<string, Set<Subscription>>();
  readonly #byWatcher = new Map<string, Set<Subscription>>();
  readonly #byFlow = new Map<Flow, Set<Subscription>>();

  get size(): number {
    return this.#byTag.size;
  }

  ofWatcher(watcher: string): ReadonlySet<Subscription> {
    return this.#byWatcher.get(watcher) ?? NONE;
  }

  onFlow(flow: Flow): ReadonlySet<Subscription> {
    return this.#byFlow.get(flow) ?? NONE;
  }

  ofState(name: string, resource: string): ReadonlySet<Subscription> {
    return this.#byState.get(`${name} ${resource}`) ?? NONE;
  }

  all(): IterableIterator<Subscription> {
    return this.#byTag.values();
  }

  byTag(tag: string): Subscription | undefined {
    return this.#byTag.get(tag);
  }

  add(subscription: Subscription): void {
    const { dialog, watcher, of, resource } = subscription;
    this.#byTag.set(dialog.localTag, subscription);
    put(this.#byState, `${of.name} ${resource}`, subscription);
    put(this.#byWatcher, watcher, subscription);
    put(this.#byFlow, dialog.flow, subscription);
  }

  /** Its phone is reached over another flow from now on. */
  move(subscription: Subscription, flow: Flow): void {
    take(this.#byFlow, subscription.dialog.flow, subscription);
    subscription.dialog.flow = flow;
    put(this.#byFlow, flow, subscription);
  }

  delete(subscription: Subscription): boolean {
    const { dialog, watcher, of, resource } = subscription;
    if (!this.#byTag.delete(dialog.localTag)) return false;
    take(this.#byState, `${of.name} ${resource}`, subscription);
    take(this.#byWatcher, watcher, subscription);
    take(this.#byFlow, dialog.flow, subscription);
    return true;
  }
}

const NONE: ReadonlySet<Subscription> = new Set();

function put<K>(index: Map<K, Set<Subscription>>, key: K, one: Subscription): void {
  const known = index.get(key);
  if (known) known.add(one);
  else index.set(key, new Set([one]));
}

function take<K>(index: Map<K, Set<Subscription>>, key: K, one: Subscription): void {
  const known = index.get(key);
  known?.delete(one);
  if (known?.size === 0) index.delete(key);
}
