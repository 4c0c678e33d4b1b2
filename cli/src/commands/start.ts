import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { serveAdmin } from '@offhook/core/node';
import { hostAddresses } from '../addresses.ts';
import { type Config, type ConfigFlags, loadConfig } from '../config/config.ts';
import { loadSecrets } from '../config/secrets.ts';
import { composeParts } from '../parts.ts';
import { version } from '../root.ts';
import { ask, runDirOf } from '../running.ts';
import { takeLock } from '../supervisor/lock.ts';
import { Supervisor } from '../supervisor/supervisor.ts';

/** The accounts that the first start makes. */
const DEMO_ACCOUNTS = ['alice', 'bob'];

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Starts everything, says where it is, and stays until it is told to stop. Answers the exit code. */
export async function start(flags: ConfigFlags): Promise<number> {
  const config = loadConfig(flags, process.cwd());
  const runDir = runDirOf(config.data);
  mkdirSync(runDir, { recursive: true, mode: 0o700 });
  const lock = takeLock(runDir);
  if (!lock) {
    process.stderr.write(
      `Offhook runs already with the data folder ${config.data}. See 'offhook status', or stop it with 'offhook stop'.\n`,
    );
    return 1;
  }
  const parts = composeParts({
    config,
    secrets: loadSecrets(config.data),
    hostAddresses: config.hostAddresses ?? hostAddresses(),
    version: version(),
  });
  const supervisor = new Supervisor({ data: config.data, parts, say });

  let stop: () => void = () => {};
  const told = new Promise<void>((resolve) => {
    stop = resolve;
  });
  let asked = 0;
  const onSignal = () => {
    asked++;
    if (asked === 1) {
      say('stopping; once more to end at once');
      stop();
    } else {
      supervisor.kill();
      process.exit(1);
    }
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('SIGHUP', () => {});
  const control = await serveAdmin(join(runDir, 'supervisor.sock'), {
    status: () => ({ pid: process.pid, version: version(), parts: supervisor.report() }),
    stop: () => setImmediate(onSignal),
  });
  let code = 0;
  try {
    await Promise.race([supervisor.start().then(() => greet(config, supervisor)), told]);
    await told;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    code = 1;
  }
  await supervisor.stop();
  await control.close();
  lock.release();
  say('stopped');
  return code;
}

/** What a newcomer needs: two phones a click away, a SIP address, and what to try. */
async function greet(config: Config, supervisor: Supervisor): Promise<void> {
  const ports = supervisor.part('signaling')?.ports ?? {};
  const known = (await ask(config.data, 'signaling', 'users', { op: 'list' })) as { user: string }[];
  if (known.length === 0) {
    for (const user of DEMO_ACCOUNTS)
      await ask(config.data, 'signaling', 'users', {
        op: 'add',
        user,
        displayName: user[0]!.toUpperCase() + user.slice(1),
      });
  }
  const users =
    known.length === 0 ? DEMO_ACCOUNTS : DEMO_ACCOUNTS.filter((name) => known.some(({ user }) => user === name));
  say('');
  say('Offhook is ready. Open a phone; each link signs in once:');
  for (const user of users)
    say(`  ${user.padEnd(8)} ${await loginLink(config.data, user, ports.http ?? config.http.port)}`);
  if (users.length === 0) say(`  http://localhost:${ports.http}   (links: offhook link <user>)`);
  say('');
  say('Try first:  call 600, the echo, and hear yourself; then open both links and let Alice call bob.');
  say(
    `SIP phones: register at 127.0.0.1:${ports.udp} (UDP) or :${ports.tcp} (TCP), domain ${config.domain}; accounts: offhook user add <name>`,
  );
  say("Ctrl-C stops everything. 'offhook doctor' says what is wrong when something is.");
}

export async function loginLink(data: string, user: string, httpPort: number): Promise<string> {
  const { token } = (await ask(data, 'signaling', 'login-link', { user })) as { token: string };
  return `http://localhost:${httpPort}/#login=${token}`;
}
