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
  const { settings, problems, unknown, notes } = readConf(file);
  if (problems.length > 0) throw new ConfigError(problems.map((words) => `${file}: ${words}`));
  for (const words of [...unknown, ...notes]) process.stderr.write(`${file}: ${words}\n`);
  const told = new Promise<void>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => done());
  });
  const runDir = mkdtempSync(join(tmpdir(), 'offhook-turn-'));
  try {
    const { users = [], ...rest } = settings;
    const usersFile = join(runDir, 'users.json');
    writeCoturnUsers(usersFile, settings.realm, users, nodeCrypto);
    const where = { part: 'turn', runDir, configHash: '', usersFile };
    const part = await startTurn({ ...rest, ...withFiles(settings.tls, file), ...where });
    try {
      for (const [name, port] of Object.entries(part.ports))
        say(`listens on ${placesOf(settings, name)} ${name} port ${port}`);
      say('Ctrl-C stops it');
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
