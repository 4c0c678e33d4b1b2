import { networkOf, type SipMessage, type SocketAddress, unmapped } from '@offhook/core';
import type { Flow } from '../transaction/index.ts';
import { Evidence, type Suspicion } from './evidence.ts';
import { Recent } from './recent.ts';
import { scannerOf } from './scanners.ts';

/** Why a network is banned; `hand`: somebody who runs this server said so. */
export type BanReason = 'scanner' | Suspicion | 'hand';

/** What a packet shows for itself before it is read: it may carry a nonce, or came from where somebody known is. */
export type Shown = 'nothing' | 'nonce' | 'known';

export interface BansOptions {
  /** Edge proxies speak for many. */
  readonly isEdge?: (address: string) => boolean;
  /** Whether something from there may be a trunk's. */
  readonly isTrunk?: (remote: SocketAddress, nowMs: number) => boolean;
  /** Whether a contact is registered from that network. */
  readonly hasContacts?: (network: string) => boolean;
  /** Whether a host name or address means this server. */
  readonly isLocal: (host: string) => boolean;
}

/** A ban as it is shown. */
export interface Ban {
  readonly network: string;
  readonly why: BanReason;
  /** `it asked for 23 accounts and signed in to none`. */
  readonly words: string;
  /** When it was made, and when it ends, milliseconds of the monotonic clock. */
  readonly sinceMs: number;
  readonly untilMs: number;
  /** How many there have been, this one included. */
  readonly times: number;
  /** Its source may be forged: it holds for datagrams only. */
  readonly isForgeable: boolean;
  /** Datagrams and connections that were refused for it. */
  readonly dropped: number;
}

/** The first ban, doubled with each further one up to the longest; forgotten when nothing has come for so long after the end. */
export const BAN_MS = 600_000;
const LONGEST_BAN_MS = 86_400_000;
const FORGET_MS = 86_400_000;
/** Whoever has signed in protects its network for so long. */
const PROTECTED_MS = 86_400_000;
/** Bans remembered of each kind, and networks from which somebody signed in. */
const MAX_BANS = 10_000;
const MAX_PROTECTED = 20_000;

/** This machine itself. Other addresses of 127.0.0.0/8 are like anybody's. */
const OWN_MACHINE: ReadonlySet<string> = new Set(['127.0.0.1', '::1']);

type Entry = { -readonly [K in keyof Ban]: Ban[K] };

/**
 * Who is not listened to for a while. Pure: what strangers do comes in, new bans are polled, and what they are asked for
 * costs one look into a table.
 *
 * A datagram's source may be forged. What is known by unproven datagrams alone is therefore held against datagrams only, and
 * not against those that show a nonce which was sent to that address; what came over a connection, or with such a nonce,
 * counts for everything. Nothing is held against a network in which somebody is at home: from which an account has signed in
 * within a day, or has a contact. Nor against this machine, edge proxies and trunks.
 */
export class Bans {
  /** Made, by reason. */
  readonly made: Record<BanReason, number> = {
    scanner: 0,
    accounts: 0,
    targets: 0,
    passwords: 0,
    malformed: 0,
    hand: 0,
  };
  /** Datagrams, requests and connections that were refused. */
  dropped = 0;
  readonly #options: BansOptions;
  readonly #evidence = new Evidence();
  /** By network; what forged datagrams bring about can't push the others out. */
  readonly #forgeable = new Recent<Entry>(MAX_BANS);
  readonly #proven = new Recent<Entry>(MAX_BANS);
  /** Network → when somebody signed in there last. */
  readonly #signedIn = new Recent<number>(MAX_PROTECTED);
  readonly #news: Ban[] = [];

  constructor(options: BansOptions) {
    this.#options = options;
  }

  /** Bans and past bans that are remembered, and networks and questions under watch. */
  get sizes(): { readonly bans: number; readonly networks: number; readonly questions: number } {
    const { size: networks, questions } = this.#evidence;
    return { bans: this.#forgeable.size + this.#proven.size, networks, questions };
  }

  /** A new ban, to be told and to be carried out on connections that are open. */
  poll(): Ban | undefined {
    return this.#news.shift();
  }

  /**
   * Whether nothing is taken from there: a datagram, or a connection. `shown` is asked only when there is a ban. A nonce
   * outweighs all but wrong passwords, for which there has to be one, and what was banned by hand.
   */
  refuses(
    remote: SocketAddress,
    over: Flow['transport'],
    nowMs: number,
    shown: () => Shown = () => 'nothing',
  ): boolean {
    if (this.#proven.size === 0 && this.#forgeable.size === 0) return false;
    const network = networkOf(remote.address);
    const proven = active(this.#proven.peek(network), nowMs);
    const ban = proven ?? (over === 'udp' ? active(this.#forgeable.peek(network), nowMs) : undefined);
    if (!ban || this.#isExempt(remote, nowMs)) return false;
    // Nothing outweighs what somebody who runs this server has said.
    const what = ban.why === 'hand' ? 'nothing' : shown();
    if (what === 'known' || (what === 'nonce' && ban.why !== 'passwords')) return false;
    ban.dropped++;
    this.dropped++;
    return true;
  }

  /**
   * A request outside dialogs, from no session and no trunk. False when it must not be answered: it comes from a scanner, or
   * from where a ban holds.
   */
  handleRequest(request: SipMessage, flow: Flow, showsNonce: boolean, nowMs: number): boolean {
    if (isOwnMachine(flow.remote.address)) return true;
    const shown = flow.isKnown ? 'known' : showsNonce ? 'nonce' : 'nothing';
    if (this.refuses(flow.remote, flow.transport, nowMs, () => shown)) return false;
    if (flow.isKnown) return true;
    const scanner = scannerOf(request);
    if (scanner === undefined) return true;
    this.dropped++;
    this.#suspect(flow, showsNonce, nowMs, { why: 'scanner', words: `it scans (${scanner})` });
    return false;
  }

  /** A request that is about to be looked at; the phone's answer to a challenge shows a nonce. */
  handleQuestion(request: SipMessage, flow: Flow, showsNonce: boolean, nowMs: number): void {
    if (flow.isKnown || this.#isSafe(flow.remote, nowMs)) return;
    const account = (request.method === 'REGISTER' ? request.to : request.from).uri.user;
    const target = this.#targetOf(request);
    const questions = [
      { of: 'accounts', what: account, inWords: (n: number) => `it asked for ${n} accounts and signed in to none` },
      {
        of: 'targets',
        what: target,
        inWords: (n: number) => `it asked for ${n} numbers or servers without signing in`,
      },
    ] as const;
    const key = evidenceKey(flow, false);
    for (const { of, what, inWords } of questions) {
      if (what === undefined) continue;
      if (showsNonce) {
        this.#evidence.answered(key, of, what);
        continue;
      }
      const count = this.#evidence.asked(key, of, what, nowMs);
      if (count !== undefined) this.#suspect(flow, false, nowMs, { why: of, words: inWords(count) });
    }
  }

  /** An account has shown its password, token or session: somebody is at home there. */
  handleSignIn(remote: SocketAddress, nowMs: number): void {
    const network = networkOf(remote.address);
    this.#signedIn.set(network, nowMs);
    for (const key of evidenceKeys(network)) this.#evidence.forget(key);
    this.#forgeable.delete(network);
    if (this.#proven.peek(network)?.why !== 'hand') this.#proven.delete(network);
  }

  /** A wrong password, or a try for an account that is locked, with a nonce that was sent to that address. */
  handleWrongPassword(flow: Pick<Flow, 'remote' | 'transport'>, nowMs: number): void {
    if (this.#isSafe(flow.remote, nowMs)) return;
    const count = this.#evidence.counted(evidenceKey(flow, true), 'passwords', nowMs);
    const words = `it tried ${count} wrong passwords within a short time`;
    if (count !== undefined) this.#suspect(flow, true, nowMs, { why: 'passwords', words });
  }

  /** Something that can't be read, on a SIP port. */
  handleMalformed(flow: Flow, nowMs: number): void {
    if (flow.isKnown || this.#isSafe(flow.remote, nowMs)) return;
    const count = this.#evidence.counted(evidenceKey(flow, false), 'malformed', nowMs);
    const words = `it sent ${count} malformed messages within a short time`;
    if (count !== undefined) this.#suspect(flow, false, nowMs, { why: 'malformed', words });
  }

  /** The bans that hold, the newest first. */
  list(nowMs: number): Ban[] {
    const all = [...this.#proven, ...this.#forgeable].map(([, ban]) => ban);
    return all.filter((ban) => ban.untilMs > nowMs).sort((a, b) => b.sinceMs - a.sinceMs);
  }

  /** How many hold. */
  active(nowMs: number): number {
    let count = 0;
    for (const bans of [this.#proven, this.#forgeable]) {
      for (const [network, ban] of bans) {
        if (ban.untilMs > nowMs) count++;
        else if (nowMs - ban.untilMs > FORGET_MS) bans.delete(network);
      }
    }
    return count;
  }

  /** Bans by hand; answers why not, in words, when it can't be. */
  add(address: string, durationMs: number, nowMs: number): Ban | string {
    const remote = { address, port: 0 };
    if (isOwnMachine(address)) return `${address} is this machine, which is never banned`;
    if (this.#options.isEdge?.(unmapped(address)))
      return `${address} is an edge proxy (sip.edges), which is never banned`;
    if (this.#options.isTrunk?.(remote, nowMs)) return `${address} belongs to a trunk, which is never banned`;
    return this.#ban(
      remote,
      { why: 'hand', words: 'somebody banned it by hand', isForgeable: false },
      nowMs,
      durationMs,
    );
  }

  /** Ends a ban, and forgets what led to it; false when there was none. */
  lift(address: string, nowMs: number): boolean {
    const network = networkOf(address);
    const held = [this.#proven, this.#forgeable].filter((bans) => active(bans.peek(network), nowMs) !== undefined);
    for (const bans of [this.#proven, this.#forgeable]) bans.delete(network);
    for (const key of evidenceKeys(network)) this.#evidence.forget(key);
    return held.length > 0;
  }

  /** What a stranger wants to reach: whom it calls, and any server but this one. */
  #targetOf(request: SipMessage): string | undefined {
    const target = request.target;
    if (!target?.isSip) return undefined;
    const server = this.#options.isLocal(target.host) ? '' : `@${target.host}`;
    const user = request.method === 'INVITE' ? (target.user ?? '') : '';
    return user === '' && server === '' ? undefined : user + server;
  }

  #suspect(
    flow: Pick<Flow, 'remote' | 'transport'>,
    showsNonce: boolean,
    nowMs: number,
    { why, words }: { readonly why: BanReason; readonly words: string },
  ): void {
    if (this.#isSafe(flow.remote, nowMs)) return;
    this.#ban(flow.remote, { why, words, isForgeable: flow.transport === 'udp' && !showsNonce }, nowMs);
  }

  #ban(
    { address }: SocketAddress,
    of: Pick<Ban, 'why' | 'words' | 'isForgeable'>,
    nowMs: number,
    durationMs?: number,
  ): Ban {
    const network = networkOf(address);
    const bans = of.isForgeable ? this.#forgeable : this.#proven;
    const before = bans.peek(network);
    // By hand, one that holds is replaced: nothing has happened anew.
    const replaced = of.why === 'hand' ? active(before, nowMs) : undefined;
    const times = replaced?.times ?? (before && nowMs - before.untilMs < FORGET_MS ? before.times + 1 : 1);
    const lengthMs = durationMs ?? Math.min(LONGEST_BAN_MS, BAN_MS * 2 ** Math.min(times - 1, 10));
    const ban: Entry = {
      network,
      ...of,
      sinceMs: nowMs,
      untilMs: nowMs + lengthMs,
      times,
      dropped: replaced?.dropped ?? 0,
    };
    bans.set(network, ban);
    this.#evidence.forget(evidenceKeys(network)[of.isForgeable ? 0 : 1]);
    if (replaced?.why !== 'hand') this.made[of.why]++;
    this.#news.push(ban);
    return ban;
  }

  /** Addresses that no ban of their network touches. */
  #isExempt(remote: SocketAddress, nowMs: number): boolean {
    const { isEdge, isTrunk } = this.#options;
    const { address } = remote;
    return isOwnMachine(address) || (isEdge?.(unmapped(address)) ?? false) || (isTrunk?.(remote, nowMs) ?? false);
  }

  /** Sources that no evidence is held against. */
  #isSafe(remote: SocketAddress, nowMs: number): boolean {
    const network = networkOf(remote.address);
    const signedInMs = this.#signedIn.peek(network);
    if (signedInMs !== undefined && nowMs - signedInMs < PROTECTED_MS) return true;
    return this.#isExempt(remote, nowMs) || (this.#options.hasContacts?.(network) ?? false);
  }
}

export function isOwnMachine(address: string): boolean {
  return OWN_MACHINE.has(unmapped(address));
}

function active(ban: Entry | undefined, nowMs: number): Entry | undefined {
  return ban && ban.untilMs > nowMs ? ban : undefined;
}

/** What may be forged is held apart from what may not. */
function evidenceKey({ remote, transport }: Pick<Flow, 'remote' | 'transport'>, showsNonce: boolean): string {
  return evidenceKeys(networkOf(remote.address))[transport === 'udp' && !showsNonce ? 0 : 1];
}

function evidenceKeys(network: string): readonly [forgeable: string, proven: string] {
  return [`udp ${network}`, network];
}
