import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Random at the first start, kept in `data/secrets.json`, readable by this user only. */
export interface Secrets {
  /** Shared with TURN: the first signs time-limited credentials, all of them are good. In the file one text or a list. */
  readonly turn: readonly [string, ...string[]];
  /** Signs login sessions. */
  readonly session: string;
  /** Signs digest nonces. */
  readonly nonce: string;
  /** Signs TURN's nonces. */
  readonly turnNonce: string;
}

const SHORTEST = 16;
/** The new one and the one before: credentials are good for `turn.credentialTtlS`, not for ever. */
const KEPT = 2;

export function secretsPath(data: string): string {
  return join(data, 'secrets.json');
}

/** The secrets of a data folder; those that are missing are made. Throws when the file is there and can't be read. */
export function loadSecrets(data: string): Secrets {
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const path = secretsPath(data);
  const known = readKnown(path);
  const turn = [known?.turn].flat().filter(isSecret);
  const secrets: Secrets = {
    turn: [turn[0] ?? made(), ...turn.slice(1)],
    session: isSecret(known?.session) ? known.session : made(),
    nonce: isSecret(known?.nonce) ? known.nonce : made(),
    turnNonce: isSecret(known?.turnNonce) ? known.turnNonce : made(),
  };
  const names = ['session', 'nonce', 'turnNonce'] as const;
  if (known && turn.length > 0 && names.every((name) => known[name] === secrets[name])) chmodSync(path, 0o600);
  else store(path, { ...known, ...secrets });
  return secrets;
}

/** The secrets as they are each time, so that what is started again gets those of now; while the file can't be read, the last ones. */
export function liveSecrets(data: string): () => Secrets {
  let last = loadSecrets(data);
  return () => {
    try {
      last = loadSecrets(data);
    } catch {
      // it has been good, and will be mended or told of at the next start
    }
    return last;
  };
}

/** A new secret for TURN's credentials; the one before stays good, those before it don't. */
export function rotateTurnSecret(data: string, wallMs: number): Secrets {
  const secrets = loadSecrets(data);
  const path = secretsPath(data);
  const rotated: Secrets = { ...secrets, turn: [made(), ...secrets.turn.slice(0, KEPT - 1)] };
  store(path, { ...readKnown(path), ...rotated, turnRotatedAt: new Date(wallMs).toISOString() });
  return rotated;
}

/** When the secret was changed that a further change would make useless; undefined when that would harm nobody. */
export function turnRotatedAtMs(data: string): number | undefined {
  const known = readKnown(secretsPath(data));
  if ([known?.turn].flat().filter(isSecret).length < KEPT) return undefined;
  const atMs = Date.parse(String(known?.turnRotatedAt));
  return Number.isNaN(atMs) ? undefined : atMs;
}

/** All at once, or not at all. */
function store(path: string, secrets: Record<string, unknown> & Secrets): void {
  const fresh = `${path}.${process.pid}`;
  const { turn } = secrets;
  const text = JSON.stringify({ ...secrets, turn: turn.length === 1 ? turn[0] : turn }, undefined, 2);
  writeFileSync(fresh, `${text}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(fresh, path);
}

function isSecret(value: unknown): value is string {
  return typeof value === 'string' && value.length >= SHORTEST;
}

function made(): string {
  return randomBytes(32).toString('base64url');
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
