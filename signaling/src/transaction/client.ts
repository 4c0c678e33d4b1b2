import { createRequest, type SipMessage } from '@offhook/core';
import type { TransactionContext } from './context.ts';
import { type Flow, isReliable } from './flow.ts';
import { clientKey } from './table.ts';
import { TIMER_D_MS } from './timers.ts';
import { type ClientTransactionId, Transaction } from './transaction.ts';

/** Requests of ours (RFC 3261 17.1, RFC 6026 for Accepted): their answers, the ACK of a failure, and CANCEL. */
export class ClientTransactions {
  readonly #context: TransactionContext;
  readonly #closed = new WeakSet<Flow>();

  constructor(context: TransactionContext) {
    this.#context = context;
  }

  /** A connection is gone: what is sent on it from now on fails at once. */
  close(flow: Flow): void {
    this.#closed.add(flow);
  }

  /** Sends a request; `branch` is that of its top Via. */
  request(message: SipMessage, flow: Flow, how: { branch: string; nowMs: number }): ClientTransactionId {
    return this.#start(message, flow, {
      id: clientKey(how.branch, message.method),
      silent: false,
      nowMs: how.nowMs,
    });
  }

  /** Cancels an INVITE (RFC 3261 9.1): at once, or as soon as the other side has shown that it exists. */
  cancel(id: ClientTransactionId, nowMs: number, headers: readonly (readonly [string, string])[]): void {
    const t = this.#context.table.find(id);
    if (t?.kind !== 'client-invite' || t.cancel !== 'none') return;
    if (t.state !== 'calling' && t.state !== 'proceeding') return;
    t.cancel = 'wanted';
    t.cancelHeaders = headers;
    if (t.state === 'proceeding') this.#sendCancel(t, nowMs);
  }

  handleResponse(message: SipMessage, flow: Flow, nowMs: number): void {
    // 8.1.3.3: more than one Via means that it was meant for somebody before us.
    const { vias } = message;
    const t =
      vias.length > 1 ? undefined : this.#context.table.find(clientKey(vias[0]?.branch ?? '', message.cseq.method));
    if (!t) {
      this.#context.counters.strayResponses++;
      return;
    }
    if (t.kind === 'client-invite') this.#handleInviteResponse(t, message, flow, nowMs);
    else this.#handleOtherResponse(t, message, flow, nowMs);
  }

  #handleInviteResponse(t: Transaction, message: SipMessage, flow: Flow, nowMs: number): void {
    const context = this.#context;
    const { schedule, commands } = context;
    const { t1 } = context.timers;
    const up = () => commands.push({ kind: 'response', id: t.id, message, flow });
    switch (t.state) {
      case 'calling':
      case 'proceeding':
        if (message.status < 200) {
          if (t.state === 'calling') schedule.drop(t); // timers A and B; from here on the caller's timer C rules
          t.state = 'proceeding';
          t.bytes = undefined;
          up();
          if (t.cancel === 'wanted') this.#sendCancel(t, nowMs);
        } else if (message.status < 300) {
          t.state = 'accepted';
          t.bytes = undefined;
          t.request = undefined;
          schedule.absorb(t, 64 * t1, nowMs); // timer M, over TCP too
          up();
        } else {
          t.state = 'completed';
          t.bytes = belonging('ACK', t.request!, { to: message.header('to')! }).serialize();
          t.request = undefined;
          context.send(t.flow, t.bytes);
          up();
          context.absorb(t, TIMER_D_MS, nowMs); // timer D
        }
        return;
      case 'accepted':
        if (message.status >= 200 && message.status < 300) up();
        return;
      case 'completed':
        if (message.status >= 300 && t.bytes) context.send(t.flow, t.bytes);
        return;
      default:
        return;
    }
  }

  #handleOtherResponse(t: Transaction, message: SipMessage, flow: Flow, nowMs: number): void {
    if (t.state !== 'trying' && t.state !== 'proceeding') return;
    const context = this.#context;
    if (message.status < 200) t.state = 'proceeding';
    else {
      t.state = 'completed';
      t.bytes = undefined;
      context.schedule.stopRepeating(t);
    }
    if (!t.silent) context.commands.push({ kind: 'response', id: t.id, message, flow });
    if (t.state === 'completed') context.absorb(t, context.timers.t4, nowMs); // timer K
  }

  #sendCancel(t: Transaction, nowMs: number): void {
    t.cancel = 'sent';
    // RFC 3261 9.1: if no final response comes in 64*T1 the INVITE counts as cancelled.
    this.#context.schedule.endAt(t, nowMs + 64 * this.#context.timers.t1);
    const request = t.request!;
    const cancel = belonging('CANCEL', request, { to: request.header('to')!, headers: t.cancelHeaders });
    this.#start(cancel, t.flow, { id: clientKey(request.vias[0]!.branch, 'CANCEL'), silent: true, nowMs });
  }

  #start(request: SipMessage, flow: Flow, how: { id: string; silent: boolean; nowMs: number }): string {
    const { table, schedule, timers, commands } = this.#context;
    const invite = request.method === 'INVITE';
    const kind = invite ? 'client-invite' : 'client';
    const parts = { id: how.id, kind, flow, owner: undefined, silent: how.silent } as const;
    const t = new Transaction({ ...parts, request: invite ? request : undefined }, invite ? 'calling' : 'trying');
    table.add(t);
    t.bytes = request.serialize();
    t.intervalMs = timers.t1;
    if (this.#closed.has(flow)) {
      if (!how.silent) commands.push({ kind: 'transport-error', id: t.id });
      this.#context.terminate(t);
      return t.id;
    }
    this.#context.send(flow, t.bytes);
    if (!isReliable(flow)) schedule.repeatAt(t, how.nowMs + timers.t1); // timer A or E
    schedule.endAt(t, how.nowMs + 64 * timers.t1); // timer B or F
    return t.id;
  }
}

/** Whether a request of ours has no final answer yet. */
export function isUnanswered({ kind, state }: Transaction): boolean {
  return (
    (kind === 'client-invite' && (state === 'calling' || state === 'proceeding')) ||
    (kind === 'client' && (state === 'trying' || state === 'proceeding'))
  );
}

/** The CANCEL of an INVITE, or the ACK for a final response to it other than 2xx (RFC 3261 9.1, 17.1.1.3). */
function belonging(
  method: 'ACK' | 'CANCEL',
  invite: SipMessage,
  { to, headers = [] }: { to: string; headers?: readonly (readonly [string, string])[] },
): SipMessage {
  const request = createRequest({
    method,
    uri: invite.uri,
    from: invite.header('from')!,
    to,
    callId: invite.callId,
    cseq: invite.cseq.number,
    headers: [...invite.headers('route').map((route) => ['route', route] as const), ...headers],
  });
  return request.prepend('via', invite.vias[0]!.toString());
}
