import { UA, WebSocketInterface } from 'jssip';
import type { Subscriber } from 'jssip/lib/Subscriber.js';
import type { IncomingMessageEvent } from 'jssip/lib/UA.js';
import { waitUntil } from './system.ts';

export interface JsSipAccount {
  /** ws:// address of the server's `/sip`. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly domain: string;
  /** Whether it takes texts; JsSIP answers them by 405 where nobody listens. */
  readonly reads: boolean;
}

/** The documents of one subscription. */
export interface Watch {
  /** Waits until the newest document is so. */
  until(isSo: (document: string) => boolean, words: string): Promise<void>;
}

/** JsSIP without a browser: messages and subscriptions need no media. */
export class JsSipInNode {
  readonly #agent: UA;
  readonly #domain: string;
  readonly #texts: string[] = [];
  readonly #watches: Subscriber[] = [];

  private constructor({ url, user, password, domain, reads }: JsSipAccount) {
    this.#domain = domain;
    this.#agent = new UA({ sockets: new WebSocketInterface(url), uri: `sip:${user}@${domain}`, password });
    if (reads)
      this.#agent.on('newMessage', ({ originator, request }: IncomingMessageEvent) => {
        if (originator === 'remote') this.#texts.push(request.body);
      });
  }

  static async open(account: JsSipAccount): Promise<JsSipInNode> {
    const phone = new JsSipInNode(account);
    await new Promise<void>((resolve, reject) => {
      phone.#agent.on('registered', () => resolve());
      phone.#agent.on('registrationFailed', ({ cause }) => reject(new Error(`JsSIP is not registered: ${cause}`)));
      phone.#agent.start();
    });
    return phone;
  }

  watch(user: string, event: string, type: string): Watch {
    const documents: string[] = [];
    const subscriber = this.#agent.subscribe(`sip:${user}@${this.#domain}`, event, type, { contentType: type });
    subscriber.on('notify', (_isFinal, _request, body) => documents.push(body ?? ''));
    subscriber.subscribe();
    this.#watches.push(subscriber);
    return {
      until: (isSo, words) =>
        waitUntil(
          words,
          async () => documents.length > 0 && isSo(documents.at(-1)!),
          10_000,
          () => documents.at(-1) ?? 'no NOTIFY came',
        ),
    };
  }

  /** Sends a text; the status of the answer. */
  send(user: string, text: string): Promise<number> {
    return new Promise((resolve) => {
      const done = ({ response }: { response: { status_code: number } | null }) => resolve(response?.status_code ?? 0);
      this.#agent.sendMessage(`sip:${user}@${this.#domain}`, text, {
        eventHandlers: { succeeded: done, failed: done },
      });
    });
  }

  /** The next text that comes. */
  async received(): Promise<string> {
    await waitUntil('a text comes', async () => this.#texts.length > 0);
    return this.#texts.shift()!;
  }

  async close(): Promise<void> {
    if (!this.#agent.isConnected()) return;
    // Its timers would keep the process alive for an hour.
    const open = this.#watches.filter(({ state }) => state !== 'terminated');
    await Promise.all(
      open.map(
        (watch) =>
          new Promise<void>((resolve) => {
            watch.on('terminated', () => resolve());
            watch.terminate();
          }),
      ),
    );
    await new Promise<void>((resolve) => {
      this.#agent.on('disconnected', () => resolve());
      this.#agent.stop();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
