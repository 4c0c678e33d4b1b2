import { type NameAddr, parseUri, type SipMessage, type SipUri } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';

/** One contact of a user (RFC 3261 10): where it said it is, and the flow that reaches it there. */
export interface Binding {
  /** The same for as long as this contact is refreshed or replaced, whatever of it changes. */
  readonly key: string;
  readonly user: string;
  readonly contact: SipUri;
  readonly flow: Flow;
  /** Route values towards it from the flow on, as the proxies between wrote them (RFC 3327); empty when there are none. */
  readonly path: readonly string[];
  /** 0 to 1; higher is preferred. */
  readonly q: number;
  /** The contact's URI as the phone wrote it, because some compare what comes back letter by letter. */
  readonly written: string;
  /** +sip.instance and reg-id (RFC 5626 4.1): the same phone on a new connection replaces its old binding. */
  readonly instanceId?: string;
  readonly regId?: string;
  /** When it was registered or refreshed last. */
  readonly registeredAtMs: number;
  readonly expiresAtMs: number;
  readonly callId: string;
  readonly cseq: number;
  readonly userAgent?: string;
  /** Media types of messages that the phone says it reads, lower case (RFC 3840 `type`). */
  readonly reads?: readonly string[];
}

/** A binding, or a contact of the request at hand that will be one. */
export type Renewable = Pick<Binding, 'contact' | 'instanceId' | 'regId'> & Partial<Pick<Binding, 'callId' | 'cseq'>>;

/** A longer instance is none. */
const LONGEST_INSTANCE = 256;

/** A reg-id means nothing without an instance, and is a number from 1 (RFC 5626 4.2, 10). */
export function identity({ params }: NameAddr): Pick<Binding, 'instanceId' | 'regId'> {
  const named = params.get('+sip.instance') ?? '';
  const instanceId = named === '' || named.length > LONGEST_INSTANCE ? undefined : named;
  const regId = params.get('reg-id') ?? '';
  return { instanceId, regId: instanceId !== undefined && /^[1-9]\d{0,9}$/.test(regId) ? regId : undefined };
}

/** Types that a phone may name. */
const MOST_TYPES = 16;

/** The media types of a Contact's `type` feature tag (RFC 3840 10.13); undefined when it names none. */
export function typesRead({ params }: NameAddr): readonly string[] | undefined {
  const value = params.get('type');
  if (value === undefined || value === '' || value.length > 512) return undefined;
  const types = value.split(',', MOST_TYPES).map((type) => type.trim().toLowerCase());
  return types.filter((type) => /^[a-z0-9.+-]+\/[a-z0-9.+-]+$/.test(type));
}

/**
 * The binding that a contact of a REGISTER renews. With a reg-id, that of the same phone and reg-id and no other (RFC 5626
 * 6); else the same URI; else one of the same phone, which has come back under another URI, but not one that the same
 * request asks for too. A binding with a reg-id is renewed by its own phone only.
 */
export function match<B extends Renewable>(
  known: readonly B[],
  contact: NameAddr,
  all: readonly NameAddr[],
): B | undefined {
  const { instanceId, regId } = identity(contact);
  const isPhone = (b: B) => instanceId !== undefined && b.instanceId === instanceId && b.regId === regId;
  const sameUri = known.find((b) => b.regId === undefined && isSameUri(b.contact, contact.uri));
  if (regId !== undefined) return known.find(isPhone) ?? sameUri;
  return sameUri ?? known.find((b) => isPhone(b) && !all.some((other) => isSameUri(b.contact, other.uri)));
}

/** Whether an instance is that one: +sip.instance has it in brackets, a GRUU without; UUIDs know no case (RFC 4122 3). */
export function isSameInstance(a: string | undefined, b: string): boolean {
  return a !== undefined && bareInstance(a) === bareInstance(b);
}

/** An instance as a GRUU has it. */
export function bareInstance(instance: string): string {
  const bare = instance.replace(/^<(.*)>$/, '$1');
  return /^urn:uuid:/i.test(bare) ? bare.toLowerCase() : bare;
}

/**
 * Whether a request that begins a call comes from the phone behind that binding. A flow is a phone's own, unless it is that
 * of an edge proxy, which many share.
 */
export function isSender(binding: Binding, message: SipMessage, flow: Flow): boolean {
  if (binding.flow !== flow) return false;
  if (binding.path.length === 0) return true;
  const contact = message.contacts === '*' ? undefined : message.contacts?.[0];
  if (!contact) return false;
  const instance = contact.params.get('+sip.instance') ?? contact.uri.params.get('gr');
  if (instance && binding.instanceId !== undefined) return isSameInstance(binding.instanceId, instance);
  return isSameUri(contact.uri, binding.contact);
}

/** Parameters that two equal URIs either both have or both lack (RFC 3261 19.1.4; `gr`: RFC 5627 5.2). */
const TELLING = ['user', 'ttl', 'method', 'maddr', 'transport', 'gr'];

/** RFC 3261 19.1.4: users differ by case, parameters don't; one that only one URI has counts only if it is a telling one. */
export function isSameUri(a: SipUri, b: SipUri): boolean {
  if (a.scheme !== b.scheme || a.user !== b.user || a.password !== b.password) return false;
  if (a.host !== b.host || a.port !== b.port) return false;
  for (const name of new Set([...TELLING, ...a.params.entries().map(([n]) => n)])) {
    const [left, right] = [a.params.get(name), b.params.get(name)];
    const oneLacks = left === undefined || right === undefined;
    if (oneLacks ? left !== right && TELLING.includes(name.toLowerCase()) : left.toLowerCase() !== right.toLowerCase())
      return false;
  }
  return true;
}

/** Whole seconds until a binding expires, begun ones included, but never more than were granted. */
export function secondsLeft(binding: Binding, nowMs: number): number {
  // Clocks count in fractions: 60 s granted must not become 60.000000001 and be told as 61.
  return Math.max(0, Math.ceil(Math.round(binding.expiresAtMs - nowMs) / 1000));
}

export function isOutdated({ callId, cseq }: Renewable, message: SipMessage): boolean {
  return callId === message.callId && cseq !== undefined && message.cseq.number <= cseq;
}

/**
 * Whether something that a phone began is that of the phone behind a binding: the same instance (RFC 5626 4.1), else the
 * same contact. The port of a connection that is gone says nothing: it was a client's, and the next one has another.
 */
export function isPhone(
  { instanceId, contact }: Binding,
  of: {
    readonly instance: string | undefined;
    readonly remoteTarget: string;
    readonly flow: Flow;
    readonly isLost: boolean;
  },
): boolean {
  if (of.instance !== undefined && instanceId !== undefined) return isSameInstance(instanceId, of.instance);
  const target = parseUri(of.remoteTarget);
  if (target?.user !== contact.user || target?.host !== contact.host) return false;
  return target?.port === contact.port || (of.isLost && of.flow.transport !== 'udp');
}
