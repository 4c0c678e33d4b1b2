import { chmodSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Crypto, type DigestAlgorithm, ha1 } from '@offhook/core';
import { readSettings, type UserSettings } from './settings.ts';

/** What is known of a user. Passwords are never stored, only the digests that SIP needs (RFC 7616 3.4.2). */
export interface Account {
  readonly user: string;
  readonly displayName: string;
  readonly ha1Md5: string;
  readonly ha1Sha256: string;
  /** The digest algorithm its phones are challenged with; undefined: that of the listener. */
  readonly digest?: DigestAlgorithm;
  readonly createdAt: string;
}

/** What an account may have beside its name and password. */
export interface AccountDetails {
  readonly displayName?: string;
  readonly digest?: DigestAlgorithm;
}

/** A failure with words for the person who asked. */
export class StoreError extends Error {}

/** What outlives a restart. Asynchronous, because other implementations ask a database over the network. */
export interface Store {
  accounts(): Promise<readonly Account[]>;
  addAccount(account: { user: string; password: string } & AccountDetails): Promise<void>;
  /** Without a digest the one that was set stays. */
  setPassword(user: string, password: string, digest?: DigestAlgorithm): Promise<void>;
  removeAccount(user: string): Promise<void>;
  /** What users want done with calls, those that have said so. */
  settings(): Promise<ReadonlyMap<string, UserSettings>>;
  saveSettings(user: string, settings: UserSettings): Promise<void>;
  close(): Promise<void>;
}

/** User names are what people dial: letters, digits, and a few marks; digits alone up to three are service numbers. */
export function userNameProblem(user: string): string | undefined {
  if (!/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/.test(user))
    return `'${user}' can't be a user name: letters, digits and . _ + - are allowed, 64 at most, beginning with a letter or digit`;
  if (/^[67]\d\d$/.test(user)) return `'${user}' is a service number`;
  if (/^tgruu\./i.test(user)) return `'${user}' would be taken for a temporary address of a phone (RFC 5627)`;
  return undefined;
}

function passwordProblem(password: string): string | undefined {
  if (password.length < 8) return 'the password is too short: 8 characters at least';
  if (password.length > 128 || /[\r\n\0]/.test(password))
    return 'the password is too long or holds line ends: 128 characters at most';
  return undefined;
}

function isDigest(name: unknown): name is DigestAlgorithm {
  return name === 'MD5' || name === 'SHA-256';
}

function checkedDigest(name: unknown): DigestAlgorithm | undefined {
  if (name !== undefined && !isDigest(name)) throw new StoreError("the digest algorithm is 'MD5' or 'SHA-256'");
  return name;
}

/**
 * The SQLite store (WAL, readable by this user only). Digests depend on the realm, so a store belongs to one realm;
 * opening it with another is refused in words.
 */
export function openStore(path: string, realm: string, crypto: Crypto): Store {
  if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const db = new DatabaseSync(path);
  if (path !== ':memory:') chmodSync(path, 0o600);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000;');
  db.exec(`CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS account (user TEXT PRIMARY KEY, display_name TEXT NOT NULL, ha1_md5 TEXT NOT NULL, ha1_sha256 TEXT NOT NULL, created_at TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS user_settings (user TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;`);
  // A store of before accounts had a digest of their own.
  const columns = db.prepare("SELECT name FROM pragma_table_info('account')").all() as { name: string }[];
  if (!columns.some(({ name }) => name === 'digest')) db.exec('ALTER TABLE account ADD COLUMN digest TEXT');
  const known = db.prepare("SELECT value FROM meta WHERE name = 'realm'").get() as { value: string } | undefined;
  if (!known) db.prepare("INSERT INTO meta VALUES ('realm', ?)").run(realm);
  else if (known.value !== realm) {
    db.close();
    throw new StoreError(
      `the accounts in ${path} were made for the domain '${known.value}'; passwords can't be carried over to '${realm}'. Set the domain back, or use another data directory.`,
    );
  }
  const digests = (user: string, password: string) =>
    [ha1('MD5', user, realm, password, crypto), ha1('SHA-256', user, realm, password, crypto)] as const;
  const checked = (problem: string | undefined) => {
    if (problem) throw new StoreError(problem);
  };
  return {
    accounts: async () =>
      (db.prepare('SELECT * FROM account ORDER BY user').all() as Record<string, string | null>[]).map((row) => ({
        user: row.user!,
        displayName: row.display_name!,
        ha1Md5: row.ha1_md5!,
        ha1Sha256: row.ha1_sha256!,
        createdAt: row.created_at!,
        ...(isDigest(row.digest) ? { digest: row.digest } : {}),
      })),
    addAccount: async ({ user, password, displayName, digest }) => {
      checked(userNameProblem(user) ?? passwordProblem(password));
      if (db.prepare('SELECT 1 FROM account WHERE user = ?').get(user))
        throw new StoreError(`there is a user '${user}' already`);
      db.prepare(
        'INSERT INTO account (user, display_name, ha1_md5, ha1_sha256, created_at, digest) VALUES (?, ?, ?, ?, ?, ?)',
      ).run(
        user,
        displayName ?? user,
        ...digests(user, password),
        new Date().toISOString(),
        checkedDigest(digest) ?? null,
      );
    },
    setPassword: async (user, password, digest) => {
      checked(passwordProblem(password));
      const changed = db
        .prepare('UPDATE account SET ha1_md5 = ?, ha1_sha256 = ?, digest = coalesce(?, digest) WHERE user = ?')
        .run(...digests(user, password), checkedDigest(digest) ?? null, user);
      if (Number(changed.changes) === 0) throw new StoreError(`there is no user '${user}'`);
    },
    removeAccount: async (user) => {
      const changed = db.prepare('DELETE FROM account WHERE user = ?').run(user);
      if (Number(changed.changes) === 0) throw new StoreError(`there is no user '${user}'`);
      db.prepare('DELETE FROM user_settings WHERE user = ?').run(user);
    },
    settings: async () =>
      new Map(
        (db.prepare('SELECT user, json FROM user_settings').all() as { user: string; json: string }[]).map((row) => [
          row.user,
          readSettings(row.json),
        ]),
      ),
    saveSettings: async (user, settings) => {
      db.prepare('INSERT OR REPLACE INTO user_settings VALUES (?, ?)').run(user, JSON.stringify(settings));
    },
    close: async () => db.close(),
  };
}
