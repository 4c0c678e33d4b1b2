import { NameAddr, SipUri } from '@offhook/core';
import { type Binding, isFlowFailure } from '../registrar/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { Outgoing } from '../trunk/index.ts';
import type { Call } from './call.ts';
import type { CallContext } from './context.ts';
import { isWebTransport } from './media.ts';

/** Where one branch of a call goes, and what is written for it. */
export interface Destination {
  /** Whose leg it is: a user, or `trunk <name>`. */
  readonly user: string;
  /** Who that is in call lists. */
  readonly party: string;
  /** Request-URI. */
  readonly uri: string;
  /** From and To, without tags. */
  readonly from: string;
  readonly to: string;
  readonly flow: Flow;
  /** Route of the INVITE: the Path of a phone's edge proxies (RFC 3327 5.2), or an outbound proxy. */
  readonly route: readonly string[];
  readonly instance?: string;
  /** Another server, not a phone that registers here. */
  readonly isOutside?: boolean;
  /** The phone's own connection is a WebSocket. */
  readonly isWeb?: boolean;
  readonly headers: readonly (readonly [string, string])[];
  /** The line of a trunk. */
  readonly outgoing?: Outgoing;
  /** A redirection by its phone is followed: its user is rung alone. */
  readonly mayDivert?: boolean;
  /** Another way to the same target: its next address (RFC 3263 4.3), or the phone's other flow (RFC 5626 7). */
  readonly next?: (nowMs: number) => void;
  /** Whether that status says that this way is no good, rather than the target; silence always does. */
  readonly isNoWay: (status: number) => boolean;
}

/** Somebody who was to be called and passed it on (RFC 5806). */
export interface Diversion {
  readonly user: string;
  readonly reason: 'unconditional' | 'user-busy' | 'no-answer' | 'do-not-disturb' | 'deflection';
}

/** One phone of a user of ours. */
export function destinationOf(context: CallContext, call: Call, binding: Binding): Destination {
  return {
    user: binding.user,
    // A temporary GRUU says nothing of who is behind it.
    party: call.only?.user === binding.user ? call.callee : binding.user,
    uri: binding.contact.toString(),
    from: callerParty(context, call),
    to: addressOf(context, binding.user),
    flow: binding.flow,
    route: binding.path,
    instance: binding.instanceId,
    isWeb: isWebTransport(binding.contact.params.get('transport')),
    isNoWay: isFlowFailure,
    headers: diversionHeaders(context, call),
  };
}

/** An address of another server. */
export function destinationAt(context: CallContext, call: Call, uri: string, at: Pick<Destination, 'flow' | 'next'>) {
  const to = `<${uri.replace(/[<>"\s]/g, '')}>`;
  const from = callerParty(context, call);
  const destination: Destination = {
    user: uri,
    party: uri,
    uri,
    from,
    to,
    route: [],
    headers: [],
    isNoWay: isBusyServer,
    isOutside: true,
    ...at,
  };
  return destination;
}

/** A number over a trunk. */
export function destinationOver(
  context: CallContext,
  call: Call,
  outgoing: Outgoing,
  at: Pick<Destination, 'flow' | 'next'>,
): Destination {
  const { uri, from, to, route, headers } = outgoing;
  const all = [...headers, ...diversionHeaders(context, call)];
  return {
    user: `trunk ${outgoing.trunk}`,
    party: outgoing.number,
    uri,
    from,
    to,
    route,
    headers: all,
    outgoing,
    isNoWay: isBusyServer,
    isOutside: true,
    ...at,
  };
}

function isBusyServer(status: number): boolean {
  return status === 503;
}

/** Whether the caller wants not to be shown (RFC 3323 4.2, RFC 3325 7). */
export function isPrivate({ invite, arrived }: Call): boolean {
  if (arrived?.isPrivate) return true;
  const wishes = invite.header('privacy')?.toLowerCase().split(';') ?? [];
  return wishes.some((wish) => ['id', 'user', 'header'].includes(wish.trim()));
}

/** The caller as the called side is shown it. */
function callerParty(context: CallContext, call: Call): string {
  const { domain, displayName } = context.options;
  if (isPrivate(call)) return '"Anonymous" <sip:anonymous@anonymous.invalid>';
  const { showAs } = call.hunt ?? {};
  const user = showAs?.from ?? call.caller;
  // A number that an outside caller shows is no account's, whatever it looks like.
  const own = call.a.isOutside ? (call.arrived?.displayName ?? user) : displayName(user);
  const name = showAs?.displayName ?? own;
  return new NameAddr(new SipUri({ user, host: domain }), undefined, name).toString();
}

/** A user's address here. */
export function addressOf(context: CallContext, user: string): string {
  return new NameAddr(new SipUri({ user, host: context.options.domain })).toString();
}

/** The last one who passed the call on, the first last (RFC 5806 5.1: the most recent on top). */
function diversionHeaders(context: CallContext, call: Call): (readonly [string, string])[] {
  const diversions = call.hunt?.diversions ?? [];
  return diversions
    .toReversed()
    .map(({ user, reason }) => ['Diversion', `${addressOf(context, user)};reason=${reason}`] as const);
}
