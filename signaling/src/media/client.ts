import { type Crypto, Deadlines, decodeNg, encodeNg, hex, type NgDictionary } from '@offhook/core';
import { type EventPlace, EventStream, type StreamCommand, type StreamInput } from './event-stream.ts';

/** How a command ended. `error` is in words, from the relay or about it. */
export type NgResult = { readonly ok: NgDictionary } | { readonly error: string };

export type MediaClientCommand =
  | { readonly kind: 'send'; readonly relay: number; readonly bytes: Uint8Array }
  | { readonly kind: 'result'; readonly id: number; readonly result: NgResult }
  /** The relay that had these calls is gone for certain; the next command of each goes to another one. */
  | { readonly kind: 'lost'; readonly callIds: ReadonlySet<string> }
  /** About the connection over which that relay tells events. */
  | { readonly kind: 'stream'; readonly relay: number; readonly command: StreamCommand }
  /** The relay needs a key frame of that peer and may not be able to ask for it: none of its descriptions named RTCP feedback. */
  | { readonly kind: 'key-frame'; readonly callId: string; readonly tag: string };

const RETRANSMIT_MS = 500;
const TRIES = 5;
/** A relay whose port was closed has so long to answer a ping. */
const DOUBT_MS = 300;
const GONE = 'the media relay does not answer: it has ended';
const PING_MS = 1000;

interface Pending {
  readonly id: number;
  readonly relay: number;
  readonly cookie: string;
  readonly bytes: Uint8Array;
  /** The call whose next command waits for this one; pings have none. */
  readonly callId?: string;
  triesLeft: number;
}

interface Relay {
  healthy: boolean;
  readonly verbs: Set<string>;
  /** Which process it is, as it says itself; rtpengine doesn't. */
  instance: string | undefined;
  /** Its port was closed, it seems. */
  isDoubted: boolean;
  readonly events: EventStream;
}

/** A call at its relay. A relay that comes back must not get commands for a call it never saw, so the relay stays. */
interface Home {
  readonly relay: number;
  /** Commands wait for the one before: a repeated offer must not overtake the delete. */
  readonly waiting: { readonly id: number; readonly message: NgDictionary }[];
  busy: boolean;
  deleted: boolean;
}

/**
 * The client side of rtpengine's NG protocol over datagrams, for one or more relays. A command is repeated with the same
 * cookie each 500 ms, so that the relay answers it once; after five tries it has failed. Relays are pinged, and a call
 * goes to the healthy one that its call-id is hashed to.
 */
export class MediaClient {
  readonly counters = {
    sent: 0,
    repeated: 0,
    failed: 0,
    strayAnswers: 0,
    /** Connections that events are told over, those that ended, and what came over them. */
    eventStreams: 0,
    eventStreamsLost: 0,
    events: 0,
    /** Of calls that are not ours, or not at that relay any more. */
    strayEvents: 0,
  };
  readonly #crypto: Crypto;
  readonly #relays: Relay[];
  readonly #pending = new Map<string, Pending>();
  readonly #deadlines = new Deadlines<Pending>();
  readonly #pings = new Deadlines<number>();
  /** Relays that seem to be gone, until when they may prove that they aren't. */
  readonly #doubts = new Deadlines<number>();
  readonly #commands: MediaClientCommand[] = [];
  readonly #homes = new Map<string, Home>();
  #nextPing = -1;

  constructor(options: { crypto: Crypto; relays: number; nowMs: number }) {
    this.#crypto = options.crypto;
    this.#relays = Array.from({ length: options.relays }, () => ({
      healthy: true,
      verbs: new Set<string>(),
      instance: undefined,
      isDoubted: false,
      events: new EventStream(options.crypto, this.counters),
    }));
    for (let i = 0; i < options.relays; i++) this.#pings.set(i, options.nowMs);
  }

  get size(): number {
    return this.#pending.size;
  }

  get calls(): number {
    return this.#homes.size;
  }

  /** Whether some healthy relay knows one of our own verbs. */
  offers(verb: string): boolean {
    return this.#relays.some((r) => r.healthy && r.verbs.has(verb));
  }

  /** Which relay has that call. */
  relayOf(callId: string): number | undefined {
    return this.#homes.get(callId)?.relay;
  }

  /** A call that a process before this one had given to a relay. */
  adopt(callId: string, relay: number): boolean {
    if (!this.#relays[relay] || this.#homes.has(callId)) return false;
    this.#homes.set(callId, { relay, waiting: [], busy: false, deleted: false });
    return true;
  }

  get healthy(): boolean {
    return this.#relays.some((r) => r.healthy);
  }

  poll(): MediaClientCommand | undefined {
    return this.#commands.shift();
  }

  nextTimeout(): number | undefined {
    const times = [this.#deadlines.next(), this.#pings.next(), this.#doubts.next()].filter((at) => at !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /**
   * Sends a command of a call when those before it have ended; `id` comes back with the result. A `delete` is the last
   * command of its call; the `delete` of a call that no relay ever saw succeeds at once. A new call goes where the call
   * `near` is, if that is known.
   */
  command(id: number, message: NgDictionary, nowMs: number, near?: string): void {
    const callId = String(message['call-id']);
    let home = this.#homes.get(callId);
    if (!home) {
      if (message.command === 'delete') {
        this.#commands.push({ kind: 'result', id, result: { ok: { result: 'ok' } } });
        return;
      }
      const close = near === undefined ? undefined : this.relayOf(near);
      const relay = close ?? this.#choose(callId, message.command === 'echo' ? 'echo' : undefined);
      if (relay === undefined) {
        this.#commands.push({ kind: 'result', id, result: { error: 'no media relay answers' } });
        return;
      }
      home = { relay, waiting: [], busy: false, deleted: false };
      this.#homes.set(callId, home);
    }
    home.waiting.push({ id, message });
    this.#next(callId, nowMs);
  }

  handleDatagram(bytes: Uint8Array, relay: number, nowMs: number): void {
    const answer = decodeNg(bytes);
    const pending = answer && this.#pending.get(answer.cookie);
    if (!pending || pending.relay !== relay) {
      this.counters.strayAnswers++;
      return;
    }
    this.#pending.delete(pending.cookie);
    this.#deadlines.delete(pending);
    const state = this.#relays[relay]!;
    state.healthy = true;
    state.isDoubted = false;
    this.#doubts.delete(relay);
    const { message } = answer;
    if (pending.id < 0) {
      const instance = message['offhook-instance'];
      if (typeof instance === 'string') {
        if (state.instance !== undefined && state.instance !== instance) this.#lose(relay);
        state.instance = instance;
      }
      state.verbs.clear();
      const verbs = message['offhook-verbs'];
      if (Array.isArray(verbs)) for (const verb of verbs) if (typeof verb === 'string') state.verbs.add(verb);
      state.events.handlePong(eventPlaceOf(state, message['offhook-tcp-port']), nowMs);
      this.#drain(relay);
      this.#pings.set(relay, nowMs + PING_MS);
      return;
    }
    this.#ended(pending, nowMs);
    const failed = message.result === 'error' || message.result === undefined;
    const words =
      typeof message['error-reason'] === 'string' ? message['error-reason'] : 'the media relay refused without words';
    this.#commands.push({ kind: 'result', id: pending.id, result: failed ? { error: words } : { ok: message } });
  }

  /** What has come of the connection over which a relay tells events, or over it. */
  handleStream(relay: number, input: StreamInput, nowMs: number): void {
    this.#relays[relay]?.events.handle(input, nowMs);
    this.#drain(relay);
  }

  #drain(relay: number): void {
    const { events } = this.#relays[relay]!;
    for (let c = events.poll(); c; c = events.poll()) {
      if (c.kind === 'event') this.#event(relay, c.message);
      else this.#commands.push({ kind: 'stream', relay, command: c });
    }
  }

  #event(relay: number, message: NgDictionary): void {
    const { event, 'call-id': callId, tag } = message;
    // Others may command the relay too: of their calls it tells us as well.
    if (typeof callId !== 'string' || this.relayOf(callId) !== relay) this.counters.strayEvents++;
    else if (event === 'key-frame' && typeof tag === 'string') this.#commands.push({ kind: 'key-frame', callId, tag });
  }

  /**
   * Nobody listens there, as an ICMP message says. It may be forged, so a ping has to stay without an answer as well. Where
   * another relay can take them its calls are lost then, else when the process that follows it says who it is.
   */
  handleRefused(relay: number, nowMs: number): void {
    const state = this.#relays[relay];
    if (!state?.healthy || state.isDoubted) return;
    state.isDoubted = true;
    this.#doubts.set(relay, nowMs + DOUBT_MS);
    this.#pings.set(relay, nowMs);
  }

  #handleDoubts(nowMs: number): void {
    for (let relay = this.#doubts.expire(nowMs); relay !== undefined; relay = this.#doubts.expire(nowMs)) {
      const state = this.#relays[relay]!;
      state.isDoubted = false;
      state.healthy = false;
      this.#pings.set(relay, nowMs);
      if (this.healthy) this.#lose(relay);
    }
  }

  #lose(relay: number): void {
    const callIds = new Set<string>();
    for (const [callId, home] of this.#homes) {
      if (home.relay !== relay) continue;
      callIds.add(callId);
      this.#homes.delete(callId);
      for (const { id } of home.waiting) this.#commands.push({ kind: 'result', id, result: { error: GONE } });
    }
    for (const pending of this.#pending.values()) {
      if (pending.relay !== relay || pending.id < 0) continue;
      this.#pending.delete(pending.cookie);
      this.#deadlines.delete(pending);
      this.#commands.push({ kind: 'result', id: pending.id, result: { error: GONE } });
    }
    if (callIds.size > 0) this.#commands.push({ kind: 'lost', callIds });
  }

  handleTimeout(nowMs: number): void {
    this.#handleDoubts(nowMs);
    for (let relay = this.#pings.expire(nowMs); relay !== undefined; relay = this.#pings.expire(nowMs)) {
      this.#send(this.#nextPing--, relay, { command: 'ping' }, nowMs);
    }
    for (let p = this.#deadlines.expire(nowMs); p; p = this.#deadlines.expire(nowMs)) {
      if (p.triesLeft > 0) {
        p.triesLeft--;
        this.counters.repeated++;
        this.#commands.push({ kind: 'send', relay: p.relay, bytes: p.bytes });
        this.#deadlines.set(p, nowMs + RETRANSMIT_MS);
        continue;
      }
      this.#pending.delete(p.cookie);
      this.counters.failed++;
      this.#relays[p.relay]!.healthy = false;
      if (p.id < 0) this.#pings.set(p.relay, nowMs + 1000);
      else {
        this.#commands.push({ kind: 'result', id: p.id, result: { error: 'the media relay does not answer' } });
        this.#ended(p, nowMs);
      }
    }
  }

  #next(callId: string, nowMs: number): void {
    const home = this.#homes.get(callId);
    if (!home || home.busy) return;
    const next = home.waiting.shift();
    if (next) {
      home.busy = true;
      home.deleted = next.message.command === 'delete';
      this.#send(next.id, home.relay, next.message, nowMs);
    } else if (home.deleted) this.#homes.delete(callId);
  }

  #ended({ callId }: Pending, nowMs: number): void {
    const home = callId === undefined ? undefined : this.#homes.get(callId);
    if (!home) return;
    home.busy = false;
    this.#next(callId!, nowMs);
  }

  #send(id: number, relay: number, message: NgDictionary, nowMs: number): void {
    const cookie = hex(this.#crypto.randomBytes(8));
    const callId = message['call-id'] === undefined ? undefined : String(message['call-id']);
    const bytes = encodeNg(cookie, message, 'bencode');
    const pending: Pending = { id, relay, cookie, bytes, callId, triesLeft: TRIES - 1 };
    this.#pending.set(cookie, pending);
    this.#deadlines.set(pending, nowMs + RETRANSMIT_MS);
    this.counters.sent++;
    this.#commands.push({ kind: 'send', relay, bytes: pending.bytes });
  }

  /** FNV-1a over the call-id, among the healthy relays that know the verb. */
  #choose(callId: string, verb: string | undefined): number | undefined {
    const healthy = this.#relays.flatMap((r, i) => (r.healthy && (!verb || r.verbs.has(verb)) ? [i] : []));
    if (healthy.length === 0) return undefined;
    let hash = 0x811c9dc5;
    for (let i = 0; i < callId.length; i++) hash = Math.imul(hash ^ callId.charCodeAt(i), 0x01000193);
    return healthy[(hash >>> 0) % healthy.length];
  }
}

/** Where a relay's events can be had; rtpengine has none. */
function eventPlaceOf({ verbs, instance }: Relay, port: unknown): EventPlace | undefined {
  const isPort = typeof port === 'number' && Number.isInteger(port) && port > 0 && port <= 65_535;
  return verbs.has('events') && isPort ? { port, instance } : undefined;
}
