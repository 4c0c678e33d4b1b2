import {
  type Crypto,
  createResponse,
  Deadlines,
  type NameAddr,
  networkOf,
  quote,
  type SipMessage,
  type SipUri,
} from '@offhook/core';
import type { Flow } from '../transaction/index.ts';
import {
  type Binding,
  bareInstance,
  identity,
  isOutdated,
  isSameInstance,
  match,
  type Renewable,
  secondsLeft,
  typesRead,
} from './binding.ts';
import { type Gruu, publicGruu, readPublicGruu, TemporaryGruus } from './gruu.ts';
import { asksFor, type Outbound, outboundHeaders, outboundOf } from './outbound.ts';
import { pathOf } from './path.ts';

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

export const REGISTRAR_LIMITS: RegistrarLimits = {
  contacts: 10,
  minExpiresS: 60,
  maxExpiresS: 3600,
  defaultExpiresS: 600,
};

export type RegistrarEvent = {
  readonly kind: 'registered' | 'refreshed' | 'removed';
  readonly binding: Binding;
  /** What it was before it was refreshed. */
  readonly before?: Binding;
  readonly why: string;
};

export interface RegistrarOptions {
  readonly limits?: RegistrarLimits;
  /** Unix milliseconds for the Date of answers; without it they have none. */
  readonly wallMs?: () => number;
  /** Host part of GRUUs, and what their random names are made with; without it there are none. */
  readonly gruu?: { readonly domain: string; readonly crypto: Crypto };
  /** Whether an address is that of an edge proxy whose Path is believed even when the phone does not ask for it. */
  readonly isEdge?: (address: string) => boolean;
}

/** Option tags of registrations (RFC 3327, 5626, 5627). */
export const REGISTRATION_EXTENSIONS: readonly string[] = ['path', 'outbound', 'gruu'];

/** What is the same for all contacts of one REGISTER. */
interface From {
  readonly message: SipMessage;
  readonly flow: Flow;
  readonly path: readonly string[];
  readonly user: string;
  readonly nowMs: number;
}

/** The location service: bindings by user, in memory. Pure: time comes in, events are polled. */
export class Registrar {
  readonly #options: RegistrarOptions;
  readonly #limits: RegistrarLimits;
  readonly #temporary: TemporaryGruus | undefined;
  readonly #users = new Map<string, Binding[]>();
  readonly #deadlines = new Deadlines<Binding>();
  readonly #byFlow = new Map<Flow, Set<Binding>>();
  /** Contacts by the network that they are reached in. */
  readonly #byNetwork = new Map<string, number>();
  readonly #events: RegistrarEvent[] = [];
  #second = Number.NaN;
  #dateOfSecond = '';

  constructor(options: RegistrarOptions = {}) {
    this.#options = options;
    this.#limits = options.limits ?? REGISTRAR_LIMITS;
    this.#temporary = options.gruu && new TemporaryGruus(options.gruu.crypto);
  }

  /** Bindings in all. */
  get size(): number {
    return this.#deadlines.size;
  }

  /** The live bindings of a user, or of one phone of theirs, highest q first, newest first among equals. */
  lookup(user: string, nowMs: number, instance?: string): readonly Binding[] {
    const known = this.#users.get(user);
    if (known === undefined) return [];
    if (known.length === 1 && instance === undefined) return known[0]!.expiresAtMs > nowMs ? [known[0]!] : [];
    return known
      .filter((b) => b.expiresAtMs > nowMs && (instance === undefined || isSameInstance(b.instanceId, instance)))
      .sort((a, b) => b.q - a.q || b.expiresAtMs - a.expiresAtMs);
  }

  /** Whose phone a GRUU of ours means; undefined for all other URIs, and for temporary ones that are not good any more. */
  resolveGruu(uri: SipUri): Gruu | undefined {
    if (uri.params.get('gr') !== '') return readPublicGruu(uri);
    return this.#temporary?.resolve(uri.user);
  }

  /** Temporary GRUUs that are good. */
  get temporaryGruus(): number {
    return this.#temporary?.size ?? 0;
  }

  /** Whether a contact is registered from that network. */
  hasContacts(network: string): boolean {
    return this.#byNetwork.has(network);
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
    const via = pathOf(message);
    if ('problem' in via) return createResponse(message, 400, via.problem);
    const from = { message, flow, path: via.path, user, nowMs };
    const isEdge = this.#options.isEdge?.(flow.remote.address) ?? false;
    // RFC 3327 5.3: recommended, so that a phone can notice a proxy that puts itself into its way.
    if (via.path.length > 0 && !asksFor(message, 'path') && !isEdge)
      return createResponse(message, 420, 'Path of a proxy that is not in sip.edges', {
        headers: [['Unsupported', 'path']],
      });
    const contacts = message.contacts;
    if (contacts === undefined) return createResponse(message, 400, 'Malformed Contact');
    if (contacts === '*') return this.#removeAll(from);
    const wanted = this.#wishes(contacts, from);
    if (!Array.isArray(wanted)) return wanted;
    const outbound = outboundOf(message, contacts, { path: via.path, isEdge });
    if (outbound.kind === 'refused') return createResponse(message, outbound.status, outbound.words);
    const known = this.#users.get(user) ?? [];
    // The whole request is tried out before anything of it is done.
    let after: readonly Renewable[] = known;
    for (const { contact, expiresS } of wanted) {
      const old = match(after, contact, contacts);
      // "if it compares lower or equal … the update MUST be aborted and the request fails"
      if (old && isOutdated(old, message)) return createResponse(message, 500, 'CSeq Out Of Order');
      after = after.filter((c) => c !== old);
      if (expiresS > 0) after = [...after, { contact: contact.uri, ...identity(contact) }];
    }
    if (after.length > this.#limits.contacts && after.length > known.length)
      return createResponse(message, 403, `Too many contacts: ${this.#limits.contacts} at most`);
    const bound = wanted.flatMap((wish) => this.#bind(wish, contacts, from) ?? []);
    if (asksFor(message, 'gruu')) this.#issue(bound);
    return this.#ok(from, outbound);
  }

  #removeAll(from: From): SipMessage {
    const { message, user } = from;
    // "the request … MUST contain an Expires header field with value zero" and nothing else
    if (message.expires !== 0) return createResponse(message, 400, 'Contact * needs Expires: 0');
    const mine = this.#users.get(user) ?? [];
    if (mine.some((b) => isOutdated(b, message))) return createResponse(message, 500, 'CSeq Out Of Order');
    for (const b of [...mine]) this.#remove(b, 'unregistered');
    return this.#ok(from, { kind: 'no' });
  }

  /** What the contacts of a REGISTER ask for, or the answer when they can't. */
  #wishes(contacts: readonly NameAddr[], { message, flow }: From): Wish[] | SipMessage {
    const wanted: Wish[] = [];
    const texts = message.values('contact');
    for (const [i, contact] of contacts.entries()) {
      if (!contact.uri.isSip || contact.uri.headers !== undefined)
        return createResponse(message, 400, 'A Contact must be a SIP URI without headers');
      // RFC 5627 5.1: a call to it would come back here.
      if (contact.uri.params.has('gr') && contact.uri.host === this.#options.gruu?.domain)
        return createResponse(message, 403, 'A GRUU is no contact');
      const expiresS = this.#expiry(contact, message);
      // A browser's binding lives as long as its connection; only others are told to be patient.
      if (expiresS > 0 && expiresS < this.#limits.minExpiresS && !flow.transport.startsWith('ws')) {
        return createResponse(message, 423, undefined, { headers: [['Min-Expires', this.#limits.minExpiresS]] });
      }
      const written = uriText(texts[i] ?? '') ?? contact.uri.toString();
      wanted.push({ contact, written, expiresS: Math.min(expiresS, this.#limits.maxExpiresS) });
    }
    return wanted;
  }

  #expiry(contact: NameAddr, message: SipMessage): number {
    // "If this parameter is not provided, the value of the Expires header field is used" (20.10)
    const own = contact.params.get('expires') ?? message.header('expires');
    if (own === undefined) return this.#limits.defaultExpiresS;
    return /^\d{1,64}$/.test(own) ? Number(own) : MALFORMED_EXPIRES_S;
  }

  #bind({ contact, written, expiresS }: Wish, all: readonly NameAddr[], from: From): Binding | undefined {
    const { message, flow, path, user, nowMs } = from;
    const old = match(this.#users.get(user) ?? [], contact, all);
    if (old) this.#take(old);
    if (expiresS === 0) {
      if (old) this.#gone(old, 'unregistered');
      return undefined;
    }
    const q = contact.params.get('q') ?? '1';
    const own = identity(contact);
    const binding: Binding = {
      key: old?.key ?? [user, written, own.instanceId, own.regId].join(' '),
      user,
      contact: contact.uri,
      flow,
      path,
      written,
      q: /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(q) ? Number(q) : 1,
      ...own,
      registeredAtMs: nowMs,
      expiresAtMs: nowMs + expiresS * 1000,
      callId: message.callId,
      cseq: message.cseq.number,
      userAgent: message.header('user-agent')?.slice(0, 200),
      reads: typesRead(contact),
    };
    this.#keep(binding);
    if (old) this.#succeed(old, binding);
    this.#events.push({ kind: old ? 'refreshed' : 'registered', binding, before: old, why: '' });
    return binding;
  }

  /** A further temporary GRUU for each phone of a REGISTER (RFC 5627 5.4). */
  #issue(bound: readonly Binding[]): void {
    for (const [key, { user, instanceId }] of new Map(bound.map((b) => [phoneKey(b), b])))
      if (instanceId !== undefined) this.#temporary?.issue(key, { user, instance: bareInstance(instanceId) });
  }

  /** The temporary GRUUs of a contact stay good while its phone refreshes it under one Call-ID (RFC 5627 5.4). */
  #succeed(old: Binding, next: Binding): void {
    if (old.callId === next.callId) this.#dropTemporary(old);
    else this.#temporary?.drop(phoneKey(old));
  }

  /** Its temporary GRUUs end with it, unless another contact of the same phone is left. */
  #dropTemporary(gone: Binding): void {
    const key = phoneKey(gone);
    if (!this.#users.get(gone.user)?.some((b) => phoneKey(b) === key)) this.#temporary?.drop(key);
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
    const network = networkOf(flow.remote.address);
    this.#byNetwork.set(network, (this.#byNetwork.get(network) ?? 0) + 1);
    if (flow.transport === 'udp') return;
    const onFlow = this.#byFlow.get(flow);
    if (onFlow) onFlow.add(binding);
    else this.#byFlow.set(flow, new Set([binding]));
  }

  #remove(binding: Binding, why: string): void {
    this.#take(binding);
    this.#gone(binding, why);
  }

  #gone(binding: Binding, why: string): void {
    this.#dropTemporary(binding);
    this.#events.push({ kind: 'removed', binding, why });
  }

  #take(binding: Binding): void {
    this.#deadlines.delete(binding);
    const rest = (this.#users.get(binding.user) ?? []).filter((b) => b !== binding);
    if (rest.length > 0) this.#users.set(binding.user, rest);
    else this.#users.delete(binding.user);
    const network = networkOf(binding.flow.remote.address);
    const left = (this.#byNetwork.get(network) ?? 1) - 1;
    if (left > 0) this.#byNetwork.set(network, left);
    else this.#byNetwork.delete(network);
    const onFlow = this.#byFlow.get(binding.flow);
    onFlow?.delete(binding);
    if (onFlow?.size === 0) this.#byFlow.delete(binding.flow);
  }

  /**
   * "The response … MUST contain Contact header field values enumerating all current bindings", those of this very request
   * first, in its order: there are phones that read the expiry of the first one only.
   */
  #ok({ message, flow, path, user, nowMs }: From, outbound: Outbound): SipMessage {
    const isOwn = (b: Binding) => b.callId === message.callId && b.cseq === message.cseq.number;
    const own = (this.#users.get(user) ?? []).filter(isOwn);
    const live = this.lookup(user, nowMs);
    const withGruus = asksFor(message, 'gruu');
    const contacts = [...own, ...live.filter((b) => !isOwn(b))].map((b) => {
      const instance = b.instanceId === undefined ? '' : `;+sip.instance=${quote(b.instanceId)}`;
      const regId = b.regId === undefined ? '' : `;reg-id=${b.regId}`;
      const extra = `${b.q === 1 ? '' : `;q=${b.q}`}${instance}${regId}${withGruus ? this.#gruus(b) : ''}`;
      return ['Contact', `<${b.written}>;expires=${secondsLeft(b, nowMs)}${extra}`] as const;
    });
    // "The response SHOULD include a Date header field." Phones without a battery set their clock by it.
    const { wallMs } = this.#options;
    return createResponse(message, 200, undefined, {
      headers: [
        ...contacts,
        // RFC 3327 5.3: the phone sees who is in its way, if it wants to.
        ...(asksFor(message, 'path') ? path.map((value) => ['Path', value] as const) : []),
        ...(outbound.kind === 'done' ? outboundHeaders(flow, path) : []),
        ['Supported', REGISTRATION_EXTENSIONS.join(', ')],
        ...(wallMs ? [['Date', this.#date(wallMs())] as const] : []),
      ],
    });
  }

  /** The same for a second. */
  #date(wallMs: number): string {
    const second = Math.floor(wallMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#dateOfSecond = new Date(wallMs).toUTCString();
    }
    return this.#dateOfSecond;
  }

  #gruus(binding: Binding): string {
    const { gruu } = this.#options;
    if (!gruu || binding.instanceId === undefined) return '';
    const { user, instanceId: instance } = binding;
    const temporary = this.#temporary?.newest(phoneKey(binding), gruu.domain);
    return `;pub-gruu=${quote(publicGruu({ user, instance }, gruu.domain))}${temporary ? `;temp-gruu=${quote(temporary)}` : ''}`;
  }
}

/** What contacts of one phone, over one of its flows, have in common. */
function phoneKey({ user, instanceId, regId }: Binding): string {
  return [user, instanceId, regId].join(' ');
}

/** What stands between the brackets of a Contact, or before its parameters. */
function uriText(contact: string): string | undefined {
  const quoted = /^\s*"(?:[^"\\]|\\.)*"/.exec(contact)?.[0].length ?? 0;
  const open = contact.indexOf('<', quoted);
  if (open < 0) return undefined;
  const close = contact.indexOf('>', open);
  return close < 0 ? undefined : contact.slice(open + 1, close).trim();
}
