import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stopProcess } from './stop-process.ts';
import { waitUntil } from './system.ts';
import { readWav, type Sound } from './wav.ts';

export interface LinphoneOptions {
  readonly folder: string;
  readonly user: string;
  readonly password: string;
  readonly domain: string;
  /** Port of the server's SIP over that transport on loopback. */
  readonly serverPort: number;
  readonly transport?: 'udp' | 'tcp' | 'tls';
  /** PEM file of those whose certificates it trusts; needed for TLS. */
  readonly caPath?: string;
  /** Of its media, and it takes no other: SDES or DTLS-SRTP; left out: plain RTP. */
  readonly encryption?: 'srtp' | 'dtls';
  /** It has a camera that shows a still image, VP8 and RTP/AVPF; a screen it has not. */
  readonly video?: boolean;
  /** What its microphone says; converted to the 16 kHz that its file player takes. */
  readonly speechPath: string;
  /** Free ports: SIP, and the first and last of RTP. */
  readonly ports: { readonly sip: number; readonly rtpMin: number; readonly rtpMax: number };
}

/** What it records of a call in Opus: mono, 16 bit, after a RIFF header of so many bytes. */
const OPUS_RATE = 48_000;
const HEADER_BYTES = 44;
/** It says goodbye to its registrar first. */
const QUIT_MS = 8000;

/** A real linphonec 5, driven by the lines that a person would type. It plays and records files. */
export class Linphone {
  readonly #folder: string;
  readonly #process: ChildProcess;
  output = '';

  private constructor(folder: string, child: ChildProcess) {
    this.#folder = folder;
    this.#process = child;
    const note = (d: Buffer) => {
      this.output += d.toString();
    };
    child.stdout?.on('data', note);
    child.stderr?.on('data', note);
  }

  /** Starts it and waits until its REGISTER is answered well. */
  static async start(o: LinphoneOptions): Promise<Linphone> {
    mkdirSync(o.folder, { recursive: true });
    const speech = join(o.folder, 'speech.wav');
    execFileSync('sox', [o.speechPath, '-r', '16000', speech]);
    writeFileSync(join(o.folder, 'rc'), configuration(o));
    const program = ['linphonec', '-c', join(o.folder, 'rc'), '-d', '6', '-l', join(o.folder, 'log')];
    if (o.video) program.push('-C');
    const child = spawn('timeout', ['-s', 'KILL', '120', ...program], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, HOME: o.folder },
    });
    const phone = new Linphone(o.folder, child);
    try {
      // It says nothing of its own accord, but answers when asked.
      await waitUntil(
        'linphonec is registered',
        async () => {
          phone.type('status register');
          return /^registered, identity=/m.test(phone.output);
        },
        15_000,
        () => `\n${phone.output.slice(-3000)}`,
      );
      phone.type('soundcard use files', `play ${speech}`, `record ${join(o.folder, 'heard.wav')}`);
    } catch (error) {
      await stopProcess(child);
      throw error;
    }
    return phone;
  }

  /** Types lines. */
  type(...lines: readonly string[]): void {
    for (const line of lines) this.#process.stdin?.write(`${line}\n`);
  }

  /** Waits until its output has come to say this. */
  says(words: RegExp, what: string, timeoutMs = 15_000): Promise<void> {
    return waitUntil(
      `linphonec: ${what}`,
      async () => words.test(this.output),
      timeoutMs,
      () => `\n${this.output.slice(-3000)}`,
    );
  }

  /** What it has noted so far. */
  log(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8');
  }

  heard(): Sound {
    return readWav(join(this.#folder, 'heard.wav'));
  }

  /** The same while it records, in a call with Opus: it fills the header in at each pause, and never as the call goes on. */
  heardSoFar(): Sound {
    const bytes = readFileSync(join(this.#folder, 'heard.wav')).subarray(HEADER_BYTES);
    const samples = new Float32Array(bytes.length >> 1);
    for (let i = 0; i < samples.length; i++) samples[i] = bytes.readInt16LE(2 * i) / 32768;
    return { rate: OPUS_RATE, samples };
  }

  /** Waits until its recording is so long. */
  heardFor(seconds: number): Promise<void> {
    const path = join(this.#folder, 'heard.wav');
    const rate = OPUS_RATE * 2;
    return waitUntil(
      `linphonec has recorded ${seconds} s`,
      async () => existsSync(path) && statSync(path).size > seconds * rate,
      seconds * 1000 + 10_000,
      () => `\n${this.output.slice(-3000)}`,
    );
  }

  /** Ends it; once more does nothing. */
  stop(): Promise<void> {
    return stopProcess(this.#process, () => this.type('quit'), QUIT_MS);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

const CAMERA = `[video]
enabled=1
capture=1
display=0
automatically_initiate=1
automatically_accept=1
device=StaticImage: Static picture
size=vga
[video_codec_0]
mime=VP8
rate=90000
enabled=1
`;

function configuration(o: LinphoneOptions): string {
  const transport = o.transport ?? 'udp';
  // Its TLS finds no addresses in certificates, only names.
  const server = `sip:${transport === 'tls' ? 'localhost' : '127.0.0.1'}:${o.serverPort};transport=${transport}`;
  const port = (of: typeof transport) => (of === transport ? o.ports.sip : 0); // 0: not that one
  return `[sip]
sip_port=${port('udp')}
sip_tcp_port=${port('tcp')}
sip_tls_port=${port('tls')}
${o.caPath === undefined ? '' : `root_ca=${o.caPath}\nverify_server_certs=1\nverify_server_cn=1\n`}\
bind_address=127.0.0.1
default_proxy=0
media_encryption=${o.encryption ?? 'none'}
media_encryption_mandatory=${o.encryption ? 1 : 0}
use_ipv6=0
guess_hostname=1
contact="${o.user}" <sip:${o.user}@127.0.0.1>
register_only_when_network_is_up=0
[net]
firewall_policy=none
mtu=1300
[rtp]
audio_rtp_port=${o.ports.rtpMin}-${o.ports.rtpMax}
${o.video ? `video_rtp_port=${o.ports.rtpMin}-${o.ports.rtpMax}\n` : ''}\
[sound]
echocancellation=0
[proxy_0]
reg_proxy=<${server}>
reg_identity=sip:${o.user}@${o.domain}
reg_route=<${server};lr>
reg_expires=60
reg_sendregister=1
publish=0
${o.video ? 'avpf=1\navpf_rr_interval=1\n' : ''}\
[auth_info_0]
username=${o.user}
passwd=${o.password}
realm=${o.domain}
domain=${o.domain}
algorithm=MD5
${o.video ? CAMERA : ''}[misc]
uuid=${randomUUID()}
[storage]
uri=null
`;
}
