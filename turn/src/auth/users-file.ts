import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { LongTermUser } from './long-term-users.ts';
import { userNameProblem } from './long-term-users.ts';

interface UsersFile {
  /** Keys are of this realm; with another they are worth nothing. */
  readonly realm: string;
  readonly users: readonly LongTermUser[];
}

/** The users of a file; none when there is no file. Throws in words when it can't be used. */
export function readUsers(path: string, realm: string): LongTermUser[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  let file: Partial<UsersFile>;
  try {
    file = (JSON.parse(text) ?? {}) as Partial<UsersFile>;
  } catch {
    throw new Error(`${path} is damaged (not JSON); mend it, or remove it and add the users again`);
  }
  if (typeof file.realm !== 'string') throw new Error(`${path}: no realm is named there`);
  if (file.realm !== realm)
    throw new Error(`${path} holds users of the realm '${file.realm}', not of '${realm}': their keys don't fit`);
  if (!Array.isArray(file.users) || !file.users.every(isUser)) throw new Error(`${path}: a user there can't be read`);
  return [...file.users];
}

/** Replaces the file, readable by this user only. */
export function writeUsers(path: string, realm: string, users: readonly LongTermUser[]): void {
  const fresh = `${path}.${process.pid}`;
  const file: UsersFile = { realm, users };
  rmSync(fresh, { force: true });
  writeFileSync(fresh, `${JSON.stringify(file, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(fresh, path);
}

function isUser(value: unknown): value is LongTermUser {
  const { name, md5, sha256 } = (value ?? {}) as Partial<LongTermUser>;
  return (
    userNameProblem(name) === undefined &&
    typeof md5 === 'string' &&
    /^[0-9a-f]{32}$/.test(md5) &&
    (sha256 === undefined || /^[0-9a-f]{64}$/.test(sha256))
  );
}
