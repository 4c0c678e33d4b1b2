import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pinned, SERVER_CPU } from '../pinned.ts';
import { freePort, waitUntil } from '../ports.ts';
import type { Server } from './server.ts';

/** Where Debian puts the modules. */
const MODULES = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((arch) => `/usr/lib/${arch}/kamailio/modules/`);
const NEEDED = 'kex tm tmx sl rr pv maxfwd sanity usrloc registrar textops siputils xlog'.split(' ');

/** The first line of `kamailio -v`; undefined when it is not installed. */
export function kamailioVersion(): string | undefined {
  try {
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
    return execFileSync('kamailio', ['-v'], { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'ignore'] }).split(
      '\n',
    )[0];
  } catch {
    return undefined;
  }
}

/** Kamailio as a registrar and stateful proxy: one worker, no database, no authentication, nothing logged. */
export async function startKamailio(folder: string, domain: string): Promise<Server> {
  const own = join(folder, 'kamailio');
  mkdirSync(join(own, 'run'), { recursive: true });
  const port = await freePort();
  const file = join(own, 'kamailio.cfg');
  const config = configuration(port, domain);
  writeFileSync(file, config);
  const log = join(own, 'log');
  const command = ['kamailio', '-f', file, '-DD', '-E', '-m', '512', '-M', '16'];
  const part = await Pinned.start([...command, '-P', join(own, 'pid'), '-Y', join(own, 'run')], {
    cpu: SERVER_CPU,
    cwd: own,
    log,
  });
  const said = () => (existsSync(log) ? readFileSync(log, 'utf8') : '');
  await waitUntil('Kamailio is up', () => !part.isRunning || said().includes('baseline is ready'), 15_000);
  if (!part.isRunning) throw new Error(`Kamailio did not start:\n${said().slice(-2000)}`);
  return {
    name: 'Kamailio',
    port,
    cpuNs: () => part.cpuNs(),
    rssKb: () => part.rssKb(),
    command: `${command.join(' ').replace(file, 'kamailio.cfg')} (pinned with taskset -c ${SERVER_CPU})`,
    settings: config,
    stop: () => part.stop(),
  };
}

/** usrloc has more buckets than the default (2^9), or tens of thousands of contacts would be looked for in long lists. */
function configuration(port: number, domain: string): string {
  const modules = MODULES.find((folder) => existsSync(folder)) ?? MODULES[0]!;
  return `#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
auto_aliases=no
alias="${domain}"
listen=udp:127.0.0.1:${port}
mpath="${modules}"
${NEEDED.map((name) => `loadmodule "${name}.so"`).join('\n')}
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "hash_size", 16)
modparam("registrar", "gruu_enabled", 0)
modparam("registrar", "max_expires", 3600)
request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (!sanity_check()) exit;
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
    sl_send_reply("404", "Not here");
    exit;
  }
  t_check_trans();
  if (is_method("REGISTER")) { save("location"); exit; }
  if (!is_method("INVITE")) { sl_send_reply("405", "Method Not Allowed"); exit; }
  record_route();
  if (!lookup("location")) { sl_send_reply("404", "Nobody there"); exit; }
  t_relay();
}
event_route[core:worker-one-init] {
  xlog("L_WARN", "baseline is ready\\n");
}
`;
}
