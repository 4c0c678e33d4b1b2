import { createRequest, parseNameAddr, type SipMessage } from '@offhook/core';
import { domainHost } from './address.ts';
import { answerWords, backOffMs, grantedS, longerExpires, refreshAfterMs, retryAfterS } from './answers.ts';
import { writePidf } from './presence.ts';
import type { Account } from './registration.ts';
import type { Requests } from './requests.ts';
import type { Status } from './status.ts';

const EXPIRES_S = 600;
const BACK_OFF = { firstMs: 15_000, longestMs: 900_000 };
/** RFC 3903 6, RFC 3261 21.4: this server will not take presence, however often it is asked. */
const NEVER: ReadonlySet<number> = new Set([403, 404, 405, 489, 501]);

export interface PublicationOptions {
  readonly account: Account;
  readonly requests: Requests;
  /** The server does not take it, in words; said once. */
  readonly tell: (words: string) => void;
}

/** Our own presence at the server (RFC 3903): published, refreshed, modified, and removed at the end. */
export class Publication {
  status: Status = 'available';
  note = '';
  readonly #options: PublicationOptions;
  readonly #tuple: string;
  readonly #callId: string;
  readonly #tag: string;
  #cseq = 0;
  #expiresS = EXPIRES_S;
  /** The entity tag of what is published (RFC 3903 4.1); undefined: nothing, or nobody knows. */
  #etag: string | undefined;
  #dueMs: number | undefined;
  #failures = 0;
  #isAsking = false;
  /** At the end: told when nothing is published any more. */
  #stopped: ((nowMs: number) => void) | undefined;
  /** What is published differs from what is so. */
  #isChanged = true;
  /** The server does not take presence; asked again only with the next registration. */
  #isRefused = false;
  #wasTold = false;

  constructor(options: PublicationOptions) {
    this.#options = options;
    this.#tuple = options.requests.random(4);
    this.#callId = options.requests.random(16);
    this.#tag = options.requests.random(8);
  }

  nextTimeout(): number | undefined {
    return this.#dueMs;
  }

  handleTimeout(nowMs: number): void {
    if (this.#dueMs === undefined || this.#dueMs > nowMs) return;
    this.#dueMs = undefined;
    this.#ask(nowMs);
  }

  /** We are registered anew: the server may have forgotten all. */
  begin(nowMs: number): void {
    this.#isRefused = false;
    this.#isChanged = true;
    this.#isAsking = false;
    this.#ask(nowMs);
  }

  /** There is nobody to publish to. */
  pause(): void {
    this.#dueMs = undefined;
  }

  set(status: Status, note: string, nowMs: number): void {
    this.status = status;
    this.note = note;
    this.#isChanged = true;
    if (this.#options.requests.flow && !this.#isRefused) this.#ask(nowMs);
  }

  /** RFC 3903 4.5: removed by Expires 0. What is on its way has no entity tag yet: its answer is awaited first. */
  stop(done: (nowMs: number) => void, nowMs: number): void {
    this.#dueMs = undefined;
    if (this.#isAsking && this.#options.requests.flow) this.#stopped = done;
    else this.#remove(done, nowMs);
  }

  #remove(done: (nowMs: number) => void, nowMs: number): void {
    const { requests } = this.#options;
    if (this.#etag === undefined || !requests.flow) {
      done(nowMs);
      return;
    }
    const ended = (_: unknown, now: number) => done(now);
    requests.send(this.#request(0, this.#etag), () => ++this.#cseq, { response: ended, failed: ended }, nowMs);
    this.#etag = undefined;
  }

  #ask(nowMs: number): void {
    const { requests } = this.#options;
    const { flow } = requests;
    if (this.#isAsking || !flow) return; // a change waits for the answer: one tag, one request (RFC 3903 4.4)
    this.#isAsking = true;
    this.#dueMs = undefined;
    const body = this.#isChanged || this.#etag === undefined ? this.#document() : undefined;
    this.#isChanged = false;
    requests.send(
      this.#request(this.#expiresS, this.#etag, body),
      () => ++this.#cseq,
      {
        response: (message, now, refused) => {
          if (this.#stopped) {
            if (!refused && message.status < 300) this.#etag = entityTag(message);
            this.#remove(this.#stopped, now);
            return;
          }
          if (requests.flow !== flow) return;
          this.#isAsking = false;
          if (refused) this.#refuse(refused.words);
          else this.#answered(message, now);
        },
        failed: (_, now) => {
          if (this.#stopped) {
            this.#remove(this.#stopped, now);
            return;
          }
          if (requests.flow !== flow) return;
          this.#isAsking = false;
          this.#later(0, now);
        },
      },
      nowMs,
    );
  }

  #answered(message: SipMessage, nowMs: number): void {
    const { status } = message;
    if (status >= 200 && status < 300) {
      this.#failures = 0;
      this.#etag = entityTag(message);
      const seconds = grantedS(message.expires, this.#expiresS);
      this.#dueMs = nowMs + refreshAfterMs(seconds, this.#options.requests.crypto.randomBytes(1));
      if (this.#isChanged) this.#ask(nowMs);
      return;
    }
    const longer = longerExpires(message, this.#expiresS);
    const hadTag = this.#etag !== undefined;
    if (status === 412 && hadTag) {
      this.#etag = undefined; // forgotten there: all anew (RFC 3903 4.1)
      this.#ask(nowMs);
    } else if (longer !== undefined) {
      this.#expiresS = longer;
      this.#isChanged = true;
      this.#ask(nowMs);
    } else if (NEVER.has(status)) this.#refuse(answerWords(message));
    else this.#later(retryAfterS(message), nowMs);
  }

  #refuse(words: string): void {
    this.#isRefused = true;
    this.#etag = undefined;
    if (this.#wasTold) return;
    this.#wasTold = true;
    this.#options.tell(`the server takes no presence (${words}): others can’t see whether you are there`);
  }

  #later(afterS: number, nowMs: number): void {
    const waitMs = backOffMs(this.#failures++, BACK_OFF, this.#options.requests.crypto.randomBytes(1));
    this.#isChanged = true;
    this.#dueMs = nowMs + Math.max(waitMs, afterS * 1000);
  }

  #document(): string {
    const { user, domain } = this.#options.account;
    const entity = parseNameAddr(`<sip:${domainHost(domain)}>`)!.uri;
    entity.user = user;
    return writePidf({ entity: entity.toString(), tuple: this.#tuple, status: this.status, note: this.note });
  }

  #request(expiresS: number, etag: string | undefined, body?: string): SipMessage {
    const { account, requests } = this.#options;
    const own = parseNameAddr(`<sip:${domainHost(account.domain)}>`)!;
    own.uri.user = account.user;
    return createRequest({
      method: 'PUBLISH',
      uri: own.uri.toString(),
      from: `${own};tag=${this.#tag}`,
      to: own.toString(),
      callId: this.#callId,
      cseq: ++this.#cseq,
      headers: [
        ...requests.serviceRoute.map((route) => ['Route', route] as const),
        ['Event', 'presence'],
        ['Expires', expiresS],
        ...(etag === undefined ? [] : [['SIP-If-Match', etag] as const]),
      ],
      ...(body === undefined ? {} : { body: { type: 'application/pidf+xml', bytes: body } }),
    });
  }
}

function entityTag(message: SipMessage): string | undefined {
  return message.header('sip-etag')?.slice(0, 256);
}
