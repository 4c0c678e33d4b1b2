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

  /** Signed out, or ended by the server: no tab may come back to it. */
  forget(session: Session, nowMs: number): void {
    if (this.own(nowMs)?.user === session.user) storeSession(this.#tab, undefined);
    if (this.last(nowMs)?.user === session.user) storeSession(this.#browser, undefined);
  }
}
