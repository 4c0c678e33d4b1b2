import { parseAddressRange } from '@offhook/core';

/** Peers: an address, a CIDR prefix or a range (10.0.0.0-10.255.255.255), and the ports there, all of them by default. */
export interface PeerRule {
  readonly address: string;
  readonly portMin?: number;
  /** `portMin` by default, where that is there. */
  readonly portMax?: number;
}

/** Whom clients may reach besides each other's relayed addresses. */
export interface PeerRules {
  /** `none`: only what `allow` names. `public`: every public unicast address besides. */
  readonly base: 'none' | 'public';
  /** Wins over everything but what is never a peer. */
  readonly allow: readonly PeerRule[];
  /** Wins over `public`. */
  readonly deny: readonly PeerRule[];
}

/** What is wrong with a rule, in words, or undefined. */
export function peerRuleProblem(rule: PeerRule): string | undefined {
  const { address } = rule;
  if (typeof address !== 'string') return 'each needs an address';
  if (!parseAddressRange(address)) {
    const shown = address.length > 100 ? `${address.slice(0, 99)}…` : address;
    return `'${shown}' is neither an IP address nor a CIDR prefix like 10.1.0.0/16 nor a range like 10.1.0.0-10.1.255.255`;
  }
  const { portMin = 1, portMax = rule.portMin ?? 65535 } = rule;
  if (![portMin, portMax].every((port) => Number.isInteger(port) && port >= 1 && port <= 65535) || portMin > portMax)
    return `the ports of '${address}' have to be 1–65535, the first not above the last`;
  return undefined;
}
