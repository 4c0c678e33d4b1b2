import { ipFamily, type SocketAddress } from '@offhook/core';
import type { TurnConfig } from './config.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import { peerRuleProblem } from './peers/peer-rule.ts';

const KINDS = ['udp', 'tcp', 'tls'] as const;
const MIN_SECRET = 16;

/** Everything that is wrong with a configuration, in words; empty when it can be used. */
export function turnConfigProblems(config: TurnConfig): string[] {
  const problems: string[] = [];
  const say = (bad: boolean, words: string) => {
    if (bad) problems.push(words);
  };
  problems.push(...listenProblems(config), ...relayProblems(config));
  say(typeof config.realm !== 'string' || config.realm === '' || config.realm.length > 127, 'realm: 1–127 characters');
  const secrets = list(config.secrets);
  say(!Array.isArray(config.secrets), 'secrets: a list is needed, it may be empty');
  say(
    secrets.some((secret) => typeof secret !== 'string' || secret === ''),
    'secrets: each has to be some text',
  );
  const { peers } = config;
  say(!['none', 'public'].includes(peers?.base), "peers.base has to be 'none' or 'public'");
  for (const name of ['allow', 'deny'] as const) {
    for (const rule of list(peers?.[name])) {
      const problem = peerRuleProblem(rule);
      say(problem !== undefined, `peers.${name}: ${problem}`);
    }
  }
  for (const [name, value] of Object.entries(config.limits ?? {})) {
    say(!(name in DEFAULT_LIMITS), `limits.${name} is not known; known are: ${Object.keys(DEFAULT_LIMITS).join(', ')}`);
    say(!(typeof value === 'number' && value > 0), `limits.${name} has to be a number above 0`);
  }
  const { workers = 1, nonceSecret, gatherUs = 500, alternateServer, http, natDiscovery } = config;
  say(!Number.isInteger(workers) || workers < 1 || workers > 64, 'workers: 1–64');
  say(
    nonceSecret !== undefined && !(typeof nonceSecret === 'string' && nonceSecret.length >= MIN_SECRET),
    `nonceSecret: at least ${MIN_SECRET} characters`,
  );
  say(!Number.isInteger(gatherUs) || gatherUs < 0 || gatherUs > 10_000, 'gatherUs: 0–10000 microseconds');
  for (const [name, at] of Object.entries({ alternateServer, http })) {
    if (at !== undefined) problems.push(...addressProblems(name, at));
  }
  say(
    natDiscovery === true && !hasSquare(list(config.listen?.udp)),
    'natDiscovery needs two addresses with the same two ports in listen.udp (RFC 5780 6)',
  );
  return problems;
}

function listenProblems({ listen, tls }: TurnConfig): string[] {
  const problems: string[] = [];
  let count = 0;
  for (const kind of KINDS) {
    if (!Array.isArray(listen?.[kind])) problems.push(`listen.${kind}: a list is needed, it may be empty`);
    for (const at of list(listen?.[kind])) {
      problems.push(...addressProblems(`listen.${kind}`, at));
      count++;
    }
  }
  if (count === 0) problems.push('listen: at least one address is needed');
  if (list(listen?.tls).length > 0 && tls === undefined) problems.push('listen.tls needs tls, the certificate');
  if ((tls?.cert === undefined) !== (tls?.key === undefined)) problems.push('tls.cert and tls.key belong together');
  return problems;
}

function relayProblems({ relay }: TurnConfig): string[] {
  const problems: string[] = [];
  if (list(relay?.addresses).length === 0) return ['relay.addresses: at least one is needed'];
  for (const { address, external } of list(relay.addresses)) {
    if (ipFamily(address) === undefined) problems.push(`relay.addresses: '${address}' is no IP address`);
    if (address === '0.0.0.0' || address === '::')
      problems.push(`relay.addresses: '${address}' can't be told to peers`);
    if (external === undefined) continue;
    if (ipFamily(external) === undefined) problems.push(`relay.addresses: '${external}' is no IP address`);
    else if (external.includes(':') !== address.includes(':'))
      problems.push(`relay.addresses: '${external}' and '${address}' are of different families`);
  }
  const { portMin, portMax } = relay;
  if (!isPort(portMin) || !isPort(portMax)) problems.push('relay.portMin and relay.portMax have to be ports');
  if (portMin > portMax) problems.push('relay.portMin is above relay.portMax');
  if (portMin === 0 && portMax !== 0) problems.push('relay.portMin 0 (any port) needs portMax 0 too');
  return problems;
}

export function addressProblems(name: string, { address, port }: SocketAddress): string[] {
  const problems: string[] = [];
  if (ipFamily(address) === undefined) problems.push(`${name}: '${address}' is no IP address`);
  if (!isPort(port)) problems.push(`${name}: ${port} is no port`);
  return problems;
}

/** Whether two addresses and two ports, each with each, are among the listeners. */
function hasSquare(listeners: readonly SocketAddress[]): boolean {
  const [first] = listeners;
  if (!first) return false;
  const other = listeners.find((at) => at.address !== first.address && at.port === first.port);
  const port = listeners.find((at) => at.address === first.address && at.port !== first.port)?.port;
  return other !== undefined && listeners.some((at) => at.address === other.address && at.port === port);
}

function isPort(port: unknown): boolean {
  return Number.isInteger(port) && (port as number) >= 0 && (port as number) <= 65535;
}

function list<T>(value: readonly T[] | undefined): readonly T[] {
  return Array.isArray(value) ? value : [];
}
