import type { Crypto, SipMessage, SocketAddress } from '@offhook/core';
import type { Locate, Located } from '../locate/index.ts';
import type { Flow, TransactionCommand, TransactionLayer } from '../transaction/index.ts';
import type { TrunkConfig, TrunkConfigs } from './config.ts';
import { type Arrived, arrivedOver, type InboundTrunks, leadsNowhere, type TrunkSource, trunkOf } from './inbound.ts';
import type { Line } from './lines.ts';
import { contains } from './networks.ts';
import { dial, withPassword } from './outgoing.ts';
import type { Client } from './send.ts';
import { statusOf, type TrunkStatus, trunkFigures } from './status.ts';
import { inOrder, walk } from './targets.ts';
import { Trunk } from './trunk.ts';
import type { Outgoing, OutgoingCaller, Trunks } from './trunks.ts';

export interface TrunkLayerOptions {
  readonly crypto: Crypto;
  readonly transactions: Pick<TransactionLayer, 'request'>;
  /** Finds servers, by the TLS settings of a trunk where it has any. */
  readonly locate: (tls: TrunkConfig['tls']) => Locate;
  /** Our address as a Contact URI, as whoever is on that flow reaches it. */
  readonly contact: (flow: Flow) => string;
  /** The same over restarts: what contacts are made from. */
  readonly secret: Uint8Array;
}

/** News of a trunk, for the log. */
export interface TrunkNews {
  readonly trunk: string;
  readonly words: string;
  readonly level: 'info' | 'warn';
}

/** What the transactions report of a request of ours. */
type ClientCommand = Extract<TransactionCommand, { kind: 'response' | 'timeout' | 'transport-error' | 'terminated' }>;

/**
 * The SIP trunks of this server as one machine: registrations, health of targets, lines, and what calls want to know of
 * them. Requests go to the transactions, whose reports on them come back by `handle`.
 */
export class TrunkLayer implements Trunks, InboundTrunks {
  readonly #options: TrunkLayerOptions;
  readonly #trunks = new Map<string, Trunk>();
  readonly #clients = new Map<string, Client>();
  readonly #news: TrunkNews[] = [];

  constructor(options: TrunkLayerOptions) {
    this.#options = options;
  }

  /** Makes these the trunks: what is new begins, what is gone or changed is ended properly, what is the same goes on. */
  configure(configs: TrunkConfigs, nowMs: number): void {
    for (const [name, trunk] of this.#trunks) {
      if (isSame(configs[name], trunk.config)) continue;
      trunk.stop(nowMs);
      if (!configs[name]) this.#trunks.delete(name);
    }
    for (const [name, config] of Object.entries(configs)) {
      const known = this.#trunks.get(name);
      if (known && isSame(known.config, config)) continue;
      this.#trunks.set(name, this.#open(name, config, { lines: known?.lines, nowMs }));
    }
  }

  /** Ends all registrations: the server stops. */
  stop(nowMs: number): void {
    for (const trunk of this.#trunks.values()) trunk.stop(nowMs);
  }

  poll(): TrunkNews | undefined {
    return this.#news.shift();
  }

  nextTimeout(): number | undefined {
    let next: number | undefined;
    for (const trunk of this.#trunks.values()) {
      const at = trunk.nextTimeout();
      if (at !== undefined && (next === undefined || at < next)) next = at;
    }
    return next;
  }

  handleTimeout(nowMs: number): void {
    for (const trunk of this.#trunks.values()) trunk.handleTimeout(nowMs);
  }

  /** Takes what the transactions report of our own requests; false: it is somebody else's. */
  handle(command: TransactionCommand, nowMs: number): boolean {
    if (!isOfClient(command)) return false;
    const client = this.#clients.get(command.id);
    if (!client) return false;
    switch (command.kind) {
      case 'response':
        client.response(command.message, command.flow, nowMs);
        return true;
      case 'timeout':
      case 'transport-error':
        client.failed(command.kind, nowMs);
        return true;
      case 'terminated':
        this.#clients.delete(command.id);
        return true;
      default:
        return command satisfies never;
    }
  }

  handleFlowClosed(flow: Flow, nowMs: number): void {
    for (const trunk of this.#trunks.values()) trunk.registration?.handleFlowClosed(flow, nowMs);
  }

  dial(
    what: { readonly trunk: string; readonly number: string; readonly caller: OutgoingCaller },
    nowMs: number,
  ): Outgoing | { readonly status: number; readonly words: string } {
    const trunk = this.#trunks.get(what.trunk);
    if (!trunk) return { status: 404, words: `there is no trunk '${what.trunk.slice(0, 40)}'` };
    return dial(trunk, what, nowMs);
  }

  /** The trunk that a request outside of dialogs comes from. */
  trunkOf(request: SipMessage, flow: Flow, nowMs: number): TrunkSource | undefined {
    return this.#trunks.size === 0 ? undefined : trunkOf(this.#trunks.values(), request, { flow, nowMs });
  }

  /** Whether something from there may be a trunk's. */
  isPeer(remote: SocketAddress, nowMs: number): boolean {
    for (const { networks, registration, targets } of this.#trunks.values()) {
      if (networks.some((network) => contains(network, remote))) return true;
      if (registration?.flow?.remote.address === remote.address) return true;
      if (targets.some((target) => target.isSource({ remote }, nowMs))) return true;
    }
    return false;
  }

  /** Whether one more call may come in over that trunk just now. */
  mayCall(trunk: string, nowMs: number): boolean {
    const lines = this.#trunks.get(trunk)?.lines;
    if (!lines) return false;
    const may = lines.mayBegin('in', nowMs);
    if (!may) lines.refused.rate++;
    return may;
  }

  arrived(request: SipMessage, trunk: string): Arrived | undefined {
    const known = this.#trunks.get(trunk);
    return known && arrivedOver(known, request);
  }

  has(trunk: string): boolean {
    return this.#trunks.has(trunk);
  }

  /** What becomes of a number that is called over that trunk, as routing takes it. */
  leadsTo(trunk: string, called: string): { to: string; did?: { to: string } | { nowhere: string } } {
    const known = this.#trunks.get(trunk);
    if (!known) return { to: called };
    const number = known.plan.fromTrunk(called);
    const to = known.dids.find(number);
    return { to: number, did: to === undefined ? { nowhere: leadsNowhere(trunk, number) } : { to } };
  }

  take(trunk: string): Line | undefined {
    return this.#trunks.get(trunk)?.lines.takeIn();
  }

  retake(trunk: string, payer: string | undefined): Line | undefined {
    const known = this.#trunks.get(trunk);
    const line = known?.lines.retake(payer);
    // A call that came in has no credentials: whoever challenges within it gets none.
    return known && line && payer !== undefined ? withPassword(known, line, payer) : line;
  }

  find(trunk: string, nowMs: number, then: (result: Located, nowMs: number) => void): void {
    const known = this.#trunks.get(trunk);
    if (!known) then({ error: `there is no trunk '${trunk}' any more` }, nowMs);
    else
      walk({ locate: known.locate, targets: inOrder(known.targets) }, nowMs, (found, now) =>
        then('error' in found ? found : found.way, now),
      );
  }

  status(nowMs: number): TrunkStatus[] {
    return [...this.#trunks.values()].map((trunk) => statusOf(trunk, nowMs));
  }

  figures(): Record<string, number> {
    return trunkFigures(this.#trunks.values());
  }

  #open(name: string, config: TrunkConfig, by: { lines: Trunk['lines'] | undefined; nowMs: number }): Trunk {
    const { crypto, locate, contact, secret, transactions } = this.#options;
    return new Trunk({
      name,
      config,
      crypto,
      secret,
      locate: locate(config.tls),
      contact,
      send: (message, flow, client, now) => this.#clients.set(transactions.request(message, flow, now), client),
      tell: (words, level) => this.#news.push({ trunk: name, words, level }),
      lines: by.lines,
      nowMs: by.nowMs,
    });
  }
}

function isOfClient(command: TransactionCommand): command is ClientCommand {
  const { kind } = command;
  return kind === 'response' || kind === 'timeout' || kind === 'transport-error' || kind === 'terminated';
}

function isSame(a: TrunkConfig | undefined, b: TrunkConfig): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
