import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Random at the first start, kept in `data/secrets.json`, readable by this user only. */
export interface Secrets {
  /** Shared with TURN: signs its time-limited credentials. */
  readonly turn: string;
  /** Signs login sessions. */
  readonly session: string;
  /** Signs digest nonces. */
  readonly nonce: string;
}

const NAMES = ['turn', 'session', 'nonce'] as const;

/** The secrets of a data folder; those that are missing are made. Throws when the file is there and can't be read. */
export function loadSecrets(data: string): Secrets {
  const path = join(data, 'secrets.json');
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const known = readKnown(path);
  const secrets: Record<string, unknown> = { ...known };
  let complete = known !== undefined;
  for (const name of NAMES) {
    if (typeof secrets[name] === 'string' && secrets[name].length >= 16) continue;
    secrets[name] = randomBytes(32).toString('base64url');
    complete = false;
  }
  if (complete) chmodSync(path, 0o600);
  else {
    const fresh = `${path}.${process.pid}`;
    writeFileSync(fresh, `${JSON.stringify(secrets, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' });
    renameSync(fresh, path);
  }
  return secrets as unknown as Secrets;
}

function readKnown(path: string): Record<string, unknown> | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new Error(`${path} is damaged (not JSON). Mend it, or remove it: everybody then signs in anew.`);
  }
}
