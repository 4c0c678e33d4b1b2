import { type SocketAddress, socketKey } from '@offhook/core';
import { certificateInWords, ServerCertificate } from '@offhook/core/node';
import type { Logger } from 'pino';
import type { SignalingConfig } from '../config.ts';
import type { TlsEvents } from '../transport/index.ts';
import { certificateNames } from './names.ts';

/**
 * The certificate of HTTPS and SIP over TLS. One of the user's that can't be used is an error; one of our own that can't be
 * made is none: calls go on without TLS, and everybody is told why.
 */
export function openCertificate(
  config: SignalingConfig,
  log: Logger,
): { readonly certificate?: ServerCertificate; readonly trouble?: string } {
  const { tls } = config;
  if (!tls) return {};
  try {
    const names = () => certificateNames(config);
    const certificate = new ServerCertificate({ settings: tls, names, nowMs: () => Date.now(), log });
    log.info(`TLS certificate ${certificateInWords(certificate.facts)}`);
    return { certificate };
  } catch (error) {
    if (tls.cert !== undefined || tls.ca !== undefined) throw error;
    const trouble = `no TLS: ${(error as Error).message}`;
    log.error(trouble);
    return { trouble };
  }
}

/** On SIGHUP and by the verb `reload`; throws, in words, when the old one is kept. */
export function reloadCertificate(certificate: ServerCertificate, log: Logger): string {
  try {
    const words = certificate.reload();
    log.info(words);
    return words;
  } catch (error) {
    const words = `the old certificate is kept: ${(error as Error).message}`;
    log.warn(words);
    throw new Error(words);
  }
}

/** Words to one peer are not repeated within this time: a phone that is refused tries again for ever. */
const QUIET_MS = 600_000;
const PEERS = 1000;

/** What goes wrong with TLS is told to whoever reads the log, once in a while for each peer. */
export class TlsLog implements TlsEvents {
  readonly #log: Logger;
  readonly #toldAtMs = new Map<string, number>();

  constructor(log: Logger) {
    this.#log = log;
  }

  onTrouble(remote: SocketAddress, words: string): void {
    if (this.#mayTell(`${remote.address} ${words}`)) this.#log.warn({ remote: socketKey(remote) }, `TLS: ${words}`);
  }

  onClientCertificate(remote: SocketAddress, words: string): void {
    this.#log.info({ remote: socketKey(remote) }, `TLS: ${words}`);
  }

  #mayTell(what: string): boolean {
    const nowMs = performance.now();
    if (nowMs - (this.#toldAtMs.get(what) ?? Number.NEGATIVE_INFINITY) < QUIET_MS) return false;
    if (this.#toldAtMs.size >= PEERS) this.#toldAtMs.delete(this.#toldAtMs.keys().next().value!);
    this.#toldAtMs.set(what, nowMs);
    return true;
  }
}
