import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stopProcess } from './stop-process.ts';
import { waitUntil } from './system.ts';

/** Where Debian puts the modules, on the machines that tests run on. */
const ALL_MODULES = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((arch) => `/usr/lib/${arch}/kamailio/modules/`);
export const MODULES = ALL_MODULES.find((folder) => existsSync(folder)) ?? ALL_MODULES[0]!;
const NEEDED = 'kex tm tmx sl rr pv maxfwd usrloc registrar textops siputils xlog auth'.split(' ');

export interface ProviderOptions {
  readonly folder: string;
  readonly port: number;
  /** Digest realm and domain of its subscribers, who all have this password. */
  readonly domain: string;
  readonly password: string;
  /** Number → account: calls to it go where that account is registered. */
  readonly numbers: Readonly<Record<string, string>>;
  /** Number → address: calls to it are sent there, from `Kamailio.byAddress`, without registration or password. */
  readonly routes: Readonly<Record<string, string>>;
}

/** A real Kamailio 5.6 as a provider: it registers subscribers, challenges their calls, and routes numbers. */
export class Kamailio implements AsyncDisposable {
  /** Where subscribers register and call; an address of its own on loopback tells it from phones. */
  static readonly registrar = '127.0.0.7';
  /** Where it knows its peer by the address, and calls it from. */
  static readonly byAddress = '127.0.0.8';
  readonly #process: ChildProcess;
  output = '';

  private constructor(child: ChildProcess) {
    this.#process = child;
    const note = (d: Buffer) => {
      this.output = (this.output + d.toString()).slice(-50_000);
    };
    child.stdout?.on('data', note);
    child.stderr?.on('data', note);
  }

  static start(options: ProviderOptions): Promise<Kamailio> {
    return Kamailio.run(options.folder, configuration(options));
  }

  /** With a configuration that logs "provider is ready" when it is. */
  static async run(within: string, text: string): Promise<Kamailio> {
    const folder = join(within, 'kamailio');
    mkdirSync(join(folder, 'run'), { recursive: true });
    const config = join(folder, 'kamailio.cfg');
    writeFileSync(config, text);
    const child = spawn(
      'timeout',
      [
        '-s',
        'KILL',
        '600',
        'kamailio',
        '-f',
        config,
        '-DD',
        '-E',
        '-m',
        '32',
        '-M',
        '4',
        '-P',
        join(folder, 'pid'),
        '-Y',
        join(folder, 'run'),
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` } },
    );
    const kamailio = new Kamailio(child);
    try {
      await waitUntil(
        'Kamailio is up',
        async () => kamailio.output.includes('provider is ready'),
        15_000,
        () => kamailio.output,
      );
    } catch (error) {
      await kamailio.stop();
      throw error;
    }
    return kamailio;
  }

  /** Waits until a line of its log is like that. */
  said(what: RegExp, timeoutMs = 15_000): Promise<void> {
    return waitUntil(
      `Kamailio says ${what}`,
      async () => what.test(this.output),
      timeoutMs,
      () => this.output,
    );
  }

  stop(): Promise<void> {
    return stopProcess(this.#process);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function configuration({ port, domain, password, numbers, routes }: ProviderOptions): string {
  const subscribers = Object.entries(numbers).map(
    ([number, account]) => `  if ($rU == "${number}") { $ru = "sip:${account}@${domain}"; route(FIND); exit; }`,
  );
  const peers = Object.entries(routes).map(
    ([number, to]) =>
      `  if ($rU == "${number}") { $ru = "sip:${number}@${to}"; $fs = "udp:${Kamailio.byAddress}:${port}"; t_relay(); exit; }`,
  );
  return `#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=2
disable_tcp=yes
auto_aliases=no
alias="${domain}"
listen=udp:${Kamailio.registrar}:${port}
listen=udp:${Kamailio.byAddress}:${port}
mpath="${MODULES}"
${NEEDED.map((name) => `loadmodule "${name}.so"`).join('\n')}
modparam("usrloc", "db_mode", 0)
modparam("registrar", "gruu_enabled", 0)
modparam("rr", "append_fromtag", 1)
request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  xlog("L_WARN", "got $rm $ru from $fu at $si expires=$hdr(Expires) authorized=$au\\n");
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
    sl_send_reply("404", "Not here");
    exit;
  }
  t_check_trans();
  if (is_method("OPTIONS")) { sl_send_reply("200", "OK"); exit; }
  if (is_method("REGISTER")) {
    if (!pv_www_authenticate("${domain}", "${password}", "0")) { www_challenge("${domain}", "1"); exit; }
    save("location");
    exit;
  }
  if (!is_method("INVITE")) { sl_send_reply("405", "Method Not Allowed"); exit; }
  if ($Ri == "${Kamailio.registrar}") {
    if (!pv_proxy_authenticate("${domain}", "${password}", "0")) { proxy_challenge("${domain}", "1"); exit; }
    consume_credentials();
  }
  record_route();
${[...subscribers, ...peers].join('\n')}
  sl_send_reply("404", "No such number");
}
route[FIND] {
  if (!lookup("location")) { sl_send_reply("480", "Nobody there"); exit; }
  t_relay();
}
event_route[core:worker-one-init] {
  xlog("L_WARN", "provider is ready\\n");
}
`;
}
