import type { SocketAddress } from '@offhook/core';
import {
  gatherPackets,
  monotonicMs,
  nodeCrypto,
  shortTimeSlices,
  systemRingProblem,
  type UdpDescriptor,
} from '@offhook/core/node';
import type { RelayPorts } from '../allocation/allocation-table.ts';
import type { SharedMemory } from '../allocation/shared.ts';
import type { UserFigures } from '../allocation/user-use.ts';
import type { TurnListen } from '../config.ts';
import type { TurnRules } from '../server/options.ts';
import { openListeners } from '../shell/listeners.ts';
import { TurnShell } from '../shell/shell.ts';
import type { Certificate } from '../shell/stream-listener.ts';
import { workerMetrics } from './worker-metrics.ts';

/** Everything a worker is started with; plain data, so that it can be handed to a thread. */
export interface WorkerSettings {
  /** 0 … workers-1 */
  readonly worker: number;
  readonly memory: SharedMemory;
  readonly listen: TurnListen;
  readonly descriptors: readonly UdpDescriptor[] | undefined;
  readonly sharing: 'alone' | 'first' | 'further';
  readonly certificate: Certificate | undefined;
  readonly relay: RelayPorts;
  readonly realm: string;
  readonly rules: TurnRules;
  readonly sha256: boolean;
  readonly natDiscovery: boolean;
  readonly nonceKey: Uint8Array;
  readonly gatherUs: number;
  readonly fixedPorts: boolean;
  readonly implementation: 'auto' | 'mmsg' | 'dgram';
}

/** Where a worker listens, really. */
export interface Listening extends TurnListen {
  /** How UDP is done: `mmsg` (batched) or `dgram`. */
  readonly implementation: string;
  /** Whether io_uring serves several ports by one system call: `on`, or `off` and why. */
  readonly ring: string;
}

export interface WorkerStatus {
  readonly allocations: number;
  readonly users: number;
  readonly connections: number;
  readonly isDraining: boolean;
}

/** One thread's share of the server. Every method takes and answers plain data. */
export class TurnWorker {
  readonly #shell: TurnShell;
  readonly #ring: string;

  private constructor(shell: TurnShell, ring: string) {
    this.#shell = shell;
    this.#ring = ring;
  }

  static async open(settings: WorkerSettings): Promise<TurnWorker> {
    const { listen, descriptors, certificate, sharing, fixedPorts, implementation, rules } = settings;
    await gatherPackets(settings.gatherUs);
    await shortTimeSlices();
    const shell = await TurnShell.open({
      ...settings,
      ...rules,
      crypto: nodeCrypto,
      listen: (connections) =>
        openListeners({ listen, descriptors, certificate, connections, implementation, sharing, fixedPorts }),
    });
    const problem = await systemRingProblem();
    return new TurnWorker(shell, problem === undefined ? 'on' : `off: ${problem}`);
  }

  listening(): Listening {
    const { udp, tcp, tls } = this.#shell.listeners;
    return {
      udp: udp.map(({ local }) => local),
      tcp,
      tls,
      implementation: udp[0]?.implementation ?? 'none',
      ring: this.#ring,
    };
  }

  status(): WorkerStatus {
    const { server, connections } = this.#shell;
    const { allocations, users, isDraining } = server;
    return { allocations, users, connections: connections.size, isDraining };
  }

  metrics(): Record<string, number> {
    return workerMetrics(this.#shell);
  }

  figures(): readonly UserFigures[] {
    return this.#shell.server.figures();
  }

  allocations(): readonly Record<string, number>[] {
    return this.#shell.server.describe(monotonicMs());
  }

  apply(rules: TurnRules): void {
    this.#shell.apply(rules);
  }

  use(certificate: Certificate): void {
    this.#shell.use(certificate);
  }

  drain(alternate: SocketAddress | undefined): void {
    this.#shell.server.drain(alternate);
  }

  undrain(): void {
    this.#shell.server.undrain();
  }

  stop(): void {
    this.#shell.close();
  }
}
