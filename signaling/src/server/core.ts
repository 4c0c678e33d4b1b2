import { type Crypto, hex, type SipMessage, VQ_EVENT } from '@offhook/core';
import type { Ban } from '../auth/index.ts';
import type { CallSnapshot, Reach } from '../call/index.ts';
import type { DnsReply, Locate, Opened } from '../locate/index.ts';
import type { StreamInput } from '../media/index.ts';
import type { PagerMessage } from '../messaging/index.ts';
import { eventOf, type SubscriptionSnapshot } from '../presence/index.ts';
import type { Binding } from '../registrar/index.ts';
import type { AskedRoutes, Routed } from '../routing/index.ts';
import type { Flow, TransactionCommand } from '../transaction/index.ts';
import type { TrunkConfigs } from '../trunk/index.ts';
import type { SipCoreCommand, SipCoreOptions } from './core-seam.ts';
import { type Machines, machinesOf } from './machines.ts';
import { answerOptions } from './options-request.ts';

/**
 * The whole SIP server without sockets: transactions, authentication, registrar, calls and the client of the media
 * relay, composed into one machine (`machines.ts`). Everything a message causes happens before the handle call returns; then drain
 * `poll` and arm a timer from `nextTimeout`.
 */
export class SipCore {
  readonly transactions: Machines['transactions'];
  readonly authenticator: Machines['authenticator'];
  readonly bearer: Machines['bearer'];
  readonly registrar: Machines['registrar'];
  readonly registrations: Machines['registrations'];
  readonly calls: Machines['calls'];
  readonly media: Machines['media'];
  readonly trunks: Machines['trunks'];
  readonly messages: Machines['messages'];
  readonly presence: Machines['presence'];
  readonly quality: Machines['quality'];
  readonly admission: Machines['admission'];
  readonly bans: Machines['bans'];
  readonly shedding: Machines['shedding'];
  readonly locator: Machines['locator'];
  readonly directory: Machines['directory'];
  readonly route: Machines['route'];
  readonly #crypto: Crypto;
  readonly #asked: AskedRoutes;
  readonly #commands: SipCoreCommand[] = [];

  constructor(options: SipCoreOptions) {
    const machines = machinesOf(options);
    this.transactions = machines.transactions;
    this.authenticator = machines.authenticator;
    this.bearer = machines.bearer;
    this.registrar = machines.registrar;
    this.registrations = machines.registrations;
    this.calls = machines.calls;
    this.media = machines.media;
    this.trunks = machines.trunks;
    this.messages = machines.messages;
    this.presence = machines.presence;
    this.quality = machines.quality;
    this.admission = machines.admission;
    this.bans = machines.bans;
    this.shedding = machines.shedding;
    this.locator = machines.locator;
    this.directory = machines.directory;
    this.route = machines.route;
    this.#asked = machines.asked;
    this.#crypto = options.crypto;
  }

  /** Ways to a SIP URI (RFC 3263). */
  get locate(): Locate {
    return this.locator.locate;
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
      this.transactions.respond(id, withTag(response, hex(this.#crypto.randomBytes(8))), nowMs);
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
}

function withTag(response: SipMessage, tag: string): SipMessage {
  return response.to.tag === undefined ? response.set('to', `${response.header('to')};tag=${tag}`) : response;
}
