import { type Session, storedSession, storeSession } from './session.ts';

/**
 * Where a browser keeps its sessions: each tab its own, so that two tabs can be two accounts, and the one entered last
 * for a tab that has none yet.
 */
export class SessionStore {
  readonly #tab: Storage;
  readonly #browser: Storage;

  constructor(tab: Storage, browser: Storage) {
    this.#tab = tab;
    this.#browser = browser;
  }

  /** This tab's own. */
  own(nowMs: number): Session | undefined {
    return storedSession(this.#tab, nowMs);
  }

  /** The one entered last in any tab. */
  last(nowMs: number): Session | undefined {
    return storedSession(this.#browser, nowMs);
  }

  enter(session: Session): void {
    storeSession(this.#tab, session);
    storeSession(this.#browser, session);
  }

  /** A later session of the same account; what another tab entered meanwhile stays the last. */
  renew(session: Session, nowMs: number): void {
    storeSession(this.#tab, session);
    if (this.last(nowMs)?.user === session.user) storeSession(this.#browser, session);
  }

  /** Signed out: no tab may come back to that account. */
  signOut(session: Session, nowMs: number): void {
    for (const storage of [this.#tab, this.#browser])
      if (storedSession(storage, nowMs)?.user === session.user) storeSession(storage, undefined);
  }

  /** The server has ended that session; another tab may have entered a better one meanwhile. */
  drop(session: Session, nowMs: number): void {
    for (const storage of [this.#tab, this.#browser])
      if (storedSession(storage, nowMs)?.session === session.session) storeSession(storage, undefined);
  }
}
