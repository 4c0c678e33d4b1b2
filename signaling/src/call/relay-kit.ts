import assert from 'node:assert/strict';
import { decodeNg, encodeNg, type NgDictionary } from '@offhook/core';
import type { StreamCommand } from '../media/index.ts';
import type { SipCore } from '../server/core.ts';
import type { SipCoreCommand } from '../server/core-seam.ts';

export interface RelayOptions {
  relayIsDown?: boolean;
  /** Nobody sends pictures, so that nobody can be asked for a key frame. */
  sendsNoPictures?: boolean;
  /** The relay tells events. */
  tellsEvents?: boolean;
}

/** The media relay of a stage: it marks the descriptions that pass it, and knows its calls and their legs. */
export class StageRelay {
  /** What it was told, pings left out. */
  readonly ng: NgDictionary[] = [];
  readonly alive = new Set<string>();
  /** Its legs by call and tag; a number stands for a leg's ports and keys. */
  readonly legs = new Map<string, Map<string, number>>();
  readonly #core: SipCore;
  readonly #clock: { readonly now: number };
  readonly #options: RelayOptions;
  readonly #answers = new Map<string, Uint8Array>();
  #ports = 0;
  #instance = 1;
  #held: (() => void)[] | undefined;
  #heldOnly: string | undefined;
  #gone: number | undefined;
  /** The connection of events: its cookie once they were asked for. */
  #eventsAs: string | undefined;

  constructor(core: SipCore, clock: { readonly now: number }, options: RelayOptions) {
    this.#core = core;
    this.#clock = clock;
    this.#options = options;
  }

  handleDatagram(c: Extract<SipCoreCommand, { kind: 'relay' }>): void {
    const { cookie, message } = decodeNg(c.bytes)!;
    if (this.#options.relayIsDown) return;
    if (c.relay === this.#gone) {
      this.#core.handleRelayRefused(c.relay, this.#clock.now);
      return;
    }
    // A relay carries out a repeated command once (the cookie tells), and repeats its answer.
    const answer = () => {
      const said = this.#answers.get(cookie) ?? encodeNg(cookie, this.#reply(message), 'bencode');
      this.#answers.set(cookie, said);
      this.#core.handleRelayDatagram(said, c.relay, this.#clock.now);
    };
    const isHeld = message.command !== 'ping' && (this.#heldOnly ?? message.command) === message.command;
    if (this.#held && isHeld) this.#held.push(answer);
    else answer();
  }

  handleStream(relay: number, command: StreamCommand): void {
    if (command.kind === 'open') this.#core.handleRelayStream(relay, { kind: 'opened' }, this.#clock.now);
    else if (command.kind === 'write') {
      const { cookie, message } = decodeNg(command.bytes)!;
      assert.deepEqual([message.command, message.kinds], ['events', ['key-frame']]);
      this.#eventsAs = cookie;
      this.push({ result: 'ok', kinds: ['key-frame'] }, relay);
    } else this.#eventsAs = undefined;
  }

  /** Tells an event. */
  push(message: NgDictionary, relay = 0): void {
    assert.ok(this.#eventsAs !== undefined, 'nobody asked for events');
    const bytes = encodeNg(this.#eventsAs, message, 'bencode');
    this.#core.handleRelayStream(relay, { kind: 'bytes', bytes }, this.#clock.now);
  }

  /** It dies: nobody takes what is sent to it. */
  die(relay: number): void {
    this.#gone = relay;
    this.#forget();
    this.#core.handleRelayRefused(relay, this.#clock.now);
  }

  /** Another one is there in its place, which knows nothing. */
  restart(): void {
    this.#gone = undefined;
    this.#instance++;
    this.#forget();
  }

  #forget(): void {
    this.alive.clear();
    this.legs.clear();
  }

  /** It thinks until its answers are taken: over everything, or over one of its verbs. */
  hold(command?: string): void {
    this.#held ??= [];
    this.#heldOnly = command;
  }

  takeHeld(): (() => void)[] {
    const all = this.#held ?? [];
    this.#held = undefined;
    return all;
  }

  #reply(message: NgDictionary): NgDictionary {
    const { sendsNoPictures, tellsEvents } = this.#options;
    const callId = String(message['call-id']);
    if (message.command === 'ping')
      return {
        result: 'pong',
        'offhook-verbs': ['echo', 'connect', 'key-frame', ...(tellsEvents ? ['events'] : [])],
        'offhook-instance': `${this.#instance}`,
        'offhook-tcp-port': tellsEvents ? 2223 : undefined,
      };
    this.ng.push(message);
    if (message.command === 'query')
      return this.alive.has(callId) ? { result: 'ok' } : { result: 'error', 'error-reason': 'Unknown call-id' };
    if (message.command === 'key-frame') {
      return this.legs.get(callId)?.has(String(message['from-tag'])) && !sendsNoPictures
        ? { result: 'ok' }
        : { result: 'error', 'error-reason': 'that peer sends no pictures' };
    }
    if (message.command === 'delete') {
      this.alive.delete(callId);
      this.legs.delete(callId);
      return { result: 'ok' };
    }
    if (message.command === 'connect') {
      const tag = String(message['from-tag']);
      const from = this.legs.get(String(message['from-call-id']));
      const leg = from?.get(tag);
      if (!this.legs.has(callId) || leg === undefined) return { result: 'error', 'error-reason': 'Unknown call-id' };
      from!.delete(tag);
      this.legs.get(callId)!.set(tag, leg);
      return { result: 'ok' };
    }
    if (String(message.sdp).includes('unusable')) return { result: 'error', 'error-reason': 'no common ground' };
    this.alive.add(callId);
    const legs = this.legs.get(callId) ?? new Map<string, number>();
    this.legs.set(callId, legs);
    for (const key of ['from-tag', 'to-tag'])
      if (message[key] !== undefined && !legs.has(String(message[key]))) legs.set(String(message[key]), this.#ports++);
    return { result: 'ok', sdp: `${message.sdp}a=via-relay:${message.command}\r\n` };
  }
}
