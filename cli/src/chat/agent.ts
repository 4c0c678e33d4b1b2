import { type Crypto, createResponse, parseSip, parseUri, SipMessage, socketKey, utf8 } from '@offhook/core';
import { Credentials, type Flow, type TransactionCommand, TransactionLayer } from '@offhook/signaling';
import type { Person } from './address.ts';
import { Inbox, type Received } from './inbox.ts';
import { Outbox, type Sent } from './outbox.ts';
import type { Presence, Receipt } from './presence.ts';
import { Publication } from './publication.ts';
import { type Account, METHODS, Registration, type Standing, TYPES } from './registration.ts';
import { Requests } from './requests.ts';
import type { Status } from './status.ts';
import { Watch } from './watch.ts';

/** People whose presence is followed. */
const MAX_WATCHES = 100;
/** How long the farewell may take: the server forgets us by itself, only later. */
const FAREWELL_MS = 2000;
/** Shorter than what NATs forget UDP after, and than the server's Flow-Timer (RFC 5626 4.4). */
const PING_MS = { udp: 25_000, stream: 80_000 };
const PING = utf8('\r\n\r\n');
/** Requests of strangers that are answered in a second. */
const STRANGERS_PER_S = 10;
/** Methods that an agent without calls knows and does not take (RFC 3261 21.4.6); others are unknown to it (501). */
const KNOWN = new Set('BYE PRACK UPDATE INFO REFER SUBSCRIBE PUBLISH REGISTER'.split(' '));

/** What a person should hear of. */
export type ChatEvent =
  | { readonly kind: 'standing'; readonly standing: Standing }
  | { readonly kind: 'text'; readonly received: Received }
  | { readonly kind: 'delivery'; readonly sent: Sent; readonly words: string }
  /** A receipt for a text of an earlier session. */
  | { readonly kind: 'receipt'; readonly receipt: Receipt }
  /** `presence` undefined: it can't be known, and `words` say why. */
  | {
      readonly kind: 'presence';
      readonly person: Person;
      readonly presence?: Presence;
      readonly words: string;
      readonly isNobody: boolean;
    }
  | { readonly kind: 'note'; readonly words: string };

export type ChatCommand =
  | { readonly kind: 'send'; readonly flow: Flow; readonly bytes: Uint8Array }
  /** Open a flow to the server, and answer by `handleOpened` or `handleClosed`. */
  | { readonly kind: 'connect' }
  | { readonly kind: 'disconnect'; readonly flow: Flow }
  | { readonly kind: 'event'; readonly event: ChatEvent }
  /** The farewell is said, or has taken too long. */
  | { readonly kind: 'ended' };

/**
 * The user agent of a chat: registers, says how its user is, follows how others are, sends texts and takes them. Pure: the
 * shell opens flows, hands in what comes over them, and shows events.
 */
export class ChatAgent {
  readonly #account: Account;
  readonly #layer: TransactionLayer;
  readonly #requests: Requests;
  readonly #registration: Registration;
  readonly #publication: Publication;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #watches = new Map<string, Watch>();
  readonly #commands: ChatCommand[] = [];
  #pingAtMs: number | undefined;
  #farewellAtMs: number | undefined;
  #isEnded = false;
  /** The time of the input that is being worked on: what the transaction layer tells is told within it. */
  #nowMs: number;
  #wallMs = 0;
  #strangers = { sinceMs: Number.NEGATIVE_INFINITY, answered: 0 };

  constructor(options: { readonly account: Account; readonly crypto: Crypto }, nowMs: number) {
    const { account, crypto } = options;
    this.#account = account;
    this.#nowMs = nowMs;
    this.#layer = new TransactionLayer({
      crypto,
      sentBy: (flow) => socketKey(flow.local),
      admit: (message, flow, now) => {
        if (flow === this.#requests.flow) return { accept: {} };
        return this.#mayAnswerStranger(now)
          ? { reject: createResponse(message, 403, 'Only by way of my server', { toTag: this.#requests.random(8) }) }
          : 'drop';
      },
      mayAnswer: (flow, now) => flow === this.#requests.flow || this.#mayAnswerStranger(now),
      maxTransactions: 2000,
      maxPerOwner: 2000,
    });
    const credentials = new Credentials({
      crypto,
      user: account.user,
      password: account.password,
      asker: 'the server',
    });
    const requests = new Requests({ crypto, layer: this.#layer, credentials });
    this.#requests = requests;
    this.#registration = new Registration(
      {
        account,
        requests,
        connect: () => this.#commands.push({ kind: 'connect' }),
        disconnect: (flow) => this.#disconnect(flow),
        tell: (standing, now) => this.#stands(standing, now),
      },
      nowMs,
    );
    this.#publication = new Publication({ account, requests, tell: (words) => this.#tell({ kind: 'note', words }) });
    this.#outbox = new Outbox({
      account,
      requests,
      tell: (sent, words) => this.#tell({ kind: 'delivery', sent: { ...sent }, words }),
      doubt: (words, now) => this.#registration.doubt(words, now),
    });
    this.#inbox = new Inbox(account.domain);
  }

  get isRegistered(): boolean {
    return this.#registration.isRegistered;
  }

  /** Texts of which nobody knows yet what becomes of them. */
  get openTexts(): number {
    return this.#outbox.open;
  }

  /** Those whose presence is followed. */
  get watches(): readonly Watch[] {
    return [...this.#watches.values()];
  }

  get status(): { readonly status: Status; readonly note: string } {
    return this.#publication;
  }

  poll(): ChatCommand | undefined {
    for (;;) {
      const command = this.#layer.poll();
      if (!command) return this.#commands.shift();
      if (command.kind === 'send') return command;
      this.#handle(command);
    }
  }

  nextTimeout(): number | undefined {
    if (this.#isEnded) return undefined;
    const all = [this.#layer, this.#registration, this.#publication, ...this.#watches.values()].map((one) =>
      one.nextTimeout(),
    );
    const times = [...all, this.#pingAtMs, this.#farewellAtMs].filter((at) => at !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  handleTimeout(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#layer.handleTimeout(nowMs);
    if (this.#farewellAtMs !== undefined) {
      if (this.#farewellAtMs <= nowMs) this.#end();
      return;
    }
    this.#registration.handleTimeout(nowMs);
    this.#publication.handleTimeout(nowMs);
    for (const watch of this.#watches.values()) watch.handleTimeout(nowMs);
    if (this.#pingAtMs !== undefined && this.#pingAtMs <= nowMs) this.#ping(nowMs);
  }

  /** The flow that `connect` asked for. */
  handleOpened(flow: Flow, nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#farewellAtMs !== undefined) this.#commands.push({ kind: 'disconnect', flow });
    else this.#registration.handleOpened(flow, nowMs);
  }

  /** A flow is gone; without one: it could not be opened. Words say why. */
  handleClosed(flow: Flow | undefined, words: string, nowMs: number): void {
    this.#nowMs = nowMs;
    if (flow !== this.#requests.flow) return;
    if (flow) this.#layer.handleFlowClosed(flow);
    this.#registration.handleClosed(words, nowMs);
  }

  /** A datagram, or one framed message. `wallMs` is the wall clock. */
  handleReceived(bytes: Uint8Array, flow: Flow, nowMs: number, wallMs: number): void {
    this.#nowMs = nowMs;
    this.#wallMs = wallMs;
    if (this.#isEnded) return;
    const isServer = flow === this.#requests.flow;
    const message = parseSip(bytes);
    if (message instanceof SipMessage) {
      // What a stranger answers was never asked.
      if (isServer || message.kind === 'request') this.#layer.handleMessage(message, flow, nowMs);
    } else if (isServer && message.request && message.status !== undefined)
      this.#layer.send(createResponse(message.request, message.status, message.reason), flow);
  }

  /** Sends a text; words when it can't be sent at all. */
  send(to: Person, text: string, nowMs: number, wallMs: number): Sent | string {
    this.#nowMs = nowMs;
    return this.#outbox.send(to, text, wallMs, nowMs);
  }

  /** Follows somebody's presence from now on; false when too many are followed already. */
  watch(person: Person, nowMs: number): boolean {
    this.#nowMs = nowMs;
    const key = person.uri.toString();
    const known = this.#watches.get(key);
    if (known) {
      if (this.isRegistered) known.askAgain(nowMs);
      return true;
    }
    if (this.#watches.size >= MAX_WATCHES) return false;
    const watch: Watch = new Watch({
      account: this.#account,
      person,
      requests: this.#requests,
      contact: () => this.#registration.contactUri(),
      tell: (presence, words) => this.#tell({ kind: 'presence', person, presence, words, isNobody: watch.isNobody }),
    });
    this.#watches.set(key, watch);
    if (this.isRegistered) watch.begin(nowMs);
    return true;
  }

  /** Follows somebody no more. */
  unwatch(person: Person, nowMs: number): void {
    this.#nowMs = nowMs;
    const key = person.uri.toString();
    this.#watches.get(key)?.stop(() => {}, nowMs);
    this.#watches.delete(key);
  }

  setStatus(status: Status, note: string, nowMs: number): void {
    this.#nowMs = nowMs;
    this.#publication.set(status, note, nowMs);
  }

  /** Takes presence, subscriptions and registration back; `ended` follows within two seconds. */
  stop(nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.#farewellAtMs !== undefined) return;
    this.#farewellAtMs = nowMs + FAREWELL_MS;
    let left = this.#watches.size + 2;
    const done = () => {
      if (--left === 0) this.#end();
    };
    for (const watch of this.#watches.values()) watch.stop(done, nowMs);
    this.#publication.stop(done, nowMs);
    this.#registration.stop(done, nowMs);
  }

  #tell(event: ChatEvent): void {
    if (this.#farewellAtMs === undefined || event.kind === 'text') this.#commands.push({ kind: 'event', event });
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    const { flow } = this.#requests;
    if (flow) this.#commands.push({ kind: 'disconnect', flow });
    this.#requests.flow = undefined;
    this.#commands.push({ kind: 'ended' });
  }

  #stands(standing: Standing, nowMs: number): void {
    this.#tell({ kind: 'standing', standing });
    if (standing.kind === 'registered') {
      this.#publication.begin(nowMs);
      for (const watch of this.#watches.values()) watch.begin(nowMs);
      this.#pingAtMs = nowMs + this.#pingEveryMs;
      this.#outbox.next(nowMs);
      return;
    }
    this.#pingAtMs = undefined;
    this.#publication.pause();
    for (const watch of this.#watches.values()) watch.pause();
  }

  #disconnect(flow: Flow): void {
    this.#layer.handleFlowClosed(flow);
    this.#commands.push({ kind: 'disconnect', flow });
  }

  get #pingEveryMs(): number {
    return this.#requests.flow?.transport === 'udp' ? PING_MS.udp : PING_MS.stream;
  }

  #ping(nowMs: number): void {
    const { flow } = this.#requests;
    this.#pingAtMs = flow && nowMs + this.#pingEveryMs;
    if (flow) this.#commands.push({ kind: 'send', flow, bytes: PING });
  }

  #mayAnswerStranger(nowMs: number): boolean {
    if (nowMs - this.#strangers.sinceMs >= 1000) this.#strangers = { sinceMs: nowMs, answered: 0 };
    return ++this.#strangers.answered <= STRANGERS_PER_S;
  }

  #handle(command: TransactionCommand): void {
    if (command.kind === 'request') {
      const { message } = command;
      const answer = this.#answerTo(message);
      if (message.to.tag === undefined) answer.set('to', `${message.header('to')};tag=${this.#requests.random(8)}`);
      this.#layer.respond(command.id, answer, this.#nowMs);
    } else this.#requests.handle(command, this.#nowMs);
  }

  /** RFC 3261 8.2: method, then Require, then what the method says. */
  #answerTo(message: SipMessage): SipMessage {
    const { method } = message;
    const allow = ['Allow', METHODS.replaceAll(',', ', ')] as const;
    if (method === 'INVITE') {
      const warning = `399 ${this.#account.domain.replace(/[^\w.-]/g, '-')} "A chat terminal takes texts, not calls"`;
      return createResponse(message, 488, 'Texts only, no calls here', { headers: [allow, ['Warning', warning]] });
    }
    if (!METHODS.split(',').includes(method)) {
      if (message.to.tag !== undefined && KNOWN.has(method)) return createResponse(message, 481);
      return createResponse(message, KNOWN.has(method) ? 405 : 501, undefined, { headers: [allow] });
    }
    const required = message.values('require');
    if (required.length > 0)
      return createResponse(message, 420, undefined, { headers: [['Unsupported', required.slice(0, 16).join(', ')]] });
    if (method === 'OPTIONS')
      return createResponse(message, 200, undefined, {
        headers: [allow, ['Accept', TYPES.replaceAll(',', ', ')], ['Allow-Events', 'presence']],
      });
    return method === 'NOTIFY' ? this.#answerToNotify(message) : this.#answerToMessage(message);
  }

  #answerToNotify(message: SipMessage): SipMessage {
    if (!/^presence\s*(;|$)/i.test(message.header('event') ?? ''))
      return createResponse(message, 489, undefined, { headers: [['Allow-Events', 'presence']] });
    const watch = this.watches.find((one) => one.owns(message));
    return watch ? watch.handleNotify(message, this.#nowMs) : createResponse(message, 481);
  }

  #answerToMessage(message: SipMessage): SipMessage {
    if (!isOurs(message, this.#account)) return createResponse(message, 404, 'Not the user of this terminal');
    const taken = this.#inbox.handleMessage(message, this.#wallMs);
    if (taken.kind === 'text') this.#tell({ kind: 'text', received: taken.received });
    if (taken.kind === 'receipt' && !this.#outbox.handleReceipt(taken.receipt))
      this.#tell({ kind: 'receipt', receipt: taken.receipt });
    return taken.answer;
  }
}

/** A MESSAGE that came to the wrong contact: an address that somebody else had before us. */
function isOurs({ uri, to }: SipMessage, { user }: Account): boolean {
  return parseUri(uri)?.user === user || to.uri.user === user;
}
