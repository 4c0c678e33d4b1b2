import { createRequest, createResponse, parseNameAddr, type SipMessage } from '@offhook/core';
import { Dialog } from '@offhook/signaling';
import { domainHost, type Person } from './address.ts';
import { answerWords, backOffMs, grantedS, longerExpires, refreshAfterMs, retryAfterS, saysNobody } from './answers.ts';
import { type Presence, parsePidf } from './presence.ts';
import type { Account } from './registration.ts';
import type { Client, Requests } from './requests.ts';

const EXPIRES_S = 600;
const BACK_OFF = { firstMs: 10_000, longestMs: 1_800_000 };
/** RFC 6665 4.1.2: a subscription without its first NOTIFY after that long (timer N, 64*T1) is none. */
const FIRST_NOTIFY_MS = 32_000;
/** Refusals that another try does not change. */
const NEVER: ReadonlySet<number> = new Set([403, 404, 405, 410, 416, 485, 489, 501, 603, 604]);
/** `words` before the first answer. */
export const NOT_YET = 'not known yet';
const PIDF = 'application/pidf+xml';

export interface WatchOptions {
  readonly account: Account;
  readonly person: Person;
  readonly requests: Requests;
  readonly contact: () => string;
  /** How the person is now; undefined: it can't be known, and why. */
  readonly tell: (presence: Presence | undefined, words: string) => void;
}

/** A subscription to somebody's presence (RFC 3856, RFC 6665), begun anew when the server has lost it. */
export class Watch {
  readonly person: Person;
  presence: Presence | undefined;
  /** Why the presence is not known; empty when it is. */
  words = NOT_YET;
  /** The server knows nobody of that name. */
  isNobody = false;
  readonly #options: WatchOptions;
  #dialog: Dialog | undefined;
  #expiresS = EXPIRES_S;
  #dueMs: number | undefined;
  #isAsking = false;
  #failures = 0;
  #stopped = false;
  /** At the end: told when nothing is subscribed to any more. */
  #done: ((nowMs: number) => void) | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.person = options.person;
  }

  nextTimeout(): number | undefined {
    return this.#dueMs;
  }

  handleTimeout(nowMs: number): void {
    if (this.#dueMs === undefined || this.#dueMs > nowMs) return;
    this.#dueMs = undefined;
    this.#ask(nowMs);
  }

  /** We are registered anew: a dialog that lives learns our new Contact, one that was refused is tried again. */
  begin(nowMs: number): void {
    this.#isAsking = false;
    if (this.#dialog?.remoteTag === '') this.#dialog = undefined; // never answered
    this.#ask(nowMs);
  }

  /** Somebody who was not there is asked for once more, and what comes of it is told again. */
  askAgain(nowMs: number): void {
    if (!this.isNobody || this.#isAsking) return;
    this.words = NOT_YET;
    this.isNobody = false;
    this.#ask(nowMs);
  }

  pause(): void {
    this.#dueMs = undefined;
  }

  /** Unsubscribes (RFC 6665 4.1.2.3); a SUBSCRIBE that is on its way has made no dialog yet: its answer is awaited first. */
  stop(done: (nowMs: number) => void, nowMs: number): void {
    this.#stopped = true;
    this.#dueMs = undefined;
    if (this.#isAsking && this.#options.requests.flow) this.#done = done;
    else this.#unsubscribe(done, nowMs);
  }

  #unsubscribe(done: (nowMs: number) => void, nowMs: number): void {
    const { requests } = this.#options;
    const dialog = this.#dialog;
    if (!dialog || dialog.remoteTag === '' || !requests.flow) {
      done(nowMs);
      return;
    }
    const ended = (_: unknown, now: number) => done(now);
    const request = dialog.request('SUBSCRIBE', { headers: this.#headers(0) });
    requests.send(request, () => ++dialog.localCSeq, { response: ended, failed: ended }, nowMs);
  }

  /** Whether a NOTIFY is of this subscription: by dialog, or the one that makes it before the SUBSCRIBE is answered. */
  owns(notify: SipMessage): boolean {
    const dialog = this.#dialog;
    if (!dialog || notify.callId !== dialog.callId || notify.to.tag !== dialog.localTag) return false;
    return dialog.remoteTag === '' || dialog.remoteTag === (notify.from.tag ?? '');
  }

  /** RFC 6665 4.1.3. The answer to it. */
  handleNotify(notify: SipMessage, nowMs: number): SipMessage {
    const dialog = this.#dialog!;
    const state = /^\s*([\w.!%*+`'~-]+)\s*(;.*)?$/.exec(notify.header('subscription-state') ?? '');
    if (!state) return createResponse(notify, 400, 'No Subscription-State');
    if (dialog.remoteTag === '') {
      // 4.1.2.4: the NOTIFY may come before the 200, and makes the dialog
      dialog.remoteTag = notify.from.tag ?? '';
      dialog.routeSet = notify.values('record-route');
    }
    if (!dialog.accepts(notify)) return createResponse(notify, 500, 'CSeq is not in order');
    dialog.retarget(notify);
    const { requests } = this.#options;
    const params = parseNameAddr(`<sip:x>${state[2] ?? ''}`)?.params;
    const seconds = (name: string) => {
      const value = params?.get(name);
      return value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) : undefined;
    };
    if (state[1]!.toLowerCase() === 'terminated') {
      this.#terminated(params?.get('reason')?.toLowerCase() ?? '', seconds('retry-after') ?? 0, nowMs);
    } else if (!this.#isAsking && !this.#stopped) {
      const left = grantedS(seconds('expires'), this.#expiresS);
      this.#dueMs = nowMs + refreshAfterMs(left, requests.crypto.randomBytes(1));
    }
    if (notify.body.length > 0) {
      if (notify.contentType !== PIDF) return createResponse(notify, 415, undefined, { headers: [['Accept', PIDF]] });
      const presence = parsePidf(notify.bodyText);
      if (!presence) return createResponse(notify, 400, 'Not a presence document');
      this.#is(presence);
    }
    return createResponse(notify, 200);
  }

  #ask(nowMs: number): void {
    const { requests } = this.#options;
    const { flow } = requests;
    if (this.#isAsking || this.#stopped || !flow) return;
    this.#isAsking = true;
    this.#dueMs = undefined;
    const isNew = this.#dialog === undefined;
    const dialog = this.#dialog ?? this.#newDialog();
    this.#dialog = dialog;
    dialog.flow = flow;
    const request = isNew
      ? this.#first(dialog)
      : dialog.request('SUBSCRIBE', { headers: this.#headers(this.#expiresS) });
    const client: Client = {
      response: (message, now, refused) => {
        if (this.#done) {
          if (refused || message.status >= 300) this.#dialog = undefined;
          else if (dialog.remoteTag === '') dialog.learn(message);
          this.#unsubscribe(this.#done, now);
          return;
        }
        if (requests.flow !== flow || this.#dialog !== dialog) return;
        this.#isAsking = false;
        if (refused) this.#unknown(refused.words);
        else this.#answered(message, now);
      },
      failed: (_, now) => {
        if (this.#done) {
          this.#unsubscribe(this.#done, now);
          return;
        }
        if (requests.flow !== flow || this.#dialog !== dialog) return;
        this.#isAsking = false;
        this.#dialog = undefined;
        this.#later(0, now);
      },
    };
    requests.send(request, () => ++dialog.localCSeq, client, nowMs);
  }

  #answered(message: SipMessage, nowMs: number): void {
    const { status } = message;
    const dialog = this.#dialog!;
    if (status >= 200 && status < 300) {
      this.#failures = 0;
      if (dialog.remoteTag === '') dialog.learn(message);
      else dialog.retarget(message);
      const seconds = grantedS(message.expires, this.#expiresS);
      const afterMs = refreshAfterMs(seconds, this.#options.requests.crypto.randomBytes(1));
      // a server that sends no NOTIFY has not understood: asked anew after timer N
      this.#dueMs = nowMs + (this.presence || this.words !== NOT_YET ? afterMs : Math.min(afterMs, FIRST_NOTIFY_MS));
      return;
    }
    const hadDialog = dialog.remoteTag !== '';
    const longer = longerExpires(message, this.#expiresS);
    if (longer !== undefined) {
      this.#expiresS = longer;
      if (!hadDialog) this.#dialog = undefined;
      this.#ask(nowMs);
      return;
    }
    this.#dialog = undefined;
    // RFC 6665 4.1.2.2: "If a SUBSCRIBE request to refresh a subscription receives a 481 response … begin anew"
    if (hadDialog && (status === 481 || status === 404)) this.#ask(nowMs);
    else if (NEVER.has(status)) this.#unknown(answerWords(message), saysNobody(message));
    else this.#later(retryAfterS(message), nowMs);
  }

  /** RFC 6665 4.1.3: what each reason means for another try. */
  #terminated(reason: string, afterS: number, nowMs: number): void {
    this.#dialog = undefined;
    this.#isAsking = false;
    if (this.#stopped) return;
    if (reason === 'rejected' || reason === 'noresource' || reason === 'invariant')
      this.#unknown(reason === 'rejected' ? 'not for us to see' : 'the server knows nothing of it');
    else if (reason === 'deactivated' || reason === 'timeout') this.#dueMs = nowMs + Math.max(1000, afterS * 1000);
    else this.#later(afterS, nowMs);
  }

  #is(presence: Presence): void {
    const { presence: old } = this;
    const isSame =
      old?.isThere === presence.isThere &&
      old.note === presence.note &&
      old.activities.join() === presence.activities.join();
    this.presence = presence;
    this.words = '';
    this.isNobody = false;
    if (!isSame) this.#options.tell(presence, '');
  }

  #unknown(words: string, isNobody = false): void {
    const isNews = this.words !== words;
    this.presence = undefined;
    this.words = words;
    this.isNobody = isNobody;
    if (isNews) this.#options.tell(undefined, words);
  }

  #later(afterS: number, nowMs: number): void {
    const waitMs = backOffMs(this.#failures++, BACK_OFF, this.#options.requests.crypto.randomBytes(1));
    this.#dueMs = nowMs + Math.max(waitMs, afterS * 1000);
  }

  #newDialog(): Dialog {
    const { account, person, requests, contact } = this.#options;
    const own = parseNameAddr(`<sip:${domainHost(account.domain)}>`)!;
    own.uri.user = account.user;
    return new Dialog({
      callId: requests.random(16),
      localTag: requests.random(8),
      remoteTag: '',
      localParty: own.toString(),
      remoteParty: person.address,
      remoteTarget: person.uri.toString(),
      flow: requests.flow!,
      contact,
    });
  }

  /** The SUBSCRIBE that makes the dialog travels by the Service-Route. */
  #first(dialog: Dialog): SipMessage {
    return createRequest({
      method: 'SUBSCRIBE',
      uri: dialog.remoteTarget,
      from: `${dialog.localParty};tag=${dialog.localTag}`,
      to: dialog.remoteParty,
      callId: dialog.callId,
      cseq: ++dialog.localCSeq,
      headers: [
        ...this.#options.requests.serviceRoute.map((route) => ['Route', route] as const),
        ['Contact', `<${this.#options.contact()}>`],
        ...this.#headers(this.#expiresS),
      ],
    });
  }

  #headers(expiresS: number): readonly (readonly [string, string | number])[] {
    return [
      ['Event', 'presence'],
      ['Accept', PIDF],
      ['Expires', expiresS],
    ];
  }
}
