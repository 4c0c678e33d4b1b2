import { hex, isLoopback, type SipMessage, type SipUri, utf8, VQ_EVENT } from '@offhook/core';
import { Admission, Authenticator, type Ban, Bans, Bearer, Shedding } from '../auth/index.ts';
import { CallLayer, type CallSnapshot, type Reach } from '../call/index.ts';
import { type DnsReply, type Locate, Locator, type Opened } from '../locate/index.ts';
import { MediaClient, type StreamInput } from '../media/index.ts';
import { MessageLayer, type PagerMessage } from '../messaging/index.ts';
import { eventOf, PresenceLayer, type SubscriptionSnapshot } from '../presence/index.ts';
import { QualityReports } from '../quality/index.ts';
import { type Binding, Registrar, RegistrationFigures } from '../registrar/index.ts';
import { AskedRoutes, asDialled, builtIn, type CallFacts, type Directory, type Routed } from '../routing/index.ts';
import { DEFAULT_SETTINGS } from '../store/index.ts';
import { type Flow, type TransactionCommand, TransactionLayer } from '../transaction/index.ts';
import { type TrunkConfig, type TrunkConfigs, TrunkLayer } from '../trunk/index.ts';
import type { SipCoreCommand, SipCoreOptions } from './core-seam.ts';
import { answerOptions } from './options-request.ts';

/**
 * The whole SIP server without sockets: transactions, authentication, registrar, calls and the client of the media
 * relay, composed into one machine. Everything a message causes happens before the handle call returns; then drain
 * `poll` and arm a timer from `nextTimeout`.
 */
export class SipCore {
  readonly transactions: TransactionLayer;
  readonly authenticator: Authenticator;
  readonly bearer: Bearer | undefined;
  readonly registrar: Registrar;
  /** What came of REGISTER requests; their delay is noted by who can see it. */
  readonly registrations = new RegistrationFigures();
  readonly calls: CallLayer;
  readonly media: MediaClient;
  readonly trunks: TrunkLayer;
  readonly messages: MessageLayer;
  readonly presence: PresenceLayer;
  readonly quality: QualityReports;
  readonly admission: Admission;
  readonly bans: Bans | undefined;
  /** What is left out when the process is behind: told by whoever sees its event loop. */
  readonly shedding = new Shedding();
  /** Other servers: `locate` for URIs, `locator.for` for peers with certificates of their own. */
  readonly locator: Locator;
  /** What routing may ask. */
  readonly directory: Directory;
  readonly #options: SipCoreOptions;
  readonly #commands: SipCoreCommand[] = [];
  readonly #asked = new AskedRoutes();

  constructor(options: SipCoreOptions) {
    this.#options = options;
    const { crypto, account, domain, groups = {} } = options;
    const isUser = (user: string) => account(user) !== undefined;
    this.directory = {
      isUser,
      group: (name) => (Object.hasOwn(groups, name) ? groups[name] : undefined),
    };
    this.registrar = new Registrar({
      wallMs: options.wallMs,
      gruu: { domain, crypto },
      isEdge: options.isEdge,
    });
    const isNear = (address: string) => isLoopback(address) || (options.isEdge?.(address) ?? false);
    this.authenticator = new Authenticator({
      realm: domain,
      crypto,
      account,
      isLocal: options.isLocal,
      algorithm: options.algorithm,
      nonceLifetimeMs: options.nonceLifetimeMs,
      nonceSecret: options.nonceSecret,
      isNear,
      onWrongPassword: options.onWrongPassword,
    });
    const { bearer, wallMs } = options;
    this.bearer = bearer && wallMs && new Bearer({ ...bearer, realm: domain, isUser }, () => wallMs() / 1000);
    this.bans =
      options.bans === false
        ? undefined
        : new Bans({
            isEdge: options.isEdge,
            isTrunk: (remote, nowMs) => this.trunks.isPeer(remote, nowMs),
            hasContacts: (network) => this.registrar.hasContacts(network),
            isLocal: options.isLocal,
          });
    this.admission = new Admission({
      crypto,
      bans: this.bans,
      authenticator: this.authenticator,
      bearer: this.bearer,
      isNear,
      isUser,
      isLocal: options.isLocal,
      ownsDialog: (request) => this.calls.ownsDialog(request) || this.presence.notifier.ownsDialog(request),
      homeOf: (request) => this.calls.homeOf(request) ?? this.presence.notifier.homeOf(request),
      isRegistered: (user, flow, nowMs) => this.registrar.lookup(user, nowMs).some((b) => b.flow === flow),
      trunks: {
        trunkOf: (request, flow, nowMs) => this.trunks.trunkOf(request, flow, nowMs),
        mayCall: (trunk, nowMs) => this.trunks.mayCall(trunk, nowMs),
      },
      limits: options.admissionLimits,
      shedding: this.shedding,
    });
    this.media = new MediaClient({ crypto, relays: options.relays, nowMs: options.nowMs });
    this.transactions = new TransactionLayer({
      crypto,
      sentBy: (flow) => this.#hostPort(flow),
      admit: (message, flow, nowMs) => this.admission.admit(message, flow, nowMs),
      mayAnswer: (flow, nowMs) => this.admission.mayAnswer(flow, nowMs),
      onRefused: (request, status) => this.#countRefused(request, status),
    });
    const secret = options.nonceSecret === undefined ? crypto.randomBytes(16) : utf8(options.nonceSecret);
    const settings = options.settings ?? (() => DEFAULT_SETTINGS);
    const lookup = (user: string, nowMs: number, instance?: string) => this.registrar.lookup(user, nowMs, instance);
    const resolveGruu = (uri: SipUri) => (options.isLocal(uri.host) ? this.registrar.resolveGruu(uri) : undefined);
    const displayName = (user: string) => account(user)?.displayName ?? user;
    const contact = (flow: Flow) => this.#contact(flow);
    const mayPickUp = (user: string, of: string) =>
      Object.values(groups).some(({ members }) => members.includes(user) && members.includes(of));
    const shared = { crypto, transactions: this.transactions, domain, isUser, lookup, resolveGruu, settings };
    this.messages = new MessageLayer({ ...shared, displayName, secret, wallMs: wallMs ?? (() => 0) });
    this.presence = new PresenceLayer({
      ...shared,
      secret,
      contact,
      mayPickUp,
      waiting: (user) => this.messages.waiting(user),
      otherEvents: [VQ_EVENT],
    });
    this.locator = new Locator({ crypto, sends: options.sends });
    this.trunks = new TrunkLayer({
      crypto,
      transactions: this.transactions,
      locate: (tls) => options.locate ?? this.#locateFor(tls),
      contact,
      secret,
    });
    this.calls = new CallLayer({
      ...shared,
      trunks: this.trunks,
      route: (facts, nowMs, then) => this.route(facts, nowMs, then),
      mayPickUp,
      locate: (uri, nowMs, then) => (options.locate ?? this.locate)(uri, nowMs, then),
      displayName,
      isLocal: options.isLocal,
      contact,
      relayOffers: (verb) => this.media.offers(verb),
      mediaPath: options.mediaPath,
      encryption: options.encryption ?? 'optional',
      limits: options.callLimits,
    });
    this.quality = new QualityReports({
      crypto,
      transactions: this.transactions,
      callOf: (user, callId) => this.calls.callOf(user, callId),
    });
    this.trunks.configure(options.trunks ?? {}, options.nowMs);
  }

  /** Ways to a SIP URI (RFC 3263). */
  get locate(): Locate {
    return this.locator.locate;
  }

  /** The same with a peer's own certificates. */
  #locateFor(tls: TrunkConfig['tls']): Locate {
    if (!tls) return this.locate;
    const { ca, cert, key, verify } = tls;
    return this.locator.for({ tls: { caPath: ca, certPath: cert, keyPath: key, verify } });
  }

  /** Refuse new calls from now on (503); running calls go on. */
  drain(): void {
    this.admission.draining = true;
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
      this.trunks.nextTimeout(),
      this.messages.nextTimeout(),
      this.presence.nextTimeout(),
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
    this.trunks.handleTimeout(nowMs);
    this.messages.handleTimeout(nowMs);
    this.presence.handleTimeout(nowMs);
    this.#settle(nowMs);
  }

  handleMessage(message: SipMessage, flow: Flow, nowMs: number): void {
    this.transactions.handleMessage(message, flow, nowMs);
    this.#settle(nowMs);
  }

  /** Bans by hand; answers why not, in words, when it can't be. */
  ban(address: string, durationMs: number, nowMs: number): Ban | string {
    const ban = this.bans?.add(address, durationMs, nowMs) ?? 'nobody is banned here: sip.bans is false';
    this.#settle(nowMs);
    return ban;
  }

  /** Something that can't be read came on that flow. */
  handleMalformed(flow: Flow, nowMs: number): void {
    this.bans?.handleMalformed(flow, nowMs);
    this.#settle(nowMs);
  }

  handleFlowClosed(flow: Flow, nowMs: number): void {
    this.registrar.handleFlowClosed(flow);
    this.calls.handleFlowClosed(flow, nowMs);
    this.presence.notifier.handleFlowClosed(flow);
    this.transactions.handleFlowClosed(flow);
    this.trunks.handleFlowClosed(flow, nowMs);
    this.#settle(nowMs);
  }

  /** Other trunks, or others' settings: what is the same goes on. */
  configureTrunks(trunks: TrunkConfigs, nowMs: number): void {
    this.trunks.configure(trunks, nowMs);
    this.#settle(nowMs);
  }

  /** Takes our contacts at providers back: the server stops. */
  stopTrunks(nowMs: number): void {
    this.trunks.stop(nowMs);
    this.#settle(nowMs);
  }

  handleRelayDatagram(bytes: Uint8Array, relay: number, nowMs: number): void {
    this.media.handleDatagram(bytes, relay, nowMs);
    this.#settle(nowMs);
  }

  /** Nobody listens at the relay's port: it has ended. */
  handleRelayRefused(relay: number, nowMs: number): void {
    this.media.handleRefused(relay, nowMs);
    this.#settle(nowMs);
  }

  /** What came of a `relay-stream`, or over it. */
  handleRelayStream(relay: number, input: StreamInput, nowMs: number): void {
    this.media.handleStream(relay, input, nowMs);
    this.#settle(nowMs);
  }

  /** What came of a `question`. */
  handleAnswer(id: number, reply: DnsReply, nowMs: number): void {
    this.locator.handleAnswer(id, reply, nowMs);
    this.#settle(nowMs);
  }

  /** What came of an `open`. */
  handleOpened(id: number, opened: Opened, nowMs: number): void {
    this.locator.handleOpened(id, opened, nowMs);
    this.#settle(nowMs);
  }

  /**
   * What becomes of a call; `then` runs at once with the built-in routing, and otherwise when `handleRouted` brings the
   * answer.
   */
  route(facts: CallFacts, nowMs: number, then: (routed: Routed, nowMs: number) => void): void {
    const dialled = asDialled(facts, this.directory);
    if (this.#options.routing === 'asked') this.#asked.ask(dialled, then);
    else then(builtIn(dialled, this.directory, 'as called'), nowMs);
  }

  /** The answer to a `route` command. */
  handleRouted(id: number, routed: Routed, nowMs: number): void {
    this.#asked.handle(id, routed, nowMs);
    this.#settle(nowMs);
  }

  /** The journal has a message, or could not take it. */
  handleStored(id: string, ok: boolean, nowMs: number): void {
    this.messages.handleStored(id, ok, nowMs);
    this.#settle(nowMs);
  }

  /** A message that a process before this one kept. */
  restoreMessage(message: PagerMessage, nowMs: number): void {
    this.messages.restore(message, nowMs);
  }

  /** Somebody watches something; the process before this one knew. */
  restoreSubscription(subscription: SubscriptionSnapshot, reach: Reach, nowMs: number): boolean {
    return this.presence.notifier.restore(subscription, reach, nowMs);
  }

  /** A user has changed what is done with calls, or how to be seen. */
  handleSettings(user: string, nowMs: number): void {
    this.presence.handleChanged(user, nowMs);
    this.#settle(nowMs);
  }

  /** Watchers are told that they may watch elsewhere: the server stops. */
  stopPresence(nowMs: number): void {
    this.presence.notifier.stop(nowMs);
    this.#settle(nowMs);
  }

  /** A contact that a process before this one knew. */
  restoreBinding(binding: Binding, nowMs: number): void {
    this.registrar.restore(binding);
    this.#settle(nowMs);
  }

  /** An answered call that a process before this one had; the relay, if it had a part in it, has it still. */
  restoreCall(what: { call: CallSnapshot; relay?: number; reach: Reach }, nowMs: number): void {
    const { call, relay } = what;
    if (!call.isUnrelayed && (relay === undefined || !this.media.adopt(call.ngCallId, relay))) return;
    const reach: Reach = (snapshot) => {
      const reached = what.reach(snapshot);
      if (reached.isLost) this.transactions.handleFlowClosed(reached.flow);
      return reached;
    };
    this.calls.restore(call, reach, nowMs);
    this.#settle(nowMs);
  }

  /** An account is gone: so are its contacts. */
  handleAccountRemoved(user: string, nowMs: number): void {
    this.registrar.removeUser(user);
    this.messages.removeUser(user, nowMs);
    this.presence.removeUser(user, nowMs);
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
        else if (!this.#handleClient(c, nowMs)) this.calls.handle(c, nowMs);
      }
      for (let news = this.trunks.poll(); news; news = this.trunks.poll()) this.#commands.push({ kind: 'trunk', news });
      for (let c = this.calls.poll(); c; c = this.calls.poll()) {
        busy = true;
        if (c.kind === 'media') this.media.command(c.id, c.message, nowMs, c.near);
        else if (c.kind === 'remember') this.#commands.push(c);
        else {
          this.presence.handleCall(c.call, nowMs);
          if (c.kind === 'ended') this.quality.handleEnded(c.call, c.phones, nowMs);
          this.#commands.push({ kind: c.kind === 'ended' ? 'call-ended' : 'call-progress', call: c.call });
        }
      }
      for (let c = this.media.poll(); c; c = this.media.poll()) {
        busy = true;
        if (c.kind === 'send') this.#commands.push({ kind: 'relay', relay: c.relay, bytes: c.bytes });
        else if (c.kind === 'stream') this.#commands.push({ ...c, kind: 'relay-stream' });
        else if (c.kind === 'lost') this.calls.handleRelayLost(c.callIds, nowMs);
        else if (c.kind === 'key-frame') this.calls.handleKeyFrameWish(c, nowMs);
        else this.calls.handleMedia(c.id, c.result, nowMs);
      }
      for (let c = this.locator.poll(); c; c = this.locator.poll()) this.#commands.push(c);
      for (let ban = this.bans?.poll(); ban; ban = this.bans?.poll()) this.#commands.push({ kind: 'banned', ban });
      for (let c = this.#asked.poll(); c; c = this.#asked.poll()) this.#commands.push(c);
      for (let e = this.registrar.poll(); e; e = this.registrar.poll()) {
        busy = true;
        if (e.kind !== 'removed') {
          this.calls.handleRegistered(e.binding, nowMs, e.before);
          this.presence.notifier.handleRegistered(e.binding, nowMs, e.before);
          this.messages.handleRegistered(e.binding, nowMs, e.before);
        }
        this.presence.handleRegistration(e.binding.user, e.before !== undefined, nowMs);
        this.#commands.push({ kind: 'registration', event: e });
      }
      for (let c = this.messages.poll(); c; c = this.messages.poll()) {
        if (c.kind === 'waiting') this.presence.handleWaiting(c.user, nowMs);
        else this.#commands.push({ kind: 'message', command: c });
      }
      const { notifier } = this.presence;
      for (let c = notifier.poll(); c; c = notifier.poll()) this.#commands.push({ kind: 'subscription', command: c });
      for (let news = this.presence.poll(); news; news = this.presence.poll())
        this.#commands.push({ kind: 'presence', news });
      for (let news = this.quality.poll(); news; news = this.quality.poll())
        this.#commands.push({ kind: 'quality', news });
    }
  }

  /** What became of a request of ours, unless it was one of a call. */
  #handleClient(command: Exclude<TransactionCommand, { kind: 'send' | 'request' }>, nowMs: number): boolean {
    return (
      this.trunks.handle(command, nowMs) ||
      this.messages.handleClient(command, nowMs) ||
      this.presence.notifier.handleClient(command, nowMs)
    );
  }

  #handleRequest(command: Extract<TransactionCommand, { kind: 'request' }>, nowMs: number): void {
    const { message, id, flow, account } = command;
    if (message.method === 'REGISTER' && account !== undefined) {
      const response = this.registrar.handleRegister(message, flow, account, nowMs);
      this.registrations.answered(response.status);
      this.transactions.respond(id, withTag(response, hex(this.#options.crypto.randomBytes(8))), nowMs);
    } else if (message.to.tag !== undefined && this.presence.notifier.ownsDialog(message)) {
      this.presence.handleSubscribe(command, nowMs);
    } else if (message.to.tag !== undefined || message.method === 'INVITE') {
      this.calls.handle(command, nowMs);
    } else if (message.method === 'MESSAGE') {
      this.messages.handle(command, nowMs);
    } else if (message.method === 'SUBSCRIBE') {
      this.presence.handleSubscribe(command, nowMs);
    } else if (message.method === 'PUBLISH') {
      if (eventOf(message)?.name === VQ_EVENT) this.quality.handle(command, nowMs);
      else this.presence.handlePublish(command, nowMs);
    } else {
      // Admission lets only OPTIONS come this far.
      const { admission, registrar, directory } = this;
      // RFC 3903 8: those that are only published too.
      const allowEvents = `${this.presence.notifier.allowEvents}, ${VQ_EVENT}`;
      const by = { toTag: admission.tag(message), registrar, directory, allowEvents };
      this.transactions.respond(id, answerOptions(command, by, nowMs), nowMs);
    }
  }

  /**
   * For the ratios of RFC 6076. Of calls only those that we had to turn away count: whoever is no user, or asks for what is
   * not there, has not asked for a session that this server could have set up.
   */
  #countRefused({ method, to }: SipMessage, status: number): void {
    if (method === 'REGISTER') this.registrations.answered(status);
    else if (method === 'INVITE' && to.tag === undefined && status >= 500)
      this.calls.counters.caller.refused(status, 0);
  }

  #contact(flow: Flow): string {
    return flow.transport.startsWith('ws')
      ? `sip:${this.#options.domain};transport=ws`
      : `sip:${this.#hostPort(flow)}${flow.transport === 'udp' ? '' : `;transport=${flow.transport}`}`;
  }

  #hostPort(flow: Flow): string {
    const { address, port } = this.#options.addressOf?.(flow) ?? flow.local;
    return `${address.includes(':') ? `[${address}]` : address}:${port}`;
  }
}

function withTag(response: SipMessage, tag: string): SipMessage {
  return response.to.tag === undefined ? response.set('to', `${response.header('to')};tag=${tag}`) : response;
}
