import { batch, signal } from '@preact/signals';
import { Api, ApiError, type Person, renewDelayMs, type Session, storedSession, storeSession } from './session.ts';
import type { ProbeResult } from './ua/link.ts';
import type { SignInProblem } from './ua/messages.ts';

const PEOPLE_INTERVAL_MS = 10_000;

export type Credentials = { readonly token: string } | { readonly user: string; readonly password: string };

/** Who is signed in here: the session with its renewal, and the people it can see. */
export class Account {
  readonly session = signal<Session | undefined>(undefined);
  readonly people = signal<readonly Person[]>([]);
  readonly peopleKnown = signal(false);
  readonly #api = new Api((input, init) => fetch(input, init));
  #renewTimer: ReturnType<typeof setTimeout> | undefined;
  #peopleTimer: ReturnType<typeof setInterval> | undefined;

  /** The session that this tab still holds. */
  stored(): Session | undefined {
    return storedSession(sessionStorage, Date.now());
  }

  /** @throws ApiError; `signInProblem` tells what it means */
  login(credentials: Credentials): Promise<Session> {
    return this.#api.login(credentials);
  }

  /** From now on this session is used, kept and renewed. */
  enter(session: Session): void {
    storeSession(sessionStorage, session);
    this.session.value = session;
    this.#scheduleRenewal();
    clearInterval(this.#peopleTimer);
    this.#peopleTimer = setInterval(() => void this.refreshPeople(), PEOPLE_INTERVAL_MS);
    void this.refreshPeople();
  }

  /** Forgets the session here; the server still knows it. */
  leave(): void {
    clearTimeout(this.#renewTimer);
    clearInterval(this.#peopleTimer);
    this.forgetStored();
    batch(() => {
      this.session.value = undefined;
      this.people.value = [];
      this.peopleKnown.value = false;
    });
  }

  forgetStored(): void {
    storeSession(sessionStorage, undefined);
  }

  async logout(session: Session): Promise<void> {
    await this.#api.logout(session).catch(() => {});
  }

  /** Tells a server that is away from a session that has ended. */
  async probe(): Promise<ProbeResult> {
    const session = this.session.value;
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
    if (!people || this.session.value !== session) return;
    this.people.value = people.filter((p) => p.user !== session.user);
    this.peopleKnown.value = true;
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
      storeSession(sessionStorage, renewed);
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
