import { createRequest, parseNameAddr, type SipMessage, utf8 } from '@offhook/core';
import { domainHost, type Person } from './address.ts';
import { answerWords, noAnswerWords, saysNobody } from './answers.ts';
import type { Receipt } from './presence.ts';
import type { Account } from './registration.ts';
import type { NoAnswer, Requests } from './requests.ts';

/** How often one message is sent in all when nobody answers. */
const MOST_COPIES = 3;
/** Messages that wait for their turn or for the server. */
export const MAX_WAITING = 200;
/** Messages kept by the server, whose receipts are awaited. */
const MAX_STORED = 1000;
/** RFC 3428 8: a MESSAGE over UDP "MUST NOT exceed 1300 bytes"; on a connection a parser's limit is the only one. */
const LONGEST_DATAGRAM = 1300;
const LONGEST = 48 * 1024;

/** What has become of a sent text, in the order that it goes through. */
export type Delivery = 'waiting' | 'sending' | 'delivered' | 'stored' | 'failed' | 'displayed';

/** A text on its way. Call-ID, From tag and CSeq stay the same in every copy: the server tells copies by them. */
export interface Sent {
  readonly id: string;
  readonly to: Person;
  readonly text: string;
  readonly atMs: number;
  state: Delivery;
  /** It failed because there is nobody of that name. */
  isNobody?: boolean;
}

interface Waiting extends Sent {
  readonly tag: string;
  cseq: number;
  copies: number;
  /** The receipt has overtaken the answer, which was lost and comes again. */
  receipt?: Receipt['outcome'];
}

export interface OutboxOptions {
  readonly account: Account;
  readonly requests: Requests;
  /** `words`: why it failed. */
  readonly tell: (sent: Sent, words: string) => void;
  /** Nobody answered a request. */
  readonly doubt: (words: string, nowMs: number) => void;
}

/** Texts to others: one at a time to each (RFC 3428 8), sent again when nobody answers, followed to their receipt. */
export class Outbox {
  readonly #options: OutboxOptions;
  /** In the order of writing; the first to each person is on its way. */
  readonly #waiting: Waiting[] = [];
  readonly #stored = new Map<string, Sent>();
  readonly #busy = new Set<Waiting>();

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Texts of which nobody knows yet what becomes of them. */
  get open(): number {
    return this.#waiting.length;
  }

  /** Takes a text; words when it can't be sent at all. `atMs` is wall clock: the Date of sending. */
  send(to: Person, text: string, atMs: number, nowMs: number): Sent | string {
    const bytes = utf8(text).length;
    if (this.#waiting.length >= MAX_WAITING) return `${MAX_WAITING} texts wait already`;
    if (bytes > LONGEST) return `a text has ${LONGEST} bytes at most, and this one has ${bytes}`;
    const { requests } = this.#options;
    const id = requests.random(16);
    const waiting: Waiting = { id, to, text, atMs, state: 'waiting', tag: requests.random(8), cseq: 1, copies: 0 };
    this.#waiting.push(waiting);
    this.#options.tell(waiting, '');
    this.next(nowMs);
    return waiting;
  }

  /** Sends what may be sent now: after registration, and after each answer. */
  next(nowMs: number): void {
    const { requests } = this.#options;
    if (!requests.flow) return;
    const taken = new Set<string>();
    for (const one of [...this.#waiting]) {
      const to = one.to.uri.toString();
      if (!taken.has(to) && !this.#busy.has(one)) this.#begin(one, nowMs);
      taken.add(to);
    }
  }

  /** A receipt; undefined when it is of no text of this session. */
  handleReceipt({ messageId, outcome }: Receipt): Sent | undefined {
    const early = this.#waiting.find(({ id }) => id === messageId);
    if (early) {
      early.receipt = outcome;
      return early;
    }
    const sent = this.#stored.get(messageId);
    if (!sent) return undefined;
    if (outcome !== 'delivered') this.#stored.delete(messageId);
    if (sent.state === outcome) return sent;
    sent.state = outcome;
    this.#options.tell(sent, outcome === 'failed' ? 'the server could not hand it over' : '');
    return sent;
  }

  #begin(one: Waiting, nowMs: number): void {
    const { requests, doubt } = this.#options;
    const request = this.#request(one);
    const length = request.serialize().length + ROOM;
    if (requests.flow!.transport === 'udp' && length > LONGEST_DATAGRAM) {
      this.#settle(one, 'failed', tooLong(length), nowMs);
      return;
    }
    one.copies++;
    this.#busy.add(one);
    if (one.copies === 1) {
      one.state = 'sending';
      this.#options.tell(one, '');
    }
    const isCopy = one.copies > 1;
    requests.send(
      request,
      // RFC 3261 22.2 wants a new number; a copy keeps its own, or the server would take it for a second text
      () => (isCopy ? one.cseq : ++one.cseq),
      {
        response: (message, now, refused) => {
          if (refused) this.#settle(one, 'failed', refused.words, now);
          else if (message.status === 202) this.#settle(one, 'stored', '', now);
          else if (message.status < 300) this.#settle(one, 'delivered', '', now);
          else {
            one.isNobody = saysNobody(message);
            this.#settle(one, 'failed', answerWords(message), now);
          }
        },
        failed: (why: NoAnswer, now) => {
          this.#busy.delete(one);
          if (one.copies >= MOST_COPIES) this.#settle(one, 'failed', noAnswerWords(why), now);
          if (why === 'timeout') doubt(noAnswerWords(why), now);
          this.next(now);
        },
      },
      nowMs,
    );
  }

  #settle(one: Waiting, state: Delivery, words: string, nowMs: number): void {
    this.#busy.delete(one);
    const at = this.#waiting.indexOf(one);
    if (at >= 0) this.#waiting.splice(at, 1);
    one.state = state === 'stored' ? (one.receipt ?? state) : state;
    if (state === 'stored' || state === 'delivered') {
      if (this.#stored.size >= MAX_STORED) this.#stored.delete(this.#stored.keys().next().value!);
      this.#stored.set(one.id, one);
    }
    this.#options.tell(one, words);
    this.next(nowMs);
  }

  #request({ id, to, text, atMs, tag, cseq }: Waiting): SipMessage {
    const { account, requests } = this.#options;
    const own = parseNameAddr(`<sip:${domainHost(account.domain)}>`)!;
    own.uri.user = account.user;
    return createRequest({
      method: 'MESSAGE',
      uri: to.uri.toString(),
      from: `${own};tag=${tag}`,
      to: to.address,
      callId: id,
      cseq,
      headers: [
        ...requests.serviceRoute.map((route) => ['Route', route] as const),
        ['Date', new Date(atMs).toUTCString()],
      ],
      body: { type: 'text/plain; charset=utf-8', bytes: text },
    });
  }
}

/** Room for Via and credentials, which are added later. */
const ROOM = 480;

function tooLong(length: number): string {
  const over = length - LONGEST_DATAGRAM;
  return `too long for UDP by ${over} bytes (RFC 3428 8); --transport tcp carries longer ones`;
}
