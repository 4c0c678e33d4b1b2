import { batch, computed, signal } from '@preact/signals';
import type { ServerEvent } from './events/server-event.ts';
import {
  type Conversation,
  emptyConversation,
  lastAtMs,
  merged,
  readUntil,
  sendable,
  type TextState,
  unreadCount,
  withoutText,
  withState,
  withText,
} from './text/conversation.ts';
import { Outbox, type QueuedText } from './text/outbox.ts';
import { TextStore } from './text/text-store.ts';
import type { IncomingText, TextOutcome } from './ua/signaling.ts';

/** In the page at once; the store keeps as many. */
const MOST_CONVERSATIONS = 50;
/** What was typed so long ago is not sent unasked. */
const SEND_WITHIN_MS = 24 * 3_600_000;

export interface TextsOptions {
  readonly storage: Storage;
  readonly now: () => number;
  readonly newId: () => string;
  readonly send: (queued: QueuedText) => Promise<TextOutcome>;
  /** Whether somebody looks at the page now. */
  readonly isWatched: () => boolean;
  /** Something came that nobody has in view. */
  readonly notify: (arrival: Arrival) => void;
}

/** A text that just came. */
export interface Arrival {
  readonly id: string;
  readonly peer: string;
  readonly text: string;
}

/** The texts of the account that is signed in: what was written, what is on its way, what nobody has read yet. */
export class Texts {
  readonly conversations = signal<ReadonlyMap<string, Conversation>>(new Map());
  /** Whose conversation is on the screen. */
  readonly shown = signal<string | undefined>(undefined);
  /** What came last and was not looked at yet. */
  readonly arrival = signal<Arrival | undefined>(undefined);
  readonly unread = computed(() =>
    [...this.conversations.value.values()].reduce((sum, conversation) => sum + unreadCount(conversation), 0),
  );
  /** What was typed and not sent, by person. */
  readonly drafts = new Map<string, string>();
  readonly #options: TextsOptions;
  readonly #outbox = new Outbox();
  #store: TextStore | undefined;
  /** Rises when the account changes: answers for the one before are of no use. */
  #generation = 0;

  constructor(options: TextsOptions) {
    this.#options = options;
  }

  /** Where the news of what the server keeps, or may have, go on; undefined when there are none to come. */
  get newsAfter(): string | undefined {
    const waits = [...this.conversations.value.values()].some(({ texts }) =>
      texts.some(({ state }) => state === 'stored' || state === 'unanswered'),
    );
    return waits ? this.#store?.lastNews : undefined;
  }

  /** @param account `user@domain` */
  enter(account: string): void {
    this.leave();
    const store = new TextStore(this.#options.storage, account);
    this.#store = store;
    const all = store.all().sort((a, b) => lastAtMs(b) - lastAtMs(a));
    this.conversations.value = new Map(all.slice(0, MOST_CONVERSATIONS).map((c) => [c.peer, c]));
    const since = this.#options.now() - SEND_WITHIN_MS;
    for (const { peer, texts } of all)
      for (const { id, state, text, atMs } of texts) {
        if (state !== 'waiting' && state !== 'sending') continue;
        if (atMs >= since) this.#outbox.handleText({ id, peer, text });
        else this.#mark(peer, id, { state: 'failed', reason: 'it waited for a day' });
      }
    this.#drain();
  }

  /** Another account comes, or nobody; what was kept stays. */
  leave(): void {
    this.#generation++;
    this.#outbox.handleStop();
    this.#store = undefined;
    this.drafts.clear();
    batch(() => {
      this.conversations.value = new Map();
      this.shown.value = undefined;
      this.arrival.value = undefined;
    });
  }

  /** Signed out: nothing of this account stays in the browser. */
  forget(): void {
    this.#store?.wipe();
    this.leave();
  }

  show(peer: string): void {
    batch(() => {
      this.close();
      this.shown.value = peer;
      this.#seen(peer);
    });
  }

  close(): void {
    batch(() => {
      if (this.arrival.value?.peer === this.shown.value) this.arrival.value = undefined; // it was in view
      this.shown.value = undefined;
    });
  }

  dismissArrival(): void {
    this.arrival.value = undefined;
  }

  /** Somebody looks at the page again. */
  watched(): void {
    if (this.shown.value !== undefined) this.#seen(this.shown.value);
  }

  /** @returns whether there was something that can be sent */
  send(peer: string, typed: string): boolean {
    const text = sendable(typed);
    if (text === undefined || !this.#store) return false;
    this.#add(peer, text, this.#options.newId());
    return true;
  }

  /** The same message where it may have arrived, else a new one. */
  sendAgain(peer: string, id: string): void {
    const text = this.#of(peer).texts.find((t) => t.id === id);
    if (!text) return;
    if (text.state === 'unanswered') {
      this.#outbox.handleText({ id, peer, text: text.text });
      this.#drain();
    } else if (text.state === 'failed' || text.state === 'expired') {
      this.#update(peer, (conversation) => withoutText(conversation, id), 'replace');
      this.#add(peer, text.text, this.#options.newId());
    }
  }

  receive({ id, from, text, sentAtMs }: IncomingText): void {
    const { now, isWatched, notify } = this.#options;
    const before = this.#of(from.user);
    const atMs = Math.max(now(), lastAtMs(before) + 1);
    const sentBefore = sentAtMs !== undefined && sentAtMs < atMs ? { sentAtMs } : {};
    const named = from.displayName ? { ...before, name: from.displayName } : before;
    const after = withText(named, { id, text, state: 'received', atMs, changedAtMs: atMs, ...sentBefore });
    if (after === named) return; // it came before
    const inView = isWatched() && this.shown.value === from.user;
    const arrival = { id, peer: from.user, text };
    batch(() => {
      this.#update(from.user, () => (inView ? readUntil(after, atMs) : after));
      this.arrival.value = arrival;
    });
    if (!inView) notify(arrival);
  }

  handleLink(isUp: boolean): void {
    if (!this.#store) return;
    this.#outbox.handleLink(isUp);
    this.#drain();
  }

  /** What the server tells of a text that was sent from here. @param newsId where to go on after it */
  handleNews(event: Extract<ServerEvent, { kind: 'message' }>, newsId: string): void {
    if (event.callId === undefined) return;
    this.#store?.keepNews(newsId);
    for (const [peer, { texts }] of this.conversations.value) {
      const state = texts.find(({ id }) => id === event.callId)?.state;
      if (state === undefined) continue;
      const isOpen = state === 'stored' || state === 'unanswered';
      if (event.state === 'delivered' || isOpen) this.#mark(peer, event.callId, event);
    }
  }

  /** Another tab has written or wiped this key; null is everything. */
  handleStorage(key: string | null): void {
    const peer = this.#store?.peerOf(key);
    if (peer !== undefined) this.#adopt(peer);
    else if (key === null) for (const known of this.conversations.value.keys()) this.#adopt(known);
  }

  #adopt(peer: string): void {
    const kept = this.#store?.of(peer);
    const all = new Map(this.conversations.value);
    if (kept) all.set(peer, merged(this.#of(peer), kept));
    else all.delete(peer);
    this.conversations.value = all;
  }

  #add(peer: string, text: string, id: string): void {
    const atMs = Math.max(this.#options.now(), lastAtMs(this.#of(peer)) + 1);
    this.#update(peer, (conversation) =>
      withText(conversation, { id, text, state: 'waiting', atMs, changedAtMs: atMs }),
    );
    this.#outbox.handleText({ id, peer, text });
    this.#drain();
  }

  #drain(): void {
    for (let command = this.#outbox.poll(); command; command = this.#outbox.poll())
      switch (command.kind) {
        case 'state':
          this.#mark(command.queued.peer, command.queued.id, command);
          break;
        case 'send':
          this.#send(command.queued);
          break;
        default:
          command satisfies never;
      }
  }

  #send(queued: QueuedText): void {
    const generation = this.#generation;
    void this.#options
      .send(queued)
      .catch((): TextOutcome => ({ kind: 'unanswered' }))
      .then((outcome) => {
        if (generation !== this.#generation) return;
        this.#outbox.handleOutcome(queued, outcome);
        this.#drain();
      });
  }

  #mark(peer: string, id: string, { state, reason }: { state: TextState; reason?: string }): void {
    const change = { state, ...(reason === undefined ? {} : { reason }) };
    this.#update(peer, (conversation) => withState(conversation, id, change, this.#options.now()));
  }

  #seen(peer: string): void {
    if (!this.#options.isWatched()) return;
    if (this.arrival.value?.peer === peer) this.arrival.value = undefined;
    const conversation = this.conversations.value.get(peer);
    if (conversation) this.#update(peer, () => readUntil(conversation, lastAtMs(conversation)));
  }

  #of(peer: string): Conversation {
    return this.conversations.value.get(peer) ?? emptyConversation(peer);
  }

  #update(
    peer: string,
    change: (conversation: Conversation) => Conversation,
    how: 'merge' | 'replace' = 'merge',
  ): void {
    const before = this.#of(peer);
    const after = change(before);
    if (after === before) return;
    const all = new Map(this.conversations.value);
    all.set(peer, this.#store?.keep(after, how) ?? after);
    if (all.size > MOST_CONVERSATIONS) {
      const others = [...all.values()].filter((c) => c.peer !== peer && c.peer !== this.shown.value);
      all.delete(others.reduce((oldest, c) => (lastAtMs(c) < lastAtMs(oldest) ? c : oldest)).peer);
    }
    this.conversations.value = all;
  }
}
