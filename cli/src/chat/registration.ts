import { createRequest, parseNameAddr, quote, type SipMessage, socketKey } from '@offhook/core';
import type { Flow } from '@offhook/signaling';
import { domainHost } from './address.ts';
import {
  answerWords,
  backOffMs,
  grantedS,
  longerExpires,
  noAnswerWords,
  refreshAfterMs,
  retryAfterS,
} from './answers.ts';
import type { Requests } from './requests.ts';

const EXPIRES_S = 600;
/** After a connection was lost or nobody answered: a second, doubled up to a minute. */
const BACK_OFF = { firstMs: 1000, longestMs: 60_000 };
/** The server knows us and refuses: asking often would only lock us out. */
const REFUSED_MS = 300_000;
const MAX_ROUTES = 8;
const MAX_ROUTE = 512;

export interface Account {
  readonly user: string;
  readonly domain: string;
  readonly password: string;
  /** `urn:uuid:…`, the same at each start (RFC 5626 4.1). */
  readonly instance: string;
}

export type Standing =
  | { readonly kind: 'registered'; readonly expiresS: number }
  /** Tried again by itself in so many ms. `isRefused`: the server answered, and will not have us. */
  | { readonly kind: 'not-registered'; readonly words: string; readonly isRefused: boolean; readonly retryMs: number };

export interface RegistrationOptions {
  readonly account: Account;
  readonly requests: Requests;
  /** A flow to the server is wanted; answered by `handleOpened` or `handleClosed`. */
  readonly connect: () => void;
  /** The flow is of no use any more. */
  readonly disconnect: (flow: Flow) => void;
  readonly tell: (standing: Standing, nowMs: number) => void;
}

/** Our registration (RFC 3261 10.2): over a flow of its own, refreshed, begun anew with a growing wait when it fails. */
export class Registration {
  isRegistered = false;
  readonly #options: RegistrationOptions;
  readonly #callId: string;
  readonly #tag: string;
  #cseq = 0;
  #expiresS = EXPIRES_S;
  #failures = 0;
  #dueMs: number | undefined;
  #untilMs: number | undefined;
  /** Where the server sees us, when a NAT changes it (RFC 3581). */
  #seenAt: string | undefined;
  #isAsking = false;
  #stopped = false;
  /** At the end: what is to follow the answer to a REGISTER that is on its way. */
  #answeredAtEnd: ((isRegistered: boolean, nowMs: number) => void) | undefined;
  /** When the last try to reach the server began: the next one is counted from there. */
  #triedAtMs = 0;

  constructor(options: RegistrationOptions, nowMs: number) {
    this.#options = options;
    this.#callId = options.requests.random(16);
    this.#tag = options.requests.random(8);
    this.#dueMs = nowMs;
  }

  nextTimeout(): number | undefined {
    const { isRegistered } = this;
    const until = isRegistered ? this.#untilMs : undefined;
    return until !== undefined && (this.#dueMs === undefined || until < this.#dueMs) ? until : this.#dueMs;
  }

  handleTimeout(nowMs: number): void {
    if (this.isRegistered && this.#untilMs! <= nowMs) {
      this.#fail('the registration has run out', nowMs);
      return;
    }
    if (this.#dueMs === undefined || this.#dueMs > nowMs) return;
    this.#dueMs = undefined;
    this.#triedAtMs = nowMs;
    if (this.#options.requests.flow) this.#ask(nowMs);
    else this.#options.connect();
  }

  handleOpened(flow: Flow, nowMs: number): void {
    this.#options.requests.flow = flow;
    this.#seenAt = undefined;
    this.#ask(nowMs);
  }

  /** The flow is gone, or there was none to be had. */
  handleClosed(words: string, nowMs: number): void {
    this.#options.requests.flow = undefined;
    if (!this.#stopped) this.#fail(words, nowMs);
  }

  /** A request was not answered: a connection is given up for another one, over UDP a REGISTER asks who is there still. */
  doubt(words: string, nowMs: number): void {
    if (!this.isRegistered || this.#dueMs === undefined) return;
    if (this.#options.requests.flow?.transport === 'udp') this.#dueMs = nowMs;
    else this.#fail(words, nowMs);
  }

  /** Removes our contact (10.2.2); not before the answer to a REGISTER that is on its way has come (10.2.4). */
  stop(done: (nowMs: number) => void, nowMs: number): void {
    const { requests } = this.#options;
    this.#stopped = true;
    this.#dueMs = undefined;
    const wasRegistered = this.isRegistered;
    this.isRegistered = false;
    const remove = (isRegistered: boolean, at: number) => {
      if (!isRegistered || !requests.flow) {
        done(at);
        return;
      }
      const ended = (_: unknown, now: number) => done(now);
      requests.send(this.#request(0), () => ++this.#cseq, { response: ended, failed: ended }, at);
    };
    if (this.#isAsking && requests.flow) this.#answeredAtEnd = (is, at) => remove(is || wasRegistered, at);
    else remove(wasRegistered, nowMs);
  }

  /** Our Contact, the target of requests in our dialogs. */
  contactUri(): string {
    const { requests, account } = this.#options;
    const { transport, local } = requests.flow ?? { transport: 'udp', local: { address: '127.0.0.1', port: 5060 } };
    const by = transport === 'udp' ? '' : `;transport=${transport}`;
    const own = parseNameAddr(`<sip:${this.#seenAt ?? socketKey(local)}${by}>`)!.uri;
    own.user = account.user;
    return own.toString();
  }

  #ask(nowMs: number): void {
    const { requests } = this.#options;
    const { flow } = requests;
    this.#isAsking = true;
    /** Whether the answer counts, and nothing else is to come of it. */
    const isCurrent = (isRegistered: boolean, now: number) => {
      if (this.#stopped || requests.flow === flow) this.#isAsking = false;
      this.#answeredAtEnd?.(isRegistered, now);
      return !this.#stopped && requests.flow === flow;
    };
    requests.send(
      this.#request(this.#expiresS),
      () => ++this.#cseq,
      {
        response: (message, now, refused) => {
          if (!isCurrent(!refused && message.status < 300, now)) return;
          if (refused) this.#refuse(refused.words, now);
          else this.#answered(message, now);
        },
        failed: (why, now) => {
          if (isCurrent(false, now)) this.#fail(noAnswerWords(why), now);
        },
      },
      nowMs,
    );
  }

  #answered(message: SipMessage, nowMs: number): void {
    const { requests } = this.#options;
    const { status } = message;
    if (status >= 200 && status < 300) {
      if (this.#isElsewhere(message)) {
        this.#ask(nowMs); // with the contact that can be reached
        return;
      }
      const seconds = grantedS(this.#grantedTo(message), this.#expiresS);
      if (seconds <= 0) {
        this.#fail('the server takes the registration back at once', nowMs);
        return;
      }
      const isNews = !this.isRegistered;
      this.isRegistered = true;
      this.#failures = 0;
      this.#untilMs = nowMs + seconds * 1000;
      this.#dueMs = nowMs + refreshAfterMs(seconds, requests.crypto.randomBytes(1));
      requests.serviceRoute = message.values('service-route').filter(isLooseRoute).slice(0, MAX_ROUTES);
      if (isNews) this.#options.tell({ kind: 'registered', expiresS: seconds }, nowMs);
      return;
    }
    const longer = longerExpires(message, this.#expiresS);
    if (longer !== undefined) {
      this.#expiresS = longer;
      this.#ask(nowMs);
    } else if (status >= 400 && status < 500 && status !== 408 && status !== 480)
      this.#refuse(`the server refuses to register us: ${answerWords(message)}`, nowMs, retryAfterS(message));
    else this.#fail(`the server can’t register us now: ${answerWords(message)}`, nowMs, retryAfterS(message));
  }

  /** Whether a datagram of ours comes from elsewhere than our Contact says: RFC 3581 lets the answer tell. */
  #isElsewhere(message: SipMessage): boolean {
    const { flow } = this.#options.requests;
    const via = message.vias[0];
    if (flow?.transport !== 'udp' || !via || this.#seenAt !== undefined || typeof via.rport !== 'number') return false;
    const seen = socketKey({ address: via.received ?? flow.local.address, port: via.rport });
    if (seen === socketKey(flow.local) || via.rport === 0) return false;
    if (!parseNameAddr(`<sip:${seen}>`)) return false;
    this.#seenAt = seen;
    return true;
  }

  /** "The expires parameter of the Contact, or the Expires header" (10.3 step 8), of our own contact among all. */
  #grantedTo(message: SipMessage): number | undefined {
    const contacts = message.contacts === '*' ? [] : (message.contacts ?? []);
    const own = contacts.find(({ params }) => params.get('+sip.instance') === `<${this.#options.account.instance}>`);
    const text = (own ?? (contacts.length === 1 ? contacts[0] : undefined))?.params.get('expires');
    return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : message.expires;
  }

  #refuse(words: string, nowMs: number, afterS = 0): void {
    this.#lost(words, { isRefused: true, retryMs: Math.max(REFUSED_MS, afterS * 1000) }, nowMs);
  }

  #fail(words: string, nowMs: number, afterS = 0): void {
    const waitMs = backOffMs(this.#failures++, BACK_OFF, this.#options.requests.crypto.randomBytes(1));
    // a try that was not answered has taken half a minute itself: whoever waits hears of each one, within a minute
    const leftMs = Math.max(Math.min(waitMs, BACK_OFF.firstMs), waitMs - (nowMs - this.#triedAtMs));
    this.#lost(words, { isRefused: false, retryMs: Math.max(leftMs, afterS * 1000) }, nowMs);
  }

  /** The next try is over a flow of its own: names are looked up anew, and a port that a firewall has forgotten is left. */
  #lost(words: string, how: { isRefused: boolean; retryMs: number }, nowMs: number): void {
    const { requests, disconnect, tell } = this.#options;
    this.isRegistered = false;
    this.#isAsking = false;
    this.#dueMs = nowMs + how.retryMs;
    const { flow } = requests;
    requests.flow = undefined;
    requests.serviceRoute = [];
    if (flow) disconnect(flow);
    tell({ kind: 'not-registered', words, ...how }, nowMs);
  }

  /** 10.2.4: one Call-ID for all, CSeq counting. RFC 5626: the same phone at each start. RFC 3840: what it takes. */
  #request(expiresS: number): SipMessage {
    const { domain, user, instance } = this.#options.account;
    const own = parseNameAddr(`<sip:${domainHost(domain)}>`)!;
    own.uri.user = user;
    const features = `+sip.instance="<${instance}>";reg-id=1;type=${quote(TYPES)};methods=${quote(METHODS)}`;
    return createRequest({
      method: 'REGISTER',
      uri: `sip:${domainHost(domain)}`,
      from: `${own};tag=${this.#tag}`,
      to: own.toString(),
      callId: this.#callId,
      cseq: ++this.#cseq,
      headers: [
        ['Contact', `<${this.contactUri()}>;${features};expires=${expiresS}`],
        ['Expires', expiresS],
        ['Supported', 'path, outbound'],
        ['Allow', METHODS.replaceAll(',', ', ')],
        ['User-Agent', 'Offhook chat'],
      ],
    });
  }
}

/** What a MESSAGE may hold, and the methods that are answered by more than a refusal. */
export const TYPES = 'text/plain,message/imdn+xml';
export const METHODS = 'MESSAGE,NOTIFY,OPTIONS';

/** RFC 3261 19.1.1: a route without `lr` would have to be followed in the way of RFC 2543. */
function isLooseRoute(route: string): boolean {
  const uri = route.length > MAX_ROUTE ? undefined : parseNameAddr(route)?.uri;
  return uri?.isSip === true && uri.params.has('lr');
}
