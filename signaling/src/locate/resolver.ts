import type { DnsRecord, DnsReply, NaptrRecord, Question, SrvRecord } from './dns.ts';
import { isLookupName } from './hop.ts';

/** Names remembered, the longest unused is forgotten beyond this; questions that are out at a time. */
const NAMES = 4000;
const QUESTIONS = 1000;
/** How long answers are believed whatever they say of it. */
const SHORTEST_MS = 1000;
const LONGEST_MS = 86_400_000;
const LONGEST_NEGATIVE_MS = 300_000;
/** Servers that failed are asked again after this (RFC 2308 7 allows five minutes). */
const FAILED_MS = 5000;
/** Aliases of aliases, and records of one name. */
const ALIASES = 8;
const RECORDS = 64;

interface AddressRecord {
  readonly type: 'A' | 'AAAA';
  readonly address: string;
}

/** An address that came along with an SRV record. */
export interface AlongAddress extends AddressRecord {
  readonly untilMs: number;
}

/** What a name turned out to have. */
export type Answer =
  | {
      readonly kind: 'found';
      readonly records: readonly (AddressRecord | SrvRecord | NaptrRecord)[];
      /** Addresses of SRV targets that came along; good for these records alone, as anybody can name anybody's. */
      readonly along: ReadonlyMap<string, readonly AlongAddress[]>;
    }
  | { readonly kind: 'none'; readonly nameExists: boolean }
  | { readonly kind: 'failed'; readonly words: string };

/** One question, to be carried out by the shell and answered by `handleAnswer` with the same id. */
export interface QuestionCommand extends Question {
  readonly kind: 'question';
  readonly id: number;
}

type Then = (answer: Answer, nowMs: number) => void;

interface Pending {
  readonly question: Question;
  /** The name that is asked for now, after so many aliases, which are good until then. */
  name: string;
  aliases: number;
  untilMs: number;
  readonly waiting: Then[];
}

/** Counted, never logged per question. */
export interface ResolverCounters {
  questions: number;
  cached: number;
  failed: number;
}

/**
 * Questions to the DNS, each asked once however many want to know, and answers remembered as long as they say. Every
 * question is answered by the shell, if only that nobody answers, so no timer is needed here.
 */
export class Resolver {
  readonly counters: ResolverCounters = { questions: 0, cached: 0, failed: 0 };
  readonly #commands: QuestionCommand[] = [];
  readonly #pending = new Map<string, Pending>();
  readonly #asked = new Map<number, Pending>();
  /** Longest unused first. */
  readonly #known = new Map<string, { readonly answer: Answer; readonly untilMs: number }>();
  #nextId = 1;

  /** Names remembered. */
  get size(): number {
    return this.#known.size;
  }

  /** Questions that are out. */
  get asking(): number {
    return this.#pending.size;
  }

  poll(): QuestionCommand | undefined {
    return this.#commands.shift();
  }

  /** `then` is called at once when the answer is known. */
  ask(question: Question, nowMs: number, then: Then): void {
    const key = keyOf(question);
    const known = this.#recall(key, nowMs);
    if (known) {
      this.counters.cached++;
      then(known, nowMs);
      return;
    }
    const pending = this.#pending.get(key);
    if (pending) pending.waiting.push(then);
    else if (!isLookupName(question.name)) then({ kind: 'none', nameExists: false }, nowMs);
    else if (this.#pending.size >= QUESTIONS) then({ kind: 'failed', words: 'too many names are asked for' }, nowMs);
    else {
      const { name } = question;
      const started = { question, name, aliases: 0, untilMs: nowMs + LONGEST_MS, waiting: [then] };
      this.#pending.set(key, started);
      this.#send(started);
    }
  }

  handleAnswer(id: number, reply: DnsReply, nowMs: number): void {
    const pending = this.#asked.get(id);
    if (!pending || !this.#asked.delete(id)) return;
    const { question } = pending;
    if (reply.kind === 'failure') {
      this.counters.failed++;
      this.#answer(
        pending,
        { kind: 'failed', words: failureWords(question.name, reply.rcode) },
        nowMs + FAILED_MS,
        nowMs,
      );
      return;
    }
    const end = this.#followAliases(pending, reply.answers, nowMs);
    if (end === undefined) {
      const words = `${question.name} is an alias without an end`;
      this.#answer(pending, { kind: 'failed', words }, nowMs + FAILED_MS, nowMs);
      return;
    }
    const own = reply.answers.filter(({ name, type }) => name === end && type === question.type);
    if (own.length > 0) {
      for (const { ttlS } of own) pending.untilMs = Math.min(pending.untilMs, nowMs + ttlS * 1000);
      this.#answer(pending, found(own, reply.additionals, nowMs), pending.untilMs, nowMs);
    } else if (end !== pending.name && reply.rcode === 'NOERROR' && reply.negativeTtlS === undefined) {
      // "the resolver should restart the query at the domain name specified in the CNAME" (RFC 1034 5.2.2)
      pending.name = end;
      this.#send(pending);
    } else {
      const untilMs = nowMs + Math.min((reply.negativeTtlS ?? 0) * 1000, LONGEST_NEGATIVE_MS);
      const answer: Answer = { kind: 'none', nameExists: reply.rcode === 'NOERROR' };
      this.#answer(pending, answer, Math.min(untilMs, pending.untilMs), nowMs);
    }
  }

  #send(pending: Pending): void {
    const id = this.#nextId++;
    this.counters.questions++;
    this.#asked.set(id, pending);
    this.#commands.push({ kind: 'question', id, name: pending.name, type: pending.question.type });
  }

  /** The name that the aliases of an answer end at. Asked for again they are counted on, so two that name each other end too. */
  #followAliases(pending: Pending, records: readonly DnsRecord[], nowMs: number): string | undefined {
    let { name } = pending;
    for (;;) {
      const alias = records.find((record) => record.type === 'CNAME' && record.name === name);
      if (alias?.type !== 'CNAME') return name;
      if (++pending.aliases > ALIASES || !isLookupName(alias.target)) return undefined;
      pending.untilMs = Math.min(pending.untilMs, nowMs + alias.ttlS * 1000);
      name = alias.target;
    }
  }

  #answer(pending: Pending, answer: Answer, untilMs: number, nowMs: number): void {
    const key = keyOf(pending.question);
    this.#pending.delete(key);
    this.#known.delete(key);
    if (this.#known.size >= NAMES) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(key, { answer, untilMs: Math.max(untilMs, nowMs + SHORTEST_MS) });
    for (const then of pending.waiting) then(answer, nowMs);
  }

  #recall(key: string, nowMs: number): Answer | undefined {
    const known = this.#known.get(key);
    if (!known) return undefined;
    this.#known.delete(key);
    if (known.untilMs <= nowMs) return undefined;
    this.#known.set(key, known);
    return known.answer;
  }
}

function keyOf({ name, type }: Question): string {
  return `${type} ${name}`;
}

function failureWords(name: string, rcode: string | undefined): string {
  return rcode === undefined
    ? `the name servers do not answer for ${name}`
    : `the name servers have no answer for ${name}, they say ${rcode}`;
}

function found(records: readonly DnsRecord[], additionals: readonly DnsRecord[], nowMs: number): Answer {
  const kept = records.slice(0, RECORDS);
  const targets = new Set(kept.flatMap((record) => (record.type === 'SRV' ? [record.target] : [])));
  const along = new Map<string, AlongAddress[]>();
  for (const extra of additionals.slice(0, RECORDS)) {
    if ((extra.type !== 'A' && extra.type !== 'AAAA') || !targets.has(extra.name)) continue;
    const { type, address, ttlS } = extra;
    along.set(extra.name, [...(along.get(extra.name) ?? []), { type, address, untilMs: nowMs + ttlS * 1000 }]);
  }
  return { kind: 'found', records: kept.flatMap((record) => (record.type === 'CNAME' ? [] : [record])), along };
}
