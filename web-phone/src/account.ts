import { batch, signal } from '@preact/signals';
import type { OwnPresence, Presence } from './presence.ts';
import {
  Api,
  ApiError,
  type IncomingRules,
  type Person,
  type RulesChange,
  renewDelayMs,
  type Session,
} from './session.ts';
import { SessionStore } from './session-store.ts';
import type { ProbeResult } from './ua/link.ts';
import type { SignInProblem } from './ua/messages.ts';

/** While the page is visible. */
const PEOPLE_INTERVAL_MS = 3_000;
/** The same while the server tells changes by itself. */
const PEOPLE_SELDOM_MS = 30_000;

export type Credentials = { readonly token: string } | { readonly user: string; readonly password: string };

/** Who is signed in here: the session with its renewal, and the people it can see. */
export class Account {
  readonly session = signal<Session | undefined>(undefined);
  readonly people = signal<readonly Person[]>([]);
  /** The server told who is there when it was last asked. */
  readonly peopleKnown = signal(false);
  /** What this account says of itself; undefined while the server has not told. */
  readonly presence = signal<OwnPresence | undefined>(undefined);
  readonly #store = new SessionStore(sessionStorage, localStorage);
  readonly #api = new Api((input, init) => fetch(input, init));
  #renewTimer: ReturnType<typeof setTimeout> | undefined;
  #peopleTimer: ReturnType<typeof setInterval> | undefined;
  #askedAtMs = 0;
  #isTold = false;

  /** The session that this tab still holds. */
  stored(): Session | undefined {
    return this.#store.own(Date.now());
  }

  /** The session that any tab of this browser entered last. */
  last(): Session | undefined {
    return this.#store.last(Date.now());
  }

  /** @throws ApiError; `signInProblem` tells what it means */
  login(credentials: Credentials): Promise<Session> {
    return this.#api.login(credentials);
  }

  /** From now on this session is used, kept and renewed. */
  enter(session: Session): void {
    this.#store.enter(session);
    this.session.value = session;
    this.#scheduleRenewal();
    void this.refreshPeople();
  }

  /** Asks again and again who is there; without a connection nobody knows. */
  watchPeople(connected: boolean): void {
    clearInterval(this.#peopleTimer);
    this.peopleKnown.value = this.peopleKnown.value && connected;
    if (!connected) return;
    this.#peopleTimer = setInterval(() => {
      if (!this.#isTold || Date.now() - this.#askedAtMs >= PEOPLE_SELDOM_MS) void this.refreshPeople();
    }, PEOPLE_INTERVAL_MS);
    void this.refreshPeople();
    void this.refreshPresence();
  }

  /** Whether the server tells changes as they happen; then they need not be asked for so often. */
  tellsChanges(isTold: boolean): void {
    this.#isTold = isTold;
    if (isTold) void this.refreshPeople(); // what changed before it began
  }

  /** The server told that somebody's presence has changed. */
  takePresence(user: string, presence: Presence): void {
    if (user === this.session.value?.user) {
      void this.refreshPresence(); // perhaps set on another phone
      return;
    }
    const { status, note } = presence;
    this.people.value = this.people.value.map((person) =>
      person.user === user
        ? {
            user,
            displayName: person.displayName,
            online: status !== 'offline',
            status,
            ...(note === undefined ? {} : { note }),
          }
        : person,
    );
  }

  async refreshPresence(): Promise<void> {
    const session = this.session.value;
    if (!session) return;
    const presence = await this.#api.presence(session).catch(() => undefined);
    if (presence && this.session.value === session) this.presence.value = presence;
  }

  /** @throws ApiError; what was said before then holds */
  async setPresence(presence: OwnPresence): Promise<void> {
    const session = this.session.value;
    if (!session) return;
    const before = this.presence.value;
    this.presence.value = presence;
    try {
      await this.#api.setPresence(session, presence);
    } catch (error) {
      if (this.presence.value === presence) this.presence.value = before;
      throw error;
    }
  }

  /** Forgets the session in this browser; the server still knows it. */
  leave(): void {
    if (this.session.value) this.#store.signOut(this.session.value, Date.now());
    clearTimeout(this.#renewTimer);
    clearInterval(this.#peopleTimer);
    batch(() => {
      this.session.value = undefined;
      this.people.value = [];
      this.peopleKnown.value = false;
      this.presence.value = undefined;
    });
  }

  /** The server has ended it. */
  drop(session: Session): void {
    this.#store.drop(session, Date.now());
  }

  async logout(session: Session): Promise<void> {
    await this.#api.logout(session).catch(() => {});
  }

  /** Tells a server that is away from a session that has ended. */
  async probe(session = this.session.value): Promise<ProbeResult> {
    if (!session) return 'expired';
    try {
      await this.#api.whoami(session);
      return 'ok';
    } catch (error) {
      return error instanceof ApiError && (error.status === 401 || error.status === 403) ? 'expired' : 'unreachable';
    }
  }

  async refreshPeople(): Promise<void> {
    const session = this.session.value;
    if (!session || document.hidden) return;
    this.#askedAtMs = Date.now();
    const people = await this.#api.people(session).catch(() => undefined);
    if (this.session.value !== session) return;
    const others = people?.filter((p) => p.user !== session.user);
    batch(() => {
      this.peopleKnown.value = others !== undefined;
      if (others && JSON.stringify(others) !== JSON.stringify(this.people.value)) this.people.value = others;
    });
  }

  /** What the server does with this account's calls. @throws ApiError */
  rules(): Promise<IncomingRules> {
    return this.#api.rules(this.session.value!);
  }

  changeRules(change: RulesChange): Promise<IncomingRules> {
    return this.#api.changeRules(this.session.value!, change);
  }

  /** The TURN server with this account's time-limited credentials. */
  turn(): Promise<RTCIceServer> {
    return this.#api.turn(this.session.value!);
  }

  #scheduleRenewal(): void {
    clearTimeout(this.#renewTimer);
    const session = this.session.value;
    if (!session || session.expiresAtMs === 0) return;
    this.#renewTimer = setTimeout(() => void this.#renew(), renewDelayMs(session.expiresAtMs, Date.now()));
  }

  async #renew(): Promise<void> {
    const session = this.session.value;
    if (!session) return;
    try {
      const renewed = await this.#api.renew(session);
      if (this.session.value !== session) return;
      this.session.value = renewed;
      this.#store.renew(renewed, Date.now());
    } catch {
      // Expired or unreachable: the link notices by itself and says so.
    }
    this.#scheduleRenewal();
  }
}

/** What a failed sign-in means for the person who tried. */
export function signInProblem(error: unknown, byLink: boolean): SignInProblem {
  if (!(error instanceof ApiError)) return 'failed';
  const { status } = error;
  if (status === 0 || status >= 502) return 'unreachable';
  if (status === 429) return 'limited';
  if ([400, 401, 403, 404, 410].includes(status)) return byLink ? 'link-used' : 'wrong';
  return 'failed';
}
