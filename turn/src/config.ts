import type { SocketAddress } from '@offhook/core';
import type { PartConfig } from '@offhook/core/node';
import { DEFAULT_LIMITS, type TurnLimits } from './limits.ts';
import { isAddress, type PeerRule, peerRuleProblem } from './peer-policy.ts';

/** The configuration file of the TURN part. */
export interface TurnConfig extends PartConfig {
  /** Where clients come; port 0 = any, a port in use is skipped (for all addresses alike where they ask for the same). */
  readonly listen: readonly SocketAddress[];
  /** Addresses of the relay sockets, one per address is enough, and their ports; 0 and 0 = any the system has free. */
  readonly relay: { readonly addresses: readonly string[]; readonly portMin: number; readonly portMax: number };
  readonly realm: string;
  /** Secrets of the time-limited credentials; several are good at once, so that one can be replaced. */
  readonly secrets: readonly string[];
  /** Peers that clients may reach, besides each other's relayed addresses. Nobody else. */
  readonly peers: readonly PeerRule[];
  readonly limits?: Partial<TurnLimits>;
}

/** Everything that is wrong with a configuration, in words; empty when it can be used. */
export function turnConfigProblems(config: TurnConfig): string[] {
  const problems: string[] = [];
  const say = (bad: boolean, words: string) => {
    if (bad) problems.push(words);
  };
  const port = (p: unknown) => Number.isInteger(p) && (p as number) >= 0 && (p as number) <= 65535;
  const list = (v: unknown): v is readonly unknown[] => Array.isArray(v);
  if (!list(config.listen) || config.listen.length === 0) problems.push('listen: at least one address is needed');
  else {
    for (const at of config.listen) {
      say(!isAddress(at.address), `listen: '${at.address}' is no IP address`);
      say(!port(at.port), `listen: ${at.port} is no port`);
    }
  }
  const { relay } = config;
  if (!list(relay?.addresses) || relay.addresses.length === 0) problems.push('relay.addresses: at least one is needed');
  else {
    for (const address of relay.addresses) {
      say(!isAddress(address), `relay.addresses: '${address}' is no IP address`);
      say(address === '0.0.0.0' || address === '::', `relay.addresses: '${address}' can't be told to peers`);
    }
    say(!port(relay.portMin) || !port(relay.portMax), 'relay.portMin and relay.portMax have to be ports');
    say(relay.portMin > relay.portMax, 'relay.portMin is above relay.portMax');
    say(relay.portMin === 0 && relay.portMax !== 0, 'relay.portMin 0 (any port) needs portMax 0 too');
  }
  say(typeof config.realm !== 'string' || config.realm === '' || config.realm.length > 127, 'realm: 1–127 characters');
  const secrets = list(config.secrets) ? config.secrets : [];
  say(
    secrets.length === 0 || secrets.some((s) => typeof s !== 'string' || s === ''),
    'secrets: at least one is needed',
  );
  for (const rule of list(config.peers) ? config.peers : []) {
    const problem = peerRuleProblem(rule);
    say(problem !== undefined, `peers: ${problem}`);
  }
  for (const [name, value] of Object.entries(config.limits ?? {})) {
    say(!(name in DEFAULT_LIMITS), `limits.${name} is not known; known are: ${Object.keys(DEFAULT_LIMITS).join(', ')}`);
    say(!(typeof value === 'number' && value > 0), `limits.${name} has to be a number above 0`);
  }
  return problems;
}
