import { type Crypto, Deadlines, type SipMessage, type SipUri } from '@offhook/core';
import { reasonWords } from '../call/index.ts';
import type { Binding, Gruu } from '../registrar/index.ts';
import type { TransactionCommand, TransactionLayer } from '../transaction/index.ts';
import { copyFor, receiptFor } from './copy.ts';
import { type Delivery, type Letter, type Mailbox, Mailboxes } from './mailbox.ts';
import { isFleeting, MESSAGE_LIMITS, type MessageLimits, type MessageNews, type PagerMessage } from './message.ts';
import { readMessage } from './read.ts';
import { RECEIPT } from './receipt.ts';
import { Senders } from './senders.ts';

export interface MessageLayerOptions {
  readonly crypto: Crypto;
  readonly transactions: Pick<TransactionLayer, 'request' | 'respond'>;
  /** The contacts of a user, or of one phone of theirs. */
  readonly lookup: (user: string, nowMs: number, instance?: string) => readonly Binding[];
  readonly resolveGruu: (uri: SipUri) => Gruu | undefined;
  readonly isUser: (user: string) => boolean;
  readonly displayName: (user: string) => string;
  readonly domain: string;
  /** What names of messages are made with; the same after a restart. */
  readonly secret: Uint8Array;
  /** Unix milliseconds. */
  readonly wallMs: () => number;
  readonly limits?: MessageLimits;
}

export type MessageCommand =
  /** Write it down, and tell `handleStored` what came of it. */
  | { readonly kind: 'store'; readonly message: PagerMessage }
  | { readonly kind: 'forget'; readonly id: string }
  | { readonly kind: 'news'; readonly news: MessageNews }
  /** How many messages are kept for that user has changed. */
  | { readonly kind: 'waiting'; readonly user: string };

/** A letter at a phone: what a request of ours belongs to. */
interface Offer {
  readonly box: Mailbox;
  readonly delivery: Delivery;
}

/** Copies of one message that wait for its answer together. */
const MOST_SENDERS = 4;
/** Phones of which is remembered that they can't take a message. */
const MOST_PHONES = 32;
/** A letter that expires while a phone is being asked gets so much longer. */
const A_LITTLE_MS = 5000;

/**
 * Messages between accounts (RFC 3428): offered to all phones of the user at once, one message after the other, and kept for
 * a user whom no phone could give it to. Each is delivered in order and once; a copy that has to be sent again carries the
 * same Call-ID, From tag and CSeq, so that a phone knows it. Pure: a journal is told what to remember by commands.
 *
 *     sender ─► queue of the user ─► phones ─ 2xx ─► 200, or a receipt when the sender was told 202 before
 *                    │                  └ refused ─► that answer
 *                    └ nobody there, nobody answers in 5 s ─► journal ─► 202
 */
export class MessageLayer {
  readonly counters = { accepted: 0, delivered: 0, stored: 0, failed: 0, expired: 0, repeated: 0, refused: 0 };
  readonly #options: MessageLayerOptions;
  readonly #limits: MessageLimits;
  readonly #boxes: Mailboxes;
  /** When senders are told that their message is kept. */
  readonly #answers = new Deadlines<Letter>();
  /** When phones that are slower than the first one are not waited for any more. */
  readonly #slow = new Deadlines<Mailbox>();
  /** What our requests belong to; receipts belong to nothing. */
  readonly #clients = new Map<string, Offer | undefined>();
  readonly #senders: Senders;
  readonly #commands: MessageCommand[] = [];

  constructor(options: MessageLayerOptions) {
    this.#options = options;
    this.#limits = options.limits ?? MESSAGE_LIMITS;
    this.#boxes = new Mailboxes(this.#limits);
    this.#senders = new Senders(options);
  }

  /** Messages here: kept ones, and those on their way. */
  get size(): number {
    return this.#boxes.size;
  }

  /** What is kept beside them: requests of ours, and timers. */
  get remnants(): number {
    return this.#clients.size + this.#answers.size + this.#slow.size;
  }

  /** Messages that are kept for a user. */
  waiting(user: string): number {
    return this.#boxes.of(user)?.letters.filter(({ stored }) => stored === 'yes').length ?? 0;
  }

  poll(): MessageCommand | undefined {
    return this.#commands.shift();
  }

  nextTimeout(): number | undefined {
    const times = [this.#answers.next(), this.#slow.next(), this.#boxes.expiries.next()];
    return times.reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a));
  }

  handleTimeout(nowMs: number): void {
    const { expiries } = this.#boxes;
    for (let l = this.#answers.expire(nowMs); l; l = this.#answers.expire(nowMs)) this.#keep(l, SLOW, nowMs);
    for (let box = this.#slow.expire(nowMs); box; box = this.#slow.expire(nowMs)) this.#conclude(box, nowMs);
    for (let l = expiries.expire(nowMs); l; l = expiries.expire(nowMs)) this.#expire(l, nowMs);
  }

  /** A MESSAGE of an account, outside of dialogs. */
  handle(got: Extract<TransactionCommand, { kind: 'request' }>, nowMs: number): void {
    const { id: transaction, message: request, account = '' } = got;
    const read = readMessage(request, account, this.#options);
    if ('status' in read) {
      this.counters.refused++;
      this.#senders.refuse([{ transaction, request }], read, nowMs);
      return;
    }
    const message = { ...read, id: this.#senders.nameOf(request, account) };
    const known = this.#boxes.find(message.id);
    const settled = known?.promised ? 202 : this.#senders.outcomeOf(message.id);
    if (settled !== undefined) {
      this.counters.repeated++;
      this.#senders.answer([{ transaction, request }], settled, nowMs);
      return;
    }
    if (known) {
      this.counters.repeated++;
      const words = 'copies of this message wait for its answer already';
      if (known.senders.length < MOST_SENDERS) known.senders.push({ transaction, request });
      else this.#senders.refuse([{ transaction, request }], { status: 503, words }, nowMs);
      return;
    }
    const full = this.#boxes.problem(message);
    if (full !== undefined) {
      this.counters.refused++;
      this.#senders.refuse([{ transaction, request }], { status: 480, words: full }, nowMs);
      return;
    }
    this.counters.accepted++;
    const senders = [{ transaction, request }];
    const letter: Letter = { message, senders, promised: false, stored: 'no', unfit: new Map() };
    const box = this.#boxes.add(letter, nowMs + Math.max(A_LITTLE_MS, message.expiresAt - message.sentAt));
    this.#answers.set(letter, nowMs + this.#limits.answerMs);
    this.#offer(box, nowMs);
  }

  /** What became of a request of ours; false when it is none. */
  handleClient(command: TransactionCommand, nowMs: number): boolean {
    if (!('id' in command) || !this.#clients.has(command.id)) return false;
    const { id } = command;
    const of = this.#clients.get(id);
    const binding = of?.delivery.open.get(id);
    switch (command.kind) {
      case 'response':
        if (of && binding && command.message.status >= 200) this.#answered(of, id, command.message, nowMs);
        return true;
      case 'timeout':
      case 'transport-error':
        if (of && binding) this.#closed(of, id, nowMs);
        return true;
      case 'terminated':
        this.#clients.delete(id);
        return true;
      default:
        return true;
    }
  }

  /** The journal has it, or could not take it. */
  handleStored(id: string, ok: boolean, nowMs: number): void {
    const letter = this.#boxes.find(id);
    if (letter?.stored !== 'writing') return;
    if (!ok) {
      // It may still be written when the disk has room again: it is forgotten for good.
      this.#fail(letter, { status: 500, words: 'the message could not be written down' }, nowMs);
      return;
    }
    letter.stored = 'yes';
    letter.promised = true;
    this.counters.stored++;
    this.#senders.answer(letter.senders.splice(0), 202, nowMs);
    this.#news(letter, 'stored');
    this.#commands.push({ kind: 'waiting', user: letter.message.to });
  }

  /** A message that a process before this one had kept. */
  restore(message: PagerMessage, nowMs: number): void {
    if (this.#boxes.find(message.id)) return;
    const letter: Letter = { message, senders: [], promised: true, stored: 'yes', unfit: new Map() };
    this.#boxes.add(letter, nowMs + Math.max(0, message.expiresAt - this.#options.wallMs()));
  }

  /** A phone has registered: what waits for its user is offered to it. */
  handleRegistered(binding: Binding, nowMs: number, before?: Binding): void {
    const box = this.#boxes.of(binding.user);
    if (!box) return;
    // On another connection it may be another program; on the same one it is at least there.
    const isNew = before?.flow !== binding.flow;
    for (const { unfit } of box.letters)
      if (isNew || unfit.get(binding.key) === 'unreachable') unfit.delete(binding.key);
    if (box.delivery) this.#spread(box, box.delivery, nowMs);
    else this.#offer(box, nowMs);
  }

  /** An account is gone, and all that waited for it. */
  removeUser(user: string, nowMs: number): void {
    const words = `there is no user '${user}'`;
    for (const letter of [...(this.#boxes.of(user)?.letters ?? [])]) this.#fail(letter, { status: 404, words }, nowMs);
  }

  /** Offers the first letter that somebody is there for, who may be able to read it; keeps those that nobody is there for. */
  #offer(box: Mailbox, nowMs: number): void {
    if (box.delivery) return;
    let first: Letter | undefined;
    for (const letter of [...box.letters]) {
      if (first && letter.stored !== 'no') continue; // nothing to do for it now
      if (this.#phonesFor(letter, nowMs).length > 0) first ??= letter;
      else this.#keep(letter, `${box.user} is not signed in`, nowMs);
    }
    if (!first) return;
    box.delivery = { letter: first, open: new Map(), tried: new Set(), delivered: false, unreadable: false };
    this.#spread(box, box.delivery, nowMs);
  }

  #phonesFor({ message, unfit }: Letter, nowMs: number): readonly Binding[] {
    const phones = this.#options.lookup(message.to, nowMs, message.instance);
    return unfit.size === 0 ? phones : phones.filter(({ key }) => !unfit.has(key));
  }

  /** To all phones of the user that it was not sent to yet. */
  #spread(box: Mailbox, delivery: Delivery, nowMs: number): void {
    const { letter, tried, open } = delivery;
    if (delivery.delivered) return;
    for (const binding of this.#phonesFor(letter, nowMs)) {
      if ([...tried].some(({ key, flow }) => key === binding.key && flow === binding.flow)) continue;
      tried.add(binding);
      const copy = copyFor(letter.message, binding, this.#options);
      const id = this.#options.transactions.request(copy, binding.flow, nowMs);
      open.set(id, binding);
      this.#clients.set(id, { box, delivery });
    }
  }

  #answered(of: Offer, id: string, answer: SipMessage, nowMs: number): void {
    const { box, delivery } = of;
    const { letter } = delivery;
    const { status } = answer;
    const binding = delivery.open.get(id)!;
    // 8.2.2.2: who calls it a loop is just handling a copy of it.
    if (status < 300 || status === 482) {
      if (!delivery.delivered && this.#isHere(letter)) {
        delivery.delivered = true;
        this.#delivered(letter, nowMs);
        if (box.delivery === delivery) this.#slow.set(box, nowMs + this.#limits.slowPhoneMs);
      }
    } else if (CANNOT_READ.has(status)) {
      delivery.unreadable = true;
      if (letter.unfit.size < MOST_PHONES) letter.unfit.set(binding.key, 'unreadable');
    } else if (!isNotNow(status) && (!delivery.refusal || status >= 600)) {
      const words = reasonWords(answer) ?? `the phone of ${letter.message.to} does not want it`;
      // A challenge of a phone is nothing that the sender could answer.
      delivery.refusal = { status: status === 401 || status === 407 ? 403 : status, words };
    }
    this.#closed(of, id, nowMs);
  }

  /** That phone has answered, or can't be reached; after the last one the delivery is over, if it still runs. */
  #closed({ box, delivery }: Offer, id: string, nowMs: number): void {
    delivery.open.delete(id);
    if (delivery.open.size === 0 && box.delivery === delivery) this.#conclude(box, nowMs);
  }

  /** On with the next letter, unless nobody could be reached: then all wait for a phone that comes. */
  #conclude(box: Mailbox, nowMs: number): void {
    const { delivery } = box;
    if (!delivery) return;
    box.delivery = undefined;
    this.#slow.delete(box);
    const { letter, delivered, refusal, unreadable } = delivery;
    if (!delivered && this.#isHere(letter)) {
      const { to } = letter.message;
      if (refusal) this.#fail(letter, refusal, nowMs);
      else if (unreadable) {
        // Those that were silent are not waited for again and again, while other letters could go.
        for (const { key } of delivery.tried)
          if (!letter.unfit.has(key) && letter.unfit.size < MOST_PHONES) letter.unfit.set(key, 'unreachable');
        this.#keep(letter, `no phone of ${to} can read such a message`, nowMs);
      } else {
        for (const one of [...box.letters]) this.#keep(one, `no phone of ${to} can be reached`, nowMs);
        this.#boxes.tidy(box);
        return;
      }
    }
    this.#boxes.tidy(box);
    this.#offer(box, nowMs);
  }

  #isHere(letter: Letter): boolean {
    return this.#boxes.find(letter.message.id) === letter;
  }

  #delivered(letter: Letter, nowMs: number): void {
    this.counters.delivered++;
    this.#take(letter);
    this.#senders.remember(letter.message.id, 200);
    this.#senders.answer(letter.senders.splice(0), 200, nowMs);
    this.#news(letter, 'delivered');
    if (letter.promised) this.#sendReceipt(letter, 'delivered', nowMs);
  }

  /** It can't be delivered now. What makes no sense later fails instead. */
  #keep(letter: Letter, words: string, nowMs: number): void {
    this.#answers.delete(letter);
    if (letter.stored !== 'no') return;
    if (isFleeting(letter.message)) {
      this.#fail(letter, { status: 480, words }, nowMs);
      return;
    }
    letter.stored = 'writing';
    this.#commands.push({ kind: 'store', message: letter.message });
  }

  #fail(letter: Letter, why: { readonly status: number; readonly words: string }, nowMs: number): void {
    this.counters.failed++;
    this.#take(letter);
    this.#senders.remember(letter.message.id, why.status);
    this.#senders.refuse(letter.senders.splice(0), why, nowMs);
    this.#news(letter, 'failed', why.words);
    if (letter.promised) this.#sendReceipt(letter, 'failed', nowMs);
  }

  #expire(letter: Letter, nowMs: number): void {
    const box = this.#boxes.of(letter.message.to);
    if (letter.stored === 'writing' || box?.delivery?.letter === letter) {
      this.#boxes.expiries.set(letter, nowMs + A_LITTLE_MS);
      return;
    }
    this.counters.expired++;
    this.#take(letter);
    const words = `${letter.message.to} did not come in time`;
    this.#senders.refuse(letter.senders.splice(0), { status: 480, words }, nowMs);
    this.#news(letter, 'expired');
    if (letter.promised) this.#sendReceipt(letter, 'failed', nowMs);
  }

  /** Out of the mailbox, and of the journal. */
  #take(letter: Letter): void {
    this.#boxes.remove(letter);
    this.#answers.delete(letter);
    if (letter.stored === 'no') return;
    this.#commands.push({ kind: 'forget', id: letter.message.id });
    if (letter.stored === 'yes') this.#commands.push({ kind: 'waiting', user: letter.message.to });
  }

  #news({ message }: Letter, state: MessageNews['state'], reason?: string): void {
    const { id, from, to, callId, isPrivate } = message;
    this.#commands.push({ kind: 'news', news: { id, from, to, callId, isPrivate, state, reason } });
  }

  /** To those phones of the sender that say they can read it (RFC 3840 `type`). */
  #sendReceipt({ message }: Letter, status: 'delivered' | 'failed', nowMs: number): void {
    for (const binding of this.#options.lookup(message.from, nowMs)) {
      if (!binding.reads?.includes(RECEIPT)) continue;
      const request = receiptFor(message, status, binding, this.#options);
      this.#clients.set(this.#options.transactions.request(request, binding.flow, nowMs), undefined);
    }
  }
}

const SLOW = 'no phone has answered yet';
/** Method, type, encoding or extension not known there: another phone may. */
const CANNOT_READ: ReadonlySet<number> = new Set([405, 415, 420, 488, 501, 606]);

/** The phone is there no more, is busy, or has forwarded its calls: nothing that is said of the message. */
function isNotNow(status: number): boolean {
  return (
    status < 400 ||
    status === 408 ||
    status === 430 ||
    status === 480 ||
    status === 481 ||
    (status >= 500 && status < 600)
  );
}
