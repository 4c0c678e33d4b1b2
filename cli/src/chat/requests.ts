import { type Crypto, hex, type SipMessage } from '@offhook/core';
import type { Credentials, Flow, TransactionCommand, TransactionLayer } from '@offhook/signaling';

/** Why a request has no answer. */
export type NoAnswer = 'timeout' | 'transport-error';

/** Who is told of the fate of a request: its final response, or why there is none. Challenges are answered before. */
export interface Client {
  /** `refused`: the server does not take the password, or asks for one in a way that can't be answered, in words. */
  response(message: SipMessage, nowMs: number, refused?: { readonly wrong: boolean; readonly words: string }): void;
  failed(why: NoAnswer, nowMs: number): void;
}

export interface RequestOptions {
  readonly crypto: Crypto;
  readonly layer: TransactionLayer;
  readonly credentials: Credentials;
}

/** Requests over the server's flow, each with its credentials (RFC 3261 22). */
export class Requests {
  /** The server as it is reached now; undefined: not at all. */
  flow: Flow | undefined;
  /** How requests outside of dialogs have to travel (RFC 3608), as Route values. */
  serviceRoute: readonly string[] = [];
  readonly crypto: Crypto;
  readonly #options: RequestOptions;
  readonly #clients = new Map<string, (command: TransactionCommand, nowMs: number) => void>();

  constructor(options: RequestOptions) {
    this.#options = options;
    this.crypto = options.crypto;
  }

  /** Requests that wait for their final response. */
  get size(): number {
    return this.#clients.size;
  }

  /** A Call-ID, a tag: so many random bytes in hexadecimal. */
  random(bytes: number): string {
    return hex(this.crypto.randomBytes(bytes));
  }

  /**
   * Sends a request. `cseq` answers the number of each repetition with credentials (RFC 3261 22.2). Without a flow it fails
   * at once.
   */
  send(request: SipMessage, cseq: () => number, client: Client, nowMs: number): void {
    const { flow } = this;
    if (!flow) {
      client.failed('transport-error', nowMs);
      return;
    }
    const exchange = this.#options.credentials.exchange();
    const ask = (plain: SipMessage, header: readonly [string, string] | undefined, now: number) => {
      const sent = plain.clone();
      if (header) sent.add(header[0], header[1]);
      const id = this.#options.layer.request(sent, flow, now);
      this.#clients.set(id, (command, later) => {
        if (command.kind === 'timeout' || command.kind === 'transport-error') {
          this.#clients.delete(id);
          client.failed(command.kind, later);
          return;
        }
        if (command.kind !== 'response' || command.message.status < 200) return;
        this.#clients.delete(id);
        const { message } = command;
        if (message.status !== 401 && message.status !== 407) {
          client.response(message, later);
          return;
        }
        const answer = exchange.answer(plain, message);
        if ('header' in answer) ask(plain.clone().set('cseq', `${cseq()} ${plain.method}`), answer.header, later);
        else client.response(message, later, { wrong: answer.refused, words: answer.words });
      });
    };
    ask(request, this.#options.credentials.ahead(request), nowMs);
  }

  /** What the transaction layer says of a request of ours. */
  handle(command: TransactionCommand, nowMs: number): void {
    if ('id' in command) this.#clients.get(command.id)?.(command, nowMs);
  }
}
