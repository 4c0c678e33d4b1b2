import type { NameAddr, SipMessage } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';
import { type Binding, identity } from './binding.ts';
import { firstHopKnowsOutbound } from './path.ts';

/** After so long without a keep-alive the phone is to take its connection for dead (RFC 5626 4.4, 9). */
const FLOW_TIMER_S = 120;

/** What a REGISTER asks of RFC 5626, and what it gets. */
export type Outbound =
  | { readonly kind: 'no' | 'done' }
  | { readonly kind: 'refused'; readonly status: number; readonly words: string };

/**
 * RFC 5626 6: whether a registration is by outbound. A phone that reaches us through proxies needs a first hop that keeps
 * its flow (439). An edge that is known to the configuration and does not say `ob` is let pass: its phones are registered
 * as if they had not asked, which the missing Require tells them.
 */
export function outboundOf(
  message: SipMessage,
  contacts: readonly NameAddr[],
  via: { readonly path: readonly string[]; readonly isEdge: boolean },
): Outbound {
  const wanted = contacts.filter((c) => c.params.get('expires') !== '0');
  const withRegId = wanted.filter((c) => identity(c).regId !== undefined);
  if (withRegId.length === 0) return { kind: 'no' };
  // "… any one of these header field values contain a "reg-id" … the entire registration SHOULD be rejected with a 400"
  if (wanted.length > 1) return { kind: 'refused', status: 400, words: 'A contact with reg-id has to be the only one' };
  if (!asksFor(message, 'outbound')) return { kind: 'no' };
  if (message.vias.length <= 1 || firstHopKnowsOutbound(via.path)) return { kind: 'done' };
  if (via.isEdge && !message.hasToken('require', 'outbound')) return { kind: 'no' };
  return { kind: 'refused', status: 439, words: 'First Hop Lacks Outbound Support' };
}

/** Whether a phone lists an extension, as something that it can do or has to have. */
export function asksFor(message: SipMessage, extension: string): boolean {
  return message.hasToken('supported', extension) || message.hasToken('require', extension);
}

/** What the 200 of a registration by outbound says (RFC 5626 6, 9). The keep-alives of a phone behind an edge are the edge's. */
export function outboundHeaders(flow: Flow, path: readonly string[]): (readonly [string, string | number])[] {
  const isOurs = flow.transport !== 'udp' && path.length === 0;
  return [['Require', 'outbound'], ...(isOurs ? [['Flow-Timer', FLOW_TIMER_S] as const] : [])];
}

/**
 * The contacts of a user as a call tries them: a target is one phone, with its flows as alternatives, the one that was
 * registered last first (RFC 5626 7); never two at once, for they ring the same phone. The order of the targets is that of
 * their best contact.
 */
export function targets(bindings: readonly Binding[]): readonly (readonly [Binding, ...Binding[]])[] {
  const phones = new Map<string, [Binding, ...Binding[]]>();
  for (const binding of bindings) {
    const { key, user, instanceId, regId } = binding;
    const phone = regId === undefined ? key : `${user} ${instanceId}`;
    const flows = phones.get(phone);
    if (flows) flows.push(binding);
    else phones.set(phone, [binding]);
  }
  for (const flows of phones.values()) flows.sort((a, b) => b.registeredAtMs - a.registeredAtMs);
  return [...phones.values()];
}

/** Whether an attempt failed because of its flow, so that the next one of the same phone is worth a try (RFC 5626 5.3, 7). */
export function isFlowFailure(outcome: number | 'timeout' | 'transport-error'): boolean {
  return typeof outcome === 'string' || outcome === 430 || outcome === 408;
}
