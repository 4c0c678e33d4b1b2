import { base64, fromBase64, parseUri, type SocketAddress } from '@offhook/core';
import type { CallSnapshot, CallSummary, FlowSnapshot } from '../call/index.ts';
import type { PagerMessage } from '../messaging/index.ts';
import type { NotifierCommand, SubscriptionSnapshot } from '../presence/index.ts';
import type { Binding, RegistrarEvent } from '../registrar/index.ts';
import type { Cdr, Entry } from '../store/index.ts';
import type { Flow } from '../transaction/index.ts';
import type { SipCore } from './core.ts';

/** Another form of the snapshots is not read: what it holds is forgotten, as it was before there were any. */
const VERSION = 1;

export interface MemoryOptions {
  readonly core: SipCore;
  readonly note: (entry: Entry) => void;
  /** Unix milliseconds minus monotonic ones: snapshots outlive the clock of their process. */
  readonly wallOffsetMs: () => number;
  /** The flow to a remote address of the UDP listener at `local`; undefined when nobody listens there any more. */
  readonly udpFlow: (local: SocketAddress, remote: SocketAddress) => Flow | undefined;
}

/**
 * What signalling remembers beyond its own death: answered calls, the contacts that are reached by datagrams, and one
 * record per call. Lost by a `kill -9`: what the last 20 ms brought, calls still being set up, and changes under way.
 */
export class Memory {
  readonly #options: MemoryOptions;
  #lostFlows = 0;

  constructor(options: MemoryOptions) {
    this.#options = options;
  }

  call(snapshot: CallSnapshot): void {
    const { core, note, wallOffsetMs } = this.#options;
    const at = (ms: number) => ms + wallOffsetMs();
    const relay = core.media.relayOf(snapshot.ngCallId);
    if (relay === undefined && !snapshot.isUnrelayed) return;
    const times = { startedAtMs: at(snapshot.startedAtMs), answeredAtMs: at(snapshot.answeredAtMs) };
    const stored = { version: VERSION, relay, call: { ...snapshot, ...times } };
    note({ kind: 'call', id: snapshot.id, snapshot: JSON.stringify(stored) });
  }

  ended(call: CallSummary): void {
    this.#options.note({ kind: 'cdr', cdr: this.#record(call) });
  }

  registration({ kind, binding }: RegistrarEvent): void {
    const { note, wallOffsetMs } = this.#options;
    const { key, flow, contact: _, registeredAtMs, expiresAtMs, ...rest } = binding;
    if (kind === 'removed' || flow.transport !== 'udp') {
      note({ kind: 'no-binding', key });
      return;
    }
    const { transport, local, remote } = flow;
    const at = (ms: number) => ms + wallOffsetMs();
    const times = { registeredAtMs: at(registeredAtMs), expiresAtMs: at(expiresAtMs) };
    const stored = { version: VERSION, binding: { ...rest, ...times, key, flow: { transport, local, remote } } };
    note({ kind: 'binding', key, snapshot: JSON.stringify(stored) });
  }

  /** A message that its sender will be told is kept. */
  message(message: PagerMessage): Entry {
    const stored = { version: VERSION, message: { ...message, body: base64(message.body) } };
    return { kind: 'message', id: message.id, snapshot: JSON.stringify(stored) };
  }

  /** Takes over what a process before this one noted. Call it before any input. */
  restore(
    noted: {
      readonly subscriptions: readonly string[];
      readonly calls: readonly string[];
      readonly bindings: readonly string[];
      readonly messages: readonly string[];
    },
    nowMs: number,
  ): { calls: number; bindings: number; messages: number; subscriptions: number } {
    const { calls, bindings, messages, subscriptions } = noted;
    const taken = { calls: 0, bindings: 0, messages: 0, subscriptions: 0 };
    // Before the contacts: those are offered what waits.
    for (const text of messages) {
      const message = readMessage(text);
      if (!message) continue;
      this.#options.core.restoreMessage(message, nowMs);
      taken.messages++;
    }
    for (const text of bindings) {
      const binding = this.#readBinding(text, nowMs);
      if (!binding) continue;
      this.#options.core.restoreBinding(binding, nowMs);
      taken.bindings++;
    }
    for (const text of calls) if (this.#restoreCall(text, nowMs)) taken.calls++;
    for (const text of subscriptions) if (this.#restoreSubscription(text, nowMs)) taken.subscriptions++;
    return taken;
  }

  subscription(command: NotifierCommand): void {
    const { note, wallOffsetMs } = this.#options;
    if (command.kind === 'forget') {
      note({ kind: 'no-subscription', tag: command.tag });
      return;
    }
    const { subscription } = command;
    const own = { ...subscription, expiresAtMs: subscription.expiresAtMs + wallOffsetMs() };
    const snapshot = JSON.stringify({ version: VERSION, subscription: own });
    note({ kind: 'subscription', tag: subscription.localTag, snapshot });
  }

  #restoreSubscription(text: string, nowMs: number): boolean {
    const { core, wallOffsetMs } = this.#options;
    const stored = parse(text) as { version?: number; subscription: SubscriptionSnapshot } | undefined;
    if (stored?.version !== VERSION) return false;
    const { subscription } = stored;
    const own = { ...subscription, expiresAtMs: subscription.expiresAtMs - wallOffsetMs() };
    return core.restoreSubscription(own, (flow) => this.#reach(flow), nowMs);
  }

  #restoreCall(text: string, nowMs: number): boolean {
    const { core, wallOffsetMs } = this.#options;
    const stored = parse(text) as { version?: number; relay?: number; call: CallSnapshot } | undefined;
    if (stored?.version !== VERSION) return false;
    const { call, relay } = stored;
    const ago = (ms: number) => Math.min(nowMs, ms - wallOffsetMs());
    const own = { ...call, startedAtMs: ago(call.startedAtMs), answeredAtMs: ago(call.answeredAtMs) };
    core.restoreCall({ call: own, relay, reach: (flow) => this.#reach(flow) }, nowMs);
    return true;
  }

  #reach(flow: FlowSnapshot): { flow: Flow; isLost: boolean } {
    const known = flow.transport === 'udp' ? this.#options.udpFlow(flow.local, flow.remote) : undefined;
    // A connection went with its process: a flow that is closed already stands for it until its phone is back.
    return known ? { flow: known, isLost: false } : { flow: { id: --this.#lostFlows, ...flow }, isLost: true };
  }

  #readBinding(text: string, nowMs: number): Binding | undefined {
    type Stored = { version?: number; binding: Omit<Binding, 'contact' | 'flow'> & { flow: FlowSnapshot } };
    const stored = parse(text) as Stored | undefined;
    if (stored?.version !== VERSION) return undefined;
    const { binding } = stored;
    const contact = parseUri(binding.written);
    const at = (ms: number) => ms - this.#options.wallOffsetMs();
    const expiresAtMs = at(binding.expiresAtMs);
    // Notes of before there were these two are read too.
    const registeredAtMs = at(binding.registeredAtMs ?? binding.expiresAtMs);
    const flow = this.#options.udpFlow(binding.flow.local, binding.flow.remote);
    if (!contact?.isSip || !flow || expiresAtMs <= nowMs) return undefined;
    return { ...binding, contact, flow, path: binding.path ?? [], registeredAtMs, expiresAtMs };
  }

  #record(call: CallSummary): Cdr {
    const at = (ms: number) => Math.round(ms + this.#options.wallOffsetMs());
    return {
      id: call.id,
      from: call.from,
      to: call.to,
      startedAt: at(call.startedAtMs),
      answeredAt: call.answeredAtMs === undefined ? undefined : at(call.answeredAtMs),
      endedAt: at(call.endedAtMs ?? call.startedAtMs),
      status: call.status ?? 0,
      reason: call.reason ?? '',
      media: call.media,
      answeredBy: call.answeredBy,
      isPrivate: call.isPrivate,
    };
  }
}

function readMessage(text: string): PagerMessage | undefined {
  type Stored = { version?: number; message: Omit<PagerMessage, 'body'> & { body: string } };
  const stored = parse(text) as Stored | undefined;
  const body = stored?.version === VERSION ? fromBase64(stored.message.body) : undefined;
  return stored && body ? { ...stored.message, body } : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
