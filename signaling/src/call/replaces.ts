import type { SipMessage } from '@offhook/core';
import { type Call, type Leg, otherLeg } from './call.ts';
import type { CallContext } from './context.ts';
import { fetchLeg } from './fetch.ts';
import { pickUpCall } from './pick-up.ts';

/** A dialog as Replaces names it (RFC 3891 3): the tags as its phone sees them, or as we do. */
export interface Replaces {
  readonly callId: string;
  readonly toTag: string;
  readonly fromTag: string;
  readonly isEarlyOnly: boolean;
}

/** `call-id;to-tag=…;from-tag=…;early-only`; undefined when a part is missing. */
export function parseReplaces(value: string): Replaces | undefined {
  const [callId = '', ...params] = value.split(';').map((part) => part.trim());
  const tag = (name: string) => params.find((p) => p.toLowerCase().startsWith(`${name}=`))?.slice(name.length + 1);
  const [toTag, fromTag] = [tag('to-tag'), tag('from-tag')];
  if (callId === '' || !toTag || !fromTag) return undefined;
  return { callId, toTag, fromTag, isEarlyOnly: params.some((p) => p.toLowerCase() === 'early-only') };
}

/** What an INVITE with Replaces takes over: a leg of an answered call, or a call that rings. */
export type Replaced = { readonly leg: Leg } | { readonly ringing: Call };

/** Finds what is to be replaced, or says why it can't be (RFC 3891 3). */
export function replacedBy(
  context: CallContext,
  invite: SipMessage,
  by: string,
): Replaced | { readonly status: number; readonly words: string } {
  const values = invite.headers('replaces');
  const replaces = values.length === 1 && !invite.header('join') ? parseReplaces(values[0]!) : undefined;
  if (!replaces)
    return { status: 400, words: 'one Replaces with call-id, to-tag and from-tag is possible, and no Join' };
  const { callId, toTag, fromTag } = replaces;
  const leg =
    context.findLeg({ callId, toTag, fromTag }) ?? context.findLeg({ callId, toTag: fromTag, fromTag: toTag });
  if (!leg) return { status: 481, words: 'the call to be replaced does not exist (any more)' };
  if (leg.user !== by && !context.options.mayPickUp(by, leg.user))
    return { status: 403, words: `${by} may not take calls of ${leg.user}: they are in no group together` };
  const { call } = leg;
  // RFC 3891 3: an early dialog is replaced on the side that is called.
  if (leg === call.a && call.state !== 'answered') return { status: 481, words: 'that call is not answered yet' };
  if (call.state === 'setup' || call.state === 'ringing') return { ringing: call };
  if (replaces.isEarlyOnly) return { status: 486, words: 'the call to be replaced was answered already' };
  if (call.state !== 'answered' || !otherLeg(leg)) return { status: 603, words: 'the call to be replaced is over' };
  if (call.pending) return { status: 491, words: 'another change of the call to be replaced is under way' };
  return { leg };
}

/** The new call takes the place of the old leg: its other side becomes the new call's. */
export function replace(context: CallContext, call: Call, target: Replaced, nowMs: number): void {
  if ('ringing' in target) {
    pickUpCall(context, call, target.ringing, nowMs);
    return;
  }
  const { leg } = target;
  const move = { state: 'stays' as const, waiting: [] };
  fetchLeg(context, call, otherLeg(leg)!, { from: leg.call, leaving: leg, move }, nowMs);
}
