import type { SipMessage } from '@offhook/core';
import type { Flow } from './flow.ts';

export type ClientTransactionId = string;
export type ServerTransactionId = string;

/** What the layer wants done, in order. `send` goes to the transport, the rest to the transaction user. */
export type TransactionCommand =
  | { readonly kind: 'send'; readonly flow: Flow; readonly bytes: Uint8Array }
  /** A new request that was admitted; answer it by `respond(id, …)`. */
  | {
      readonly kind: 'request';
      readonly id: ServerTransactionId;
      readonly message: SipMessage;
      readonly flow: Flow;
      readonly account?: string;
      /** The trunk it came over, which needs no account. */
      readonly trunk?: string;
    }
  /** An ACK for a 2xx (RFC 3261 13.2.2.4), which belongs to no transaction. */
  | { readonly kind: 'ack'; readonly message: SipMessage; readonly flow: Flow }
  /** The INVITE transaction `id` is to be cancelled. The CANCEL is answered already; answer the INVITE by 487. */
  | { readonly kind: 'cancel'; readonly id: ServerTransactionId; readonly message: SipMessage }
  /** Any response to our request, repeated 2xx to an INVITE included (RFC 6026 7.2). */
  | { readonly kind: 'response'; readonly id: ClientTransactionId; readonly message: SipMessage; readonly flow: Flow }
  /** Client: nobody answered (timer B or F). Server INVITE: nobody acknowledged the final response (timer H). */
  | { readonly kind: 'timeout'; readonly id: string }
  /** The flow of a client transaction is gone. */
  | { readonly kind: 'transport-error'; readonly id: ClientTransactionId }
  /** The transaction's state has been freed; its id means nothing any more. */
  | { readonly kind: 'terminated'; readonly id: string };

/** States of the four machines (RFC 3261 17, RFC 6026 for Accepted). */
export type TransactionState =
  | 'calling'
  | 'trying'
  | 'proceeding'
  | 'completed'
  | 'accepted'
  | 'confirmed'
  | 'terminated';

export class Transaction {
  readonly id: string;
  readonly kind: 'client-invite' | 'client' | 'server-invite' | 'server';
  readonly flow: Flow;
  /** Whose share of the server transactions it is taken from; BYE and CANCEL are nobody's. */
  readonly owner: string | undefined;
  /** Our own CANCEL: its outcome is nobody's business. */
  readonly silent: boolean;
  state: TransactionState;
  /** An INVITE of ours until its final response: what its ACK or CANCEL is made from. */
  request: SipMessage | undefined;
  /** Bytes to send again, as long as they may have to be: the request or its ACK (client), the last response (server). */
  bytes: Uint8Array | undefined = undefined;
  /** Current interval of the retransmission timer A, E or G. */
  intervalMs = 0;
  /** A CANCEL waits for the first provisional response (RFC 3261 9.1). */
  cancel: 'none' | 'wanted' | 'sent' = 'none';
  cancelHeaders: readonly (readonly [string, string])[] | undefined = undefined;
  /** Kept by `Schedule`: timers A, E or G; B, D, F, H, I, J, K, L or M; the earlier of both; where it stands in the heap. */
  repeatAtMs = Number.POSITIVE_INFINITY;
  endAtMs = Number.POSITIVE_INFINITY;
  dueMs = Number.POSITIVE_INFINITY;
  place = -1;
  absorbsSinceMs = 0;

  constructor(
    parts: Pick<Transaction, 'id' | 'kind' | 'flow' | 'request' | 'owner' | 'silent'>,
    state: TransactionState,
  ) {
    this.id = parts.id;
    this.kind = parts.kind;
    this.flow = parts.flow;
    this.owner = parts.owner;
    this.silent = parts.silent;
    this.state = state;
    this.request = parts.request;
  }
}
