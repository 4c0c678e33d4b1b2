import { batch, signal } from '@preact/signals';
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

export type Credentials = { readonly token: string } | { readonly user: string; readonly password: string };

/** Who is signed in here: the session with its renewal, and the people it can see. */
export class Account {
  readonly session = signal<Session | undefined>(undefined);
  readonly people = signal<readonly Person[]>([]);
  /** The server told who is there when it was last asked. */
  readonly peopleKnown = signal(false);
  readonly #store = new SessionStore(sessionStorage, localStorage);
  readonly #api = new Api((input, init) => fetch(input, init));
  #renewTimer: ReturnType<typeof setTimeout> | undefined;
  #peopleTimer: ReturnType<typeof setInterval> | undefined;

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
    this.#peopleTimer = setInterval(() => void this.refreshPeople(), PEOPLE_INTERVAL_MS);
    void this.refreshPeople();
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
