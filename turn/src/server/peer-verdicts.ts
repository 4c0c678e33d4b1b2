import type { UdpEndpoint } from '@offhook/core/node';
import type { AllocationTable } from '../allocation/allocation-table.ts';
import type { PeerCheck } from '../allocation/relay.ts';
import type { PeerPolicy } from '../peers/peer-policy.ts';

/** What the rules of now say of peers, and what our own relayed addresses add to them. */
export class PeerVerdicts implements PeerCheck {
  readonly #policy: () => PeerPolicy;
  readonly #allocations: AllocationTable;

  constructor(policy: () => PeerPolicy, allocations: AllocationTable) {
    this.#policy = policy;
    this.#allocations = allocations;
  }

  mayPermit(address: UdpEndpoint): boolean {
    const { family, a, b, c, d } = address;
    return this.#policy().allowsAddress(address) || this.#allocations.isRelayAddress(family, [a, b, c, d]);
  }

  verdict(peer: UdpEndpoint): 'allowed' | 'own' | 'forbidden' {
    if (this.#policy().allowsEndpoint(peer)) return 'allowed';
    const { family, a, b, c, d, port } = peer;
    return this.#allocations.isOwnRelay(family, [a, b, c, d], 0, port) ? 'own' : 'forbidden';
  }
}
