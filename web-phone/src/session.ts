import { isOwnStatus, isStatus, type OwnPresence, readNote, type Status } from './presence.ts';

/** A signed-in account, as the server's HTTP API tells it. */
export interface Session {
  readonly session: string;
  readonly expiresAtMs: number;
  readonly user: string;
  readonly displayName: string;
  readonly domain: string;
}

export interface Person {
  readonly user: string;
  readonly displayName: string;
  readonly online: boolean;
  readonly status: Status;
  readonly note?: string;
}

/** What the server does with calls for this account. */
export interface IncomingRules {
  readonly doNotDisturb: boolean;
  readonly forward: Readonly<Partial<Record<ForwardWhen, string>>>;
}

export type ForwardWhen = 'always' | 'busy' | 'noAnswer';

/** What is not named stays; null takes a forwarding away. */
export interface RulesChange {
  readonly doNotDisturb?: boolean;
  readonly forward?: Readonly<Partial<Record<ForwardWhen, string | null>>>;
}

/** An HTTP answer other than 2xx, or none at all (status 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

type Fetch = (input: string, init: RequestInit) => Promise<Response>;
const TIMEOUT_MS = 10_000;

/** The server's HTTP API (one origin with the page). */
export class Api {
  readonly #fetch: Fetch;

  constructor(fetcher: Fetch) {
    this.#fetch = fetcher;
  }

  async login(credentials: { token: string } | { user: string; password: string }): Promise<Session> {
    return readSession(await this.#request('POST', '/api/login', undefined, credentials));
  }

  /** The same session with a later end; some servers give a new token with it. */
  async renew(current: Session): Promise<Session> {
    const answer = record(await this.#request('POST', '/api/session/renew', current.session, {}));
    return {
      ...current,
      session: typeof answer.session === 'string' ? answer.session : current.session,
      expiresAtMs: readTime(answer.expiresAt),
    };
  }

  async logout(current: Session): Promise<void> {
    await this.#request('POST', '/api/logout', current.session, {});
  }

  async whoami(current: Session): Promise<void> {
    await this.#request('GET', '/api/me', current.session);
  }

  async people(current: Session): Promise<Person[]> {
    const answer = await this.#request('GET', '/api/users', current.session);
    const list = Array.isArray(answer) ? answer : Array.isArray(record(answer).users) ? record(answer).users : [];
    return (list as unknown[]).slice(0, 500).flatMap((entry) => {
      const { user, displayName, online, status, note } = record(entry);
      if (typeof user !== 'string') return [];
      return [
        {
          user,
          displayName: typeof displayName === 'string' && displayName ? displayName : user,
          online: online === true,
          status: isStatus(status) ? status : online === true ? 'available' : 'offline',
          ...readNote(note),
        },
      ];
    });
  }

  async rules(current: Session): Promise<IncomingRules> {
    return readRules(await this.#request('GET', '/api/settings', current.session));
  }

  async changeRules(current: Session, change: RulesChange): Promise<IncomingRules> {
    return readRules(await this.#request('PATCH', '/api/settings', current.session, change));
  }

  async presence(current: Session): Promise<OwnPresence> {
    return readPresence(await this.#request('GET', '/api/presence', current.session));
  }

  async setPresence(current: Session, presence: OwnPresence): Promise<void> {
    await this.#request('PUT', '/api/presence', current.session, presence);
  }

  async turn(current: Session): Promise<RTCIceServer> {
    const { username, credential, uris } = record(await this.#request('GET', '/api/turn', current.session));
    if (!Array.isArray(uris) || uris.length === 0) throw new ApiError(404, 'no_turn', 'the server has no TURN server');
    return { urls: uris.map(String), username: String(username), credential: String(credential) };
  }

  async #request(method: string, path: string, session: string | undefined, body?: object): Promise<unknown> {
    let response: Response;
    try {
      response = await this.#fetch(path, {
        method,
        cache: 'no-store',
        headers: {
          accept: 'application/json',
          ...(body ? { 'content-type': 'application/json' } : {}),
          ...(session ? { authorization: `Bearer ${session}` } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (error) {
      throw new ApiError(0, 'unreachable', String(error));
    }
    const text = await response.text().catch(() => '');
    const answer = parseJson(text);
    if (response.ok) return answer;
    const { code, message } = record(record(answer).error);
    throw new ApiError(
      response.status,
      typeof code === 'string' ? code : '',
      typeof message === 'string' ? message : '',
    );
  }
}

function readSession(answer: unknown): Session {
  const { session, expiresAt, account, domain } = record(answer);
  const { user, displayName } = record(account);
  if (typeof session !== 'string' || typeof user !== 'string')
    throw new ApiError(500, 'bad_answer', 'the login answer has no session');
  return {
    session,
    expiresAtMs: readTime(expiresAt),
    user,
    displayName: typeof displayName === 'string' && displayName ? displayName : user,
    domain: typeof domain === 'string' ? domain : 'offhook.local',
  };
}

function readRules(answer: unknown): IncomingRules {
  const { doNotDisturb, forward } = record(answer);
  const told = record(forward);
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  return {
    doNotDisturb: doNotDisturb === true,
    forward: { always: text(told.always), busy: text(told.busy), noAnswer: text(told.noAnswer) },
  };
}

function readPresence(answer: unknown): OwnPresence {
  const { status, note } = record(answer);
  return { status: isOwnStatus(status) ? status : 'available', ...readNote(note) };
}

/** Milliseconds or seconds since 1970, or ISO text. */
export function readTime(value: unknown): number {
  const ms = typeof value === 'number' ? (value < 1e11 ? value * 1000 : value) : Date.parse(String(value));
  return Number.isFinite(ms) ? ms : 0;
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** When to renew: at half of what is left, at least half a minute from now, at most half an hour. */
export function renewDelayMs(expiresAtMs: number, nowMs: number): number {
  return Math.min(1_800_000, Math.max(30_000, (expiresAtMs - nowMs) / 2));
}

const STORAGE_KEY = 'offhook.session';

export function storedSession(storage: Storage, nowMs: number): Session | undefined {
  const stored = record(parseJson(storage.getItem(STORAGE_KEY) ?? ''));
  if (typeof stored.session !== 'string' || typeof stored.user !== 'string') return undefined;
  if (typeof stored.expiresAtMs !== 'number' || (stored.expiresAtMs > 0 && stored.expiresAtMs < nowMs))
    return undefined;
  return stored as unknown as Session;
}

export function storeSession(storage: Storage, session: Session | undefined): void {
  if (session) storage.setItem(STORAGE_KEY, JSON.stringify(session));
  else storage.removeItem(STORAGE_KEY);
}
