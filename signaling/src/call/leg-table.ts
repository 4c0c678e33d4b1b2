import { parseUri, type SipMessage } from '@offhook/core';
import { type Binding, isSameInstance } from '../registrar/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { Leg } from './call.ts';

/** All dialogs: those of calls by our tag and by user, and those of ended calls whose BYE is still under way. */
export class LegTable {
  readonly #legs = new Map<string, Leg>();
  readonly #byUser = new Map<string, Set<Leg>>();
  readonly #closing = new Map<string, Leg>();
  readonly #byes = new Map<string, Leg>();
  /** Phones that were away when their call ended, and the words for the BYE they get when they come back. */
  readonly #owed = new Map<Leg, string | undefined>();

  get size(): number {
    return this.#legs.size;
  }

  add(leg: Leg): void {
    this.#legs.set(leg.tag, leg);
    const siblings = this.#byUser.get(leg.user);
    if (siblings) siblings.add(leg);
    else this.#byUser.set(leg.user, new Set([leg]));
  }

  delete(leg: Leg): void {
    this.#legs.delete(leg.tag);
    const siblings = this.#byUser.get(leg.user);
    siblings?.delete(leg);
    if (siblings?.size === 0) this.#byUser.delete(leg.user);
  }

  /** The leg of a running call that a request belongs to. */
  find(request: SipMessage): Leg | undefined {
    const leg = this.#legs.get(request.to.tag ?? '');
    return leg?.dialog.owns(request) ? leg : undefined;
  }

  /** The leg whose phone knows its dialog by these: our tag and its own. */
  byDialog({ callId, toTag, fromTag }: { callId: string; toTag: string; fromTag: string }): Leg | undefined {
    const leg = this.#legs.get(toTag);
    return leg?.dialog.callId === callId && leg.dialog.remoteTag === fromTag ? leg : undefined;
  }

  /** The same for calls that we are just ending. */
  findClosing(request: SipMessage): Leg | undefined {
    const leg = this.#closing.get(request.to.tag ?? '');
    return leg?.dialog.owns(request) ? leg : undefined;
  }

  /** Legs of running calls that use this flow. */
  onFlow(flow: Flow): Leg[] {
    const candidates = flow.account === undefined ? this.#legs.values() : (this.#byUser.get(flow.account) ?? []);
    return [...candidates].filter((leg) => leg.dialog.flow === flow);
  }

  /** Legs, of ended calls too while a BYE is owed, of the phone that has registered. */
  ofPhone(binding: Binding): Leg[] {
    return [...(this.#byUser.get(binding.user) ?? []), ...this.#owed.keys()].filter(
      (leg) => leg.user === binding.user && isOfPhone(leg, binding),
    );
  }

  /** A BYE is under way in that transaction. */
  closing(leg: Leg, transaction: string): void {
    this.#closing.set(leg.tag, leg);
    this.#byes.set(transaction, leg);
  }

  /** That transaction has ended; nothing happens when it was no BYE. */
  closed(transaction: string): void {
    const leg = this.#byes.get(transaction);
    if (!leg) return;
    this.#byes.delete(transaction);
    this.#closing.delete(leg.tag);
  }

  owe(leg: Leg, words: string | undefined): void {
    this.#owed.set(leg, words);
  }

  isOwed(leg: Leg): boolean {
    return this.#owed.has(leg);
  }

  /** Takes the debt away; undefined when there was none. */
  settle(leg: Leg): { readonly words: string | undefined } | undefined {
    if (!this.#owed.has(leg)) return undefined;
    const words = this.#owed.get(leg);
    this.#owed.delete(leg);
    return { words };
  }
}

/**
 * Whether a leg is that of the phone behind a binding: the same instance (RFC 5626 4.1), else the same contact. The port
 * of a connection that is gone says nothing: it was a client's, and the next one has another.
 */
function isOfPhone(leg: Leg, { instanceId, contact }: Binding): boolean {
  if (leg.instance !== undefined && instanceId !== undefined) return isSameInstance(instanceId, leg.instance);
  const target = parseUri(leg.dialog.remoteTarget);
  if (target?.user !== contact.user || target?.host !== contact.host) return false;
  return target?.port === contact.port || (leg.isLost && leg.flow.transport !== 'udp');
}
