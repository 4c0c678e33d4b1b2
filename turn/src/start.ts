import { createHash } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { isLoopback, parseAddressRange, rangeText, type SocketAddress } from '@offhook/core';
import { certificateInWords, nodeCrypto, type RunningPart, ServerCertificate } from '@offhook/core/node';
import type { TurnConfig } from './config.ts';
import { addressProblems, turnConfigProblems } from './config-problems.ts';
import { openHttp } from './http.ts';
import { resourceWarnings, withinDescriptors } from './resources.ts';
import { readRules } from './rules.ts';
import type { TurnRules } from './server/options.ts';
import { nonceKeyOf } from './server/turn-server.ts';
import { usersVerb } from './users-verb.ts';
import { userMetrics } from './workers/user-metrics.ts';
import { Workers } from './workers/workers.ts';

/** How often this machine's addresses are looked at. */
const ADDRESSES_EACH_MS = 60_000;

/**
 * Starts the TURN part: opens its listeners and serves until `stop`. Rejects with everything that is wrong, in words.
 * `reread` reads the configuration anew for a reload; `addresses` tells this machine's addresses, of now.
 */
export async function startTurn(
  config: TurnConfig,
  reread?: () => TurnConfig,
  addresses: () => readonly string[] = hostAddresses,
): Promise<RunningPart> {
  refuse(turnConfigProblems(config));
  const warn = (words: string) => process.stderr.write(`${words}\n`);
  let current = config;
  const read = (policy: TurnConfig) => {
    const rules = readRules(policy, config.realm);
    return { ...rules, limits: withinDescriptors(rules.limits), hostAddresses: addresses() };
  };
  let rules: TurnRules & { readonly hostAddresses: readonly string[] } = read(config);
  if (rules.secrets.length === 0 && rules.users.length === 0 && config.usersFile === undefined)
    throw new Error('secrets: without a secret and without long-term users (usersFile) nobody could sign in');
  const certificate = openCertificate(config, warn);
  const workers = await Workers.start({
    workers: config.workers ?? 1,
    listen: config.listen,
    certificate: certificate?.context('browsers') as { cert: string; key: string } | undefined,
    relay: config.relay,
    realm: config.realm,
    rules,
    sha256: config.sha256 ?? true,
    natDiscovery: config.natDiscovery ?? false,
    nonceKey: nonceKeyOf(config.nonceSecret, nodeCrypto),
    gatherUs: config.gatherUs ?? 500,
    fixedPorts: config.fixedPorts ?? false,
    implementation: config.implementation ?? 'auto',
    warn,
  });
  const apply = async (next: typeof rules) => {
    rules = next;
    await workers.apply(next);
  };
  // an address that this machine gets while it runs is its own from then on, and no peer under `public`
  const following = setInterval(() => {
    const now = addresses();
    if (now.join() === rules.hostAddresses.join()) return;
    apply({ ...rules, hostAddresses: now }).catch((error: unknown) =>
      warn(`new addresses of this machine: ${String(error)}`),
    );
  }, ADDRESSES_EACH_MS);
  following.unref();
  certificate?.follow(() => void workers.use(certificate.context('browsers') as { cert: string; key: string }));
  const warnings = () => [...resourceWarnings(current), ...(certificate?.warning ? [certificate.warning] : [])];
  for (const words of warnings()) warn(`warning: ${words}`);
  const { listening } = workers;
  const details = async () => {
    const { isDraining: _, drainsTo, ...status } = await workers.status();
    const at = (kind: string, list: readonly SocketAddress[]) =>
      list.map(({ address, port }) => `${kind} ${address} port ${port}`);
    return {
      ...status,
      ...(drainsTo ? { drainsTo: `${drainsTo.address} port ${drainsTo.port}` } : {}),
      listeners: [...at('udp', listening.udp), ...at('tcp', listening.tcp), ...at('tls', listening.tls)],
      udp: listening.implementation,
      ring: listening.ring,
      ...(certificate ? { certificate: certificateInWords(certificate.facts) } : {}),
      warnings: warnings(),
    };
  };
  const metrics = async () => ({
    ...(await workers.metrics()),
    offhook_turn_users: (await workers.status()).users,
    ...userMetrics(await workers.figures()),
  });
  const close = async () => {
    clearInterval(following);
    certificate?.close();
    await workers.stop();
  };
  let http: Awaited<ReturnType<typeof openHttp>> | undefined;
  try {
    http = config.http && (await openHttp(config.http, { metrics, figures: () => workers.figures(), details }));
  } catch (error) {
    await close();
    throw error;
  }
  if (config.http && !isLoopback(config.http.address))
    warn(
      `turn.http: ${config.http.address} is no loopback address; whoever reaches it reads the users’ names and figures without signing in`,
    );
  return {
    ports: {
      ...portOf('udp', listening.udp),
      ...portOf('tcp', listening.tcp),
      ...portOf('tls', listening.tls),
      ...(http ? { http: http.port } : {}),
    },
    details,
    metrics,
    verbs: {
      allocations: () => workers.allocations(),
      figures: async () => ({ users: await workers.figures() }),
      secrets: async ({ secrets }) => {
        const list = Array.isArray(secrets) ? secrets : [];
        if (list.length === 0 || !list.every((one) => typeof one === 'string' && one !== ''))
          throw new Error('secrets: a list of at least one secret is needed');
        await apply({ ...rules, secrets: list as string[] });
        return { secrets: list.length };
      },
      users: usersVerb(
        config,
        () => rules.users,
        (users) => apply({ ...rules, users }),
      ),
    },
    drain: async (args) => {
      const alternate = args?.alternate as SocketAddress | undefined;
      if (alternate !== undefined) {
        refuse(addressProblems('alternate', alternate));
        refuse(ownProblems(alternate, config.relay, { ...listening, hostAddresses: rules.hostAddresses }));
      }
      await workers.drain(alternate);
    },
    undrain: () => workers.undrain(),
    reload: async () => {
      const next = reread?.() ?? current;
      refuse(turnConfigProblems(next));
      const words = [certificate?.reload() ?? 'there is no certificate'];
      await apply(read(next));
      words.push(
        `${rules.secrets.length} secrets and ${rules.users.length} users are good`,
        ...restartWords(config, next),
      );
      current = next;
      return words.join('; ');
    },
    stop: async () => {
      await http?.close();
      await close();
    },
  };
}

/** Clients that are sent to this server while it drains would come back to it for ever. */
function ownProblems(
  { address, port }: SocketAddress,
  relay: TurnConfig['relay'],
  { udp, tcp, tls, hostAddresses }: TurnConfig['listen'] & { readonly hostAddresses: readonly string[] },
): string[] {
  const spelt = (text: string) => rangeText(parseAddressRange(text)!);
  const to = spelt(address);
  const isHere = [...udp, ...tcp, ...tls].some((at) => {
    if (at.port !== port) return false;
    const isAny = at.address === '0.0.0.0' || at.address === '::';
    const heard = isAny ? hostAddresses.filter((one) => one.includes(':') === at.address.includes(':')) : [at.address];
    const outside = relay.addresses.flatMap((one) =>
      one.external !== undefined && heard.includes(one.address) ? [one.external] : [],
    );
    return [at.address, ...heard, ...outside].some((one) => spelt(one) === to);
  });
  return isHere ? [`${address} port ${port} is this server itself; clients would come back to it for ever`] : [];
}

function openCertificate({ listen, tls }: TurnConfig, warn: (words: string) => void): ServerCertificate | undefined {
  if (listen.tls.length === 0 || !tls) return undefined;
  return new ServerCertificate({
    settings: tls,
    names: () => [...new Set([...(tls.names ?? []), ...listen.tls.map(({ address }) => address)])],
    nowMs: () => Date.now(),
    log: { info: () => {}, warn },
  });
}

/** Settings that differ and are read at the start only. */
function restartWords(before: TurnConfig, after: TurnConfig): string[] {
  const live = new Set([
    'secrets',
    'secretsFile',
    'usersFile',
    'peers',
    'limits',
    'alternateServer',
    'strictExpiry',
    'configHash',
  ]);
  const print = (value: unknown) =>
    createHash('sha256')
      .update(JSON.stringify(value) ?? '')
      .digest('hex');
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])] as (keyof TurnConfig)[];
  const changed = names.filter((name) => !live.has(name) && print(before[name]) !== print(after[name]));
  return changed.length > 0 ? [`only a restart changes: ${changed.join(', ')}`] : [];
}

/** Of all interfaces, each once and in order, without zones. */
function hostAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((one) => one ?? []);
  return [...new Set(all.map(({ address }) => address.replace(/%.*$/, '')))].sort();
}

function portOf(name: string, [first]: readonly SocketAddress[]): Record<string, number> {
  return first ? { [name]: first.port } : {};
}

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new Error(problems.join('\n'));
}
