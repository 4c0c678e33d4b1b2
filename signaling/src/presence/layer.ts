import { type Crypto, hex, type SipUri, utf8 } from '@offhook/core';
import type { CallSummary } from '../call/index.ts';
import type { Binding, Gruu } from '../registrar/index.ts';
import type { UserSettings } from '../store/index.ts';
import type { Flow, TransactionCommand, TransactionLayer } from '../transaction/index.ts';
import { DIALOG_INFO, Dialogs, writeDialogInfo } from './dialogs.ts';
import type { EventPackage } from './event-package.ts';
import { MESSAGE_SUMMARY, writeMessageSummary } from './message-summary.ts';
import { Notifier } from './notifier.ts';
import { PIDF, writePidf } from './pidf.ts';
import { compose, type Presence } from './presence.ts';
import { Publications } from './publications.ts';
import { REG_INFO, writeRegInfo } from './reg-info.ts';
import type { SubscriptionLimits } from './subscription.ts';

export interface PresenceLayerOptions {
  readonly crypto: Crypto;
  readonly transactions: Pick<TransactionLayer, 'request' | 'respond'>;
  readonly domain: string;
  /** What names of dialogs are made with. */
  readonly secret: Uint8Array;
  readonly isUser: (user: string) => boolean;
  readonly settings: (user: string) => UserSettings;
  readonly lookup: (user: string, nowMs: number) => readonly Binding[];
  readonly resolveGruu: (uri: SipUri) => Gruu | undefined;
  readonly contact: (flow: Flow) => string;
  /** Whether that user may take calls of the other, and so may know whose they are. */
  readonly mayPickUp: (user: string, of: string) => boolean;
  /** Messages that wait for a user. */
  readonly waiting: (user: string) => number;
  /** Event packages that are published to others than this. */
  readonly otherEvents: readonly string[];
  readonly limits?: SubscriptionLimits;
}

/** Somebody's presence is another than before. */
export interface PresenceNews {
  readonly user: string;
  readonly presence: Presence;
}

/**
 * What users are doing, and who watches it: presence (RFC 3856) from registrations, calls, the users' own settings and what
 * phones publish (RFC 3903); dialogs for busy lamps (RFC 4235); waiting messages (RFC 3842); registrations (RFC 3680).
 */
export class PresenceLayer {
  readonly notifier: Notifier;
  readonly publications: Publications;
  readonly #options: PresenceLayerOptions;
  readonly #dialogs = new Dialogs();
  /** What was told last; users who are offline and say nothing are not kept. */
  readonly #told = new Map<string, Presence>();
  readonly #news: PresenceNews[] = [];

  constructor(options: PresenceLayerOptions) {
    this.#options = options;
    const { crypto, transactions, isUser, resolveGruu, contact, otherEvents, limits } = options;
    this.publications = new Publications({ crypto, resolveGruu, otherEvents });
    this.notifier = new Notifier({
      crypto,
      transactions,
      packages: this.#packages(),
      isUser,
      resolveGruu,
      contact,
      limits,
    });
  }

  poll(): PresenceNews | undefined {
    return this.#news.shift();
  }

  nextTimeout(): number | undefined {
    const [a, b] = [this.notifier.nextTimeout(), this.publications.nextTimeout()];
    return a === undefined || (b !== undefined && b < a) ? b : a;
  }

  handleTimeout(nowMs: number): void {
    this.notifier.handleTimeout(nowMs);
    for (const user of this.publications.handleTimeout(nowMs)) this.handleChanged(user, nowMs);
  }

  presenceOf(user: string, nowMs: number): Presence {
    const { lookup, settings } = this.#options;
    return compose({
      isRegistered: lookup(user, nowMs).length > 0,
      isTalking: this.#dialogs.isTalking(user),
      published: this.publications.of(user),
      settings: settings(user),
    });
  }

  /** SUBSCRIBE, and whatever comes within a subscription. */
  handleSubscribe(got: Extract<TransactionCommand, { kind: 'request' }>, nowMs: number): void {
    this.notifier.handle(got, nowMs);
  }

  handlePublish(got: Extract<TransactionCommand, { kind: 'request' }>, nowMs: number): void {
    const { id, message, account = '' } = got;
    const { crypto, transactions } = this.#options;
    transactions.respond(id, this.publications.handle(message, account, hex(crypto.randomBytes(8)), nowMs), nowMs);
    this.handleChanged(account, nowMs);
  }

  /** A call began, rings, was answered or has ended. */
  handleCall(call: CallSummary, nowMs: number): void {
    for (const user of this.#dialogs.handle(call)) {
      this.notifier.changed('dialog', user, nowMs);
      this.handleChanged(user, nowMs);
    }
  }

  /** Another contact of a user, one less, or one that is known still: that changes nothing of the user's presence. */
  handleRegistration(user: string, isRefresh: boolean, nowMs: number): void {
    this.notifier.changed('reg', user, nowMs);
    if (!isRefresh) this.handleChanged(user, nowMs);
  }

  /** How many messages wait for a user is another number now. */
  handleWaiting(user: string, nowMs: number): void {
    this.notifier.changed('message-summary', user, nowMs);
  }

  /** Something that a user's presence depends on has changed: whoever watches is told, if it makes a difference. */
  handleChanged(user: string, nowMs: number): void {
    const presence = this.presenceOf(user, nowMs);
    const before = this.#told.get(user) ?? OFFLINE;
    if (before.status === presence.status && before.note === presence.note) return;
    if (presence.status === 'offline' && presence.note === undefined) this.#told.delete(user);
    else this.#told.set(user, presence);
    this.#news.push({ user, presence });
    this.notifier.changed('presence', user, nowMs);
  }

  removeUser(user: string, nowMs: number): void {
    this.publications.removeUser(user);
    this.notifier.removeUser(user, nowMs);
    this.#told.delete(user);
  }

  #packages(): EventPackage[] {
    const { crypto, secret, domain, lookup, mayPickUp, waiting } = this.#options;
    const uri = (user: string) => `sip:${user}@${domain}`;
    const own = (what: string) => (watcher: string, resource: string) =>
      watcher === resource ? undefined : `${what} of ${resource} are for ${resource} only`;
    return [
      {
        name: 'presence',
        type: PIDF,
        defaultS: 3600,
        write: ({ resource }, nowMs) => writePidf(uri(resource), this.presenceOf(resource, nowMs)),
      },
      {
        name: 'dialog',
        type: DIALOG_INFO,
        defaultS: 3600,
        write: ({ watcher, resource, version }) =>
          writeDialogInfo(
            {
              user: resource,
              domain,
              dialogs: this.#dialogs.of(resource),
              nameOf: (call) => hex(crypto.hmac('sha1', secret, utf8(`${call} ${resource}`)).subarray(0, 8)),
            },
            { version, seesParties: watcher === resource || mayPickUp(watcher, resource) },
          ),
      },
      {
        name: 'message-summary',
        type: MESSAGE_SUMMARY,
        defaultS: 3600,
        refusal: own('the waiting messages'),
        write: ({ resource }) => writeMessageSummary(resource, domain, waiting(resource)),
      },
      {
        name: 'reg',
        type: REG_INFO,
        defaultS: 3600,
        refusal: own('the registrations'),
        write: ({ resource, version }, nowMs) =>
          writeRegInfo({ user: resource, domain, bindings: lookup(resource, nowMs) }, version, nowMs),
      },
    ];
  }
}

const OFFLINE: Presence = { status: 'offline' };
