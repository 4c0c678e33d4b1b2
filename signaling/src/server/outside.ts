import { ipFamily, isLoopback, type SocketAddress } from '@offhook/core';
import { monotonicMs, nodeCrypto } from '@offhook/core/node';
import type { TlsPeer } from '../locate/index.ts';
import { DnsClient, type Hop, type HopTransport, hopLabel, type LocatorCommand, type Opened } from '../locate/index.ts';
import type { Flow } from '../transaction/index.ts';
import { type Listener, OutgoingConnections, type TransportHub, tlsPeerProblem } from '../transport/index.ts';
import type { SipCore } from './core.ts';

/** How other servers are found and connected to. */
export interface OutsideSettings {
  /** Addresses, with a port where it is not 53; those of the system when left out. */
  readonly nameServers?: readonly string[];
  /** How TLS is done with servers that have no settings of their own. */
  readonly tls?: TlsPeer;
}

/** What of the files named in there can't be used, in words. */
export function outsideProblems({ tls }: OutsideSettings = {}): string[] {
  const problem = tls && tlsPeerProblem(tls);
  return problem === undefined ? [] : [`outside.tls: ${problem}`];
}

export interface NamedListener {
  readonly name: 'udp' | 'tcp' | 'tls';
  readonly listener: Listener;
}

/** Carries out what the machine wants of the world outside: questions to the DNS, and flows to other servers. */
export class Outside {
  readonly #hub: TransportHub;
  readonly #listeners: readonly NamedListener[];
  readonly #dns: DnsClient;
  readonly #connections: OutgoingConnections;

  constructor(o: {
    readonly settings?: OutsideSettings;
    readonly hub: TransportHub;
    /** Those that are open by now; the list may grow. */
    readonly listeners: readonly NamedListener[];
    readonly onTrouble: (words: string) => void;
  }) {
    this.#hub = o.hub;
    this.#listeners = o.listeners;
    this.#dns = new DnsClient({ crypto: nodeCrypto, servers: o.settings?.nameServers });
    this.#connections = new OutgoingConnections(o.hub, { tls: o.settings?.tls, onTrouble: o.onTrouble });
  }

  /** The machine hears of it as any other input: within `handle`. */
  async carryOut(command: LocatorCommand, core: SipCore, handle: (input: () => void) => void): Promise<void> {
    if (command.kind === 'doubt') this.#hub.doubt(command.flow, monotonicMs());
    else if (command.kind === 'question') {
      const reply = await this.#dns.ask(command);
      handle(() => core.handleAnswer(command.id, reply, monotonicMs()));
    } else {
      const { id, hop, tls } = command;
      const opened = hop.transport === 'udp' ? this.#overUdp(hop) : await this.#connections.open(hop, tls);
      handle(() => core.handleOpened(id, opened, monotonicMs()));
    }
  }

  /** Over UDP a listener's socket sends; connections need none, but IPv6 only where we have it at all. */
  sends(transport: HopTransport, family: 4 | 6): boolean {
    const fitting = this.#listeners.filter(({ listener }) => ipFamily(listener.local.address) === family);
    if (transport === 'udp') return fitting.some(({ name }) => name === 'udp') || (family === 4 && this.#isDualStack);
    return family === 4 || fitting.length > 0;
  }

  /** Where peers reach us, on a connection that we have opened: where we listen for others of its kind. */
  listeningFor(flow: Flow): SocketAddress | undefined {
    if (!flow.isOutgoing) return undefined;
    const at = this.#listeners.find(({ name, listener: { local } }) => {
      return name === flow.transport && (local.address === flow.local.address || isAny(local.address));
    });
    return at && { address: flow.local.address, port: at.listener.local.port };
  }

  close(): void {
    this.#dns.close();
    this.#connections.close();
  }

  get #isDualStack(): boolean {
    return this.#listeners.some(({ name, listener }) => name === 'udp' && listener.local.address === '::');
  }

  #overUdp(hop: Hop): Opened {
    const { address, port } = hop;
    const family = ipFamily(address);
    const at = this.#listeners.find(({ listener: { local, flowToServer } }) => {
      if (!flowToServer) return false;
      if (isAny(local.address)) return ipFamily(local.address) === family || local.address === '::';
      return ipFamily(local.address) === family && isLoopback(local.address) === isLoopback(address);
    });
    if (at) return { flow: at.listener.flowToServer!({ address, port }) };
    const where = this.#listeners.filter(({ name }) => name === 'udp').map(({ listener }) => listener.local.address);
    const error = `${hopLabel(hop)} (${address}) can’t be reached over UDP: we listen on ${where.join(', ') || 'none'} alone`;
    return { error };
  }
}

function isAny(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}
