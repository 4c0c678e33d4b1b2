import type { SipMessage } from '@offhook/core';
import { type Binding, isPhone } from '../registrar/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { Leg } from './call.ts';
import type { EarlyDialog } from './prack.ts';

/** The dialogs of running calls, by our tag, by user and by the relay's tag. */
export class LegTable {
  readonly #legs = new Map<string, Leg>();
  readonly #byUser = new Map<string, Set<Leg>>();
  readonly #byMediaTag = new Map<string, Leg>();
  /** Callers' legs by tags that they had before. */
  readonly #former = new Map<string, Leg>();

  get size(): number {
    return this.#legs.size;
  }

  /** Tags that callers' legs had before. */
  get former(): number {
    return this.#former.size;
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
    return (this.find(request) ?? this.findEarly(request) ?? this.findFormer(request)) !== undefined;
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

  /** The leg that a request belongs to. */
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

  /** Legs that use this flow. */
  onFlow(flow: Flow): Leg[] {
    const candidates = flow.account === undefined ? this.#legs.values() : (this.#byUser.get(flow.account) ?? []);
    return [...candidates].filter((leg) => leg.dialog.flow === flow);
  }

  /** Legs of the phone that has registered. */
  ofPhone(binding: Binding): Leg[] {
    return [...(this.#byUser.get(binding.user) ?? [])].filter((leg) => isOfPhone(leg, binding));
  }
}

/** Whether the phone that has registered is that of a leg. */
export function isOfPhone({ instance, dialog, flow, isLost }: Leg, binding: Binding): boolean {
  return isPhone(binding, { instance, remoteTarget: dialog.remoteTarget, flow, isLost });
}
