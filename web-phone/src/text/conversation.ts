/** How far a text of ours got; those of others are `received`. */
export type TextState =
  | 'received'
  /** Typed here, not yet on its way. */
  | 'waiting'
  | 'sending'
  /** Kept by the server until the other side is back. */
  | 'stored'
  | 'delivered'
  | 'failed'
  /** It may have arrived nevertheless. */
  | 'unanswered'
  /** Kept by the server, and given up there. */
  | 'expired';

/** One text, as it is shown and kept. */
export interface Text {
  /** Of ours the Call-ID; of others what all copies of one message share. */
  readonly id: string;
  readonly state: TextState;
  readonly text: string;
  /** When it was typed here or came here: the order of a conversation. */
  readonly atMs: number;
  /** When the other side sent it: long before, if nobody was signed in here. */
  readonly sentAtMs?: number;
  /** Rises with each change. */
  readonly changedAtMs: number;
  /** Why it failed, in the server's words. */
  readonly reason?: string;
}

/** Everything between this account and one other. */
export interface Conversation {
  /** User name; `user@host` when elsewhere. */
  readonly peer: string;
  /** As the other side calls itself. */
  readonly name?: string;
  /** Oldest first. */
  readonly texts: readonly Text[];
  /** What came until then has been seen. */
  readonly readAtMs: number;
}

/** What somebody can send at once. */
export const TEXT_LIMIT = 4_000;
/** Kept of one conversation. */
const KEPT_TEXTS = 200;
/** A browser keeps some five million characters for all pages of a server. */
const KEPT_CHARACTERS = 60_000;

export function emptyConversation(peer: string): Conversation {
  return { peer, texts: [], readAtMs: 0 };
}

/** With one more text; the same conversation when it has it already. */
export function withText(conversation: Conversation, text: Text): Conversation {
  if (conversation.texts.some(({ id }) => id === text.id)) return conversation;
  return { ...conversation, texts: bounded([...conversation.texts, text]) };
}

/** Tells how far a text got. What was delivered stays so: its answer may come after the news of it. */
export function withState(
  conversation: Conversation,
  id: string,
  change: { readonly state: TextState; readonly reason?: string },
  nowMs: number,
): Conversation {
  const before = conversation.texts.find((text) => text.id === id);
  if (!before || before.state === 'received' || before.state === 'delivered') return conversation;
  if (before.state === change.state && before.reason === change.reason) return conversation;
  const { reason: _, ...rest } = before;
  const after: Text = { ...rest, ...change, changedAtMs: Math.max(nowMs, before.changedAtMs + 1) };
  return { ...conversation, texts: conversation.texts.map((text) => (text === before ? after : text)) };
}

export function withoutText(conversation: Conversation, id: string): Conversation {
  return { ...conversation, texts: conversation.texts.filter((text) => text.id !== id) };
}

export function readUntil(conversation: Conversation, nowMs: number): Conversation {
  return unreadCount(conversation) === 0 ? conversation : { ...conversation, readAtMs: nowMs };
}

export function unreadCount({ texts, readAtMs }: Conversation): number {
  return texts.filter((text) => text.state === 'received' && text.atMs > readAtMs).length;
}

export function lastAtMs({ texts }: Conversation): number {
  return texts.at(-1)?.atMs ?? 0;
}

/** What two tabs know of one conversation: of each text what was learned last. */
export function merged(a: Conversation, b: Conversation): Conversation {
  const texts = new Map(a.texts.map((text) => [text.id, text]));
  for (const text of b.texts) {
    const known = texts.get(text.id);
    if (!known || known.changedAtMs < text.changedAtMs) texts.set(text.id, text);
  }
  return {
    ...a,
    ...b,
    texts: bounded([...texts.values()].sort((x, y) => x.atMs - y.atMs)),
    readAtMs: Math.max(a.readAtMs, b.readAtMs),
  };
}

/** What came or was typed last, as much as is kept. */
function bounded(texts: readonly Text[]): readonly Text[] {
  let characters = 0;
  let first = texts.length;
  while (first > 0 && texts.length - first < KEPT_TEXTS) {
    characters += texts[first - 1]!.text.length;
    if (characters > KEPT_CHARACTERS && first < texts.length) break;
    first--;
  }
  return first === 0 ? texts : texts.slice(first);
}

/** What was typed, as it is sent; undefined when that is nothing or too much. */
export function sendable(typed: string): string | undefined {
  const text = typed.replace(/\r\n?/g, '\n').trim();
  return text === '' || text.length > TEXT_LIMIT ? undefined : text;
}
