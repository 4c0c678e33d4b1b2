import { setTimeout as sleep } from 'node:timers/promises';
import type { SocketAddress } from '@offhook/core';
import {
  batchedUdpProblem,
  bindUdpDescriptors,
  closeLeftDescriptors,
  closeUdpDescriptors,
  descriptorMemory,
  monotonicMs,
  nodeCrypto,
  type UdpDescriptor,
} from '@offhook/core/node';
import { SharedTables, sharedMemory } from '../allocation/shared.ts';
import type { UserFigures } from '../allocation/user-use.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import type { TurnRules } from '../server/options.ts';
import { openNear } from '../shell/listeners.ts';
import type { Certificate } from '../shell/stream-listener.ts';
import type { Listening, TurnWorker, WorkerSettings, WorkerStatus } from './turn-worker.ts';
import { hostHere, hostInThread, type WorkerHost, type WorkerVerb } from './worker-host.ts';

const LISTENER_BUFFER = 4 * 1024 * 1024;
/** A worker that dies again soon is started again after this long, and each time after twice as long … */
const RESTART_MS = 1000;
/** … up to this. */
const MAX_RESTART_MS = 8000;
/** One that has lived for so long is not about to die again. */
const STEADY_MS = 60_000;

export interface WorkersOptions extends Omit<WorkerSettings, 'worker' | 'memory' | 'descriptors' | 'sharing'> {
  readonly workers: number;
  readonly warn: (words: string) => void;
  /** Waits before a worker is started again; default real time. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** How often a worker died soon after it had been started again, and when that was. */
interface Pace {
  deaths: number;
  restartedAtMs: number;
}

/**
 * The threads of a server. The UDP sockets of all of them are bound here and stay open as long as the process lives: the
 * system chooses among them by the packet's addresses, so a client stays on one thread, also after another was replaced.
 */
export class Workers {
  readonly #options: WorkersOptions;
  readonly #hosts: (WorkerHost | undefined)[] = [];
  readonly #settings: WorkerSettings;
  readonly #descriptors: readonly (readonly UdpDescriptor[])[];
  /** Which descriptors each thread has open. */
  readonly #opened: readonly SharedArrayBuffer[];
  readonly #paces: readonly Pace[];
  readonly #restarting = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #listening!: Listening;
  #rules: TurnRules;
  #certificate: Certificate | undefined;
  #drainTo: { readonly alternate: SocketAddress | undefined } | undefined;
  restarts = 0;

  private constructor(options: WorkersOptions, descriptors: readonly (readonly UdpDescriptor[])[]) {
    this.#options = options;
    this.#descriptors = descriptors;
    const { workers, warn: _, pause: _pause, ...settings } = options;
    this.#rules = shareOf(options.rules, workers);
    this.#certificate = options.certificate;
    this.#opened = Array.from({ length: workers }, descriptorMemory);
    this.#paces = this.#opened.map(() => ({ deaths: 0, restartedAtMs: Number.NEGATIVE_INFINITY }));
    this.#settings = {
      ...settings,
      rules: this.#rules,
      worker: 0,
      memory: sharedMemory(workers, options.relay.addresses.length, nodeCrypto),
      descriptors: undefined,
      sharing: 'alone',
    };
  }

  /** Rejects in words when something can't be listened on. */
  static async start(options: WorkersOptions): Promise<Workers> {
    const { workers, listen, fixedPorts, implementation } = options;
    // This loads the foreign calls in the main thread too, and it has to: loaded by a thread alone they go with it when it is
    // terminated, and the process with them.
    const isBatched = implementation !== 'dgram' && (await batchedUdpProblem()) === undefined;
    const bound = workers > 1 && isBatched ? await bindAll(listen.udp, workers, fixedPorts) : [];
    const descriptors = Array.from({ length: workers }, (_, worker) => bound.map((all) => all[worker]!));
    const all = new Workers(options, bound.length > 0 ? descriptors : []);
    if (workers === 1) {
      const host = await hostHere(all.#settings);
      all.#hosts.push(host);
      all.#listening = await host.ask('listening');
      return all;
    }
    try {
      // The first one settles which ports it will be; the others take the same.
      await all.#startWorker(0);
      all.#listening = await all.#hosts[0]!.ask('listening');
      for (let worker = 1; worker < workers; worker++) await all.#startWorker(worker);
      return all;
    } catch (error) {
      await all.stop();
      throw error;
    }
  }

  get listening(): Listening {
    return this.#listening;
  }

  async status(): Promise<WorkerStatus & { readonly workers: number; readonly drainsTo: SocketAddress | undefined }> {
    const each = await this.#askAll('status');
    return {
      workers: each.length,
      allocations: sum(each.map(({ answer }) => answer.allocations)),
      users: new Set((await this.figures()).filter(({ allocations }) => allocations > 0).map(({ user }) => user)).size,
      connections: sum(each.map(({ answer }) => answer.connections)),
      isDraining: this.#drainTo !== undefined,
      drainsTo: this.#drainTo && (this.#drainTo.alternate ?? this.#rules.alternateServer),
    };
  }

  async metrics(): Promise<Record<string, number>> {
    const total: Record<string, number> = {};
    for (const { answer } of await this.#askAll('metrics')) {
      for (const [name, value] of Object.entries(answer)) total[name] = (total[name] ?? 0) + value;
    }
    const tables = new SharedTables(this.#settings.memory, 0, nodeCrypto);
    const taken = this.#options.relay.addresses.map((_, address) => tables.portsTaken(address));
    total.offhook_turn_relay_ports_taken = sum(taken);
    total.offhook_turn_worker_restarts_total = this.restarts;
    return total;
  }

  /** Of each user, over all threads; those with most traffic first. */
  async figures(): Promise<UserFigures[]> {
    const byUser = new Map<string, UserFigures>();
    for (const one of (await this.#askAll('figures')).flatMap(({ answer }) => answer)) {
      const known = byUser.get(one.user);
      byUser.set(one.user, known ? added(known, one) : one);
    }
    return [...byUser.values()].sort((a, b) => b.bytesToPeers + b.bytesToClient - (a.bytesToPeers + a.bytesToClient));
  }

  async allocations(): Promise<Record<string, number>[]> {
    const each = await this.#askAll('allocations');
    return each.flatMap(({ worker, answer }) => answer.map((one) => ({ worker, ...one })));
  }

  async apply(rules: TurnRules): Promise<void> {
    this.#rules = shareOf(rules, this.#options.workers);
    await this.#askAll('apply', this.#rules);
  }

  async use(certificate: Certificate): Promise<void> {
    this.#certificate = certificate;
    await this.#askAll('use', certificate);
  }

  async drain(alternate?: SocketAddress): Promise<void> {
    this.#drainTo = { alternate: alternate ?? this.#drainTo?.alternate };
    await this.#askAll('drain', this.#drainTo.alternate);
  }

  async undrain(): Promise<void> {
    this.#drainTo = undefined;
    await this.#askAll('undrain');
  }

  /** Ends one thread as a crash would, for tests of what follows. */
  async kill(worker: number): Promise<void> {
    await this.#hosts[worker]?.kill();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#askAll('stop').catch(() => {});
    await Promise.all(this.#restarting);
    await closeUdpDescriptors(this.#descriptors.flat());
  }

  /** What holds is read here, in the step in which the thread can be asked: a change from then on is told to it. */
  async #startWorker(worker: number): Promise<void> {
    const isFirst = this.#listening === undefined;
    const settings: WorkerSettings = {
      ...this.#settings,
      worker,
      listen: isFirst ? this.#settings.listen : this.#listening,
      descriptors: this.#descriptors[worker]?.map(({ fd, local }) => ({ fd, local })) as readonly UdpDescriptor[],
      certificate: this.#certificate,
      rules: this.#rules,
      sharing: isFirst ? 'first' : 'further',
    };
    const descriptors = this.#opened[worker]!;
    const host = hostInThread({ settings, descriptors }, (why) => this.#handleGone(worker, why));
    this.#hosts[worker] = host;
    if (this.#drainTo) host.ask('drain', this.#drainTo.alternate).catch(() => {}); // it has ended: the next one is told
    try {
      await host.ready;
    } catch (error) {
      this.#hosts[worker] = undefined;
      await this.#forget(worker);
      throw error;
    }
  }

  #handleGone(worker: number, why: string): void {
    this.#hosts[worker] = undefined;
    this.restarts++;
    this.#options.warn(`worker ${worker} has ended, its allocations are gone: ${why}`);
    const restart = this.#restart(worker).finally(() => this.#restarting.delete(restart));
    this.#restarting.add(restart);
  }

  async #restart(worker: number): Promise<void> {
    const { pause = pauseFor, warn } = this.#options;
    const { signal } = this.#stopping;
    const pace = this.#paces[worker]!;
    pace.deaths = monotonicMs() - pace.restartedAtMs < STEADY_MS ? pace.deaths + 1 : 0;
    await this.#forget(worker);
    while (!signal.aborted) {
      if (pace.deaths > 0) await pause(Math.min(RESTART_MS * 2 ** (pace.deaths - 1), MAX_RESTART_MS), signal);
      if (signal.aborted) return;
      pace.restartedAtMs = monotonicMs();
      try {
        await this.#startWorker(worker);
        return;
      } catch (error) {
        pace.deaths++;
        warn(`worker ${worker} does not start: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  /** Gives back what a thread had that has ended: its sockets first, so that no port is called free that is still bound. */
  async #forget(worker: number): Promise<void> {
    await closeLeftDescriptors(this.#opened[worker]!);
    new SharedTables(this.#settings.memory, worker, nodeCrypto).forget(worker);
  }

  /** Asks those that live, and those that are being started; who ends meanwhile is left out. */
  async #askAll<V extends WorkerVerb>(
    verb: V,
    argument?: Parameters<TurnWorker[V]>[0],
  ): Promise<{ readonly worker: number; readonly answer: ReturnType<TurnWorker[V]> }[]> {
    const asked = this.#hosts.map(async (host, worker) => {
      if (!host) return [];
      try {
        return [{ worker, answer: await host.ask(verb, argument) }];
      } catch (error) {
        if (host.isGone) return [];
        throw error;
      }
    });
    return (await Promise.all(asked)).flat();
  }
}

/** The system shares connections out among workers that know nothing of each other's. */
function shareOf(rules: TurnRules, workers: number): TurnRules {
  const { connections, connectionsPerSource } = { ...DEFAULT_LIMITS, ...rules.limits };
  const share = (limit: number) => Math.max(1, Math.floor(limit / workers));
  const limits = {
    ...rules.limits,
    connections: share(connections),
    connectionsPerSource: share(connectionsPerSource),
  };
  return { ...rules, limits };
}

/** Ends early when there is nothing to wait for any more. */
function pauseFor(ms: number, signal: AbortSignal): Promise<unknown> {
  return sleep(ms, undefined, { signal }).catch(() => {});
}

async function bindAll(
  udp: readonly SocketAddress[],
  workers: number,
  fixedPorts: boolean,
): Promise<(readonly UdpDescriptor[])[]> {
  const open = async (at: SocketAddress) => {
    const all = await bindUdpDescriptors({ ...at, receiveBuffer: LISTENER_BUFFER }, workers);
    return { local: all[0]!.local, all, close: () => void closeUdpDescriptors(all) };
  };
  const bound = await openNear(udp, open, fixedPorts ? 0 : undefined);
  return bound.map(({ all }) => all);
}

function added(a: UserFigures, b: UserFigures): UserFigures {
  return {
    user: a.user,
    allocations: a.allocations + b.allocations,
    packetsToPeers: a.packetsToPeers + b.packetsToPeers,
    bytesToPeers: a.bytesToPeers + b.bytesToPeers,
    packetsToClient: a.packetsToClient + b.packetsToClient,
    bytesToClient: a.bytesToClient + b.bytesToClient,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
