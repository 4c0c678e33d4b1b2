import { drive, seededCrypto, VirtualClock } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import type { Flow } from '@offhook/signaling';
import { type Person, parsePerson } from '../address.ts';
import { ChatAgent, type ChatEvent } from '../agent.ts';
import { inLines, type Shown } from '../shown.ts';
import { DOMAIN, PASSWORD, ScriptedServer } from './scripted-server.ts';

const LATENCY_MS = 10;
/** The wall clock of virtual time 0. */
export const EPOCH_MS = Date.UTC(2026, 10, 26, 12);

/** Terminals and a scripted server on virtual time. */
export class Stage {
  readonly clock = new VirtualClock();
  readonly server: ScriptedServer;
  readonly #terminals = new Map<string, Terminal>();

  constructor() {
    this.server = new ScriptedServer((to, bytes) =>
      this.clock.at(this.clock.nowMs + LATENCY_MS, () => this.#terminals.get(to)?.receive(bytes)),
    );
  }

  terminal(user: string, options: { password?: string; transport?: 'udp' | 'tcp' } = {}): Terminal {
    const terminal = new Terminal(this, user, { password: PASSWORD, transport: 'udp', ...options });
    this.#terminals.set(terminal.name, terminal);
    return terminal;
  }

  run(ms: number): void {
    this.clock.run(this.clock.nowMs + ms);
  }
}

let count = 0;

/** One agent, as its session would drive it. */
export class Terminal {
  readonly name: string;
  readonly agent: ChatAgent;
  readonly events: ChatEvent[] = [];
  readonly user: string;
  flow: Flow | undefined;
  /** Flows opened so far, and whether another can be. */
  connects = 0;
  isReachable = true;
  isEnded = false;
  readonly #stage: Stage;
  readonly #transport: 'udp' | 'tcp';
  readonly #driver: ReturnType<typeof drive>;

  constructor(stage: Stage, user: string, options: { password: string; transport: 'udp' | 'tcp' }) {
    this.#stage = stage;
    this.user = user;
    this.name = `${user}-${++count}`;
    this.#transport = options.transport;
    const account = { user, domain: DOMAIN, password: options.password, instance: `urn:uuid:${this.name}` };
    this.agent = new ChatAgent({ account, crypto: seededCrypto(count, nodeCrypto) }, stage.clock.nowMs);
    this.#driver = drive(this.agent, stage.clock, (command) => {
      if (command.kind === 'event') this.events.push(command.event);
      else if (command.kind === 'connect') stage.clock.at(stage.clock.nowMs + 1, () => this.#connect());
      else if (command.kind === 'disconnect') this.flow = this.flow === command.flow ? undefined : this.flow;
      else if (command.kind === 'ended') this.isEnded = true;
      else if (command.flow === this.flow) {
        const { bytes } = command;
        stage.clock.at(stage.clock.nowMs + LATENCY_MS, () => stage.server.handle(bytes, this.name));
      }
    });
  }

  /** What has been said to the person since the last call, without the time. */
  said(): string[] {
    const now = new Date(this.#wallMs);
    return this.events.splice(0).flatMap((event) => {
      if (event.kind === 'text') return [`${event.received.from.name}: ${event.received.text}`];
      if (event.kind === 'delivery') return [`${event.sent.text} ${event.sent.state} ${event.words}`.trim()];
      if (event.kind === 'standing') {
        const { standing } = event;
        return [standing.kind === 'registered' ? 'registered' : `not registered: ${standing.words}`];
      }
      if (event.kind === 'presence') {
        const { person, presence, words } = event;
        const shown: Shown = { kind: 'presence', who: person.name, words: words || JSON.stringify(presence) };
        return inLines(shown, now).map((line) => line.slice(6));
      }
      return [event.kind === 'note' ? event.words : event.kind];
    });
  }

  person(name: string): Person {
    return parsePerson(name, DOMAIN)!;
  }

  send(to: string, text: string): void {
    this.#do(() => this.agent.send(this.person(to), text, this.#stage.clock.nowMs, this.#wallMs));
  }

  watch(who: string): void {
    this.#do(() => this.agent.watch(this.person(who), this.#stage.clock.nowMs));
  }

  status(status: 'available' | 'busy' | 'away', note = ''): void {
    this.#do(() => this.agent.setStatus(status, note, this.#stage.clock.nowMs));
  }

  stop(): void {
    this.#do(() => this.agent.stop(this.#stage.clock.nowMs));
  }

  /** The connection breaks. */
  cut(): void {
    const { flow } = this;
    this.flow = undefined;
    this.#do(() => this.agent.handleClosed(flow, 'the wire is cut', this.#stage.clock.nowMs));
  }

  receive(bytes: Uint8Array, flow = this.flow): void {
    if (flow) this.#do(() => this.agent.handleReceived(bytes, flow, this.#stage.clock.nowMs, this.#wallMs));
  }

  get #wallMs(): number {
    return EPOCH_MS + this.#stage.clock.nowMs;
  }

  #connect(): void {
    this.connects++;
    const at = this.#stage.clock.nowMs;
    if (!this.isReachable) {
      this.#do(() => this.agent.handleClosed(undefined, 'nobody listens', at));
      return;
    }
    const local = { address: '192.0.2.1', port: 40_000 + this.connects };
    const flow: Flow = {
      id: this.connects,
      transport: this.#transport,
      local,
      remote: { address: '192.0.2.9', port: 5060 },
    };
    this.flow = flow;
    this.#do(() => this.agent.handleOpened(flow, at));
  }

  #do(input: () => void): void {
    input();
    this.#driver.settle();
  }
}
