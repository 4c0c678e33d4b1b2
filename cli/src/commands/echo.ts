import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { getCACertificates } from 'node:tls';
import { CertificateError, readAuthorities } from '@offhook/core/node';
import { numberOption, UsageError, type Values } from '../arguments.ts';
import { tlsFolder } from '../composition.ts';
import { findData } from '../config/find-data.ts';
import { type EchoResult, runEcho } from '../echo/client.ts';
import { MIN_SIZE } from '../echo/payload.ts';
import { reportLines } from '../echo/tally.ts';
import { type EchoTarget, parseEchoUrl, urlOf } from '../echo/url.ts';
import { isFingerprint, type Trust } from '../echo/words.ts';

const MAX_SIZE = 1_000_000;
/** What a datagram over IPv4 holds (RFC 768: 65,535 with its header and that of IP). */
const MAX_DATAGRAM = 65_507;

/** Whether what is sent to an echo comes back. Exit code 1: not all of it. */
export async function echo(url: string, values: Values): Promise<number> {
  const target = parseEchoUrl(url);
  if (typeof target === 'string') throw new UsageError(target);
  const { json = false } = values;
  const maxSize = target.scheme === 'udp' ? MAX_DATAGRAM : MAX_SIZE;
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => controller.abort());
  const say = (line: string) => {
    if (!json) process.stdout.write(`${line}\n`);
  };
  const result = await runEcho({
    target,
    count: numberOption(values, 'count', { min: 1, max: 100_000, otherwise: 4, kind: 'whole' }),
    intervalMs: numberOption(values, 'interval', { min: 1, max: 60_000, otherwise: 200, kind: 'whole' }),
    size:
      values.size === undefined
        ? undefined
        : numberOption(values, 'size', { min: MIN_SIZE, max: maxSize, otherwise: 0, kind: 'whole' }),
    timeoutMs: 1000 * numberOption(values, 'timeout', { min: 0.1, max: 60, otherwise: 3, kind: 'decimal' }),
    trust: trustOf(target, values),
    signal: controller.signal,
    say,
  });
  const isGood = result.received > 0 && result.lost === 0;
  if (json) process.stdout.write(`${JSON.stringify({ url: urlOf(target), ok: isGood, ...result }, undefined, 2)}\n`);
  else sayResult(target, result);
  return isGood ? 0 : 1;
}

function sayResult({ scheme }: EchoTarget, result: EchoResult): void {
  if (result.sent > 0)
    for (const line of reportLines(result, scheme === 'udp' ? 'unordered' : 'ordered'))
      process.stdout.write(`${line}\n`);
  for (const words of result.troubles) process.stderr.write(`offhook echo: ${words}\n`);
}

/** Throws UsageError for a file or fingerprint that can't be one. */
function trustOf({ scheme }: EchoTarget, values: Values): Trust {
  const { ca, fingerprint, insecure = false } = values;
  if (scheme !== 'tls' && scheme !== 'wss') {
    for (const name of ['ca', 'fingerprint', 'insecure'] as const)
      if (values[name] !== undefined)
        throw new UsageError(`--${name} is for tls:// and wss://; ${scheme}:// has no certificates.`);
    return { ca: [], insecure };
  }
  if (fingerprint !== undefined && !isFingerprint(fingerprint))
    throw new UsageError(
      `--fingerprint: '${fingerprint}' is no SHA-256 fingerprint (32 bytes in hex, with colons or without).`,
    );
  try {
    if (ca !== undefined) return { ca: [readAuthorities(resolve(process.cwd(), ca))], fingerprint, insecure };
  } catch (error) {
    if (error instanceof CertificateError) throw new UsageError(`--ca: ${error.message}`);
    throw error;
  }
  return { ca: [...known('default'), ...known('system'), ...ownCa(values)], fingerprint, insecure };
}

/** Those that Node brings, and those that this machine trusts; some systems have none. */
function known(kind: 'default' | 'system'): string[] {
  try {
    return getCACertificates(kind);
  } catch {
    return [];
  }
}

/** The own CA of the data folder, when there is one; what is wrong with the configuration is not this command's matter. */
function ownCa(values: Values): string[] {
  const path = join(tlsFolder(findData(values, process.cwd(), () => {})), 'ca.pem');
  if (!existsSync(path)) return [];
  try {
    return [readAuthorities(path)];
  } catch {
    return []; // damaged: doctor tells
  }
}
