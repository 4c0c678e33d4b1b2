import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { ownCertificate } from '@offhook/core/node';
import { MODULES } from './kamailio.ts';
import { stopProcess } from './stop-process.ts';
import { waitUntil } from './system.ts';

export interface KamailioOptions {
  readonly folder: string;
  /** Our server, over UDP: `127.0.0.1:5060`. */
  readonly server: string;
  /** Free ports: towards the server, and for phones over secure WebSockets. */
  readonly ports: { readonly udp: number; readonly wss: number };
}

/** The modules of its own packages that an edge needs; without them there is no such peer. */
export function lacksModules(): string | false {
  const missing = ['websocket', 'tls', 'outbound'].filter((name) => !existsSync(`${MODULES}${name}.so`));
  return missing.length > 0 && `not installed: kamailio's ${missing.join(', ')}`;
}

/**
 * A real Kamailio 5.6 as an edge proxy: phones over secure WebSockets in front, our server over UDP behind. It keeps their
 * flows by RFC 5626 (modules path and outbound) and knows nothing of users.
 */
export class KamailioEdge {
  readonly url: string;
  readonly caPath: string;
  readonly #process: ChildProcess;
  output = '';

  private constructor(child: ChildProcess, options: KamailioOptions, caPath: string) {
    this.#process = child;
    this.caPath = caPath;
    this.url = `wss://127.0.0.1:${options.ports.wss}/`;
    const note = (d: Buffer) => {
      this.output = (this.output + d.toString()).slice(-20_000);
    };
    child.stdout?.on('data', note);
    child.stderr?.on('data', note);
  }

  /** Starts it and waits until it takes connections. */
  static async start(options: KamailioOptions): Promise<KamailioEdge> {
    const { folder, ports } = options;
    mkdirSync(join(folder, 'run'), { recursive: true });
    const certificate = ownCertificate({ folder: join(folder, 'tls'), names: ['127.0.0.1'], nowMs: Date.now() });
    const tls = join(folder, 'tls.cfg');
    writeFileSync(
      tls,
      ['[server:default]', 'method = TLSv1.2+', `certificate = ${certificate.certPath}`]
        .concat(`private_key = ${certificate.keyPath}`, 'verify_certificate = no', '')
        .join('\n'),
    );
    const path = join(folder, 'kamailio.cfg');
    writeFileSync(path, configuration(options, tls));
    const args = ['-f', path, '-DD', '-E', '-m', '64', '-M', '8', '-Y', join(folder, 'run')];
    const child = spawn('kamailio', [...args, '-P', join(folder, 'kamailio.pid')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
    });
    const kamailio = new KamailioEdge(child, options, certificate.caPath);
    try {
      await waitUntil(
        'kamailio takes connections',
        () => isOpen(ports.wss),
        15_000,
        () => kamailio.output,
      );
    } catch (error) {
      await kamailio.stop();
      throw error;
    }
    return kamailio;
  }

  stop(): Promise<void> {
    return stopProcess(this.#process);
  }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function configuration({ server, ports }: KamailioOptions, tls: string): string {
  const load = 'tm sl rr pv maxfwd textops siputils xlog tls xhttp websocket outbound path'.split(' ');
  return `#!KAMAILIO
debug=2
log_stderror=yes
children=1
tcp_children=2
enable_tls=yes
tcp_accept_no_cl=yes
auto_aliases=no
listen=udp:127.0.0.1:${ports.udp}
listen=tls:127.0.0.1:${ports.wss}
mpath="${MODULES}"
${load.map((name) => `loadmodule "${name}.so"`).join('\n')}
modparam("tls", "config", "${tls}")

request_route {
  if (!mf_process_maxfwd_header("20")) { sl_send_reply("483", "Too Many Hops"); exit; }
  force_rport();
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK") && t_check_trans()) { t_relay(); exit; }
    if (!is_method("ACK")) sl_send_reply("404", "Not Here");
    exit;
  }
  if ($proto == "wss") {
    # A phone: the server finds it again by the flow token in Path or Record-Route.
    if (is_method("REGISTER")) add_path();
    else record_route();
    $du = "sip:${server};transport=udp";
    t_relay();
    exit;
  }
  # The server: its Route has the token of the phone's flow.
  if (!loose_route()) { sl_send_reply("404", "Not Here"); exit; }
  record_route();
  t_relay();
}

event_route[xhttp:request] {
  set_reply_close();
  set_reply_no_connect();
  if ($hdr(Upgrade) =~ "websocket" && $rm =~ "GET") { if (ws_handle_handshake()) exit; }
  xhttp_reply("404", "Not Found", "", "");
}
`;
}
