import { type Crypto, createResponse, Deadlines, hex, type SipMessage, type SipUri } from '@offhook/core';
import { type Reach, refusal } from '../call/index.ts';
import { Dialog } from '../dialog/index.ts';
import { type Binding, type Gruu, isPhone, rerouted } from '../registrar/index.ts';
import type { Flow, TransactionCommand, TransactionLayer } from '../transaction/index.ts';
import { accepts, type EventPackage, eventOf } from './event-package.ts';
import { restored, type SubscriptionSnapshot, snapshotOf } from './snapshot.ts';
import { SUBSCRIPTION_LIMITS, type Subscription, type SubscriptionLimits, SubscriptionTable } from './subscription.ts';

export interface NotifierOptions {
  readonly crypto: Crypto;
  readonly transactions: Pick<TransactionLayer, 'request' | 'respond'>;
  readonly packages: readonly EventPackage[];
  readonly isUser: (user: string) => boolean;
  readonly resolveGruu: (uri: SipUri) => Gruu | undefined;
  /** Our address as a Contact URI, as the phones on that flow reach it. */
  readonly contact: (flow: Flow) => string;
  readonly limits?: SubscriptionLimits;
}

/** What another process would have to know. */
export type NotifierCommand =
  | { readonly kind: 'remember'; readonly subscription: SubscriptionSnapshot }
  | { readonly kind: 'forget'; readonly tag: string };

/** How long phones have to come back after a restart before watchers are told how things stand. */
const COME_BACK_MS = 20_000;
/** Numbers of NOTIFYs and documents are written down so often; a restored subscription leaves twice as many out. */
const REMEMBER_EVERY = 500;

interface Refusal {
  readonly status: number;
  readonly words: string;
  readonly headers?: readonly (readonly [string, string | number])[];
}

type Request = Extract<TransactionCommand, { kind: 'request' }>;

/**
 * The notifier (RFC 6665 4.2): subscriptions of phones to what packages know of users. One NOTIFY at a time is under way in a
 * subscription; what changes meanwhile is told by the next one, so a slow watcher gets the newest state and no backlog.
 */
export class Notifier {
  readonly counters = { subscribed: 0, refreshed: 0, refused: 0, notified: 0, failed: 0, expired: 0 };
  readonly #options: NotifierOptions;
  readonly #limits: SubscriptionLimits;
  readonly #packages: ReadonlyMap<string, EventPackage>;
  readonly #table = new SubscriptionTable();
  readonly #expiries = new Deadlines<Subscription>();
  /** Subscriptions of a process before this one, until all phones have had time to come back. */
  readonly #restored = new Deadlines<Subscription>();
  readonly #clients = new Map<string, Subscription>();
  readonly #commands: NotifierCommand[] = [];

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#limits = options.limits ?? SUBSCRIPTION_LIMITS;
    this.#packages = new Map(options.packages.map((one) => [one.name, one]));
  }

  get size(): number {
    return this.#table.size;
  }

  /** NOTIFYs that have not been answered. */
  get remnants(): number {
    return this.#clients.size;
  }

  /** Names for Allow-Events. */
  get allowEvents(): string {
    return [...this.#packages.keys()].join(', ');
  }

  poll(): NotifierCommand | undefined {
    return this.#commands.shift();
  }

  nextTimeout(): number | undefined {
    const [a, b] = [this.#expiries.next(), this.#restored.next()];
    return a === undefined || (b !== undefined && b < a) ? b : a;
  }

  handleTimeout(nowMs: number): void {
    for (let one = this.#restored.expire(nowMs); one; one = this.#restored.expire(nowMs)) this.#tell(one, nowMs);
    for (let one = this.#expiries.expire(nowMs); one; one = this.#expiries.expire(nowMs)) {
      this.counters.expired++;
      this.#end(one, 'timeout', nowMs);
    }
  }

  /** Takes over a subscription of a process before this one. */
  restore(snapshot: SubscriptionSnapshot, reach: Reach, nowMs: number): boolean {
    const of = this.#packages.get(snapshot.event);
    const { watcher, resource, expiresAtMs } = snapshot;
    const { isUser } = this.#options;
    if (!of || expiresAtMs <= nowMs || !isUser(watcher) || !isUser(resource)) {
      this.#commands.push({ kind: 'forget', tag: snapshot.localTag });
      return false;
    }
    const subscription = restored(snapshot, { of, ...reach(snapshot.flow), contact: this.#options.contact });
    this.#table.add(subscription);
    this.#expiries.set(subscription, subscription.expiresAtMs);
    this.#restored.set(subscription, nowMs + COME_BACK_MS);
    // Its numbers have gone up: the next process must not begin below them.
    this.#remember(subscription);
    return true;
  }

  ownsDialog(request: SipMessage): boolean {
    return this.#table.byTag(request.to.tag ?? '')?.dialog.owns(request) ?? false;
  }

  /** Whose dialog a request belongs to, and where its phone was reached last. */
  homeOf(request: SipMessage): { readonly flow: Flow; readonly user: string } | undefined {
    const subscription = this.#table.byTag(request.to.tag ?? '');
    return subscription?.dialog.owns(request)
      ? { flow: subscription.dialog.flow, user: subscription.watcher }
      : undefined;
  }

  /** A SUBSCRIBE, or whatever else comes within a subscription. */
  handle(got: Request, nowMs: number): void {
    const { message } = got;
    if (message.to.tag === undefined) this.#subscribe(got, nowMs);
    else this.#handleWithin(got, nowMs);
  }

  /** What became of a NOTIFY; false when the request is none of ours. */
  handleClient(command: TransactionCommand, nowMs: number): boolean {
    if (!('id' in command)) return false;
    const subscription = this.#clients.get(command.id);
    if (!subscription) return false;
    switch (command.kind) {
      case 'response':
        if (command.message.status >= 200) this.#answered(subscription, command.message, nowMs);
        return true;
      case 'timeout':
        this.counters.failed++;
        this.#drop(subscription);
        return true;
      case 'transport-error':
        this.counters.failed++;
        subscription.isTelling = false;
        subscription.isStale = true;
        subscription.isLost = true;
        return true;
      case 'terminated':
        this.#clients.delete(command.id);
        return true;
      default:
        return true;
    }
  }

  /** Something of that state has changed: all who watch it are told. */
  changed(name: string, resource: string, nowMs: number): void {
    for (const subscription of this.#table.ofState(name, resource)) this.#tell(subscription, nowMs);
  }

  /** Its phones may be back soon, under the same name. */
  handleFlowClosed(flow: Flow): void {
    for (const subscription of this.#table.onFlow(flow)) subscription.isLost = true;
  }

  /** A phone has registered: what it watches follows it to its new connection, and behind an edge to its new Path. */
  handleRegistered(binding: Binding, nowMs: number, before?: Binding): void {
    for (const subscription of this.#table.ofWatcher(binding.user)) {
      const { dialog, instance, isLost } = subscription;
      const phone = { instance, remoteTarget: dialog.remoteTarget, flow: dialog.flow, isLost };
      if (!isPhone(binding, phone)) continue;
      const routeSet = rerouted(dialog.routeSet, binding.path, before?.path);
      if (routeSet) dialog.routeSet = routeSet;
      if (dialog.flow === binding.flow && !isLost) continue;
      this.#table.move(subscription, binding.flow);
      subscription.isLost = false;
      this.#remember(subscription);
      if (subscription.isStale) this.#tell(subscription, nowMs);
    }
  }

  /** An account is gone: nobody watches it, and it watches nobody. */
  removeUser(user: string, nowMs: number): void {
    for (const subscription of [...this.#table.all()])
      if (subscription.watcher === user || subscription.resource === user)
        this.#end(subscription, subscription.watcher === user ? 'rejected' : 'noresource', nowMs);
  }

  /** The server stops: watchers may subscribe anew at once, here or elsewhere (RFC 6665 4.1.3). */
  stop(nowMs: number): void {
    for (const subscription of [...this.#table.all()]) this.#end(subscription, 'deactivated', nowMs);
  }

  #subscribe(got: Request, nowMs: number): void {
    const { id, message, flow, account = '' } = got;
    const wanted = this.#read(message, account);
    if ('status' in wanted) {
      this.#refuse(id, message, wanted, nowMs);
      return;
    }
    const { of, eventId, resource, seconds, contact } = wanted;
    const subscription: Subscription = {
      dialog: Dialog.ofInvite(message, { localTag: this.#tag(), flow, contact: this.#options.contact }),
      watcher: account,
      instance: contact.params.get('+sip.instance') ?? (contact.uri.params.get('gr') || undefined),
      of,
      resource,
      eventId,
      expiresAtMs: nowMs + seconds * 1000,
      version: 0,
      isTelling: false,
      isStale: false,
      isLost: false,
    };
    this.counters.subscribed++;
    const same = [...this.#table.ofState(of.name, resource)].filter(({ watcher }) => watcher === account);
    if (same.length >= this.#limits.perState) this.#drop(same[0]!);
    this.#table.add(subscription);
    this.#welcome(got, subscription, seconds, nowMs);
  }

  /** What a new SUBSCRIBE asks for (4.2.1), or what to answer. */
  #read(message: SipMessage, watcher: string) {
    const { perWatcher, all } = this.#limits;
    const allow: Refusal['headers'] = [['Allow-Events', this.allowEvents]];
    const event = eventOf(message);
    if (!event) return no(489, 'a SUBSCRIBE needs an Event', allow);
    const of = this.#packages.get(event.name);
    if (!of) return no(489, `'${event.name}' can't be watched here, but ${this.allowEvents}`, allow);
    const target = message.target;
    const resource = (target && this.#options.resolveGruu(target))?.user ?? target?.user ?? '';
    if (!this.#options.isUser(resource)) return no(404, `there is no user '${resource.slice(0, 64)}'`);
    const forbidden = of.refusal?.(watcher, resource);
    if (forbidden !== undefined) return no(403, forbidden);
    if (!accepts(message, of.type)) return no(406, `the state of '${of.name}' is ${of.type}`);
    const seconds = this.#seconds(message, of);
    if (typeof seconds !== 'number') return seconds;
    const { contacts } = message;
    const contact = contacts === '*' ? undefined : contacts?.[0];
    if (!contact?.uri.isSip) return no(400, 'a SUBSCRIBE needs a Contact, where it is told what happens');
    if (this.#table.ofWatcher(watcher).size >= perWatcher)
      return no(403, `${watcher} watches ${perWatcher} states already`);
    if (this.#table.size >= all) return no(503, 'too many subscriptions are here already', [['Retry-After', 300]]);
    return { of, eventId: event.id, resource, seconds, contact };
  }

  /** Refresh and end (4.2.1.1), both answered by the whole state. */
  #handleWithin(got: Request, nowMs: number): void {
    const { id, message, flow } = got;
    const subscription = this.#table.byTag(message.to.tag ?? '');
    const seconds = this.#readWithin(message, subscription);
    if (!subscription || typeof seconds !== 'number') {
      this.#refuse(id, message, typeof seconds === 'number' ? GONE : seconds, nowMs);
      return;
    }
    const { dialog, watcher } = subscription;
    dialog.retarget(message);
    // Admission has seen to it that who comes from elsewhere has shown a password.
    if (flow.account === undefined ? dialog.flow.account === undefined : flow.account === watcher) {
      this.#table.move(subscription, flow);
      subscription.isLost = false;
    }
    subscription.expiresAtMs = nowMs + seconds * 1000;
    this.counters.refreshed++;
    this.#welcome(got, subscription, seconds, nowMs);
  }

  /** How long a subscription shall go on, or what to answer. */
  #readWithin(message: SipMessage, subscription: Subscription | undefined): number | Refusal {
    if (!subscription?.dialog.owns(message)) return GONE;
    const { dialog, of } = subscription;
    if (message.method !== 'SUBSCRIBE')
      return no(405, `${message.method.slice(0, 32)} is not possible here`, [['Allow', 'SUBSCRIBE, NOTIFY']]);
    if (!dialog.accepts(message)) return no(500, 'CSeq out of order');
    const event = eventOf(message);
    if (event && event.name !== of.name) return no(481, `this subscription is one to '${of.name}'`);
    return this.#seconds(message, of);
  }

  /** Takes a SUBSCRIBE in, and tells how things stand (4.2.1.2). Whoever asks for 0 seconds wants to know once. */
  #welcome({ id, message, flow }: Request, subscription: Subscription, seconds: number, nowMs: number): void {
    const { dialog } = subscription;
    const ok = createResponse(message, 200, undefined, {
      toTag: dialog.localTag,
      headers: [
        ['Expires', seconds],
        ['Contact', `<${this.#options.contact(flow)}>`],
        ['Allow-Events', this.allowEvents],
      ],
    });
    this.#options.transactions.respond(id, ok, nowMs);
    if (seconds === 0) this.#end(subscription, 'timeout', nowMs);
    else {
      this.#expiries.set(subscription, subscription.expiresAtMs);
      this.#tell(subscription, nowMs);
      this.#remember(subscription);
    }
  }

  #seconds(message: SipMessage, of: EventPackage): number | Refusal {
    const { minS, maxS } = this.#limits;
    const asked = message.expires ?? of.defaultS;
    if (asked > 0 && asked < minS) return no(423, `subscriptions last ${minS} s at least`, [['Min-Expires', minS]]);
    return Math.min(asked, maxS);
  }

  #refuse(id: string, message: SipMessage, { status, words, headers }: Refusal, nowMs: number): void {
    this.counters.refused++;
    this.#options.transactions.respond(id, refusal(message, status, words, this.#tag(), headers), nowMs);
  }

  #tell(subscription: Subscription, nowMs: number): void {
    subscription.isStale = subscription.isTelling || subscription.isLost;
    if (subscription.isStale) return;
    subscription.isTelling = true;
    const left = Math.max(0, Math.ceil((subscription.expiresAtMs - nowMs) / 1000));
    this.#notify(subscription, `active;expires=${left}`, nowMs);
  }

  #notify(subscription: Subscription, state: string, nowMs: number): void {
    const { dialog, of, eventId, watcher, resource } = subscription;
    this.counters.notified++;
    if (subscription.version % REMEMBER_EVERY === REMEMBER_EVERY - 1) this.#remember(subscription);
    const document = of.write({ watcher, resource, version: subscription.version++ }, nowMs);
    const request = dialog.request('NOTIFY', {
      headers: [
        ['Event', eventId === undefined ? of.name : `${of.name};id=${eventId}`],
        ['Subscription-State', state],
      ],
      body: { type: of.type, bytes: document },
    });
    this.#clients.set(this.#options.transactions.request(request, dialog.flow, nowMs), subscription);
  }

  #answered(subscription: Subscription, answer: SipMessage, nowMs: number): void {
    const { status } = answer;
    subscription.isTelling = false;
    if (status >= 300) {
      this.counters.failed++;
      // RFC 6665 4.2.2: what may be better next time leaves the subscription; everything else ends it.
      if (status !== 500 && status !== 503 && status !== 491) {
        this.#drop(subscription);
        return;
      }
    }
    if (subscription.isStale && this.#table.byTag(subscription.dialog.localTag)) this.#tell(subscription, nowMs);
  }

  /** The last NOTIFY says that it is over. */
  #end(subscription: Subscription, reason: string, nowMs: number): void {
    this.#drop(subscription);
    if (!subscription.isLost) this.#notify(subscription, `terminated;reason=${reason}`, nowMs);
  }

  #remember(subscription: Subscription): void {
    this.#commands.push({ kind: 'remember', subscription: snapshotOf(subscription) });
  }

  #drop(subscription: Subscription): void {
    if (this.#table.delete(subscription)) this.#commands.push({ kind: 'forget', tag: subscription.dialog.localTag });
    this.#expiries.delete(subscription);
    this.#restored.delete(subscription);
  }

  #tag(): string {
    return hex(this.#options.crypto.randomBytes(10));
  }
}

const no = (status: number, words: string, headers?: Refusal['headers']): Refusal => ({ status, words, headers });
const GONE = no(481, 'this subscription does not exist (any more)');
