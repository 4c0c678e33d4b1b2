import { base64url, type Crypto, type DigestAlgorithm, ha1, utf8 } from '@offhook/core';
import {
  type Account,
  type AccountDetails,
  changedSettings,
  DEFAULT_SETTINGS,
  type Store,
  StoreError,
  type UserSettings,
} from '../store/index.ts';

/** What the account verbs answer; a password only to the one who set it. */
export interface NewPassword {
  readonly user: string;
  readonly password: string;
}

/**
 * The accounts in memory, as every request needs them; the store remembers. All changes go through here, so that they
 * count at once.
 */
export class Accounts {
  /** Called after an account was removed or got another password: what it had open has to end. */
  onChanged: ((user: string, change: 'removed' | 'password') => void) | undefined;
  /** Called after a user's settings were changed. */
  onSettings: ((user: string) => void) | undefined;
  readonly #store: Store;
  readonly #crypto: Crypto;
  readonly #realm: string;
  #byUser = new Map<string, Account>();
  #settings: ReadonlyMap<string, UserSettings> = new Map();

  private constructor(store: Store, realm: string, crypto: Crypto) {
    this.#store = store;
    this.#realm = realm;
    this.#crypto = crypto;
  }

  static async load(store: Store, realm: string, crypto: Crypto): Promise<Accounts> {
    const accounts = new Accounts(store, realm, crypto);
    await accounts.#reload();
    return accounts;
  }

  get size(): number {
    return this.#byUser.size;
  }

  find(user: string): Account | undefined {
    return this.#byUser.get(user);
  }

  all(): Account[] {
    return [...this.#byUser.values()];
  }

  /** What a user wants done with calls. */
  settings(user: string): UserSettings {
    return this.#settings.get(user) ?? DEFAULT_SETTINGS;
  }

  /** Changes them; throws StoreError in words when the change makes no sense. */
  async change(user: string, change: unknown): Promise<UserSettings> {
    if (!this.#byUser.has(user)) throw new StoreError(`there is no user '${user}'`);
    const settings = changedSettings(this.settings(user), change);
    if ('problem' in settings) throw new StoreError(settings.problem);
    const { always, busy, noAnswer } = settings.forward;
    if ([always, busy, noAnswer].includes(user)) throw new StoreError(`${user}'s calls can't be forwarded to ${user}`);
    await this.#store.saveSettings(user, settings);
    await this.#reload();
    this.onSettings?.(user);
    return settings;
  }

  /** Adds an account. Without a password a random one of 24 characters is made. */
  async add(user: string, password = this.#newPassword(), details: AccountDetails = {}): Promise<NewPassword> {
    await this.#store.addAccount({ user, password, ...details });
    await this.#reload();
    return { user, password };
  }

  async setPassword(user: string, password = this.#newPassword(), digest?: DigestAlgorithm): Promise<NewPassword> {
    await this.#store.setPassword(user, password, digest);
    await this.#reload();
    this.onChanged?.(user, 'password');
    return { user, password };
  }

  async remove(user: string): Promise<void> {
    await this.#store.removeAccount(user);
    await this.#reload();
    this.onChanged?.(user, 'removed');
  }

  /** Whether that is the user's password; the work is the same for users who do not exist. */
  isPassword(user: string, password: string): boolean {
    const account = this.#byUser.get(user);
    const given = ha1('SHA-256', user, this.#realm, password, this.#crypto);
    const same = this.#crypto.equal(utf8(given), utf8(account?.ha1Sha256 ?? '0'.repeat(64)));
    return same && account !== undefined;
  }

  async #reload(): Promise<void> {
    this.#byUser = new Map((await this.#store.accounts()).map((account) => [account.user, account]));
    this.#settings = await this.#store.settings();
  }

  #newPassword(): string {
    return base64url(this.#crypto.randomBytes(18));
  }
}
