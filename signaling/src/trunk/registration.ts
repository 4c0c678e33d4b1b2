import { type Crypto, createRequest, hex, parseNameAddr, parseUri, type SipMessage } from '@offhook/core';
import type { Way } from '../locate/index.ts';
import { RegistrationFigures } from '../registrar/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { RegisterSettings } from './config.ts';
import { TRUNK_DEFAULTS } from './config.ts';
import type { Credentials, Exchange } from './credentials.ts';
import { jittered } from './jitter.ts';
import { answerWords, type Client, failureWords } from './send.ts';
import type { Found, Target } from './targets.ts';

/** After a failure: 30 s, doubled up to half an hour with the jitter. */
const FIRST_RETRY_MS = 30_000;
const LONGEST_RETRY_MS = 24 * 60_000;
/** Longer waits that a provider asks for are not believed. */
const MAX_RETRY_AFTER_S = 3600;
const MAX_EXPIRES_S = 7 * 86_400;
/** Up to that validity, half of it leaves time for a repetition; beyond, a tenth does. */
const SHORT_S = 1200;
/** A connection that went is made anew soon, but not by all clients of a provider at once. */
const RECONNECT_MS = 2000;
const MAX_ROUTES = 8;
const MAX_ROUTE = 512;

export interface RegistrationOptions {
  readonly crypto: Crypto;
  readonly settings: RegisterSettings;
  readonly domain: string;
  readonly credentials: Credentials;
  /** User part of our Contact. */
  readonly contactUser: string;
  readonly contact: (flow: Flow) => string;
  /** The ways to the registrar, all targets one after the other. */
  readonly ways: (nowMs: number, then: (found: Found, nowMs: number) => void) => void;
  readonly send: (message: SipMessage, flow: Flow, client: Client, nowMs: number) => void;
  readonly tell: (words: string, level: 'info' | 'warn') => void;
}

/** One try to register: over one way after the other until one answers. */
interface Attempt {
  expiresS: number;
  /** The wish was raised to what the provider demands (423). */
  isRaised: boolean;
  words?: string;
  retryAfterS: number;
  /** When the way that is being tried was first asked. */
  askedMs?: number;
}

/** Our registration with one provider (RFC 3261 10.2): kept alive, begun anew when it fails, removed at the end. */
export class Registration {
  /** Until then calls to our numbers find us; undefined: not registered. */
  registeredUntilMs: number | undefined;
  /** Why not, in words; empty when there was no failure since. */
  words = '';
  /** The provider knows us and refuses: asking again soon would only lock us out. */
  isRefused = false;
  /** How our own requests have to travel (RFC 3608), as Route values. */
  serviceRoute: readonly string[] = [];
  /** Where we are registered. */
  target: Target | undefined;
  flow: Flow | undefined;
  readonly figures = new RegistrationFigures();
  readonly #options: RegistrationOptions;
  readonly #callId: string;
  readonly #tag: string;
  #cseq = 0;
  #attempt: Attempt | undefined;
  #failures = 0;
  #dueMs: number | undefined;
  /** The last flow a REGISTER went to: the provider may know us there. */
  #tried: Flow | undefined;

  constructor(options: RegistrationOptions, nowMs: number) {
    this.#options = options;
    this.#callId = hex(options.crypto.randomBytes(16));
    this.#tag = hex(options.crypto.randomBytes(8));
    this.#dueMs = nowMs;
  }

  nextTimeout(): number | undefined {
    const { registeredUntilMs: until } = this;
    return this.#dueMs !== undefined && (until === undefined || this.#dueMs < until) ? this.#dueMs : until;
  }

  handleTimeout(nowMs: number): void {
    if (this.registeredUntilMs !== undefined && this.registeredUntilMs <= nowMs) {
      this.#forget();
      this.words ||= 'the registration has run out';
      this.#options.tell(`not registered any more: ${this.words}`, 'warn');
    }
    if (this.#dueMs !== undefined && this.#dueMs <= nowMs) this.#begin(nowMs);
  }

  /** Things look better now, or the registrar in use is gone: not the next deadline, but now. */
  hurry(nowMs: number): void {
    if (this.#attempt === undefined && this.#dueMs !== undefined && !this.isRefused) this.#dueMs = nowMs;
  }

  /** Calls come over the connection that the REGISTER went over. */
  handleFlowClosed(flow: Flow, nowMs: number): void {
    if (this.flow !== flow || this.#dueMs === undefined) return;
    this.#dueMs = Math.min(this.#dueMs, nowMs + jittered(RECONNECT_MS, this.#options.crypto));
  }

  /** Removes our contact (10.2.2); nothing is begun any more. */
  stop(nowMs: number): void {
    const flow = this.#tried;
    this.#attempt = undefined;
    this.#dueMs = undefined;
    this.#forget();
    if (!flow) return;
    this.#tried = undefined;
    const exchange = this.#options.credentials.exchange();
    const ask = (now: number, credentials?: readonly [string, string]) => {
      const request = this.#request(flow, 0, credentials);
      this.#options.send(
        request,
        flow,
        {
          response: (message, from, later) => {
            const answer = isChallenge(message) && isSame(from, flow) ? exchange.answer(request, message) : undefined;
            if (answer && 'header' in answer) ask(later, answer.header);
          },
          failed: () => {},
        },
        now,
      );
    };
    ask(nowMs);
  }

  #begin(nowMs: number): void {
    const expiresS = this.#options.settings.expiresS ?? TRUNK_DEFAULTS.expiresS;
    const attempt: Attempt = { expiresS, isRaised: false, retryAfterS: 0 };
    this.#attempt = attempt;
    this.#dueMs = undefined;
    this.#options.ways(nowMs, (found, now) => {
      if (this.#attempt !== attempt) return;
      if ('error' in found) this.#fail(attempt, { words: attempt.words ?? found.error }, now);
      else this.#ask(attempt, { ...found, exchange: this.#options.credentials.exchange() }, now);
    });
  }

  #ask(
    attempt: Attempt,
    by: { target: Target; way: Way; exchange: Exchange },
    nowMs: number,
    credentials?: readonly [string, string],
  ): void {
    const { way, target } = by;
    const request = this.#request(way.flow, attempt.expiresS, credentials);
    this.#tried = way.flow;
    if (!credentials) attempt.askedMs = nowMs;
    const client: Client = {
      response: (message, from, now) => {
        if (this.#attempt !== attempt || message.status < 200) return;
        if (message.status < 300) this.#registered(attempt, { message, ...by }, now);
        else if (isChallenge(message)) {
          if (!isSame(from, way.flow)) {
            this.figures.ineffective++;
            this.#fail(attempt, { words: `${target.uri} was asked, but another address wants a password` }, now);
            return;
          }
          const answer = by.exchange.answer(request, message);
          if ('header' in answer) this.#ask(attempt, by, now, answer.header);
          else {
            this.figures.ineffective++;
            this.#fail(attempt, answer, now);
          }
        } else this.#refusedBy(attempt, { message, ...by }, now);
      },
      failed: (why, now) => {
        if (this.#attempt !== attempt) return;
        this.figures.ineffective++;
        attempt.words = failureWords(why, target.uri);
        way.next(now);
      },
    };
    this.#options.send(request, way.flow, client, nowMs);
  }

  #refusedBy(
    attempt: Attempt,
    by: { message: SipMessage; target: Target; way: Way; exchange: Exchange },
    nowMs: number,
  ): void {
    const { message, target, way } = by;
    const { status } = message;
    this.figures.answered(status);
    attempt.words = answerWords(message, target.uri);
    const retryAfterS = Number.parseInt(message.header('retry-after') ?? '', 10);
    if (retryAfterS > 0) attempt.retryAfterS = Math.min(MAX_RETRY_AFTER_S, retryAfterS);
    if (status === 423) {
      const least = Number.parseInt(message.header('min-expires') ?? '', 10);
      if (!attempt.isRaised && least > attempt.expiresS && least <= MAX_EXPIRES_S) {
        attempt.isRaised = true;
        attempt.expiresS = least;
        this.#ask(attempt, by, nowMs);
        return;
      }
    }
    // RFC 3263 4.3: this server is of no use just now; another one may be.
    if (status === 408 || (status >= 500 && status < 600)) way.next(nowMs);
    else if (status === 403)
      this.#fail(
        attempt,
        { words: `the provider refuses the password (${answerWords(message, target.uri)})`, refused: true },
        nowMs,
      );
    else this.#fail(attempt, { words: attempt.words }, nowMs);
  }

  #registered(attempt: Attempt, by: { message: SipMessage; target: Target; way: Way }, nowMs: number): void {
    const { message, target, way } = by;
    const grantedS = this.#grantedBy(message) ?? attempt.expiresS;
    if (grantedS <= 0) {
      this.#fail(attempt, { words: `${target.uri} takes the registration back at once` }, nowMs);
      return;
    }
    this.figures.succeeded++;
    this.figures.delay.observe((nowMs - (attempt.askedMs ?? nowMs)) / 1000);
    const isNews = this.registeredUntilMs === undefined || this.words !== '' || this.target !== target;
    this.#attempt = undefined;
    this.#failures = 0;
    this.isRefused = false;
    this.words = '';
    this.target = target;
    this.flow = way.flow;
    this.serviceRoute = message.values('service-route').filter(isLooseRoute).slice(0, MAX_ROUTES);
    this.registeredUntilMs = nowMs + grantedS * 1000;
    // Never later than asked: the jitter of a tenth shortens.
    const share = grantedS <= SHORT_S ? 0.5 : 0.9;
    this.#dueMs = nowMs + jittered(grantedS * 1000 * share * 0.9, this.#options.crypto, 0.11);
    if (isNews) this.#options.tell(`registered with ${target.uri} for ${grantedS} s`, 'info');
  }

  /** "The expires parameter of the Contact, or the Expires header" (10.3 step 8), of our own contact among all. */
  #grantedBy(message: SipMessage): number | undefined {
    const contacts = message.contacts === '*' ? [] : (message.contacts ?? []);
    const own = contacts.find(({ uri }) => uri.user === this.#options.contactUser);
    const text = own?.params.get('expires');
    const seconds = text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : message.expires;
    return seconds === undefined ? undefined : Math.min(seconds, MAX_EXPIRES_S);
  }

  #fail(attempt: Attempt, why: { words: string; refused?: boolean }, nowMs: number): void {
    const isNews = why.words !== this.words;
    this.#attempt = undefined;
    this.words = why.words;
    this.isRefused = why.refused === true;
    const waitMs = this.isRefused
      ? LONGEST_RETRY_MS
      : Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#failures, 10));
    this.#failures++;
    this.#dueMs = nowMs + jittered(Math.max(waitMs, attempt.retryAfterS * 1000), this.#options.crypto, 0.25);
    if (this.isRefused) this.#forget();
    if (isNews) this.#options.tell(`can't register: ${why.words}`, 'warn');
  }

  #forget(): void {
    this.registeredUntilMs = undefined;
    this.serviceRoute = [];
    this.target = undefined;
    this.flow = undefined;
  }

  /** 10.2.4: one Call-ID for all, CSeq counting. */
  #request(flow: Flow, expiresS: number, credentials?: readonly [string, string]): SipMessage {
    const { settings, domain, contactUser, contact } = this.#options;
    const host = domain.includes(':') ? `[${domain}]` : domain;
    const address = parseUri(contact(flow))!;
    address.user = contactUser;
    const own = parseUri(`sip:${host}`)!;
    own.user = settings.user;
    const request = createRequest({
      method: 'REGISTER',
      uri: `sip:${host}`,
      from: `<${own}>;tag=${this.#tag}`,
      to: `<${own}>`,
      callId: this.#callId,
      cseq: ++this.#cseq,
      headers: [
        ['Contact', `<${address}>;expires=${expiresS}`],
        ['Expires', expiresS],
        ['User-Agent', 'Offhook'],
      ],
    });
    const header = credentials ?? this.#options.credentials.ahead(request);
    if (header) request.add(header[0], header[1]);
    return request;
  }
}

function isChallenge({ status }: SipMessage): boolean {
  return status === 401 || status === 407;
}

/** Only who was asked gets an answer to its challenge. */
function isSame(a: Flow, b: Flow): boolean {
  return a === b || (a.remote.address === b.remote.address && a.transport === b.transport);
}

/** RFC 3261 19.1.1: a route without `lr` would have to be followed in the way of RFC 2543, which nobody asks for any more. */
function isLooseRoute(route: string): boolean {
  const uri = route.length > MAX_ROUTE ? undefined : parseNameAddr(route)?.uri;
  return uri?.isSip === true && uri.params.has('lr');
}
