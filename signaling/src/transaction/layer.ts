import {
  BRANCH_COOKIE,
  type Crypto,
  createResponse,
  hex,
  isLoopback,
  networkOf,
  Params,
  parseHostPort,
  type SipMessage,
  Via,
} from '@offhook/core';
import { ClientTransactions, isUnanswered } from './client.ts';
import { TransactionContext, type TransactionCounters } from './context.ts';
import type { Flow } from './flow.ts';
import { isUnacknowledged, ServerTransactions } from './server.ts';
import { serverKey } from './table.ts';
import { SIP_TIMERS, type SipTimers } from './timers.ts';
import type { ClientTransactionId, ServerTransactionId, Transaction, TransactionCommand } from './transaction.ts';

/** What admission says of a new request, before any state exists for it. */
export type Admission =
  | { readonly accept: { readonly account?: string; readonly trunk?: string } }
  | { readonly reject: SipMessage }
  | 'drop';

export interface TransactionLayerOptions {
  readonly crypto: Crypto;
  /** host[:port] for the Via of requests sent on that flow. */
  readonly sentBy: (flow: Flow) => string;
  readonly admit: (message: SipMessage, flow: Flow, nowMs: number) => Admission;
  /** Told of each new request that is refused before there is any state of it. */
  readonly onRefused?: (request: SipMessage, status: number) => void;
  /** Whether a request that `admit` is not asked about may be answered: not too many to one source. */
  readonly mayAnswer?: (flow: Flow, nowMs: number) => boolean;
  readonly timers?: SipTimers;
  /** New requests beyond this many transactions are answered 503 (default 50,000); BYE has a tenth more. */
  readonly maxTransactions?: number;
  /** So many of them may one account have, or one network where no account is told (default 1,000; 15,000 on loopback). */
  readonly maxPerOwner?: number;
  readonly maxPerLoopbackOwner?: number;
}

/** Some 2 kB each. */
const MAX_TRANSACTIONS = 50_000;
/** Where room is needed, what has ended absorbs repeats for this long instead of the 32 s of timers D, J, L and M: T4, as K and I. */
const LEAST_ABSORBED_MS = 5000;
/** 5 calls a second stay for 32 s: 160. Six requests with each of them are more than a person's phone makes. */
const MAX_PER_OWNER = 1000;
const MAX_PER_LOOPBACK_OWNER = 15_000;

/**
 * All transactions of a server (RFC 3261 17 with RFC 6026): matching, retransmission, timers, CANCEL, ACK for failures.
 * What it does not do: retransmit 2xx to INVITE and acknowledge them; that is the dialog's task (RFC 3261 13).
 */
export class TransactionLayer {
  readonly #options: TransactionLayerOptions;
  readonly #context: TransactionContext;
  readonly #clients: ClientTransactions;
  readonly #servers: ServerTransactions;

  constructor(options: TransactionLayerOptions) {
    this.#options = options;
    this.#context = new TransactionContext(options.timers ?? SIP_TIMERS);
    this.#clients = new ClientTransactions(this.#context);
    this.#servers = new ServerTransactions(this.#context);
  }

  get counters(): TransactionCounters {
    return this.#context.counters;
  }

  get size(): number {
    return this.#context.table.size;
  }

  poll(): TransactionCommand | undefined {
    return this.#context.commands.shift();
  }

  nextTimeout(): number | undefined {
    return this.#context.schedule.next();
  }

  handleTimeout(nowMs: number): void {
    for (let due = this.#context.schedule.expire(nowMs); due; due = this.#context.schedule.expire(nowMs)) {
      if (due.isRepeat) this.#retransmit(due.transaction, nowMs);
      else this.#ended(due.transaction);
    }
  }

  handleMessage(message: SipMessage, flow: Flow, nowMs: number): void {
    if (message.kind === 'response') this.#clients.handleResponse(message, flow, nowMs);
    else this.#handleRequest(message, flow, nowMs);
  }

  /** A connection is gone: client transactions on it fail at once, server transactions have nobody left to answer. */
  handleFlowClosed(flow: Flow): void {
    this.#clients.close(flow);
    for (const t of this.#context.table.onFlow(flow)) {
      if (isUnanswered(t) && !t.silent) this.#context.commands.push({ kind: 'transport-error', id: t.id });
      this.#context.terminate(t);
    }
  }

  /** Whether that transaction can still be answered or awaited. */
  isOpen(id: ServerTransactionId | ClientTransactionId): boolean {
    return this.#context.table.find(id) !== undefined;
  }

  /** Sends a request in a new client transaction; the top Via is added here. On a closed flow it fails at once. */
  request(message: SipMessage, flow: Flow, nowMs: number): ClientTransactionId {
    const branch = `${BRANCH_COOKIE}${hex(this.#options.crypto.randomBytes(12))}`;
    message.prepend('via', this.#via(flow, branch));
    return this.#clients.request(message, flow, { branch, nowMs });
  }

  /** Answers a server transaction. Unknown ids and responses after a final one are ignored, but 2xx may be repeated. */
  respond(id: ServerTransactionId, response: SipMessage, nowMs: number): void {
    this.#servers.respond(id, response, nowMs);
  }

  /** Cancels an INVITE of ours (RFC 3261 9.1): at once, or as soon as the other side has shown that it exists. */
  cancel(id: ClientTransactionId, nowMs: number, headers: readonly (readonly [string, string])[] = []): void {
    this.#clients.cancel(id, nowMs, headers);
  }

  /** Sends without a transaction: an ACK for a 2xx (gets a Via of its own), or a response. */
  send(message: SipMessage, flow: Flow): void {
    if (message.kind === 'request' && message.header('via') === undefined) {
      message.prepend('via', this.#via(flow, `${BRANCH_COOKIE}${hex(this.#options.crypto.randomBytes(12))}`));
    }
    this.#context.send(flow, message.serialize());
  }

  #via(flow: Flow, branch: string): string {
    const params = new Params().set('branch', branch);
    if (flow.transport === 'udp') params.set('rport');
    const { host, port } = parseHostPort(this.#options.sentBy(flow)) ?? { host: 'invalid' };
    return new Via(flow.transport.toUpperCase(), host, port, params).toString();
  }

  #handleRequest(message: SipMessage, flow: Flow, nowMs: number): void {
    const key = serverKey(message, message.method === 'ACK' ? 'INVITE' : message.method);
    const known = this.#context.table.find(key);
    if (known) {
      this.#servers.handleAgain(known, message, flow, nowMs);
      return;
    }
    if (message.method === 'ACK') {
      this.#context.commands.push({ kind: 'ack', message, flow });
      return;
    }
    if (message.method === 'CANCEL') {
      this.#handleCancel(key, message, flow, nowMs);
      return;
    }
    if (this.#isFull(message, nowMs)) {
      if (this.#options.mayAnswer?.(flow, nowMs) === false) this.counters.overload++;
      else this.#refuseBusy(message, flow);
      return;
    }
    const admission = this.#options.admit(message, flow, nowMs);
    if (admission === 'drop') {
      this.counters.dropped++;
    } else if ('reject' in admission) {
      this.counters.rejected++;
      this.#options.onRefused?.(message, admission.reject.status);
      this.#context.send(flow, admission.reject.serialize());
    } else {
      const { account, trunk } = admission.accept;
      const owner = message.method === 'BYE' ? undefined : (account ?? `of ${networkOf(flow.remote.address)}`);
      // A trunk carries the calls of many, at a rate of its own.
      if (owner !== undefined && trunk === undefined && this.#hasEnough(owner, flow)) {
        this.#refuseBusy(message, flow);
        return;
      }
      this.counters.admitted++;
      this.#servers.start(key, message, flow, owner);
      this.#context.commands.push({ kind: 'request', id: key, message, flow, account, trunk });
    }
  }

  /** A BYE frees more than it takes: calls still end when nothing else gets through. */
  #isFull(message: SipMessage, nowMs: number): boolean {
    const most = this.#options.maxTransactions ?? MAX_TRANSACTIONS;
    // Our own requests are not asked about, so more than one may have to make room.
    while (this.#context.table.size >= most) {
      const oldest = this.#context.schedule.oldestAbsorbing();
      if (!oldest || nowMs - oldest.absorbsSinceMs < LEAST_ABSORBED_MS) break;
      this.counters.cutShort++;
      this.#context.terminate(oldest);
    }
    return this.#context.table.size >= (message.method === 'BYE' ? most * 1.1 : most);
  }

  #hasEnough(owner: string, flow: Flow): boolean {
    const { maxPerOwner = MAX_PER_OWNER, maxPerLoopbackOwner = MAX_PER_LOOPBACK_OWNER } = this.#options;
    const most = isLoopback(flow.remote.address) ? maxPerLoopbackOwner : maxPerOwner;
    return this.#context.table.ofOwner(owner) >= most;
  }

  #refuseBusy(message: SipMessage, flow: Flow): void {
    this.counters.overload++;
    this.#options.onRefused?.(message, 503);
    const busy = createResponse(message, 503, undefined, {
      toTag: this.#tag(),
      headers: [['Retry-After', 5 + (this.#options.crypto.randomBytes(1)[0]! % 10)]],
    });
    this.#context.send(flow, busy.serialize());
  }

  /** RFC 3261 9.2. A CANCEL needs no admission: it can only stop what its own sender began. */
  #handleCancel(key: string, message: SipMessage, flow: Flow, nowMs: number): void {
    const invite = this.#context.table.find(serverKey(message, 'INVITE'));
    if (!invite || invite.flow.remote.address !== flow.remote.address) {
      if (this.#options.mayAnswer?.(flow, nowMs) === false) return;
      const none = createResponse(message, 481, undefined, { toTag: this.#tag() });
      this.#context.send(flow, none.serialize());
      return;
    }
    this.#servers.start(key, message, flow, undefined);
    this.respond(key, createResponse(message, 200, undefined, { toTag: this.#tag() }), nowMs);
    if (invite.state === 'trying' || invite.state === 'proceeding')
      this.#context.commands.push({ kind: 'cancel', id: invite.id, message });
  }

  #retransmit(t: Transaction, nowMs: number): void {
    const { t2 } = this.#context.timers;
    if (t.bytes) {
      this.counters.retransmissionsSent++;
      this.#context.send(t.flow, t.bytes);
    }
    // A doubles without bound (17.1.1.2); E and G are capped by T2, and E stays there once a provisional came (17.1.2.2).
    const doubled = t.intervalMs * 2;
    t.intervalMs =
      t.kind === 'client-invite'
        ? doubled
        : t.kind === 'client' && t.state === 'proceeding'
          ? t2
          : Math.min(doubled, t2);
    this.#context.schedule.repeatAt(t, nowMs + t.intervalMs);
  }

  /** B, F and H mean failure; D, I, J, K, L and M only that the state may go. */
  #ended(t: Transaction): void {
    if (isUnanswered(t) || isUnacknowledged(t)) {
      this.counters.timeouts++;
      if (!t.silent) this.#context.commands.push({ kind: 'timeout', id: t.id });
    }
    this.#context.terminate(t);
  }

  #tag(): string {
    return hex(this.#options.crypto.randomBytes(8));
  }
}
