import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { nodeCrypto } from '@offhook/core/node';
import { startTurn, type TurnConfig, writeCoturnUsers } from '@offhook/turn';
import { ConfigError } from '../config/config-error.ts';
import { readConf } from './turn-check-conf.ts';

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Runs the TURN server alone, by a coturn.conf, until it is told to stop. */
export async function serveConf(file: string): Promise<number> {
  const told = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done());
  });
  const runDir = mkdtempSync(join(tmpdir(), 'offhook-turn-'));
  const usersFile = join(runDir, 'users.json');
  let realm: string | undefined;
  const read = (): TurnConfig => {
    const { settings, problems, unknown, notes } = readConf(file);
    if (problems.length > 0) throw new ConfigError(problems.map((words) => `${file}: ${words}`));
    for (const words of [...unknown, ...notes]) process.stderr.write(`${file}: ${words}\n`);
    const { users = [], ...rest } = settings;
    realm ??= settings.realm;
    if (settings.realm !== realm)
      throw new ConfigError([
        `${file}: realm '${settings.realm}' holds after a restart; the one that is served is '${realm}'`,
      ]);
    writeCoturnUsers(usersFile, settings.realm, users, nodeCrypto);
    return {
      ...rest,
      ...withFiles(settings.tls, file),
      part: 'turn',
      runDir,
      configHash: '',
      usersFile,
      fixedPorts: true,
    };
  };
  try {
    const settings = read();
    const part = await startTurn(settings, read);
    process.on('SIGHUP', async () => {
      try {
        say(`read anew: ${await part.reload?.()}`);
      } catch (error) {
        process.stderr.write(`kept as it was: ${error instanceof Error ? error.message : String(error)}\n`);
      }
    });
    try {
      for (const [name, port] of Object.entries(part.ports))
        say(`listens on ${placesOf(settings, name)} ${name} port ${port}`);
      say('Ctrl-C stops it, SIGHUP reads the file anew (secrets, users, peers, limits, certificate)');
      await told;
    } finally {
      await part.stop();
    }
  } finally {
    rmSync(runDir, { recursive: true, force: true });
  }
  say('stopped');
  return 0;
}

/** The files of the certificate are named relative to the configuration. */
function withFiles(tls: TurnConfig['tls'], file: string): Pick<TurnConfig, 'tls'> {
  if (!tls) return {};
  const at = (path: string | undefined) => (path === undefined ? undefined : resolve(dirname(file), path));
  return { tls: { ...tls, cert: at(tls.cert), key: at(tls.key) } };
}

function placesOf({ listen }: Pick<TurnConfig, 'listen'>, name: string): string {
  const places = listen[name as keyof typeof listen] ?? [];
  return places.map(({ address }) => address).join(' and ');
}
