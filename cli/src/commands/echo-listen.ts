import { hostname, networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import { socketKey } from '@offhook/core';
import { CertificateError } from '@offhook/core/node';
import { loopbackAddresses } from '../addresses.ts';
import { numberOption, UsageError, type Values } from '../arguments.ts';
import { tlsFolder } from '../composition.ts';
import { type Config, loadConfig } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { findData } from '../config/find-data.ts';
import { holderOf } from '../doctor/holder.ts';
import { type EchoIdentity, echoIdentity } from '../echo/identity.ts';
import { type ListenAt, listenPlan } from '../echo/listen-at.ts';
import { EchoListener, type Opened } from '../echo/listener.ts';
import { ECHO_LIMITS, type EchoCounters, type EchoLimits } from '../echo/port.ts';
import { type Scheme, urlOf } from '../echo/url.ts';
import { command } from '../spelling.ts';

/** Sends everything back until it is told to stop. Exit code 1: a port could not be opened. */
export async function echoListen(values: Values): Promise<number> {
  const limits = limitsOf(values);
  const hosts = values.public
    ? ['0.0.0.0', ...(loopbackAddresses().includes('::1') ? ['::'] : [])]
    : loopbackAddresses();
  const plan = listenPlan(values, hosts);
  if (typeof plan === 'string') throw new UsageError(plan);
  const identity = plan.some(({ scheme }) => scheme === 'tls' || scheme === 'wss')
    ? identityOf(values, plan)
    : undefined;
  const { json = false, quiet = false } = values;
  const out = (line: string) => process.stdout.write(`${line}\n`);
  const told = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => done());
  });
  // a closed terminal or pipe must not end what still serves
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const listener = await EchoListener.open({
    plan,
    limits,
    certificate: identity,
    onPeer: (scheme, address) => {
      if (json) out(JSON.stringify({ event: 'peer', scheme, address }));
      else if (!quiet) out(`${scheme}: ${address} is here`);
    },
  });
  if (json) {
    const ports = listener.opened.flatMap(({ scheme, ports }) => ports.map((at) => ({ scheme, ...at })));
    out(JSON.stringify({ event: 'listening', ports, fingerprint: identity?.fingerprint, ca: identity?.caPath }));
  } else greet(listener.opened, identity, out);
  await told;
  if (!json) out('stopping');
  await listener.close();
  if (json) out(JSON.stringify({ event: 'stopped', ...Object.fromEntries(listener.counters) }));
  else for (const [scheme, counters] of listener.counters) out(`${scheme}: ${summary(scheme, counters)}`);
  return 0;
}

function limitsOf(values: Values): EchoLimits {
  const whole = (min: number, max: number, otherwise: number) => ({ min, max, otherwise, kind: 'whole' }) as const;
  const { connections, perAddress, maxSize, idleMs, bytesPerS } = ECHO_LIMITS;
  return {
    connections: numberOption(values, 'connections', whole(1, 10_000, connections)),
    perAddress: numberOption(values, 'per-address', whole(1, 10_000, perAddress)),
    maxSize: numberOption(values, 'max-size', whole(1, 1_048_576, maxSize)),
    idleMs: 1000 * numberOption(values, 'idle', whole(1, 86_400, idleMs / 1000)),
    bytesPerS: numberOption(values, 'rate', whole(65_536, 1_000_000_000, bytesPerS)),
  };
}

/** Throws UsageError when the files of the command line or of the configuration can't be used. */
function identityOf(values: Values, plan: readonly ListenAt[]): EchoIdentity {
  const { cert, key } = values;
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError(
      `--${cert === undefined ? 'cert' : 'key'} is missing: a certificate and its key belong together.`,
    );
  const config = configOf(values);
  const given = cert !== undefined && key !== undefined && { cert: resolve(cert), key: resolve(key) };
  const set = config?.tls.cert !== undefined &&
    config.tls.key !== undefined && { cert: config.tls.cert, key: config.tls.key };
  try {
    return echoIdentity({
      files: given || set || undefined,
      folder: tlsFolder(config?.data ?? findData(values, process.cwd(), () => {})),
      names: namesOf(plan),
      nowMs: Date.now(),
    });
  } catch (error) {
    if (error instanceof CertificateError) throw new UsageError(error.message);
    throw error;
  }
}

/** Undefined when it has mistakes: an echo needs nothing of it but the certificate. */
function configOf(values: Values): Config | undefined {
  try {
    return loadConfig({ config: values.config, data: values.data }, process.cwd());
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

/** By which clients may call: the addresses that are listened on, and for wildcards all of this machine. */
function namesOf(plan: readonly ListenAt[]): string[] {
  const asked = plan.flatMap(({ addresses }) => addresses);
  const isWild = asked.some((address) => address === '0.0.0.0' || address === '::');
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const all = own.map(({ address }) => address).filter((address) => !address.startsWith('fe80:'));
  return [hostname(), ...loopbackAddresses(), ...asked, ...(isWild ? all : [])];
}

function greet(opened: readonly Opened[], identity: EchoIdentity | undefined, out: (line: string) => void): void {
  out('Sends back whatever arrives; Ctrl-C stops it. To try it:');
  for (const { scheme, ports, taken } of opened) {
    const [first, ...more] = ports;
    const isSecure = scheme === 'tls' || scheme === 'wss';
    const trust = isSecure && identity?.trust === 'fingerprint' ? ` --fingerprint ${identity.fingerprint}` : '';
    const { address, port } = first!;
    out(`  ${command(`echo ${urlOf({ scheme, host: address, port, path: '' })}`)}${trust}`);
    if (more.length > 0) out(`      also ${more.map(socketKey).join(', ')}`);
    if (taken !== undefined) {
      const holder = holderOf(scheme === 'udp' ? 'udp' : 'tcp', taken);
      out(`      port ${taken} is taken by ${holder?.words ?? 'another program'}; ${port} is used instead`);
    }
  }
  if (identity) out(`certificate: ${identity.words}\n  SHA-256 ${identity.fingerprint}`);
}

function summary(
  scheme: Scheme,
  { connections, refused, failed, messages, bytes, dropped, idle }: EchoCounters,
): string {
  const datagrams = scheme === 'udp';
  const parts = [
    datagrams ? `${messages} datagrams` : `${connections} connections`,
    ...(scheme.startsWith('ws') ? [`${messages} messages`] : []),
    `${bytes} bytes sent back`,
    ...(refused > 0 ? [`${refused} connections refused (--connections, --per-address)`] : []),
    ...(failed > 0 ? [`${failed} came to nothing before their handshake`] : []),
    ...(idle > 0 ? [`${idle} closed because nothing came (--idle)`] : []),
    ...(dropped > 0 ? [`${dropped} datagrams dropped (--rate, --max-size, or from ports of services)`] : []),
  ];
  return parts.join(', ');
}
