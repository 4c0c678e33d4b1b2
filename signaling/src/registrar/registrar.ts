import { createResponse, Deadlines, type NameAddr, quote, type SipMessage, type SipUri } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';

/** One contact of a user (RFC 3261 10): where it said it is, and the flow that reaches it there. */
export interface Binding {
  /** The same for as long as this contact is refreshed or replaced, whatever of it changes. */
  readonly key: string;
  readonly user: string;
  readonly contact: SipUri;
  readonly flow: Flow;
  /** 0 to 1; higher is preferred. */
  readonly q: number;
  /** The contact's URI as the phone wrote it, because some compare what comes back letter by letter. */
  readonly written: string;
  /** +sip.instance and reg-id (RFC 5626 4.1): the same phone on a new connection replaces its old binding. */
  readonly instanceId?: string;
  readonly regId?: string;
  readonly expiresAtMs: number;
  readonly callId: string;
  readonly cseq: number;
  readonly userAgent?: string;
}

export interface RegistrarLimits {
  readonly contacts: number;
  readonly minExpiresS: number;
  readonly maxExpiresS: number;
  readonly defaultExpiresS: number;
}

/** RFC 3261 20.10 and 20.19: what a malformed expiry counts as. */
const MALFORMED_EXPIRES_S = 3600;
/** One contact of a REGISTER, with what it asks for. */
interface Wish {
  readonly contact: NameAddr;
  readonly written: string;
  readonly expiresS: number;
}

/** What tells contacts apart, and who wrote it last; a contact that is about to be bound has not been written yet. */
type Contact = Pick<Binding, 'contact' | 'instanceId' | 'regId'> & Partial<Pick<Binding, 'callId' | 'cseq'>>;

export const REGISTRAR_LIMITS: RegistrarLimits = {
  contacts: 10,
  minExpiresS: 60,
  maxExpiresS: 3600,
  defaultExpiresS: 600,
};

export type RegistrarEvent = {
  readonly kind: 'registered' | 'refreshed' | 'removed';
  readonly binding: Binding;
  readonly why: string;
};

/** The location service: bindings by user, in memory. Pure: time comes in, events are polled. */
export class Registrar {
  readonly #limits: RegistrarLimits;
  readonly #users = new Map<string, Binding[]>();
  readonly #deadlines = new Deadlines<Binding>();
  readonly #byFlow = new Map<Flow, Set<Binding>>();
  readonly #events: RegistrarEvent[] = [];

  readonly #wallMs: (() => number) | undefined;

  /** @param wallMs Unix milliseconds for the Date of answers; without it they have none. */
  constructor(limits: RegistrarLimits = REGISTRAR_LIMITS, wallMs?: () => number) {
    this.#limits = limits;
    this.#wallMs = wallMs;
  }

  /** Bindings in all. */
  get size(): number {
    return this.#deadlines.size;
  }

  /** The live bindings of a user, highest q first, newest first among equals. */
  lookup(user: string, nowMs: number): readonly Binding[] {
    return (this.#users.get(user) ?? [])
      .filter((b) => b.expiresAtMs > nowMs)
      .sort((a, b) => b.q - a.q || b.expiresAtMs - a.expiresAtMs);
  }

  all(): Binding[] {
    return [...this.#users.values()].flat();
  }

  poll(): RegistrarEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(): number | undefined {
    return this.#deadlines.next();
  }

  handleTimeout(nowMs: number): void {
    for (let b = this.#deadlines.expire(nowMs); b; b = this.#deadlines.expire(nowMs)) this.#remove(b, 'expired');
  }

  /** A connection is gone, and with it every contact that can be reached over nothing else. */
  handleFlowClosed(flow: Flow): void {
    for (const b of [...(this.#byFlow.get(flow) ?? [])]) this.#remove(b, 'connection closed');
  }

  /** Removes everything of a user: the account was removed. */
  removeUser(user: string): void {
    for (const b of [...(this.#users.get(user) ?? [])]) this.#remove(b, 'account removed');
  }

  /** The response to an authenticated REGISTER of `user` (RFC 3261 10.3, steps 6 to 8). */
  handleRegister(message: SipMessage, flow: Flow, user: string, nowMs: number): SipMessage {
    const contacts = message.contacts;
    if (contacts === undefined) return createResponse(message, 400, 'Malformed Contact');
    if (contacts === '*') {
      // "the request … MUST contain an Expires header field with value zero" and nothing else
      if (message.expires !== 0) return createResponse(message, 400, 'Contact * needs Expires: 0');
      const mine = this.#users.get(user) ?? [];
      if (mine.some((b) => isOutdated(b, message))) return createResponse(message, 500, 'CSeq Out Of Order');
      for (const b of [...mine]) this.#remove(b, 'unregistered');
      return this.#ok(message, user, nowMs);
    }
    const wanted: Wish[] = [];
    const texts = message.values('contact');
    for (const [i, contact] of contacts.entries()) {
      if (!contact.uri.isSip || contact.uri.headers !== undefined)
        return createResponse(message, 400, 'A Contact must be a SIP URI without headers');
      const expiresS = this.#expiry(contact, message);
      // A browser's binding lives as long as its connection; only others are told to be patient.
      if (expiresS > 0 && expiresS < this.#limits.minExpiresS && !flow.transport.startsWith('ws')) {
        return createResponse(message, 423, undefined, { headers: [['Min-Expires', this.#limits.minExpiresS]] });
      }
      const written = uriText(texts[i] ?? '') ?? contact.uri.toString();
      wanted.push({ contact, written, expiresS: Math.min(expiresS, this.#limits.maxExpiresS) });
    }
    const known = this.#users.get(user) ?? [];
    // The whole request is tried out before anything of it is done.
    let after: readonly Contact[] = known;
    for (const { contact, expiresS } of wanted) {
      const old = match(after, contact, contacts);
      // "if it compares lower or equal … the update MUST be aborted and the request fails"
      if (old && isOutdated(old, message)) return createResponse(message, 500, 'CSeq Out Of Order');
      after = after.filter((c) => c !== old);
      if (expiresS > 0) after = [...after, { contact: contact.uri, ...identity(contact) }];
    }
    if (after.length > this.#limits.contacts && after.length > known.length)
      return createResponse(message, 403, `Too many contacts: ${this.#limits.contacts} at most`);
    for (const wish of wanted) this.#bind(wish, contacts, { message, flow, user, nowMs });
    return this.#ok(message, user, nowMs);
  }

  #expiry(contact: NameAddr, message: SipMessage): number {
    // "If this parameter is not provided, the value of the Expires header field is used" (20.10)
    const own = contact.params.get('expires') ?? message.header('expires');
    if (own === undefined) return this.#limits.defaultExpiresS;
    return /^\d{1,64}$/.test(own) ? Number(own) : MALFORMED_EXPIRES_S;
  }

  #bind(
    { contact, written, expiresS }: Wish,
    all: readonly NameAddr[],
    from: { message: SipMessage; flow: Flow; user: string; nowMs: number },
  ): void {
    const { message, flow, user, nowMs } = from;
    const old = match(this.#users.get(user) ?? [], contact, all);
    if (old) this.#take(old);
    if (expiresS === 0) {
      if (old) this.#events.push({ kind: 'removed', binding: old, why: 'unregistered' });
      return;
    }
    const q = contact.params.get('q') ?? '1';
    const own = identity(contact);
    const binding: Binding = {
      key: old?.key ?? [user, written, own.instanceId, own.regId].join(' '),
      user,
      contact: contact.uri,
      flow,
      written,
      q: /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(q) ? Number(q) : 1,
      ...own,
      expiresAtMs: nowMs + expiresS * 1000,
      callId: message.callId,
      cseq: message.cseq.number,
      userAgent: message.header('user-agent')?.slice(0, 200),
    };
    this.#keep(binding);
    this.#events.push({ kind: old ? 'refreshed' : 'registered', binding, why: '' });
  }

  /** Takes over a contact that a process before this one had. */
  restore(binding: Binding): void {
    this.#keep(binding);
    this.#events.push({ kind: 'refreshed', binding, why: 'restored' });
  }

  #keep(binding: Binding): void {
    const { user, flow } = binding;
    const list = this.#users.get(user);
    if (list) list.push(binding);
    else this.#users.set(user, [binding]);
    this.#deadlines.set(binding, binding.expiresAtMs);
    if (flow.transport === 'udp') return;
    const onFlow = this.#byFlow.get(flow);
    if (onFlow) onFlow.add(binding);
    else this.#byFlow.set(flow, new Set([binding]));
  }

  #remove(binding: Binding, why: string): void {
    this.#take(binding);
    this.#events.push({ kind: 'removed', binding, why });
  }

  #take(binding: Binding): void {
    this.#deadlines.delete(binding);
    const rest = (this.#users.get(binding.user) ?? []).filter((b) => b !== binding);
    if (rest.length > 0) this.#users.set(binding.user, rest);
    else this.#users.delete(binding.user);
    const onFlow = this.#byFlow.get(binding.flow);
    onFlow?.delete(binding);
    if (onFlow?.size === 0) this.#byFlow.delete(binding.flow);
  }

  /**
   * "The response … MUST contain Contact header field values enumerating all current bindings", those of this very request
   * first, in its order: there are phones that read the expiry of the first one only.
   */
  #ok(message: SipMessage, user: string, nowMs: number): SipMessage {
    const isOwn = (b: Binding) => b.callId === message.callId && b.cseq === message.cseq.number;
    const own = (this.#users.get(user) ?? []).filter(isOwn);
    const live = this.lookup(user, nowMs);
    const headers = [...own, ...live.filter((b) => !isOwn(b))].map((b) => {
      const instance = b.instanceId === undefined ? '' : `;+sip.instance=${quote(b.instanceId)}`;
      const extra = `${b.q === 1 ? '' : `;q=${b.q}`}${instance}${b.regId === undefined ? '' : `;reg-id=${b.regId}`}`;
      return ['Contact', `<${b.written}>;expires=${secondsLeft(b, nowMs)}${extra}`] as const;
    });
    // "The response SHOULD include a Date header field." Phones without a battery set their clock by it.
    const date = this.#wallMs ? ([['Date', new Date(this.#wallMs()).toUTCString()]] as const) : [];
    return createResponse(message, 200, undefined, { headers: [...headers, ...date] });
  }
}

/**
 * The binding that a contact of a REGISTER renews. With a reg-id, that of the same phone and reg-id and no other (RFC 5626
 * 6); else the same URI; else one of the same phone, which has come back under another URI, but not one that the same
 * request asks for too.
 */
function match<C extends Contact>(known: readonly C[], contact: NameAddr, all: readonly NameAddr[]): C | undefined {
  const { instanceId, regId } = identity(contact);
  const isPhone = (b: C) => instanceId !== undefined && b.instanceId === instanceId && b.regId === regId;
  if (regId !== undefined)
    return known.find(isPhone) ?? known.find((b) => b.regId === undefined && isSameUri(b.contact, contact.uri));
  const ofUri = known.filter((b) => isSameUri(b.contact, contact.uri));
  return (
    ofUri.find((b) => b.regId === undefined) ??
    (instanceId === undefined ? ofUri[0] : undefined) ??
    known.find((b) => isPhone(b) && !all.some((other) => isSameUri(b.contact, other.uri)))
  );
}

/** A reg-id means nothing without an instance, and is a number from 1 (RFC 5626 4.2, 10). */
function identity({ params }: NameAddr): Pick<Binding, 'instanceId' | 'regId'> {
  const instanceId = params.get('+sip.instance');
  const regId = params.get('reg-id') ?? '';
  return { instanceId, regId: instanceId !== undefined && /^[1-9]\d{0,9}$/.test(regId) ? regId : undefined };
}

/** Parameters that two equal URIs either both have or both lack (RFC 3261 19.1.4). */
const TELLING = ['user', 'ttl', 'method', 'maddr', 'transport'];

/** RFC 3261 19.1.4: users differ by case, parameters don't; one that only one URI has counts only if it is a telling one. */
function isSameUri(a: SipUri, b: SipUri): boolean {
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

/** What stands between the brackets of a Contact, or before its parameters. */
function uriText(contact: string): string | undefined {
  const quoted = /^\s*"(?:[^"\\]|\\.)*"/.exec(contact)?.[0].length ?? 0;
  const open = contact.indexOf('<', quoted);
  if (open < 0) return undefined;
  const close = contact.indexOf('>', open);
  return close < 0 ? undefined : contact.slice(open + 1, close).trim();
}

/** Whole seconds until a binding expires, begun ones included, but never more than were granted. */
export function secondsLeft(binding: Binding, nowMs: number): number {
  // Clocks count in fractions: 60 s granted must not become 60.000000001 and be told as 61.
  return Math.max(0, Math.ceil(Math.round(binding.expiresAtMs - nowMs) / 1000));
}

function isOutdated({ callId, cseq }: Contact, message: SipMessage): boolean {
  return callId === message.callId && cseq !== undefined && message.cseq.number <= cseq;
}
