import { type Crypto, createResponse, type DigestAlgorithm, hex, parseUri, type SipMessage } from '@offhook/core';
import { Authenticator } from '../auth/index.ts';
import { ALLOW, CallLayer, type CallLimits, type CallSummary, type MediaPath, refusal } from '../call/index.ts';
import { MediaClient } from '../media/index.ts';
import { Registrar, type RegistrarEvent } from '../registrar/index.ts';
import { route } from '../routing/index.ts';
import type { Account } from '../store/index.ts';
import { type Admission, type Flow, type TransactionCommand, TransactionLayer } from '../transaction/index.ts';

export interface SipCoreOptions {
  readonly crypto: Crypto;
  /** Realm of the accounts and host part of their addresses. */
  readonly domain: string;
  /** Further host names and addresses that mean this server; the address a request came in on always does. */
  readonly localHosts: readonly string[];
  readonly account: (user: string) => Account | undefined;
  readonly mediaPath: MediaPath;
  /** How many media relays there are; they are known by number here. */
  readonly relays: number;
  readonly nowMs: number;
  readonly algorithm?: DigestAlgorithm;
  readonly callLimits?: CallLimits;
  readonly nonceLifetimeMs?: number;
  /** The address that peers on that flow reach us at, when the bound one says nothing (0.0.0.0). */
  readonly addressOf?: (flow: Flow) => { address: string; port: number };
}

export type SipCoreCommand =
  | { readonly kind: 'send'; readonly flow: Flow; readonly bytes: Uint8Array }
  | { readonly kind: 'relay'; readonly relay: number; readonly bytes: Uint8Array }
  | { readonly kind: 'registration'; readonly event: RegistrarEvent }
  | { readonly kind: 'call-ended'; readonly call: CallSummary };

/** Methods that exist, whether or not they are served: others get 501 (RFC 3261 8.2.1). */
const KNOWN = new Set([
  'INVITE',
  'ACK',
  'CANCEL',
  'BYE',
  'OPTIONS',
  'REGISTER',
  'INFO',
  'MESSAGE',
  'SUBSCRIBE',
  'NOTIFY',
  'PUBLISH',
  'REFER',
  'PRACK',
  'UPDATE',
]);

/**
 * The whole SIP server without sockets: transactions, authentication, registrar, calls and the client of the media
 * relay, composed into one machine. Everything a message causes happens before the handle call returns; then drain
 * `poll` and arm a timer from `nextTimeout`.
 */
export class SipCore {
  readonly transactions: TransactionLayer;
  readonly authenticator: Authenticator;
  readonly registrar = new Registrar();
  readonly calls: CallLayer;
  readonly media: MediaClient;
  /** Requests refused before any state, by status code. */
  readonly refused = new Map<number, number>();
  readonly #options: SipCoreOptions;
  readonly #hosts: ReadonlySet<string>;
  readonly #commands: SipCoreCommand[] = [];
  #draining = false;

  constructor(options: SipCoreOptions) {
    this.#options = options;
    const { crypto, account, domain } = options;
    this.#hosts = new Set([domain, 'localhost', ...options.localHosts].map((host) => host.toLowerCase()));
    this.authenticator = new Authenticator({
      realm: domain,
      crypto,
      account,
      algorithm: options.algorithm,
      nonceLifetimeMs: options.nonceLifetimeMs,
    });
    this.media = new MediaClient({ crypto, relays: options.relays, nowMs: options.nowMs });
    this.transactions = new TransactionLayer({
      crypto,
      sentBy: (flow) => this.#hostPort(flow),
      admit: (message, flow, nowMs) => this.#admit(message, flow, nowMs),
    });
    this.calls = new CallLayer({
      transactions: this.transactions,
      crypto,
      route: (user) => route(user, (name) => account(name) !== undefined),
      lookup: (user, nowMs) => this.registrar.lookup(user, nowMs),
      displayName: (user) => account(user)?.displayName ?? user,
      domain,
      contact: (flow) =>
        flow.transport.startsWith('ws')
          ? `sip:${domain};transport=ws`
          : `sip:${this.#hostPort(flow)}${flow.transport === 'udp' ? '' : `;transport=${flow.transport}`}`,
      relayOffers: (verb) => this.media.offers(verb),
      mediaPath: options.mediaPath,
      limits: options.callLimits,
    });
  }

  /** Refuse new calls and registrations from now on (503); running calls go on. */
  drain(): void {
    this.#draining = true;
  }

  poll(): SipCoreCommand | undefined {
    return this.#commands.shift();
  }

  nextTimeout(): number | undefined {
    let next: number | undefined;
    for (const at of [
      this.transactions.nextTimeout(),
      this.registrar.nextTimeout(),
      this.calls.nextTimeout(),
      this.media.nextTimeout(),
    ]) {
      if (at !== undefined && (next === undefined || at < next)) next = at;
    }
    return next;
  }

  handleTimeout(nowMs: number): void {
    this.transactions.handleTimeout(nowMs);
    this.registrar.handleTimeout(nowMs);
    this.calls.handleTimeout(nowMs);
    this.media.handleTimeout(nowMs);
    this.#settle(nowMs);
  }

  handleMessage(message: SipMessage, flow: Flow, nowMs: number): void {
    this.transactions.handleMessage(message, flow, nowMs);
    this.#settle(nowMs);
  }

  handleFlowClosed(flow: Flow, nowMs: number): void {
    this.registrar.handleFlowClosed(flow);
    this.calls.handleFlowClosed(flow, nowMs);
    this.transactions.handleFlowClosed(flow);
    this.#settle(nowMs);
  }

  handleRelayDatagram(bytes: Uint8Array, relay: number, nowMs: number): void {
    this.media.handleDatagram(bytes, relay, nowMs);
    this.#settle(nowMs);
  }

  /** An account is gone: so are its contacts. */
  handleAccountRemoved(user: string, nowMs: number): void {
    this.registrar.removeUser(user);
    this.#settle(nowMs);
  }

  hangUpAll(words: string, nowMs: number): void {
    this.calls.hangUpAll(words, nowMs);
    this.#settle(nowMs);
  }

  /** Passes what the inner machines say to each other until all are silent. */
  #settle(nowMs: number): void {
    for (let busy = true; busy; ) {
      busy = false;
      for (let c = this.transactions.poll(); c; c = this.transactions.poll()) {
        busy = true;
        if (c.kind === 'send') this.#commands.push(c);
        else if (c.kind === 'request') this.#handleRequest(c, nowMs);
        else this.calls.handle(c, nowMs);
      }
      for (let c = this.calls.poll(); c; c = this.calls.poll()) {
        busy = true;
        if (c.kind === 'media') this.media.command(c.id, c.message, nowMs);
        else this.#commands.push({ kind: 'call-ended', call: c.call });
      }
      for (let c = this.media.poll(); c; c = this.media.poll()) {
        busy = true;
        if (c.kind === 'send') this.#commands.push({ kind: 'relay', relay: c.relay, bytes: c.bytes });
        else this.calls.handleMedia(c.id, c.result, nowMs);
      }
      for (let e = this.registrar.poll(); e; e = this.registrar.poll()) {
        busy = true;
        if (e.kind !== 'removed') this.calls.handleRegistered(e.binding);
        this.#commands.push({ kind: 'registration', event: e });
      }
    }
  }

  /**
   * What a new request must pass before anything is remembered of it (RFC 3261 8.2 in its order): is it for us, can we
   * serve it, and who is it from. Every method is authenticated; requests within a dialog prove themselves by its tags.
   */
  #admit(message: SipMessage, flow: Flow, nowMs: number): Admission {
    const refuse = (
      status: number,
      words: string,
      headers: readonly (readonly [string, string | number])[] = [],
    ): Admission => {
      this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
      return { reject: refusal(message, status, words, this.#tag(), headers) };
    };
    if (!KNOWN.has(message.method))
      return refuse(501, `the method ${message.method.slice(0, 32)} is not known`, [['Allow', ALLOW]]);
    const target = parseUri(message.uri);
    if (!target) return refuse(400, 'the Request-URI is malformed');
    if (!target.isSip) return refuse(416, `the scheme '${target.scheme.slice(0, 20)}' is not served`);
    if (target.headers !== undefined) return refuse(400, 'a Request-URI must not carry headers');
    if (message.maxForwards === 0) return refuse(483, 'the request was forwarded too often');
    const required = [...message.values('require'), ...message.values('proxy-require')];
    if (required.length > 0)
      return refuse(420, `extensions not supported: ${required.join(', ').slice(0, 100)}`, [
        ['Unsupported', required.join(', ')],
      ]);
    if (message.to.tag !== undefined && message.method !== 'REGISTER') {
      return this.calls.ownsDialog(message) ? { accept: {} } : refuse(481, 'this call does not exist (any more)');
    }
    if (!this.#isLocal(target.host, flow))
      return refuse(403, `${target.host.slice(0, 100)} is not this server, and nothing is forwarded elsewhere`);
    let account = flow.account;
    if (account === undefined) {
      const who = this.authenticator.authenticate(message, flow.remote.address, nowMs);
      if (who.kind === 'locked')
        return refuse(403, `too many wrong passwords; try again in ${who.retryAfterS} s`, [
          ['Retry-After', who.retryAfterS],
        ]);
      if (who.kind === 'challenge')
        return {
          reject: createResponse(message, 401, undefined, {
            toTag: this.#tag(),
            headers: [['WWW-Authenticate', who.wwwAuthenticate]],
          }),
        };
      account = who.user;
    }
    const claimed = message.method === 'REGISTER' ? message.to.uri : message.from.uri;
    if (claimed.user !== account || !this.#isLocal(claimed.host, flow)) {
      return refuse(403, `${account} may not speak for ${(claimed.user ?? claimed.host).slice(0, 64)}`);
    }
    if (this.#draining && (message.method === 'INVITE' || message.method === 'REGISTER')) {
      return refuse(503, 'the server is about to stop', [
        ['Retry-After', 5 + (this.#options.crypto.randomBytes(1)[0]! % 20)],
      ]);
    }
    return { accept: { account } };
  }

  #handleRequest(command: Extract<TransactionCommand, { kind: 'request' }>, nowMs: number): void {
    const { message, id, flow, account } = command;
    if (message.method === 'REGISTER' && account !== undefined) {
      this.transactions.respond(
        id,
        withTag(this.registrar.handleRegister(message, flow, account, nowMs), this.#tag()),
        nowMs,
      );
    } else if (message.to.tag !== undefined || message.method === 'INVITE') {
      this.calls.handle(command, nowMs);
    } else if (message.method === 'OPTIONS') {
      const headers = [['Allow', `${ALLOW}, REGISTER`] as const, ['Accept', 'application/sdp'] as const];
      this.transactions.respond(id, createResponse(message, 200, undefined, { toTag: this.#tag(), headers }), nowMs);
    } else if (
      message.method === 'BYE' ||
      message.method === 'UPDATE' ||
      message.method === 'PRACK' ||
      message.method === 'INFO' ||
      message.method === 'NOTIFY'
    ) {
      this.transactions.respond(id, refusal(message, 481, 'this call does not exist (any more)', this.#tag()), nowMs);
    } else {
      this.transactions.respond(
        id,
        refusal(message, 405, `${message.method} is not served here`, this.#tag(), [['Allow', `${ALLOW}, REGISTER`]]),
        nowMs,
      );
    }
  }

  #isLocal(host: string, flow: Flow): boolean {
    return this.#hosts.has(host) || host === flow.local.address;
  }

  #hostPort(flow: Flow): string {
    const { address, port } = this.#options.addressOf?.(flow) ?? flow.local;
    return `${address.includes(':') ? `[${address}]` : address}:${port}`;
  }

  #tag(): string {
    return hex(this.#options.crypto.randomBytes(8));
  }
}

function withTag(response: SipMessage, tag: string): SipMessage {
  return response.to.tag === undefined ? response.set('to', `${response.header('to')};tag=${tag}`) : response;
}
