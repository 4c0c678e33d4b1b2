import type { SocketAddress } from '@offhook/core';
import {
  batchedUdpProblem,
  bindUdpDescriptors,
  closeUdpDescriptors,
  nodeCrypto,
  type UdpDescriptor,
} from '@offhook/core/node';
import { SharedTables, sharedMemory } from '../allocation/shared.ts';
import type { UserFigures } from '../allocation/user-use.ts';
import type { TurnRules } from '../server/options.ts';
import { openNear } from '../shell/listeners.ts';
import type { Certificate } from '../shell/stream-listener.ts';
import type { Listening, TurnWorker, WorkerSettings, WorkerStatus } from './turn-worker.ts';
import { hostHere, hostInThread, type WorkerHost, type WorkerVerb } from './worker-host.ts';

const LISTENER_BUFFER = 4 * 1024 * 1024;
/** A worker that dies again and again is started again after this long. */
const RESTART_MS = 1000;

export interface WorkersOptions extends Omit<WorkerSettings, 'worker' | 'memory' | 'descriptors' | 'sharing'> {
  readonly workers: number;
  readonly warn: (words: string) => void;
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
  #listening!: Listening;
  #rules: TurnRules;
  #certificate: Certificate | undefined;
  #drainTo: { readonly alternate: SocketAddress | undefined } | undefined;
  #isStopped = false;
  restarts = 0;

  private constructor(options: WorkersOptions, descriptors: readonly (readonly UdpDescriptor[])[]) {
    this.#options = options;
    this.#descriptors = descriptors;
    this.#rules = options.rules;
    this.#certificate = options.certificate;
    const { workers, warn: _, ...settings } = options;
    this.#settings = {
      ...settings,
      worker: 0,
      memory: sharedMemory(workers, options.relay.addresses.length, nodeCrypto),
      descriptors: undefined,
      sharing: 'alone',
    };
  }

  /** Rejects in words when something can't be listened on. */
  static async start(options: WorkersOptions): Promise<Workers> {
    const { workers, listen, implementation } = options;
    const isBatched = implementation !== 'dgram' && (await batchedUdpProblem()) === undefined;
    const bound = workers > 1 && isBatched ? await bindAll(listen.udp, workers) : [];
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

  async status(): Promise<WorkerStatus & { readonly workers: number }> {
    const each = await this.#askAll('status');
    return {
      workers: each.length,
      allocations: sum(each.map(({ allocations }) => allocations)),
      users: new Set((await this.figures()).filter(({ allocations }) => allocations > 0).map(({ user }) => user)).size,
      connections: sum(each.map(({ connections }) => connections)),
      isDraining: this.#drainTo !== undefined,
    };
  }

  async metrics(): Promise<Record<string, number>> {
    const total: Record<string, number> = {};
    for (const one of await this.#askAll('metrics')) {
      for (const [name, value] of Object.entries(one)) total[name] = (total[name] ?? 0) + value;
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
    for (const one of (await this.#askAll('figures')).flat()) {
      const known = byUser.get(one.user);
      byUser.set(one.user, known ? added(known, one) : one);
    }
    return [...byUser.values()].sort((a, b) => b.bytesToPeers + b.bytesToClient - (a.bytesToPeers + a.bytesToClient));
  }

  async allocations(): Promise<Record<string, number>[]> {
    const each = await this.#askAll('allocations');
    return each.flatMap((list, worker) => list.map((one) => ({ worker, ...one })));
  }

  async apply(rules: TurnRules): Promise<void> {
    this.#rules = rules;
    await this.#askAll('apply', rules);
  }

  async use(certificate: Certificate): Promise<void> {
    this.#certificate = certificate;
    await this.#askAll('use', certificate);
  }

  async drain(alternate?: SocketAddress): Promise<void> {
    this.#drainTo = { alternate };
    await this.#askAll('drain', alternate);
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
    this.#isStopped = true;
    await this.#askAll('stop').catch(() => {});
    await closeUdpDescriptors(this.#descriptors.flat());
  }

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
    const host = await hostInThread(settings, (why) => void this.#restart(worker, why));
    this.#hosts[worker] = host;
    if (this.#drainTo) await host.ask('drain', this.#drainTo.alternate);
  }

  async #restart(worker: number, why: string): Promise<void> {
    this.#hosts[worker] = undefined;
    new SharedTables(this.#settings.memory, worker, nodeCrypto).forget(worker);
    this.restarts++;
    this.#options.warn(`worker ${worker} has ended, its allocations are gone: ${why}`);
    while (!this.#isStopped) {
      try {
        await this.#startWorker(worker);
        return;
      } catch (error) {
        this.#options.warn(
          `worker ${worker} does not start: ${error instanceof Error ? error.message : String(error)}`,
        );
        await new Promise((resolve) => setTimeout(resolve, RESTART_MS));
      }
    }
  }

  #askAll<V extends WorkerVerb>(
    verb: V,
    argument?: Parameters<TurnWorker[V]>[0],
  ): Promise<ReturnType<TurnWorker[V]>[]> {
    const alive = this.#hosts.flatMap((host) => host ?? []);
    return Promise.all(alive.map((host) => host.ask(verb, argument)));
  }
}

async function bindAll(udp: readonly SocketAddress[], workers: number): Promise<(readonly UdpDescriptor[])[]> {
  const bound = await openNear(udp, async (at) => {
    const all = await bindUdpDescriptors({ ...at, receiveBuffer: LISTENER_BUFFER }, workers);
    return { local: all[0]!.local, all, close: () => void closeUdpDescriptors(all) };
  });
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
