import { constants, X509Certificate } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import type { CertificateFacts } from './facts.ts';
import { CertificateError, outOfDate, readCredentials, type TlsCredentials } from './files.ts';
import { ownCertificate } from './own.ts';

export interface TlsSettings {
  /** Where the own CA and its certificate are kept; not used when `cert` is given. */
  readonly folder: string;
  /** PEM files of a certificate from elsewhere; both or none. */
  readonly cert?: string;
  readonly key?: string;
  /** PEM file of those who sign phones' certificates; phones are asked for one then. */
  readonly ca?: string;
  /** Names and addresses that the own certificate is for, beside those of this machine. */
  readonly names?: readonly string[];
}

export interface CertificateOptions {
  readonly settings: TlsSettings;
  /** The names of now; asked anew at each check. */
  readonly names: () => readonly string[];
  readonly nowMs: () => number;
  readonly log: { info(words: string): void; warn(words: string): void };
}

/** How often names, days left and files are looked at beside file events: addresses change with networks. */
const CHECK_MS = 3_600_000;
/** Certificate and key are written one after the other. */
const SETTLE_MS = 1000;
/** Below this many days a certificate from elsewhere is worth a warning. */
export const SOON_DAYS = 14;

/**
 * TLS 1.2 with forward secrecy and AEAD, and all of TLS 1.3; renegotiation, which lets a client make us work, is off.
 */
export const TLS_POLICY: SecureContextOptions = {
  minVersion: 'TLSv1.2',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE+AESGCM:ECDHE+CHACHA20',
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
};

/** The certificate of all TLS listeners: read, watched, renewed. Listeners that are open follow it; connections stay. */
export class ServerCertificate {
  readonly #options: CertificateOptions;
  #current: TlsCredentials;
  readonly #followers = new Set<() => void>();
  readonly #watchers: FSWatcher[] = [];
  readonly #timer: NodeJS.Timeout;
  #settling: NodeJS.Timeout | undefined;
  #lastTrouble: string | undefined;

  /** Reads it, or makes it. Throws CertificateError in words; what has only expired is served, with a warning. */
  constructor(options: CertificateOptions) {
    this.#options = options;
    this.#current = this.#read();
    const { cert, key, ca } = options.settings;
    const expired = this.#isOwn ? undefined : outOfDate(new X509Certificate(this.#current.cert), options.nowMs());
    if (expired) options.log.warn(`${cert}: ${expired}; phones and browsers will refuse it`);
    this.#timer = setInterval(() => this.check(), CHECK_MS).unref();
    const folders = new Set([cert, key, ca].flatMap((path) => (path === undefined ? [] : [dirname(path)])));
    for (const folder of folders) this.#watch(folder);
  }

  get facts(): CertificateFacts {
    return this.#current.facts;
  }

  /** Whether phones are asked for certificates of their own. */
  get asksClients(): boolean {
    return this.#options.settings.ca !== undefined;
  }

  /** What a TLS server needs. Browsers are asked for no certificate: they would ask their user. */
  context(who: 'phones' | 'browsers'): SecureContextOptions {
    const { cert, key, clientCa } = this.#current;
    return { ...TLS_POLICY, cert, key, ...(who === 'phones' && clientCa !== undefined ? { ca: clientCa } : {}) };
  }

  /** Calls back after each change; answers how to stop that. */
  follow(onChanged: () => void): () => void {
    this.#followers.add(onChanged);
    return () => this.#followers.delete(onChanged);
  }

  /** Reads the files anew and serves what they hold, in words. Throws CertificateError when the old one is kept. */
  reload(): string {
    const next = this.#read();
    const expired = outOfDate(new X509Certificate(next.cert), this.#options.nowMs());
    const { cert, key, clientCa, facts } = this.#current;
    const isSame = next.cert === cert && next.key === key && next.clientCa === clientCa;
    if (expired && !isSame) throw new CertificateError(`${this.#options.settings.cert}: ${expired}`);
    this.#current = next;
    if (isSame) return `the certificate is the same as before, good until ${facts.until}`;
    for (const follower of this.#followers) follower();
    return `a new certificate is served: ${certificateInWords(next.facts)}`;
  }

  /** The same by itself: silent when nothing changed, and what is wrong is said once, not hourly. */
  check(): void {
    const { log } = this.#options;
    const before = this.#current;
    try {
      const words = this.reload();
      if (before.cert !== this.#current.cert || before.clientCa !== this.#current.clientCa) log.info(words);
      this.#lastTrouble = undefined;
    } catch (error) {
      const words = `the old certificate is kept: ${error instanceof Error ? error.message : String(error)}`;
      if (words !== this.#lastTrouble) log.warn(words);
      this.#lastTrouble = words;
    }
  }

  /** What a person should know: no new one could be read, or it ends soon. */
  get warning(): string | undefined {
    if (this.#lastTrouble) return this.#lastTrouble;
    const daysLeft = Math.floor((Date.parse(this.facts.until) - this.#options.nowMs()) / 86_400_000);
    if (daysLeft < 0) return 'the TLS certificate has expired';
    return daysLeft < SOON_DAYS ? `the TLS certificate ends in ${daysLeft} days` : undefined;
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#settling);
    for (const watcher of this.#watchers) watcher.close();
    this.#followers.clear();
  }

  get #isOwn(): boolean {
    return this.#options.settings.cert === undefined;
  }

  #read(): TlsCredentials {
    const { settings, names, nowMs, log } = this.#options;
    const { cert, key, ca, folder } = settings;
    if (cert !== undefined && key !== undefined) return readCredentials({ cert, key, clientCa: ca }, nowMs());
    const own = ownCertificate({ folder, names: names(), nowMs: nowMs() });
    for (const what of own.made) log.info(`made ${what} in ${folder}`);
    const files = { cert: own.certPath, key: own.keyPath, clientCa: ca };
    return ca === undefined ? own : readCredentials(files, nowMs());
  }

  /** Tools replace files by renaming, so folders are watched, not files. */
  #watch(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => {
        // Not put off by further changes: the folder may be a busy one.
        this.#settling ??= setTimeout(() => {
          this.#settling = undefined;
          this.check();
        }, SETTLE_MS).unref();
      });
      watcher.on('error', () => watcher.close()); // the hourly look remains
      this.#watchers.push(watcher);
    } catch {
      // no more inotify watches: the hourly look remains
    }
  }
}

/** A machine has many addresses; more names than these are counted. */
const NAMES = 4;

/** `for localhost, vm, 127.0.0.1; signed by Offhook CA; good until 2027-11-28 (395 days)` */
export function certificateInWords({ names, signedBy, isSelfSigned, until, daysLeft }: CertificateFacts): string {
  const who = isSelfSigned ? 'self-signed' : `signed by ${signedBy}`;
  const more = names.length > NAMES ? ` and ${names.length - NAMES} more` : '';
  return `for ${names.slice(0, NAMES).join(', ')}${more}; ${who}; good until ${until.slice(0, 10)} (${daysLeft} days)`;
}
