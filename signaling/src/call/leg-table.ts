import type { SipMessage } from '@offhook/core';
import { type Binding, isPhone } from '../registrar/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { Leg } from './call.ts';
import type { EarlyDialog } from './prack.ts';

/** All dialogs: those of calls by our tag and by user, and those of ended calls whose BYE is still under way. */
export class LegTable {
  readonly #legs = new Map<string, Leg>();
  readonly #byUser = new Map<string, Set<Leg>>();
  readonly #byMediaTag = new Map<string, Leg>();
  readonly #closing = new Map<string, Leg>();
  /** Callers' legs by tags that they had before. */
  readonly #former = new Map<string, Leg>();
  readonly #byes = new Map<string, Leg>();
  /**
   * Phones whose call has ended and that may not be told yet: they were away, or have not acknowledged our 2xx. The words
   * are for the BYE they get when they come back, or have done so.
   */
  readonly #owed = new Map<Leg, string | undefined>();

  get size(): number {
    return this.#legs.size;
  }

  /** What is kept of dialogs that are over, for what may still come. */
  get remnants(): number {
    return this.#closing.size + this.#former.size + this.#byes.size + this.#owed.size;
  }

  add(leg: Leg): void {
    this.#legs.set(leg.tag, leg);
    this.#byMediaTag.set(leg.mediaTag, leg);
    const siblings = this.#byUser.get(leg.user);
    if (siblings) siblings.add(leg);
    else this.#byUser.set(leg.user, new Set([leg]));
  }

  /** Another tag for a leg: what its phone still says in the dialog before is understood as far as PRACK goes. */
  retag(leg: Leg, tag: string): void {
    this.#legs.delete(leg.tag);
    this.#former.set(leg.tag, leg);
    leg.formerTags = [...(leg.formerTags ?? []), leg.tag];
    leg.dialog.localTag = tag;
    this.#legs.set(tag, leg);
  }

  delete(leg: Leg): void {
    this.#legs.delete(leg.tag);
    this.#byMediaTag.delete(leg.mediaTag);
    for (const tag of leg.formerTags ?? []) this.#former.delete(tag);
    const siblings = this.#byUser.get(leg.user);
    siblings?.delete(leg);
    if (siblings?.size === 0) this.#byUser.delete(leg.user);
  }

  /** Whether a request belongs to a dialog of whatever kind. */
  knows(request: SipMessage): boolean {
    const found = this.find(request) ?? this.findEarly(request) ?? this.findFormer(request);
    return (found ?? this.findClosing(request)) !== undefined;
  }

  /** One of that user's legs, if there are at most so many. */
  ofUser(user: string, atMost: number): Leg | undefined {
    const legs = this.#byUser.get(user);
    return legs && legs.size <= atMost ? legs.values().next().value : undefined;
  }

  /** The leg that the relay knows by that tag. */
  ofMedia(tag: string): Leg | undefined {
    return this.#byMediaTag.get(tag);
  }

  /** The leg that a phone of that user knows by that Call-ID. */
  ofPhoneCall(user: string, callId: string): Leg | undefined {
    for (const leg of this.#byUser.get(user) ?? []) if (leg.dialog.callId === callId && !leg.isOutside) return leg;
    return undefined;
  }

  /** The leg that an ACK belongs to: of a running call, or of one that ended before it came. */
  findAcknowledged(ack: SipMessage): Leg | undefined {
    return this.find(ack) ?? this.findClosing(ack);
  }

  /** The leg of a running call that a request belongs to. */
  find(request: SipMessage): Leg | undefined {
    const leg = this.#legs.get(request.to.tag ?? '');
    return leg?.dialog.owns(request) ? leg : undefined;
  }

  /** The caller's leg that had the tag of a PRACK before. */
  findFormer({ method, callId, from, to }: SipMessage): Leg | undefined {
    const leg = method === 'PRACK' ? this.#former.get(to.tag ?? '') : undefined;
    return leg?.dialog.callId === callId && leg.dialog.remoteTag === from.tag ? leg : undefined;
  }

  /** The early dialog that a request of a called phone belongs to; a failure of the INVITE ends it (RFC 3261 12.3). */
  findEarly(request: SipMessage): EarlyDialog | undefined {
    const leg = this.#legs.get(request.to.tag ?? '');
    const early = leg?.dialog.callId === request.callId ? leg.early?.get(request.from.tag ?? '') : undefined;
    return early?.branch.state === 'failed' ? undefined : early;
  }

  /** The leg whose phone knows its dialog by these: our tag and its own. */
  byDialog({ callId, toTag, fromTag }: { callId: string; toTag: string; fromTag: string }): Leg | undefined {
    const leg = this.#legs.get(toTag);
    if (leg?.dialog.callId !== callId) return undefined;
    return leg.dialog.remoteTag === fromTag || leg.earlyTag === fromTag ? leg : undefined;
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
    const legs = this.#byUser.get(binding.user);
    if (legs === undefined && this.#owed.size === 0) return [];
    return [...(legs ?? []), ...this.#owed.keys()].filter(
      (leg) => leg.user === binding.user && isPhone(binding, ofLeg(leg)),
    );
  }

  /** A BYE is under way in that transaction, or the failure of an INVITE whose PRACK is still to come. */
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
    this.#closing.set(leg.tag, leg);
  }

  isOwed(leg: Leg): boolean {
    return this.#owed.has(leg);
  }

  /** Takes the debt away; undefined when there was none. */
  settle(leg: Leg): { readonly words: string | undefined } | undefined {
    if (!this.#owed.has(leg)) return undefined;
    const words = this.#owed.get(leg);
    this.#owed.delete(leg);
    this.#closing.delete(leg.tag);
    return { words };
  }
}

function ofLeg({ instance, dialog, flow, isLost }: Leg): Parameters<typeof isPhone>[1] {
  return { instance, remoteTarget: dialog.remoteTarget, flow, isLost };
}
