import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { stopProcess } from './stop-process.ts';
import { waitUntil } from './system.ts';
import { readWav, type Sound } from './wav.ts';

export interface BaresipOptions {
  readonly folder: string;
  readonly user: string;
  readonly password: string;
  readonly domain: string;
  /** Where it registers: `127.0.0.1:5060`. */
  readonly server: string;
  readonly transport?: 'udp' | 'tcp' | 'tls';
  /** PEM file of those whose certificates it trusts; needed for TLS. */
  readonly caPath?: string;
  /** In order of preference, as baresip writes them: `opus/48000/1`, `pcmu`, `pcma`. */
  readonly codecs: readonly string[];
  /** What its microphone says: 48 kHz mono, long enough for the test. */
  readonly speechPath: string;
  /** Free ports: SIP (the one after it is taken for TLS), control, first and last RTP port. */
  readonly ports: { readonly sip: number; readonly control: number; readonly rtpMin: number; readonly rtpMax: number };
  /** Further account parameters, such as `mediaenc=dtls_srtp;medianat=ice`. */
  readonly account?: string;
  readonly rtcpMux?: boolean;
  /** It has a camera that shows a test picture, VP8, and a screen that nobody sees. */
  readonly video?: boolean;
  /** Users whose presence it watches. */
  readonly watches?: readonly string[];
}

interface BaresipEvent {
  readonly type: string;
  readonly param?: string;
}

/** A real baresip 1.0, driven through its ctrl_tcp module; it records what it hears. */
export class Baresip {
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #events: BaresipEvent[] = [];
  readonly #waiters = new Set<() => void>();
  #socket: Socket | undefined;
  #answers = new Map<string, (text: string) => void>();
  #nextToken = 1;
  output = '';

  private constructor(folder: string, child: ChildProcess) {
    this.#folder = folder;
    this.#process = child;
    child.stdout?.on('data', (d: Buffer) => {
      this.output += d.toString();
    });
    child.stderr?.on('data', (d: Buffer) => {
      this.output += d.toString();
    });
  }

  /** Starts it and waits until its first REGISTER is answered well; rejects with its output otherwise. */
  static async start(options: BaresipOptions): Promise<Baresip> {
    writeConfiguration(options);
    const child = spawn('baresip', ['-f', options.folder, '-s', '-v'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const phone = new Baresip(options.folder, child);
    try {
      await phone.#control(options.ports.control);
      // REGISTER_OK may have come before the control connection did: ask.
      await waitUntil(
        'baresip is registered',
        async () => (await phone.command('reginfo')).includes('OK'),
        15_000,
        () => phone.output,
      );
    } catch (error) {
      await stopProcess(child);
      throw error;
    }
    return phone;
  }

  async #control(port: number): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        this.#socket = await new Promise<Socket>((resolve, reject) => {
          const socket = connect(port, '127.0.0.1');
          socket.once('connect', () => resolve(socket));
          socket.once('error', reject);
        });
        break;
      } catch {
        if (attempt > 100) throw new Error(`baresip opened no control port:\n${this.output}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    let held = Buffer.alloc(0);
    this.#socket.on('error', () => {});
    this.#socket.on('data', (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      for (;;) {
        const colon = held.indexOf(0x3a);
        if (colon < 0) return;
        const length = Number(held.toString('latin1', 0, colon));
        if (held.length < colon + length + 2) return;
        this.#message(held.toString('utf8', colon + 1, colon + 1 + length));
        held = held.subarray(colon + length + 2);
      }
    });
  }

  #message(json: string): void {
    const message = JSON.parse(json) as {
      response?: boolean;
      token?: string;
      data?: string;
      type?: string;
      param?: string;
    };
    if (message.response) this.#answers.get(message.token ?? '')?.(message.data ?? '');
    else if (message.type) {
      this.#events.push({ type: message.type, param: message.param });
      for (const wake of this.#waiters) wake();
    }
  }

  /** Waits for an event that hasn't been taken yet (CALL_INCOMING, CALL_ESTABLISHED, CALL_CLOSED …) and takes it. */
  async waitFor(type: string, timeoutMs = 15_000): Promise<BaresipEvent> {
    const event = await this.#take(type, timeoutMs);
    // A call ends after it is said so, in the same turn of its loop: its recording is whole once baresip answers.
    if (type === 'CALL_CLOSED') await this.command('reginfo');
    return event;
  }

  #take(type: string, timeoutMs: number): Promise<BaresipEvent> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const at = this.#events.findIndex((event) => event.type === type);
        if (at < 0) return;
        clearTimeout(timer);
        this.#waiters.delete(check);
        resolve(this.#events.splice(at, 1)[0]!);
      };
      const timer = setTimeout(() => {
        this.#waiters.delete(check);
        reject(
          new Error(
            `baresip: no ${type} within ${timeoutMs} ms; seen ${this.#events.map((e) => e.type).join(' ')}\n${this.output.slice(-6000)}`,
          ),
        );
      }, timeoutMs);
      this.#waiters.add(check);
      check();
    });
  }

  /** Takes the call that rings, or is about to. */
  async answer(): Promise<void> {
    await this.waitFor('CALL_INCOMING');
    await this.command('accept');
  }

  command(command: string, params = ''): Promise<string> {
    const token = String(this.#nextToken++);
    const json = JSON.stringify({ command, params, token });
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`baresip does not answer '${command}'`)), 5000);
      this.#answers.set(token, (text) => {
        clearTimeout(timer);
        this.#answers.delete(token);
        resolve(text);
      });
      this.#socket?.write(`${Buffer.byteLength(json)}:${json},`);
    });
  }

  /** Sends its description again by re-INVITE; the final status of that, as its own trace of SIP tells. */
  async reinvite(): Promise<number> {
    const from = this.output.length;
    await this.command('reinvite');
    let status = 0;
    await waitUntil(
      'baresip has sent a re-INVITE that is answered',
      async () => {
        const headers = this.output.slice(from).split('\r\n\r\n');
        const cseq = headers.map((text) => /^INVITE sip:[\s\S]*^CSeq: (\d+) INVITE/m.exec(text)?.[1]).find(Boolean);
        const answers = headers.filter((text) => new RegExp(`^CSeq: ${cseq} INVITE`, 'm').test(text));
        status = Number(answers.map((text) => /^SIP\/2\.0 ([2-6]\d\d)/m.exec(text)?.[1]).find(Boolean) ?? 0);
        return status > 0;
      },
      15_000,
      () => this.output.slice(from),
    );
    return status;
  }

  /** What it heard in its last call. */
  heard(): Sound {
    const files = readdirSync(this.#folder)
      .filter((name) => name.startsWith('dump-') && name.endsWith('-dec.wav'))
      .sort();
    const last = files.at(-1);
    if (!last) throw new Error(`baresip recorded nothing:\n${this.output.slice(-3000)}`);
    return readWav(join(this.#folder, last));
  }

  /** Ends it; once more does nothing. */
  async stop(): Promise<void> {
    await stopProcess(this.#process, () => this.command('quit').catch(() => {}));
    this.#socket?.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function writeConfiguration(o: BaresipOptions): void {
  mkdirSync(o.folder, { recursive: true });
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '30',
      '-subj',
      '/CN=localhost',
      '-keyout',
      join(o.folder, 'key.pem'),
      '-out',
      join(o.folder, 'cert.pem'),
    ],
    { stdio: 'ignore' },
  );
  execFileSync('sh', ['-c', 'cat cert.pem key.pem > both.pem'], { cwd: o.folder });
  const modules = ['opus', 'g722', 'g711', 'aufile', 'ausine', 'sndfile', 'stun', 'turn', 'ice', 'srtp', 'dtls_srtp'];
  if (o.video) modules.push('vp8', 'fakevideo');
  writeFileSync(
    join(o.folder, 'config'),
    [
      `sip_listen 127.0.0.1:${o.ports.sip}`,
      `sip_certificate ${o.folder}/both.pem`,
      ...(o.caPath === undefined ? [] : [`sip_cafile ${o.caPath}`, 'sip_verify_server yes']),
      `audio_player aufile,${o.folder}/out.wav`,
      `audio_source aufile,${o.speechPath}`,
      `audio_alert aufile,${o.folder}/alert.wav`,
      'auplay_srate 48000',
      'ausrc_srate 48000',
      'auplay_channels 1',
      'ausrc_channels 1',
      ...(o.video ? ['video_source fakevideo,nil', 'video_display fakevideo,nil', 'video_size 320x240'] : []),
      `rtp_ports ${o.ports.rtpMin}-${o.ports.rtpMax}`,
      `rtcp_mux ${o.rtcpMux ? 'yes' : 'no'}`,
      'jitter_buffer_delay 5-10',
      'rtp_stats yes',
      'net_interface 127.0.0.1',
      'dns_server 127.0.0.1:53',
      'module_path /usr/lib/baresip/modules',
      ...modules.map((m) => `module ${m}.so`),
      'module_tmp uuid.so',
      'module_tmp account.so',
      'module_app menu.so',
      ...(o.watches ? ['module_app contact.so', 'module_app presence.so'] : []),
      'module_app debug_cmd.so',
      'module_app ctrl_tcp.so',
      `ctrl_tcp_listen 127.0.0.1:${o.ports.control}`,
      `snd_path ${o.folder}`,
      'opus_stereo no',
      'opus_sprop_stereo no',
      'opus_bitrate 32000',
      'opus_inbandfec yes',
      'opus_packet_loss 10',
      '',
    ].join('\n'),
  );
  const transport = o.transport ?? 'udp';
  const extra = o.account ? `;${o.account}` : '';
  writeFileSync(
    join(o.folder, 'accounts'),
    `<sip:${o.user}@${o.domain};transport=${transport}>;auth_pass=${o.password};outbound="sip:${o.server};transport=${transport}";regint=60;answermode=manual;mwi=no;audio_codecs=${o.codecs.join(',')}${o.video ? ';video_codecs=vp8' : ''}${extra}\n`,
  );
  const contacts = (o.watches ?? []).map((user) => `"${user}" <sip:${user}@${o.domain}>;presence=p2p\n`);
  writeFileSync(join(o.folder, 'contacts'), contacts.join(''));
}
