import { createResponse, Deadlines, type NameAddr, type SipMessage, type SipUri } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';

/** One contact of a user (RFC 3261 10): where it said it is, and the flow that reaches it there. */
export interface Binding {
  readonly user: string;
  readonly contact: SipUri;
  readonly flow: Flow;
  /** 0 to 1; higher is preferred. */
  readonly q: number;
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

  constructor(limits: RegistrarLimits = REGISTRAR_LIMITS) {
    this.#limits = limits;
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
    const wanted: { contact: NameAddr; expiresS: number }[] = [];
    for (const contact of contacts) {
      if (!contact.uri.isSip || contact.uri.headers !== undefined)
        return createResponse(message, 400, 'A Contact must be a SIP URI without headers');
      const expiresS = this.#expiry(contact, message);
      // A browser's binding lives as long as its connection; only others are told to be patient.
      if (expiresS > 0 && expiresS < this.#limits.minExpiresS && !flow.transport.startsWith('ws')) {
        return createResponse(message, 423, undefined, { headers: [['Min-Expires', this.#limits.minExpiresS]] });
      }
      wanted.push({ contact, expiresS: Math.min(expiresS, this.#limits.maxExpiresS) });
    }
    const known = this.#users.get(user) ?? [];
    const added = wanted.filter((w) => w.expiresS > 0 && !known.some((b) => isSame(b, w.contact))).length;
    if (known.length + added > this.#limits.contacts)
      return createResponse(message, 403, `Too many contacts: ${this.#limits.contacts} at most`);
    for (const { contact } of wanted) {
      const old = known.find((b) => isSame(b, contact));
      // "if it compares lower or equal … the update MUST be aborted and the request fails"
      if (old && isOutdated(old, message)) return createResponse(message, 500, 'CSeq Out Of Order');
    }
    for (const { contact, expiresS } of wanted) this.#bind(contact, expiresS, { message, flow, user, nowMs });
    return this.#ok(message, user, nowMs);
  }

  #expiry(contact: NameAddr, message: SipMessage): number {
    const own = contact.params.get('expires');
    if (own !== undefined && /^\d{1,10}$/.test(own)) return Number(own);
    return message.expires ?? this.#limits.defaultExpiresS;
  }

  #bind(
    contact: NameAddr,
    expiresS: number,
    from: { message: SipMessage; flow: Flow; user: string; nowMs: number },
  ): void {
    const { message, flow, user, nowMs } = from;
    const old = (this.#users.get(user) ?? []).find((b) => isSame(b, contact));
    if (old) this.#take(old);
    if (expiresS === 0) {
      if (old) this.#events.push({ kind: 'removed', binding: old, why: 'unregistered' });
      return;
    }
    const q = Number(contact.params.get('q') ?? 1);
    const binding: Binding = {
      user,
      contact: contact.uri,
      flow,
      q: q >= 0 && q <= 1 ? q : 1,
      instanceId: contact.params.get('+sip.instance'),
      regId: contact.params.get('reg-id'),
      expiresAtMs: nowMs + expiresS * 1000,
      callId: message.callId,
      cseq: message.cseq.number,
      userAgent: message.header('user-agent')?.slice(0, 200),
    };
    const list = this.#users.get(user);
    if (list) list.push(binding);
    else this.#users.set(user, [binding]);
    this.#deadlines.set(binding, binding.expiresAtMs);
    if (flow.transport !== 'udp') {
      const onFlow = this.#byFlow.get(flow);
      if (onFlow) onFlow.add(binding);
      else this.#byFlow.set(flow, new Set([binding]));
    }
    this.#events.push({ kind: old ? 'refreshed' : 'registered', binding, why: '' });
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

  /** "The response … MUST contain Contact header field values enumerating all current bindings" */
  #ok(message: SipMessage, user: string, nowMs: number): SipMessage {
    const headers = this.lookup(user, nowMs).map((b) => {
      const extra = `${b.instanceId === undefined ? '' : `;+sip.instance="${b.instanceId}"`}${b.regId === undefined ? '' : `;reg-id=${b.regId}`}`;
      return [
        'Contact',
        `<${b.contact}>;expires=${secondsLeft(b, nowMs)}${b.q === 1 ? '' : `;q=${b.q}`}${extra}`,
      ] as const;
    });
    return createResponse(message, 200, undefined, { headers });
  }
}

/** The same phone (RFC 5626 6) or, without instance, the same URI (RFC 3261 19.1.4, by text). */
function isSame(binding: Binding, contact: NameAddr): boolean {
  const instance = contact.params.get('+sip.instance');
  if (instance !== undefined && binding.instanceId !== undefined)
    return instance === binding.instanceId && contact.params.get('reg-id') === binding.regId;
  return binding.contact.toString() === contact.uri.toString();
}

/** Whole seconds until a binding expires, begun ones included, but never more than were granted. */
export function secondsLeft(binding: Binding, nowMs: number): number {
  // Clocks count in fractions: 60 s granted must not become 60.000000001 and be told as 61.
  return Math.max(0, Math.ceil(Math.round(binding.expiresAtMs - nowMs) / 1000));
}

function isOutdated(binding: Binding, message: SipMessage): boolean {
  return binding.callId === message.callId && message.cseq.number <= binding.cseq;
}
