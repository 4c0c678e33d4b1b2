import { type Conversation, emptyConversation, lastAtMs, merged, type Text, type TextState } from './conversation.ts';

/** Conversations that are kept of one account. */
const KEPT_CONVERSATIONS = 50;
const STATES: ReadonlySet<string> = new Set<TextState>([
  'received',
  'waiting',
  'sending',
  'stored',
  'delivered',
  'failed',
  'unanswered',
  'expired',
]);

/** The conversations of one account in this browser, each under a key of its own. Tabs write side by side. */
export class TextStore {
  readonly #storage: Storage;
  readonly #prefix: string;
  readonly #newsKey: string;

  /** @param account `user@domain` */
  constructor(storage: Storage, account: string) {
    this.#storage = storage;
    this.#prefix = `offhook.texts.${encodeURIComponent(account)}.`;
    this.#newsKey = `offhook.texts-news.${encodeURIComponent(account)}`;
  }

  all(): Conversation[] {
    return this.#keys().flatMap((key) => this.#read(key) ?? []);
  }

  of(peer: string): Conversation | undefined {
    return this.#read(this.#key(peer));
  }

  /** Keeps it, merged with what another tab has kept meanwhile unless it replaces that. @returns what is kept */
  keep(conversation: Conversation, how: 'merge' | 'replace'): Conversation {
    const { peer } = conversation;
    const kept = how === 'merge' ? this.of(peer) : undefined;
    const both = kept ? merged(kept, conversation) : conversation;
    const text = JSON.stringify(both);
    for (let others = this.#others(peer); ; others = others.slice(1)) {
      if (others.length < KEPT_CONVERSATIONS && this.#write(this.#key(peer), text)) break;
      if (others.length === 0) break; // a browser that keeps nothing: the page still has it
      this.#remove(others[0]!.peer);
    }
    return both;
  }

  /** Signed out: nothing of this account stays. */
  wipe(): void {
    for (const key of [...this.#keys(), this.#newsKey]) this.#storage.removeItem(key);
  }

  /** The last news of a text that this account has sent, for a page that is loaded anew. */
  get lastNews(): string | undefined {
    return this.#storage.getItem(this.#newsKey)?.slice(0, 100);
  }

  keepNews(id: string): void {
    if (id) this.#write(this.#newsKey, id);
  }

  /** Whose conversation another tab has changed, by the key of its storage event. */
  peerOf(key: string | null): string | undefined {
    return key?.startsWith(this.#prefix) ? decoded(key.slice(this.#prefix.length)) : undefined;
  }

  #key(peer: string): string {
    return this.#prefix + encodeURIComponent(peer);
  }

  #keys(): string[] {
    const keys: string[] = [];
    for (let i = 0; i < this.#storage.length; i++) {
      const key = this.#storage.key(i);
      if (key?.startsWith(this.#prefix)) keys.push(key);
    }
    return keys;
  }

  /** The longest untouched first. */
  #others(peer: string): Conversation[] {
    return this.all()
      .filter((other) => other.peer !== peer)
      .sort((a, b) => lastAtMs(a) - lastAtMs(b));
  }

  #remove(peer: string): void {
    this.#storage.removeItem(this.#key(peer));
  }

  #write(key: string, text: string): boolean {
    try {
      this.#storage.setItem(key, text);
      return true;
    } catch {
      return false; // full
    }
  }

  #read(key: string): Conversation | undefined {
    const peer = this.peerOf(key);
    const stored = this.#storage.getItem(key);
    if (peer === undefined || stored === null) return undefined;
    try {
      return readConversation(peer, JSON.parse(stored));
    } catch {
      return undefined;
    }
  }
}

/** Another version of the page may have written it. */
function readConversation(peer: string, stored: unknown): Conversation | undefined {
  const { texts, readAtMs, name } = (stored ?? {}) as Record<string, unknown>;
  if (!Array.isArray(texts)) return undefined;
  const conversation = {
    peer,
    texts: texts.filter(isText),
    readAtMs: typeof readAtMs === 'number' ? readAtMs : 0,
    ...(typeof name === 'string' ? { name } : {}),
  };
  return merged(emptyConversation(peer), conversation);
}

function isText(stored: unknown): stored is Text {
  const { id, text, state, atMs, sentAtMs, changedAtMs, reason } = (stored ?? {}) as Record<string, unknown>;
  return (
    typeof id === 'string' &&
    typeof text === 'string' &&
    typeof state === 'string' &&
    STATES.has(state) &&
    Number.isFinite(atMs) &&
    Number.isFinite(changedAtMs) &&
    (sentAtMs === undefined || Number.isFinite(sentAtMs)) &&
    (reason === undefined || typeof reason === 'string')
  );
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
