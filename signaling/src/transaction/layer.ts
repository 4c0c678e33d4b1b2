import {
  BRANCH_COOKIE,
  type Crypto,
  createRequest,
  createResponse,
  hex,
  isLoopback,
  networkOf,
  Params,
  parseHostPort,
  type SipMessage,
  Via,
} from '@offhook/core';
import { type Flow, isReliable } from './flow.ts';
import { Schedule } from './schedule.ts';
import { acknowledge, clientKey, serverKey, TransactionTable } from './table.ts';
import { SIP_TIMERS, type SipTimers, TIMER_D_MS } from './timers.ts';
import {
  type ClientTransactionId,
  type ServerTransactionId,
  Transaction,
  type TransactionCommand,
} from './transaction.ts';

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
/** An answer to other requests than INVITE that is longer is not kept: a repeat finds nothing, as if all had been lost. */
const LONGEST_KEPT = 16 * 1024;

/** Counted, never logged per message. */
export interface TransactionCounters {
  admitted: number;
  rejected: number;
  dropped: number;
  retransmissionsReceived: number;
  retransmissionsSent: number;
  strayResponses: number;
  overload: number;
  /** Ended ones that made room before their last timer. */
  cutShort: number;
  timeouts: number;
}

/**
 * All transactions of a server (RFC 3261 17 with RFC 6026): matching, retransmission, timers, CANCEL, ACK for failures.
 * What it does not do: retransmit 2xx to INVITE and acknowledge them; that is the dialog's task (RFC 3261 13).
 */
export class TransactionLayer {
  readonly counters: TransactionCounters = {
    admitted: 0,
    rejected: 0,
    dropped: 0,
    retransmissionsReceived: 0,
    retransmissionsSent: 0,
    strayResponses: 0,
    overload: 0,
    cutShort: 0,
    timeouts: 0,
  };
  readonly #options: TransactionLayerOptions;
  readonly #timers: SipTimers;
  readonly #transactions = new TransactionTable();
  readonly #closed = new WeakSet<Flow>();
  readonly #schedule = new Schedule();
  readonly #commands: TransactionCommand[] = [];

  constructor(options: TransactionLayerOptions) {
    this.#options = options;
    this.#timers = options.timers ?? SIP_TIMERS;
  }

  get size(): number {
    return this.#transactions.size;
  }

  poll(): TransactionCommand | undefined {
    return this.#commands.shift();
  }

  nextTimeout(): number | undefined {
    return this.#schedule.next();
  }

  handleTimeout(nowMs: number): void {
    for (let due = this.#schedule.expire(nowMs); due; due = this.#schedule.expire(nowMs)) {
      if (due.isRepeat) this.#retransmit(due.transaction, nowMs);
      else this.#ended(due.transaction);
    }
  }

  handleMessage(message: SipMessage, flow: Flow, nowMs: number): void {
    if (message.kind === 'response') this.#handleResponse(message, flow, nowMs);
    else this.#handleRequest(message, flow, nowMs);
  }

  /** A connection is gone: client transactions on it fail at once, server transactions have nobody left to answer. */
  handleFlowClosed(flow: Flow): void {
    this.#closed.add(flow);
    for (const t of this.#transactions.onFlow(flow)) {
      if (
        (t.state === 'calling' || t.state === 'trying' || t.state === 'proceeding') &&
        t.kind.startsWith('client') &&
        !t.silent
      ) {
        this.#commands.push({ kind: 'transport-error', id: t.id });
      }
      this.#terminate(t);
    }
  }

  /** Whether that transaction can still be answered or awaited. */
  isOpen(id: ServerTransactionId | ClientTransactionId): boolean {
    return this.#transactions.find(id) !== undefined;
  }

  /** Sends a request in a new client transaction; the top Via is added here. On a closed flow it fails at once. */
  request(message: SipMessage, flow: Flow, nowMs: number): ClientTransactionId {
    const branch = `${BRANCH_COOKIE}${hex(this.#options.crypto.randomBytes(12))}`;
    message.prepend('via', this.#via(flow, branch));
    return this.#startClient(message, flow, { id: clientKey(branch, message.method), silent: false, nowMs });
  }

  /** Answers a server transaction. Unknown ids and responses after a final one are ignored, but 2xx may be repeated. */
  respond(id: ServerTransactionId, response: SipMessage, nowMs: number): void {
    const t = this.#transactions.find(id);
    if (!t || (t.kind !== 'server' && t.kind !== 'server-invite')) return;
    if (t.state === 'accepted' && response.status >= 200 && response.status < 300) {
      this.#commands.push({ kind: 'send', flow: t.flow, bytes: response.serialize() });
      return;
    }
    if (t.state !== 'trying' && t.state !== 'proceeding') return;
    t.bytes = response.serialize();
    this.#commands.push({ kind: 'send', flow: t.flow, bytes: t.bytes });
    const { t1 } = this.#timers;
    if (response.status < 200) t.state = 'proceeding';
    else if (t.kind === 'server') {
      t.state = 'completed';
      if (t.bytes.length > LONGEST_KEPT) t.bytes = undefined;
      this.#absorb(t, 64 * t1, nowMs); // timer J
    } else if (response.status < 300) {
      t.state = 'accepted';
      t.bytes = undefined; // the dialog repeats it
      this.#schedule.absorb(t, 64 * t1, nowMs); // timer L, over TCP too
    } else {
      t.state = 'completed';
      t.intervalMs = t1;
      if (!isReliable(t.flow)) this.#schedule.repeatAt(t, nowMs + t1); // timer G
      this.#schedule.endAt(t, nowMs + 64 * t1); // timer H
    }
  }

  /** Cancels an INVITE of ours (RFC 3261 9.1): at once, or as soon as the other side has shown that it exists. */
  cancel(id: ClientTransactionId, nowMs: number, headers: readonly (readonly [string, string])[] = []): void {
    const t = this.#transactions.find(id);
    if (t?.kind !== 'client-invite' || t.cancel !== 'none') return;
    if (t.state !== 'calling' && t.state !== 'proceeding') return;
    t.cancel = 'wanted';
    t.cancelHeaders = headers;
    if (t.state === 'proceeding') this.#sendCancel(t, nowMs);
  }

  /** Sends without a transaction: an ACK for a 2xx (gets a Via of its own), or a response. */
  send(message: SipMessage, flow: Flow): void {
    if (message.kind === 'request' && message.header('via') === undefined) {
      message.prepend('via', this.#via(flow, `${BRANCH_COOKIE}${hex(this.#options.crypto.randomBytes(12))}`));
    }
    this.#commands.push({ kind: 'send', flow, bytes: message.serialize() });
  }

  #via(flow: Flow, branch: string): string {
    const params = new Params().set('branch', branch);
    if (flow.transport === 'udp') params.set('rport');
    const { host, port } = parseHostPort(this.#options.sentBy(flow)) ?? { host: 'invalid' };
    return new Via(flow.transport.toUpperCase(), host, port, params).toString();
  }

  #handleRequest(message: SipMessage, flow: Flow, nowMs: number): void {
    const key = serverKey(message, message.method === 'ACK' ? 'INVITE' : message.method);
    const known = this.#transactions.find(key);
    if (known) {
      this.#handleAgain(known, message, flow, nowMs);
      return;
    }
    if (message.method === 'ACK') {
      this.#commands.push({ kind: 'ack', message, flow });
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
      this.#commands.push({ kind: 'send', flow, bytes: admission.reject.serialize() });
    } else {
      const { account, trunk } = admission.accept;
      const owner = message.method === 'BYE' ? undefined : (account ?? `of ${networkOf(flow.remote.address)}`);
      // A trunk carries the calls of many, at a rate of its own.
      if (owner !== undefined && trunk === undefined && this.#hasEnough(owner, flow)) {
        this.#refuseBusy(message, flow);
        return;
      }
      this.counters.admitted++;
      this.#startServer(key, message, flow, owner);
      this.#commands.push({ kind: 'request', id: key, message, flow, account, trunk });
    }
  }

  /** A BYE frees more than it takes: calls still end when nothing else gets through. */
  #isFull(message: SipMessage, nowMs: number): boolean {
    const most = this.#options.maxTransactions ?? MAX_TRANSACTIONS;
    // Our own requests are not asked about, so more than one may have to make room.
    while (this.#transactions.size >= most) {
      const oldest = this.#schedule.oldestAbsorbing();
      if (!oldest || nowMs - oldest.absorbsSinceMs < LEAST_ABSORBED_MS) break;
      this.counters.cutShort++;
      this.#terminate(oldest);
    }
    return this.#transactions.size >= (message.method === 'BYE' ? most * 1.1 : most);
  }

  /** It has ended; over UDP it stays as long as what the other side sent before may come again. */
  #absorb(t: Transaction, forMs: number, nowMs: number): void {
    if (isReliable(t.flow)) {
      this.#terminate(t);
      return;
    }
    this.#schedule.absorb(t, forMs, nowMs);
  }

  #hasEnough(owner: string, flow: Flow): boolean {
    const { maxPerOwner = MAX_PER_OWNER, maxPerLoopbackOwner = MAX_PER_LOOPBACK_OWNER } = this.#options;
    const most = isLoopback(flow.remote.address) ? maxPerLoopbackOwner : maxPerOwner;
    return this.#transactions.ofOwner(owner) >= most;
  }

  #refuseBusy(message: SipMessage, flow: Flow): void {
    this.counters.overload++;
    this.#options.onRefused?.(message, 503);
    const busy = createResponse(message, 503, undefined, {
      toTag: this.#tag(),
      headers: [['Retry-After', 5 + (this.#options.crypto.randomBytes(1)[0]! % 10)]],
    });
    this.#commands.push({ kind: 'send', flow, bytes: busy.serialize() });
  }

  /** A request whose transaction exists: a retransmission, or the ACK of an INVITE. */
  #handleAgain(t: Transaction, message: SipMessage, flow: Flow, nowMs: number): void {
    if (message.method === 'ACK') {
      if (t.state === 'accepted') this.#commands.push({ kind: 'ack', message, flow });
      else if (t.state === 'completed') {
        t.state = 'confirmed';
        t.bytes = undefined;
        this.#absorb(t, this.#timers.t4, nowMs); // timer I
      }
      return;
    }
    this.counters.retransmissionsReceived++;
    // In Accepted the 2xx is repeated by the dialog alone (RFC 6026 7.1); after the ACK nothing is answered.
    if (t.bytes && (t.state === 'proceeding' || t.state === 'completed'))
      this.#commands.push({ kind: 'send', flow: t.flow, bytes: t.bytes });
  }

  /** RFC 3261 9.2. A CANCEL needs no admission: it can only stop what its own sender began. */
  #handleCancel(key: string, message: SipMessage, flow: Flow, nowMs: number): void {
    const invite = this.#transactions.find(serverKey(message, 'INVITE'));
    if (!invite || invite.flow.remote.address !== flow.remote.address) {
      if (this.#options.mayAnswer?.(flow, nowMs) === false) return;
      const none = createResponse(message, 481, undefined, { toTag: this.#tag() });
      this.#commands.push({ kind: 'send', flow, bytes: none.serialize() });
      return;
    }
    this.#startServer(key, message, flow, undefined);
    this.respond(key, createResponse(message, 200, undefined, { toTag: this.#tag() }), nowMs);
    if (invite.state === 'trying' || invite.state === 'proceeding')
      this.#commands.push({ kind: 'cancel', id: invite.id, message });
  }

  #handleResponse(message: SipMessage, flow: Flow, nowMs: number): void {
    // 8.1.3.3: more than one Via means that it was meant for somebody before us.
    const { vias } = message;
    const t =
      vias.length > 1 ? undefined : this.#transactions.find(clientKey(vias[0]?.branch ?? '', message.cseq.method));
    if (!t) {
      this.counters.strayResponses++;
      return;
    }
    if (t.kind === 'client-invite') this.#handleInviteResponse(t, message, flow, nowMs);
    else this.#handleOtherResponse(t, message, flow, nowMs);
  }

  #handleInviteResponse(t: Transaction, message: SipMessage, flow: Flow, nowMs: number): void {
    const { t1 } = this.#timers;
    const up = () => this.#commands.push({ kind: 'response', id: t.id, message, flow });
    switch (t.state) {
      case 'calling':
      case 'proceeding':
        if (message.status < 200) {
          if (t.state === 'calling') this.#schedule.drop(t); // timers A and B; from here on the caller's timer C rules
          t.state = 'proceeding';
          t.bytes = undefined;
          up();
          if (t.cancel === 'wanted') this.#sendCancel(t, nowMs);
        } else if (message.status < 300) {
          t.state = 'accepted';
          t.bytes = undefined;
          t.request = undefined;
          this.#schedule.absorb(t, 64 * t1, nowMs); // timer M, over TCP too
          up();
        } else {
          t.state = 'completed';
          t.bytes = acknowledge(t.request!, message).serialize();
          t.request = undefined;
          this.#commands.push({ kind: 'send', flow: t.flow, bytes: t.bytes });
          up();
          this.#absorb(t, TIMER_D_MS, nowMs); // timer D
        }
        return;
      case 'accepted':
        if (message.status >= 200 && message.status < 300) up();
        return;
      case 'completed':
        if (message.status >= 300 && t.bytes) this.#commands.push({ kind: 'send', flow: t.flow, bytes: t.bytes });
        return;
      default:
        return;
    }
  }

  #handleOtherResponse(t: Transaction, message: SipMessage, flow: Flow, nowMs: number): void {
    if (t.state !== 'trying' && t.state !== 'proceeding') return;
    if (message.status < 200) t.state = 'proceeding';
    else {
      t.state = 'completed';
      t.bytes = undefined;
      this.#schedule.stopRepeating(t);
    }
    if (!t.silent) this.#commands.push({ kind: 'response', id: t.id, message, flow });
    if (t.state === 'completed') {
      this.#absorb(t, this.#timers.t4, nowMs); // timer K
    }
  }

  #sendCancel(t: Transaction, nowMs: number): void {
    t.cancel = 'sent';
    // RFC 3261 9.1: if no final response comes in 64*T1 the INVITE counts as cancelled.
    this.#schedule.endAt(t, nowMs + 64 * this.#timers.t1);
    const request = t.request!;
    const cancel = createRequest({
      method: 'CANCEL',
      uri: request.uri,
      from: request.header('from')!,
      to: request.header('to')!,
      callId: request.callId,
      cseq: request.cseq.number,
      headers: [...request.headers('route').map((route) => ['route', route] as const), ...(t.cancelHeaders ?? [])],
    });
    cancel.prepend('via', request.vias[0]!.toString());
    this.#startClient(cancel, t.flow, { id: clientKey(request.vias[0]!.branch, 'CANCEL'), silent: true, nowMs });
  }

  #startClient(request: SipMessage, flow: Flow, how: { id: string; silent: boolean; nowMs: number }): string {
    const invite = request.method === 'INVITE';
    const kind = invite ? 'client-invite' : 'client';
    const parts = { id: how.id, kind, flow, owner: undefined, silent: how.silent } as const;
    const t = new Transaction({ ...parts, request: invite ? request : undefined }, invite ? 'calling' : 'trying');
    this.#transactions.add(t);
    t.bytes = request.serialize();
    t.intervalMs = this.#timers.t1;
    if (this.#closed.has(flow)) {
      if (!how.silent) this.#commands.push({ kind: 'transport-error', id: t.id });
      this.#terminate(t);
      return t.id;
    }
    this.#commands.push({ kind: 'send', flow, bytes: t.bytes });
    if (!isReliable(flow)) this.#schedule.repeatAt(t, how.nowMs + this.#timers.t1); // timer A or E
    this.#schedule.endAt(t, how.nowMs + 64 * this.#timers.t1); // timer B or F
    return t.id;
  }

  /** Nothing is kept of the request but its key. */
  #startServer(id: string, { method }: SipMessage, flow: Flow, owner: string | undefined): void {
    const invite = method === 'INVITE';
    const kind = invite ? 'server-invite' : 'server';
    const parts = { id, kind, flow, request: undefined, owner, silent: false } as const;
    this.#transactions.add(new Transaction(parts, invite ? 'proceeding' : 'trying'));
  }

  #retransmit(t: Transaction, nowMs: number): void {
    const { t2 } = this.#timers;
    if (t.bytes) {
      this.counters.retransmissionsSent++;
      this.#commands.push({ kind: 'send', flow: t.flow, bytes: t.bytes });
    }
    // A doubles without bound (17.1.1.2); E and G are capped by T2, and E stays there once a provisional came (17.1.2.2).
    const doubled = t.intervalMs * 2;
    t.intervalMs =
      t.kind === 'client-invite'
        ? doubled
        : t.kind === 'client' && t.state === 'proceeding'
          ? t2
          : Math.min(doubled, t2);
    this.#schedule.repeatAt(t, nowMs + t.intervalMs);
  }

  /** B, F and H mean failure; D, I, J, K, L and M only that the state may go. */
  #ended(t: Transaction): void {
    const failed =
      (t.kind === 'client-invite' && (t.state === 'calling' || t.state === 'proceeding')) ||
      (t.kind === 'client' && (t.state === 'trying' || t.state === 'proceeding')) ||
      (t.kind === 'server-invite' && t.state === 'completed');
    if (failed) {
      this.counters.timeouts++;
      if (!t.silent) this.#commands.push({ kind: 'timeout', id: t.id });
    }
    this.#terminate(t);
  }

  #terminate(t: Transaction): void {
    t.state = 'terminated';
    this.#schedule.drop(t);
    this.#transactions.delete(t);
    if (!t.silent) this.#commands.push({ kind: 'terminated', id: t.id });
  }

  #tag(): string {
    return hex(this.#options.crypto.randomBytes(8));
  }
}
