import { createResponse, type SipMessage } from '@offhook/core';
import { Person } from './address.ts';
import { parseReceipt, type Receipt } from './presence.ts';
import { TYPES } from './registration.ts';

/** Texts whose repeats are known; a server that repeats an older one has waited too long. */
const MAX_SEEN = 1000;
/** A clock that is wrong by more tells nothing. */
const OLDEST_MS = 366 * 86_400_000;
const NEWEST_MS = 86_400_000;

/** A text that came in. What it holds and who has sent it is not made safe for a terminal yet. */
export interface Received {
  readonly from: Person;
  readonly displayName: string | undefined;
  readonly text: string;
  /** When it was sent, as its Date says (wall clock); undefined: it does not say, or can't be believed. */
  readonly sentAtMs: number | undefined;
  /** What tells it from all others of this sender: its copies have it too. */
  readonly id: string;
}

export type Taken = { readonly answer: SipMessage } & (
  | { readonly kind: 'text'; readonly received: Received }
  | { readonly kind: 'receipt'; readonly receipt: Receipt }
  | { readonly kind: 'nothing' }
);

/** Texts and receipts from others (RFC 3428 7): each is taken once. */
export class Inbox {
  readonly #domain: string;
  readonly #seen = new Set<string>();

  constructor(domain: string) {
    this.#domain = domain;
  }

  /** `wallMs`: what the wall clock shows, to judge the Date by. */
  handleMessage(message: SipMessage, wallMs: number): Taken {
    const nothing = (answer: SipMessage): Taken => ({ kind: 'nothing', answer });
    const encoding = message.header('content-encoding')?.toLowerCase();
    if (encoding !== undefined && encoding !== 'identity')
      return nothing(createResponse(message, 415, undefined, { headers: [['Accept-Encoding', 'identity']] }));
    const type = message.contentType ?? 'text/plain';
    const isReceipt = type === 'message/imdn+xml';
    if (type !== 'text/plain' && !isReceipt)
      return nothing(createResponse(message, 415, undefined, { headers: [['Accept', TYPES.replaceAll(',', ', ')]] }));
    const ok = createResponse(message, 200);
    // A copy of a text has the same Call-ID, From tag and CSeq, whatever branch it came by.
    const id = `${message.callId} ${message.cseq.number} ${message.from.tag ?? ''}`;
    if (!this.#isNew(id)) return nothing(ok);
    if (isReceipt) {
      const receipt = parseReceipt(message.bodyText);
      return receipt
        ? { kind: 'receipt', receipt, answer: ok }
        : nothing(createResponse(message, 400, 'Not a receipt'));
    }
    const text = message.bodyText;
    if (text.trim() === '') return nothing(ok);
    const { uri, displayName } = message.from;
    const received: Received = {
      from: new Person(uri, this.#domain),
      displayName,
      text,
      sentAtMs: sentAt(message, wallMs),
      id,
    };
    return { kind: 'text', received, answer: ok };
  }

  #isNew(id: string): boolean {
    if (this.#seen.has(id)) return false;
    if (this.#seen.size >= MAX_SEEN) this.#seen.delete(this.#seen.keys().next().value!);
    this.#seen.add(id);
    return true;
  }
}

function sentAt(message: SipMessage, wallMs: number): number | undefined {
  const date = message.header('date');
  const at = date === undefined || date.length > 64 ? Number.NaN : Date.parse(date);
  return at > wallMs - OLDEST_MS && at < wallMs + NEWEST_MS ? at : undefined;
}
