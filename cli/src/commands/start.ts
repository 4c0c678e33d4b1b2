import type { PartStatus } from '@offhook/core/node';
import { hostAddresses, loopbackAddresses } from '../addresses.ts';
import { type Config, type ConfigFlags, loadConfig } from '../config/config.ts';
import { ngPortOf } from '../config/media.ts';
import { liveSecrets } from '../config/secrets.ts';
import { turnFindings } from '../doctor/turn.ts';
import { composeParts } from '../parts.ts';
import { version } from '../root.ts';
import { ask, reachOf } from '../running.ts';
import { command } from '../spelling.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';
import { httpsRemedy, ownCaPath, phoneWords } from '../words.ts';
import { inForeground, refuseTakenControlPorts } from './foreground.ts';
import { skippedPorts } from './skipped-ports.ts';
import { tellTurnSecrets } from './turn-secret.ts';
import { warningsOf } from './warnings.ts';

/** The accounts that the first start makes. */
const DEMO_ACCOUNTS = ['alice', 'bob'];

/** Starts everything, says where it is, and stays until it is told to stop. Answers the exit code. */
export async function start(flags: ConfigFlags & { readonly quiet?: boolean | undefined }): Promise<number> {
  const config = loadConfig(flags, process.cwd());
  const own = config.hostAddresses ?? hostAddresses();
  return inForeground({ config, quiet: flags.quiet ?? false }, async () => {
    for (const { state, words, remedy } of turnFindings(config, own))
      if (state === 'bad') process.stderr.write(`warning: ${words}; ${remedy}\n`);
    if (ngPortOf(config.media).isFixed) await refuseTakenControlPorts(config);
    const secrets = liveSecrets(config.data);
    const parts = composeParts({
      config,
      secrets,
      hostAddresses: own,
      loopback: loopbackAddresses(),
      version: version(),
    });
    return {
      parts,
      ready: async (supervisor, say) => {
        // what was adopted has the secrets of its own start
        const running = parts.map(({ name }) => name);
        if (config.turn.enabled) await tellTurnSecrets(config.data, secrets().turn, running);
        await greet({ config, own, supervisor, say });
      },
    };
  });
}

interface Greeting {
  readonly config: Config;
  /** The host's own addresses. */
  readonly own: readonly string[];
  readonly supervisor: Supervisor;
  readonly say: (line: string) => void;
}

/** What a newcomer needs: two phones a click away, a SIP address, and what to try. */
async function greet({ config, own, supervisor, say }: Greeting): Promise<void> {
  const ports = supervisor.part('signaling')?.ports ?? {};
  for (const line of skippedPorts(config, (part) => supervisor.part(part)?.ports ?? {})) say(line);
  const known = (await ask(config.data, 'signaling', 'users', { op: 'list' })) as { user: string }[];
  const passwords =
    config.demoAccounts && known.length === 0 ? await makeDemoAccounts(config.data) : new Map<string, string>();
  const users = DEMO_ACCOUNTS.filter(
    (name) => config.demoAccounts && (passwords.has(name) || known.some(({ user }) => user === name)),
  );
  for (const words of warningsOf((await ask(config.data, 'signaling', 'status')) as PartStatus))
    say(`Warning: ${words}`);
  say('');
  say('Offhook is ready. Open a phone; each link signs in once:');
  for (const user of users) say(`  ${user.padEnd(8)} ${await loginLink(config.data, user, ports.http!)}`);
  if (users.length === 0) say(`  http://localhost:${ports.http}   (links: ${command('link <user>')})`);
  say('');
  if (users.length > 0)
    say('Try this first: open Alice’s phone and call 600, the echo. Then open both links and let Alice call bob.');
  const ownCa = ownCaPath(config);
  const addresses = config.listen ?? (config.public ? ['127.0.0.1', ...own] : ['127.0.0.1']);
  const reach = reachOf({ domain: config.domain, addresses, ownCa });
  say(`SIP phones: ${phoneWords(reach, ports)}.`);
  for (const [user, password] of passwords) say(`  user ${user.padEnd(8)} password ${password}   (shown this once)`);
  if (ports.https) {
    const trust = ownCa === undefined ? '' : `   (own CA, to be trusted once: ${ownCa})`;
    say(`The web phone over HTTPS: https://localhost:${ports.https}${trust}`);
  }
  if (reach.hostAddresses.length > 0) {
    const web = ports.https ? `https://%:${ports.https}` : `http://%:${ports.http}`;
    say(`Other machines reach the web phone at ${reach.hostAddresses.map((one) => web.replace('%', one)).join(', ')};`);
    say(`  ${httpsRemedy(ownCa)}.`);
  } else if (config.public) say('This host has no address but loopback, so nothing is reached from elsewhere.');
  say('More:');
  for (const words of ['user add <name>', 'link <name>', 'doctor']) say(`  ${command(words)}`);
  say('Ctrl-C stops everything.');
}

async function makeDemoAccounts(data: string): Promise<Map<string, string>> {
  const passwords = new Map<string, string>();
  for (const user of DEMO_ACCOUNTS) {
    const displayName = user[0]!.toUpperCase() + user.slice(1);
    const made = await ask(data, 'signaling', 'users', { op: 'add', user, displayName });
    passwords.set(user, (made as { password: string }).password);
  }
  return passwords;
}

export async function loginLink(data: string, user: string, httpPort: number): Promise<string> {
  const { token } = (await ask(data, 'signaling', 'login-link', { user })) as { token: string };
  return `http://localhost:${httpPort}/#login=${token}`;
}
