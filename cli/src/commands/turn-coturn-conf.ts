import { spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { isLoopback } from '@offhook/core';
import {
  COTURN_VERSIONS,
  type CoturnSettings,
  type CoturnVersion,
  coturnVersionFor,
  writeCoturnConf,
} from '@offhook/turn';
import { hostAddresses, loopbackAddresses } from '../addresses.ts';
import { UsageError, type Values } from '../arguments.ts';
import { type Composition, nth } from '../composition.ts';
import { type Config, configProblems, loadConfig } from '../config/config.ts';
import { peerRules } from '../config/peers.ts';
import { loadSecrets } from '../config/secrets.ts';
import { workerCount } from '../parts.ts';
import { version } from '../root.ts';
import { turnSettings } from '../turn-settings.ts';

const VERSION_WITHIN_MS = 5000;

/** Writes the configuration as a coturn.conf, secrets and all. */
export function coturnConf(values: Values): number {
  const wanted = wantedVersion(values.for);
  const config = loadConfig(values, process.cwd());
  const own = config.hostAddresses ?? hostAddresses();
  const secrets = loadSecrets(config.data);
  const settings = forCoturn({
    config,
    secrets: () => secrets,
    hostAddresses: own,
    loopback: loopbackAddresses(),
    version: version(),
  });
  const { text, notes } = writeCoturnConf(settings, wanted);
  const say = (line: string) => process.stderr.write(`${line}\n`);
  if (values.out === undefined) process.stdout.write(text);
  else {
    const path = resolve(values.out);
    writeSecret(path, text);
    say(`${path} is for coturn ${wanted === '4.6' ? '4.6 to 4.15' : 'from 4.16 on'}, and for its user alone to read:`);
  }
  say('it holds the secrets that sign TURN credentials.');
  if (!config.public) say('The configuration is not public, so it listens on loopback only.');
  for (const note of notes) say(`note: ${note}`);
  return 0;
}

/** In place of what was there, be it a link or a file that others can read: it is theirs to read at no time. */
function writeSecret(path: string, text: string): void {
  const fresh = `${path}.${process.pid}`;
  rmSync(fresh, { force: true });
  writeFileSync(fresh, text, { mode: 0o600, flag: 'wx' });
  renameSync(fresh, path);
}

/** The settings of our own server, but loopback: coturn would give out relayed addresses there, and nobody needs its ports there. */
function forCoturn(composition: Composition): CoturnSettings {
  const { config } = composition;
  const muxPorts = Array.from({ length: workerCount(config) }, (_, i) => nth(config.media.muxPort, i)).filter(Boolean);
  const { usersFile, secretsFile: _, ...settings } = turnSettings(composition, muxPorts);
  const outside = <T extends { readonly address: string }>(all: readonly T[]): readonly T[] => {
    const far = all.filter(({ address }) => !isLoopback(address));
    return far.length > 0 ? far : all;
  };
  const { listen, relay, peers } = settings;
  const named = peerRules(config.turn.allowedPeers);
  const builtIn = peers.allow.slice(0, peers.allow.length - named.length);
  return {
    ...settings,
    secrets: composition.secrets().turn,
    ...(usersFile !== undefined && existsSync(usersFile) ? { usersFile } : {}),
    listen: { udp: outside(listen.udp), tcp: outside(listen.tcp), tls: outside(listen.tls) },
    relay: { ...relay, addresses: outside(relay.addresses) },
    // what somebody has named is left out with a note, by the writer
    peers: { ...peers, allow: [...builtIn.filter(({ address }) => !isLoopback(address)), ...named] },
  };
}

/** The file /coturn.conf of the project: the defaults, public, for any machine; so without its addresses, secrets and certificate. */
export function exampleConf(): string {
  const defaults: Record<string, unknown> = { public: true, turn: { peers: 'public', tls: false } };
  configProblems(defaults);
  const config = defaults as unknown as Config;
  const {
    tls: _,
    usersFile: __,
    nonceSecret: ___,
    ...settings
  } = turnSettings(
    {
      config,
      secrets: () => ({ turn: ['-'], session: '', nonce: '', turnNonce: '' }),
      hostAddresses: [],
      loopback: [],
      version: '',
    },
    [],
  );
  const any = [{ address: '0.0.0.0', port: config.turn.port }];
  const { text } = writeCoturnConf(
    {
      ...settings,
      secrets: ['-'],
      listen: { udp: any, tcp: any, tls: [] },
      relay: { ...settings.relay, addresses: [] },
    },
    '4.6',
  );
  return text
    .replace(/^# coturn 4\.6,.*\n/, EXAMPLE_HEAD)
    .replace(
      /^static-auth-secret=.*$/m,
      '# the secret, on a line of its own; without it nobody is let in\n# static-auth-secret=',
    );
}

const EXAMPLE_HEAD = `# coturn 4.6 in place of Offhook's TURN server, by the defaults of the configuration: every public peer may be reached.
# With your addresses, secrets, certificate and rules it is written by: npx offhook turn coturn-conf --out coturn.conf
# As it is, coturn takes all addresses of the machine. A media relay on a private address has to be allowed, by
# allowed-peer-ip and that address.
#
`;

function wantedVersion(text: string | undefined): CoturnVersion {
  const named = COTURN_VERSIONS.find((one) => one === text);
  if (named) return named;
  if (text !== undefined)
    throw new UsageError(`--for is one of ${COTURN_VERSIONS.join(', ')}, not '${text.slice(0, 30)}'.`);
  const { stdout } = spawnSync('turnserver', ['--version'], { encoding: 'utf8', timeout: VERSION_WITHIN_MS });
  return coturnVersionFor(stdout ?? '');
}
