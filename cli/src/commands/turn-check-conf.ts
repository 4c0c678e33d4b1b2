import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { CertificateError, readCredentials } from '@offhook/core/node';
import { type CoturnReading, type CoturnSettings, readCoturnConf } from '@offhook/turn';
import { hostAddresses } from '../addresses.ts';
import { closest } from '../config/closest.ts';
import { ConfigError } from '../config/config-error.ts';
import { command } from '../spelling.ts';

const out = (line: string) => process.stdout.write(`${line}\n`);

/** Says what our server makes of a coturn.conf. Exit code 1 when it would not serve it. */
export function checkConf(file: string, json: boolean): number {
  const reading = readConf(file);
  const { problems, unknown, notes } = reading;
  if (json) {
    const { secrets, users = [], nonceSecret: _, ...settings } = reading.settings;
    const counted = { ...settings, secrets: secrets.length, users: users.map(({ name }) => name) };
    out(JSON.stringify({ settings: counted, problems, unknown, notes }, undefined, 2));
    return problems.length > 0 ? 1 : 0;
  }
  if (problems.length === 0) {
    out(`${file} can be served: ${command(`turn serve --conf ${file}`)}`);
    for (const line of taken(reading.settings)) out(`  ${line}`);
  } else out(`${file} can’t be served:`);
  for (const words of problems) out(`  BAD  ${words}`);
  for (const words of unknown) out(`  ?    ${words}`);
  for (const words of notes) out(`  note ${words}`);
  return problems.length > 0 ? 1 : 0;
}

export function readConf(file: string): CoturnReading {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ConfigError([code === 'ENOENT' ? `${file}: there is no such file` : `${file}: ${message}`]);
  }
  // named relative to the configuration
  const at = (path: string) => resolve(dirname(file), path);
  return readCoturnConf(text, {
    own: hostAddresses(),
    closest,
    certificateProblem: ({ cert, pkey }) => certificateProblem(at(cert), at(pkey)),
  });
}

function certificateProblem(cert: string, key: string) {
  try {
    readCredentials({ cert, key }, Date.now());
    return undefined;
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error;
    const words = error.message;
    return { key: words.startsWith(`${key}:`) ? ('pkey' as const) : ('cert' as const), words };
  }
}

function taken({ listen, relay, realm, secrets, users = [], peers, limits = {}, tls }: CoturnSettings): string[] {
  const places = (['udp', 'tcp', 'tls'] as const).flatMap((kind) =>
    listen[kind].map(({ address, port }) => `${kind} ${address} port ${port}`),
  );
  const relays = relay.addresses.map(({ address, external }) =>
    external === undefined ? address : `${address} (outside ${external})`,
  );
  const rules = (list: readonly { address: string }[]) => list.map(({ address }) => address).join(', ');
  const whom = peers.base === 'public' ? 'every public address' : 'nobody but each other';
  const lines = [
    `listens on ${places.join(', ')}`,
    `relays at ${relays.join(', ')}, ports ${relay.portMin} to ${relay.portMax}`,
    `realm ${realm}; lets in: ${counted(secrets.length, 'secret')}, ${counted(users.length, 'long-term user')}`,
    `peers: ${whom}${peers.allow.length > 0 ? `, and ${rules(peers.allow)}` : ''}${peers.deny.length > 0 ? `, but not ${rules(peers.deny)}` : ''}`,
  ];
  const limited = Object.entries(limits).map(([name, value]) => `${name} ${value}`);
  if (limited.length > 0) lines.push(`limits: ${limited.join(', ')}`);
  if (tls) lines.push(`certificate ${tls.cert}`);
  return lines;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
