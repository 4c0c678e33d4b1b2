import {
  createRequest,
  createResponse,
  type DigestAlgorithm,
  digestResponse,
  ha1,
  parseAuthorization,
  parseSip,
  parseUri,
  SipMessage,
  writeChallenge,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';

export const DOMAIN = 'example.test';
export const PASSWORD = 'correct-Horse-7';

interface Subscription {
  readonly watched: string;
  readonly by: string;
  readonly request: SipMessage;
  readonly toTag: string;
  cseq: number;
}

/**
 * A SIP server of a few lines, for one domain: registrar, texts (stored for who is away, with receipts), presence. Pure: where
 * messages come from and go to is a text, an address or a terminal's name.
 */
export class ScriptedServer {
  algorithm: DigestAlgorithm = 'MD5';
  expiresS = 600;
  /** Methods that are answered so, whoever asks. */
  readonly answers = new Map<string, { status: number; headers?: readonly (readonly [string, string])[] }>();
  /** Answers true for a message that gets lost on its way in. */
  loses: (message: SipMessage) => boolean = () => false;
  /** Every request that came in, and every response. */
  readonly requests: SipMessage[] = [];
  readonly responses: SipMessage[] = [];
  readonly contacts = new Map<string, { readonly at: string; readonly uri: string; readonly contact: string }>();
  readonly published = new Map<string, { readonly etag: string; readonly document: string }>();
  readonly #send: (to: string, bytes: Uint8Array) => void;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #stored: { readonly from: string; readonly to: string; readonly message: SipMessage }[] = [];
  readonly #taken = new Set<string>();
  #count = 0;
  #nonce = 'nonce-1';

  constructor(send: (to: string, bytes: Uint8Array) => void) {
    this.#send = send;
  }

  /** Requests of one method, in the order they came. */
  of(method: string): readonly SipMessage[] {
    return this.requests.filter((one) => one.method === method);
  }

  /** All nonces are stale from now on. */
  renewNonce(): void {
    this.#nonce = `nonce-${++this.#count + 1}`;
  }

  /** As after a restart: nobody is subscribed, nothing is published. */
  forgetPresence(): void {
    this.#subscriptions.clear();
    this.published.clear();
  }

  handle(bytes: Uint8Array, from: string): void {
    if (bytes.length <= 4) return; // a keep-alive
    const message = parseSip(bytes);
    if (!(message instanceof SipMessage)) throw new Error(`not SIP: ${message.reason}`);
    if (message.kind === 'response') {
      this.responses.push(message);
      return;
    }
    if (this.loses(message)) return;
    this.requests.push(message);
    const answer = this.#answer(message, from);
    if (answer) this.#send(from, answer.serialize());
  }

  /** A request of the server's own, to where a user is registered. */
  request(
    user: string,
    method: string,
    options: {
      from?: string;
      to?: string;
      callId?: string;
      cseq?: number;
      headers?: readonly (readonly [string, string])[];
      body?: { type: string; bytes: string };
    } = {},
  ): SipMessage {
    const { at, uri } = this.contacts.get(user)!;
    const n = ++this.#count;
    const request = createRequest({
      method,
      uri,
      from: options.from ?? `<sip:server@${DOMAIN}>;tag=server`,
      to: options.to ?? `<sip:${user}@${DOMAIN}>`,
      callId: options.callId ?? `server-${n}`,
      cseq: options.cseq ?? 1,
      headers: options.headers,
      body: options.body,
    });
    request.prepend('via', `SIP/2.0/UDP server.test;branch=z9hG4bKserver${n}`);
    this.#send(at, request.serialize());
    return request;
  }

  /** The presence of a user as the server itself says it, to all who watch. */
  notifyAll(user: string, document: string): void {
    for (const one of this.#subscriptions.values()) if (one.watched === user) this.#notify(one, document);
  }

  /** Ends all subscriptions to a user, and says why. */
  endSubscriptions(user: string, state: string): void {
    for (const [key, one] of this.#subscriptions) {
      if (one.watched !== user) continue;
      this.#subscriptions.delete(key);
      this.#notify(one, undefined, state);
    }
  }

  #answer(request: SipMessage, at: string): SipMessage | undefined {
    const set = this.answers.get(request.method);
    if (set) return createResponse(request, set.status, undefined, { toTag: 's', headers: set.headers });
    const user = this.#authenticated(request);
    if (user === undefined) {
      const isStale =
        request.header('authorization') !== undefined && !request.header('authorization')!.includes(this.#nonce);
      const challenge = writeChallenge({
        realm: DOMAIN,
        nonce: this.#nonce,
        algorithm: this.algorithm,
        stale: isStale,
      });
      return createResponse(request, 401, undefined, { toTag: 's', headers: [['WWW-Authenticate', challenge]] });
    }
    switch (request.method) {
      case 'REGISTER':
        return this.#register(request, user, at);
      case 'MESSAGE':
        return this.#text(request, user);
      case 'PUBLISH':
        return this.#publish(request, user);
      case 'SUBSCRIBE':
        return this.#subscribe(request, user, at);
      default:
        return createResponse(request, 405, undefined, { toTag: 's' });
    }
  }

  #authenticated(request: SipMessage): string | undefined {
    const a = parseAuthorization(request.header('authorization') ?? '');
    if (a?.nonce !== this.#nonce || a.realm !== DOMAIN || a.uri !== request.uri) return undefined;
    const key = ha1(this.algorithm, a.username, DOMAIN, PASSWORD, nodeCrypto);
    const { algorithm } = this;
    const { nonce, nc, cnonce, qop, uri } = a;
    const right = digestResponse(
      { algorithm, ha1: key, method: request.method, uri, nonce, nc, cnonce, qop },
      nodeCrypto,
    );
    return right === a.response && request.from.uri.user === a.username ? a.username : undefined;
  }

  #register(request: SipMessage, user: string, at: string): SipMessage | undefined {
    const contact = request.header('contact')!;
    const { uri, params } = (
      request.contacts as readonly { uri: { toString(): string }; params: { get(n: string): string | undefined } }[]
    )[0]!;
    if (params.get('expires') === '0') {
      this.contacts.delete(user);
      return createResponse(request, 200, undefined, { toTag: 's' });
    }
    this.contacts.set(user, { at, uri: uri.toString(), contact });
    const bound = contact.replace(/;expires=\d+/, `;expires=${this.expiresS}`);
    const answer = createResponse(request, 200, undefined, { toTag: 's', headers: [['Contact', bound]] });
    this.#send(at, answer.serialize());
    for (const one of this.#stored.splice(0)) {
      if (one.to !== user) this.#stored.push(one);
      else {
        this.#deliver(one.message, user);
        this.#receipt(one.from, one.message.callId);
      }
    }
    return undefined;
  }

  #text(request: SipMessage, from: string): SipMessage {
    const to = parseUri(request.uri)!.user!;
    const key = `${request.callId} ${request.cseq.number} ${request.from.tag}`;
    const isCopy = this.#taken.has(key);
    this.#taken.add(key);
    if (this.contacts.has(to)) {
      if (!isCopy) this.#deliver(request, to);
      return createResponse(request, 200, undefined, { toTag: 's' });
    }
    if (!isCopy) this.#stored.push({ from, to, message: request });
    return createResponse(request, 202, undefined, { toTag: 's' });
  }

  #deliver(message: SipMessage, to: string): void {
    this.request(to, 'MESSAGE', {
      from: `<sip:${message.from.uri.user}@${DOMAIN}>;tag=d`,
      headers: [['Date', message.header('date')!]],
      body: { type: message.header('content-type')!, bytes: message.bodyText },
    });
  }

  #receipt(to: string, id: string): void {
    if (!this.contacts.get(to)?.contact.includes('message/imdn+xml')) return;
    const bytes = `<?xml version="1.0"?><imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>${id}</message-id><delivery-notification><status><delivered/></status></delivery-notification></imdn>`;
    this.request(to, 'MESSAGE', { body: { type: 'message/imdn+xml', bytes } });
  }

  #publish(request: SipMessage, user: string): SipMessage {
    const old = this.published.get(user);
    const tag = request.header('sip-if-match');
    if (tag !== undefined && tag !== old?.etag) return createResponse(request, 412, undefined, { toTag: 's' });
    const etag = `e${++this.#count}`;
    if (request.expires === 0) this.published.delete(user);
    else this.published.set(user, { etag, document: request.body.length > 0 ? request.bodyText : old!.document });
    const document = this.published.get(user)?.document ?? CLOSED;
    if (request.body.length > 0 || request.expires === 0) this.notifyAll(user, document);
    const headers = [
      ['SIP-ETag', etag],
      ['Expires', this.expiresS],
    ] as const;
    return createResponse(request, 200, undefined, { toTag: 's', headers });
  }

  #subscribe(request: SipMessage, by: string, at: string): SipMessage | undefined {
    const known = this.#subscriptions.get(request.callId);
    if (request.to.tag !== undefined && !known) return createResponse(request, 481);
    const watched = known?.watched ?? parseUri(request.uri)!.user!;
    const one = known ?? { watched, by, request, toTag: `t${++this.#count}`, cseq: 0 };
    const headers = [
      ['Expires', request.expires ?? 600],
      ['Contact', `<sip:server@${DOMAIN}>`],
    ] as const;
    this.#send(at, createResponse(request, 200, undefined, { toTag: one.toTag, headers }).serialize());
    if (request.expires === 0) {
      this.#subscriptions.delete(request.callId);
      this.#notify(one, undefined, 'terminated;reason=timeout');
    } else {
      this.#subscriptions.set(request.callId, one);
      this.#notify(one, this.published.get(watched)?.document ?? CLOSED);
    }
    return undefined;
  }

  #notify(one: Subscription, document: string | undefined, state = `active;expires=${this.expiresS}`): void {
    if (!this.contacts.has(one.by)) return;
    this.request(one.by, 'NOTIFY', {
      from: `${one.request.header('to')!.split(';tag')[0]};tag=${one.toTag}`,
      to: one.request.header('from')!,
      callId: one.request.callId,
      cseq: ++one.cseq,
      headers: [
        ['Event', 'presence'],
        ['Subscription-State', state],
        ['Contact', `<sip:server@${DOMAIN}>`],
      ],
      ...(document === undefined ? {} : { body: { type: 'application/pidf+xml', bytes: document } }),
    });
  }
}

const CLOSED = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:x@${DOMAIN}"><tuple id="a"><status><basic>closed</basic></status></tuple></presence>`;

export const ON_THE_PHONE = `<?xml version="1.0"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:bob@${DOMAIN}">
 <tuple id="a"><status><basic>open</basic></status></tuple>
 <dm:person id="p"><rpid:activities><rpid:on-the-phone/></rpid:activities></dm:person>
</presence>`;
