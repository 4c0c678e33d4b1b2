import { type NameAddr, parseNameAddr, type SipMessage, type SipUri } from '@offhook/core';
import type { Located } from '../locate/index.ts';
import type { Flow } from '../transaction/index.ts';
import { domainOf } from './config.ts';
import type { Line } from './lines.ts';
import { contains } from './networks.ts';
import type { Trunk } from './trunk.ts';

/** A call that came in over a trunk, as routing and phones want to know it. */
export interface Arrived {
  readonly trunk: string;
  /** The caller's number, +E.164 as far as it can be known; `name@domain` of one without; `anonymous` when it is hidden. */
  readonly from: string;
  readonly displayName?: string;
  /** The user part here that the number leads to; the called number itself when it leads nowhere. */
  readonly to: string;
  /** The number that was called. */
  readonly number: string;
  /** The caller wants not to be shown (RFC 3323). */
  readonly isPrivate: boolean;
  /** No number of the trunk's `dids`: 404 with these words, unless somebody's rules know better. */
  readonly nowhere?: string;
}

/** The trunks as calls that come in see them. */
export interface InboundTrunks {
  /** Who calls whom in an INVITE that admission found to be of that trunk. */
  arrived(request: SipMessage, trunk: string): Arrived | undefined;
  /** A line for that call, or undefined: all are in use. To be released when the call is over. */
  take(trunk: string): Line | undefined;
  /** The line of a call that the process before this one had: out for that payer, or in. */
  retake(trunk: string, payer: string | undefined): Line | undefined;
  /** A way to a server of that trunk, for a call that is up. */
  find(trunk: string, nowMs: number, then: (result: Located, nowMs: number) => void): void;
}

/** Which trunk a request comes from. */
export interface TrunkSource {
  readonly trunk: string;
  /** Its Request-URI is the contact that we registered, whatever host that has. */
  readonly isContact: boolean;
}

const NOBODY = /^(anonymous|unavailable|unknown|restricted|private)$/i;
const MAX_USER = 64;

/**
 * The trunk a request comes from. An IP trunk is known by its address: one that is configured, or one that its targets
 * resolve to. A trunk that registers is known by both the address of its registrar and the contact that was registered.
 */
export function trunkOf(
  trunks: Iterable<Trunk>,
  request: SipMessage,
  by: { readonly flow: Flow; readonly nowMs: number },
): TrunkSource | undefined {
  const { flow, nowMs } = by;
  if (flow.account !== undefined || flow.transport.startsWith('ws')) return undefined;
  const user = request.target?.user;
  let byAddress: Trunk | undefined;
  for (const trunk of trunks) {
    const isListed = trunk.networks.some((network) => contains(network, flow.remote));
    const { registration, contactUser } = trunk;
    const isPeer = isListed || registration?.flow === flow || trunk.targets.some((t) => t.isSource(flow, nowMs));
    if (!isPeer) continue;
    if (registration && user === contactUser) return { trunk: trunk.name, isContact: true };
    if (registration && !isListed) continue;
    // Two trunks of one provider: the one that has the called number.
    if (!byAddress || (user !== undefined && !hasNumber(byAddress, user) && hasNumber(trunk, user))) byAddress = trunk;
  }
  return byAddress && { trunk: byAddress.name, isContact: false };
}

function hasNumber(trunk: Trunk, user: string): boolean {
  return trunk.dids.find(trunk.plan.fromTrunk(numberPart(user))) !== undefined;
}

export function arrivedOver(trunk: Trunk, request: SipMessage): Arrived {
  const { name, plan, dids } = trunk;
  const number = plan.fromTrunk(calledNumber(trunk, request));
  const target = dids.find(number);
  const { user, displayName, isPrivate } = callerOf(trunk, request);
  return {
    trunk: name,
    from: isPrivate ? 'anonymous' : callerNumber(trunk, user),
    ...(isPrivate || displayName === undefined ? {} : { displayName }),
    to: target ?? number,
    number,
    isPrivate,
    ...(target === undefined ? { nowhere: leadsNowhere(name, number) } : {}),
  };
}

export function leadsNowhere(trunk: string, number: string): string {
  return `the number ${number.slice(0, MAX_USER).replace(/\p{Cc}/gu, '?')} leads nowhere: no \`dids\` entry of trunk '${trunk}'`;
}

/** What is no number is an address there: a stranger who calls himself like a user of ours is not taken for that user. */
function callerNumber({ plan, config }: Trunk, user: string): string {
  const number = plan.fromTrunk(user);
  return /^\+?[0-9*#]+$/.test(number) ? number : `${number}@${domainOf(config)}`;
}

/** The Request-URI, unless that is our contact: then the number is where the provider has put it instead. */
function calledNumber({ contactUser }: Trunk, request: SipMessage): string {
  const user = request.target?.user;
  if (user !== undefined && user !== contactUser) return numberPart(user);
  // RFC 7315 4.2: what the Request-URI was before it became a contact.
  const called = parseNameAddr(request.values('p-called-party-id')[0] ?? '')?.uri;
  return userOf(called) ?? userOf(request.to.uri) ?? '';
}

/** RFC 3325 5: what a trunk asserts is believed; else From. */
function callerOf(
  { config }: Trunk,
  request: SipMessage,
): { user: string; displayName: string | undefined; isPrivate: boolean } {
  const asserted = identityIn(request, 'p-asserted-identity');
  const remote = config.identity === 'remote-party-id' ? identityIn(request, 'remote-party-id') : undefined;
  const shown = asserted ?? remote ?? request.from;
  const user = userOf(shown.uri) ?? '';
  const privacy = request.values('privacy').flatMap((value) => value.toLowerCase().split(/[;\s]+/));
  const isPrivate =
    privacy.some((value) => value === 'id' || value === 'user' || value === 'header') ||
    !['', 'off', undefined].includes(remote?.params.get('privacy')?.toLowerCase()) ||
    request.from.uri.host.endsWith('anonymous.invalid') ||
    NOBODY.test(userOf(request.from.uri) ?? '') ||
    user === '' ||
    NOBODY.test(user);
  return { user, displayName: shown.displayName?.slice(0, MAX_USER), isPrivate };
}

function identityIn(request: SipMessage, header: string): NameAddr | undefined {
  for (const value of request.values(header).slice(0, 4)) {
    const parsed = parseNameAddr(value);
    if (parsed && userOf(parsed.uri) !== undefined) return parsed;
  }
  return undefined;
}

/** The user of a sip: address, the number of a tel: one (RFC 3966). */
function userOf(uri: SipUri | undefined): string | undefined {
  const user = uri?.scheme === 'tel' ? uri.opaque : uri?.user;
  return user === undefined || user === '' ? undefined : numberPart(user);
}

/** Without the parameters that a number may carry (`;npdi`, `;phone-context=…`). */
function numberPart(user: string): string {
  return user.split(';', 1)[0]!.slice(0, MAX_USER);
}
