import { Deadlines, type SipMessage } from '@offhook/core';
import type { Binding } from '../registrar/index.ts';
import { type MessageLimits, type PagerMessage, weight } from './message.ts';

/** A request of the sender that waits for its answer. */
export interface Sender {
  readonly transaction: string;
  readonly request: SipMessage;
}

/** A message with us: offered to phones, behind others, or kept until a phone comes. */
export interface Letter {
  readonly message: PagerMessage;
  /** The request that brought it, and copies; none once the sender has its answer. */
  readonly senders: Sender[];
  /** The sender was told 202: what becomes of it is told by itself. */
  promised: boolean;
  /** Whether the journal has it, or is about to. */
  stored: 'no' | 'writing' | 'yes';
  /** Contacts (by key) that it is not offered to for now, while others wait behind it. */
  readonly unfit: Map<string, 'unreadable' | 'unreachable'>;
}

/** A letter that is being offered to the phones of its user. */
export interface Delivery {
  readonly letter: Letter;
  /** Client transactions that have no final answer yet, with the contact each goes to. */
  readonly open: Map<string, Binding>;
  /** Contacts that it was sent to, as they were then. */
  readonly tried: Set<Binding>;
  delivered: boolean;
  /** Some phone has said that it can't read such a message. */
  unreadable: boolean;
  /** What a phone said that has seen it and does not want it. */
  refusal?: { readonly status: number; readonly words: string };
}

/** The letters of one user, oldest first, of which one at most is being delivered. */
export interface Mailbox {
  readonly user: string;
  readonly letters: Letter[];
  delivery?: Delivery;
}

/** Mailboxes by user, bounded; empty ones are not kept. */
export class Mailboxes {
  /** When letters expire. */
  readonly expiries = new Deadlines<Letter>();
  readonly #limits: MessageLimits;
  readonly #boxes = new Map<string, Mailbox>();
  readonly #letters = new Map<string, Letter>();
  #bytes = 0;

  constructor(limits: MessageLimits) {
    this.#limits = limits;
  }

  /** Letters in all, and what they weigh. */
  get size(): number {
    return this.#letters.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  of(user: string): Mailbox | undefined {
    return this.#boxes.get(user);
  }

  find(id: string): Letter | undefined {
    return this.#letters.get(id);
  }

  /** Why one more message has no room here; undefined when it has. */
  problem(message: PagerMessage): string | undefined {
    const { perUser, perSender, all, bytes } = this.#limits;
    const { from, to } = message;
    const letters = this.#boxes.get(to)?.letters ?? [];
    if (letters.length >= perUser) return `${perUser} messages wait for ${to} already`;
    if (letters.length >= perSender && letters.filter((letter) => letter.message.from === from).length >= perSender)
      return `${perSender} messages from ${from} wait for ${to} already`;
    if (this.size >= all || this.#bytes + weight(message) > bytes) return 'too many messages wait here already';
    return undefined;
  }

  add(letter: Letter, expiresAtMs: number): Mailbox {
    const { to, id } = letter.message;
    const box = this.#boxes.get(to) ?? { user: to, letters: [] };
    this.#boxes.set(to, box);
    box.letters.push(letter);
    this.#letters.set(id, letter);
    this.#bytes += weight(letter.message);
    this.expiries.set(letter, expiresAtMs);
    return box;
  }

  remove(letter: Letter): void {
    const { to, id } = letter.message;
    if (!this.#letters.delete(id)) return;
    this.#bytes -= weight(letter.message);
    this.expiries.delete(letter);
    const box = this.#boxes.get(to)!;
    box.letters.splice(box.letters.indexOf(letter), 1);
    this.tidy(box);
  }

  /** Forgets a mailbox with nothing in it. */
  tidy(box: Mailbox): void {
    if (box.letters.length === 0 && !box.delivery) this.#boxes.delete(box.user);
  }
}
