import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { JwtAlgorithm, JwtRules } from './jwt.ts';

/** How often the file is looked at while tokens come. */
const LOOK_MS = 2000;
const MAX_BYTES = 256 * 1024;
const MAX_KEYS = 64;

interface Key {
  readonly algorithm: JwtAlgorithm;
  readonly id: string | undefined;
  readonly key: KeyObject;
}

/** A JWK Set that can't be used, in words. */
export class KeyFileError extends Error {}

/**
 * The public keys that tokens are signed with: a JWK Set (RFC 7517 5) in a file, read anew when it has changed. Checking is
 * synchronous, as all that lies between a request and its answer, so a token needs no state while it is checked.
 */
export class KeyFile {
  readonly #path: string;
  readonly #onTrouble: (words: string) => void;
  readonly #nowMs: () => number;
  #keys: readonly Key[] = [];
  #seen = '';
  #lookedAtMs: number;

  /** Throws KeyFileError when the file can't be used now; later trouble is told, and the old keys are kept. */
  constructor(path: string, options: { onTrouble: (words: string) => void; nowMs: () => number }) {
    this.#path = path;
    this.#onTrouble = options.onTrouble;
    this.#nowMs = options.nowMs;
    this.#lookedAtMs = options.nowMs();
    this.#read(this.#look());
  }

  /** How many keys there are. */
  get size(): number {
    return this.#keys.length;
  }

  readonly verify: JwtRules['verify'] = ({ algorithm, keyId }, data, signature) => {
    this.#refresh();
    return this.#keys.some(
      (known) =>
        known.algorithm === algorithm &&
        (keyId === undefined || known.id === undefined || known.id === keyId) &&
        isSigned(known, data, signature),
    );
  };

  #refresh(): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#lookedAtMs < LOOK_MS) return;
    this.#lookedAtMs = nowMs;
    try {
      const look = this.#look();
      if (look !== this.#seen) this.#read(look);
    } catch (error) {
      this.#onTrouble(`the old keys are kept: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** What changes with the file. */
  #look(): string {
    try {
      const { mtimeMs, size, ino } = statSync(this.#path);
      return `${mtimeMs} ${size} ${ino}`;
    } catch (error) {
      throw new KeyFileError(`${this.#path}: ${(error as Error).message}`);
    }
  }

  #read(look: string): void {
    this.#seen = look;
    this.#keys = keysIn(this.#path);
  }
}

function keysIn(path: string): readonly Key[] {
  let set: unknown;
  try {
    const bytes = readFileSync(path);
    if (bytes.length > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`);
    set = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new KeyFileError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const list = (set as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(list) || list.length > MAX_KEYS)
    throw new KeyFileError(`${path}: no JWK Set: { "keys": [ … ] } with ${MAX_KEYS} keys at most`);
  const keys = list.flatMap((jwk: unknown, i) => keyOf(jwk, `${path}: key ${i + 1}`) ?? []);
  if (keys.length === 0) throw new KeyFileError(`${path}: no key for signatures by RS256, ES256 or EdDSA`);
  return keys;
}

/** Undefined for keys of other uses and kinds, which such sets have beside them. */
function keyOf(jwk: unknown, where: string): Key | undefined {
  if (typeof jwk !== 'object' || jwk === null) throw new KeyFileError(`${where} is no object`);
  const { kty, crv, use, alg, kid, d, k } = jwk as Record<string, unknown>;
  if (d !== undefined || k !== undefined)
    throw new KeyFileError(
      `${where} is secret: with it anybody who reads the file could make tokens; public ones only`,
    );
  const algorithm = kty === 'RSA' ? 'RS256' : crv === 'P-256' ? 'ES256' : crv === 'Ed25519' ? 'EdDSA' : undefined;
  if (!algorithm || (use !== undefined && use !== 'sig') || (alg !== undefined && alg !== algorithm)) return undefined;
  let key: KeyObject;
  try {
    key = createPublicKey({ key: jwk as Record<string, string>, format: 'jwk' });
  } catch (error) {
    throw new KeyFileError(`${where}: ${error instanceof Error ? error.message : String(error)}`);
  }
  // RFC 7518 3.3: "A key of size 2048 bits or larger MUST be used".
  if (algorithm === 'RS256' && (key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048)
    throw new KeyFileError(`${where} is too short: 2048 bits at least`);
  return { algorithm, id: typeof kid === 'string' ? kid : undefined, key };
}

function isSigned({ algorithm, key }: Key, data: Uint8Array, signature: Uint8Array): boolean {
  try {
    if (algorithm === 'EdDSA') return verify(null, data, key, signature);
    return verify('sha256', data, algorithm === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' } : key, signature);
  } catch {
    return false; // a signature that none can be
  }
}
