import { type Crypto, hex, NameAddr, type SipMessage, SipUri, utf8 } from '@offhook/core';
import type { Locate } from '../locate/index.ts';
import type { Flow } from '../transaction/index.ts';
import { domainOf, TRUNK_DEFAULTS, type TrunkConfig } from './config.ts';
import { Credentials } from './credentials.ts';
import { Dids } from './dids.ts';
import { Health } from './health.ts';
import { Lines } from './lines.ts';
import { type Network, parseNetwork } from './networks.ts';
import { NumberPlan } from './numbers.ts';
import { Registration } from './registration.ts';
import type { Client } from './send.ts';
import { inOrder, Target, walk } from './targets.ts';

export interface TrunkOptions {
  readonly name: string;
  readonly config: TrunkConfig;
  readonly crypto: Crypto;
  /** What our Contact is made from, so that a restarted server replaces the one it had. */
  readonly secret: Uint8Array;
  readonly locate: Locate;
  readonly contact: (flow: Flow) => string;
  readonly send: (message: SipMessage, flow: Flow, client: Client, nowMs: number) => void;
  readonly tell: (words: string, level: 'info' | 'warn') => void;
  /** Those of the trunk of that name before its settings changed: calls go on. */
  readonly lines?: Lines;
  readonly nowMs: number;
}

/** One provider: its settings, its servers, our registration there and the calls over it. */
export class Trunk {
  readonly name: string;
  readonly config: TrunkConfig;
  readonly plan: NumberPlan;
  readonly dids: Dids;
  readonly networks: readonly Network[];
  readonly targets: readonly Target[];
  readonly lines: Lines;
  readonly locate: Locate;
  /** User part of the contact that is registered. */
  readonly contactUser: string;
  readonly credentials: Credentials | undefined;
  readonly registration: Registration | undefined;
  readonly #health: readonly Health[];
  readonly #options: TrunkOptions;

  constructor(options: TrunkOptions) {
    const { name, config, crypto, locate, send, nowMs } = options;
    this.#options = options;
    this.name = name;
    this.locate = locate;
    this.config = config;
    this.plan = new NumberPlan(config.numbers);
    this.dids = new Dids(config.dids ?? {}, this.plan);
    this.networks = (config.inbound?.from ?? []).flatMap((text) => parseNetwork(text) ?? []);
    this.targets = config.targets.map((uri) => new Target(uri));
    const { maxCalls, maxCallsPerSecond, maxCallsPerUser } = { ...TRUNK_DEFAULTS, ...config };
    this.lines = options.lines ?? new Lines({ maxCalls, maxCallsPerSecond, maxCallsPerUser });
    this.lines.limits = { maxCalls, maxCallsPerSecond, maxCallsPerUser };
    const { register } = config;
    this.contactUser =
      register?.contactUser ?? hex(crypto.hmac('sha256', options.secret, utf8(`trunk ${name}`))).slice(0, 24);
    if (register) {
      const { user, authUser = user, password = '', realm } = register;
      this.credentials = new Credentials({ crypto, user: authUser, password, realm, asker: 'the provider' });
      this.registration = new Registration(
        {
          crypto,
          settings: register,
          domain: domainOf(config),
          credentials: this.credentials,
          contactUser: this.contactUser,
          contact: options.contact,
          ways: (now, then) => walk({ locate, targets: inOrder(this.targets) }, now, then),
          send,
          tell: options.tell,
        },
        nowMs,
      );
    }
    const optionsS = config.optionsS ?? TRUNK_DEFAULTS.optionsS;
    const user = register?.user ?? (config.callerId === undefined ? undefined : this.plan.toTrunk(config.callerId));
    this.#health = this.targets.map(
      (target) =>
        new Health(
          target,
          {
            crypto,
            locate,
            from: new NameAddr(new SipUri({ user, host: domainOf(config) })).toString(),
            intervalMs: optionsS * 1000,
            send,
            changed: (changed, now) => this.#changed(changed, now),
          },
          nowMs,
        ),
    );
  }

  get isUp(): boolean {
    return this.targets.some((target) => target.isUp) && (!this.registration || this.isRegistered);
  }

  get isRegistered(): boolean {
    return this.registration?.registeredUntilMs !== undefined;
  }

  tell(words: string, level: 'info' | 'warn'): void {
    this.#options.tell(words, level);
  }

  nextTimeout(): number | undefined {
    let next = this.registration?.nextTimeout();
    for (const health of this.#health) {
      const at = health.nextTimeout();
      if (at !== undefined && (next === undefined || at < next)) next = at;
    }
    return next;
  }

  handleTimeout(nowMs: number): void {
    this.registration?.handleTimeout(nowMs);
    for (const health of this.#health) health.handleTimeout(nowMs);
  }

  stop(nowMs: number): void {
    for (const health of this.#health) health.stop();
    this.registration?.stop(nowMs);
  }

  /** A registrar that went is left at once for another one; one that came back is asked at once where none has us. */
  #changed(target: Target, nowMs: number): void {
    this.tell(
      target.isUp ? `${target.uri} is up` : `${target.uri} is down: ${target.why}`,
      target.isUp ? 'info' : 'warn',
    );
    const { registration } = this;
    if (!registration) return;
    const isLeft = !target.isUp && registration.target === target && this.targets.some((other) => other.isUp);
    if (isLeft || (target.isUp && !this.isRegistered)) registration.hurry(nowMs);
  }
}
