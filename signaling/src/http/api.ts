import { type Crypto, isLoopback, networkOf, turnRestPassword, turnRestUsername } from '@offhook/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Accounts, LONGEST_USER, Lockout, type NewSession, RateLimit, type Sessions } from '../auth/index.ts';
import { type CallSummary, isParty, seenBy } from '../call/index.ts';
import type { Presence } from '../presence/index.ts';
import { type Binding, secondsLeft } from '../registrar/index.ts';
import { type Account, StoreError } from '../store/index.ts';
import { addCdrs, type CdrOptions } from './cdrs.ts';
import type { EventLog } from './event-log.ts';
import { addEvents } from './events.ts';
import { isWelcomeOrigin, type OriginOptions } from './origin.ts';

export interface ApiOptions extends OriginOptions, CdrOptions {
  readonly crypto: Crypto;
  readonly domain: string;
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  readonly turn: { readonly uris: readonly string[]; readonly secret: string; readonly ttlS: number };
  readonly calls: () => readonly CallSummary[];
  readonly bindings: (user: string) => readonly Binding[];
  readonly presence: (user: string) => Presence;
  readonly events: EventLog;
  /** Called when a family of sessions was ended by its owner, and when it got a session that lasts longer. */
  readonly onLogout: (family: string) => void;
  readonly onRenewed: (family: string, expiresAt: number) => void;
  /** Monotonic milliseconds and Unix seconds. */
  readonly nowMs: () => number;
  readonly nowS: () => number;
  readonly loginsPerMinute?: number;
}

const WRONG = 'user name or password is wrong';

/** An answer other than 2xx, in words: `{error: {code, message}}`. */
export class ApiError extends Error {
  readonly statusCode: number;
  readonly code: string;
  readonly retryAfterS: number | undefined;

  constructor(statusCode: number, code: string, message: string, retryAfterS?: number) {
    super(message);
    this.statusCode = statusCode;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/** The HTTP API for the web phone and other programs; the session comes as a Bearer token, never as a cookie. */
export function addApi(app: FastifyInstance, options: ApiOptions): void {
  const { accounts, sessions, domain, crypto, turn } = options;
  const logins = new RateLimit();
  const lockout = new Lockout();
  const loginRate = { perSecond: (options.loginsPerMinute ?? 10) / 60, burst: options.loginsPerMinute ?? 10 };

  app.addHook('onRequest', async (request, reply) => {
    if (request.url.startsWith('/api/')) reply.header('Cache-Control', 'no-store');
    if (request.method !== 'GET' && request.method !== 'HEAD' && !isWelcomeOrigin(request.raw, options))
      throw new ApiError(403, 'foreign_origin', 'this page may not use the phone system');
  });

  const describe = (account: Account) => ({
    user: account.user,
    displayName: account.displayName,
    uri: `sip:${account.user}@${domain}`,
  });
  const begun = (user: string, { session, expiresAt }: NewSession) => {
    const account = accounts.find(user);
    if (!account) throw new ApiError(401, 'no_session', 'this account was removed');
    return { session, expiresAt, account: describe(account), domain };
  };
  const begin = (user: string) => begun(user, sessions.start(user, options.nowS()));
  const noSession = () => new ApiError(401, 'no_session', 'sign in first: the session is missing or has ended');
  const signedIn = (request: FastifyRequest): Account => {
    const session = sessions.check(bearer(request), options.nowS());
    if (!session) throw noSession();
    return session.account;
  };

  const changed = async (user: string, change: unknown) => {
    try {
      return await accounts.change(user, change);
    } catch (error) {
      if (error instanceof StoreError) throw new ApiError(400, 'bad_settings', error.message);
      throw error;
    }
  };

  app.post('/api/login', async (request) => {
    const address = request.ip;
    const now = options.nowMs();
    const rate = isLoopback(address) ? { perSecond: 50, burst: 500 } : loginRate;
    if (!logins.take(networkOf(address), rate, now))
      throw new ApiError(429, 'too_many', 'too many sign-ins from your address: wait a minute', 60);
    const { token, user, password } = fieldsOf(request.body);
    if (token !== undefined) {
      const owner = sessions.takeLoginToken(token, options.nowS());
      if (owner === undefined)
        throw new ApiError(401, 'bad_token', 'this login link was used already, or is too old: ask for a new one');
      return begin(owner);
    }
    if (user === undefined || password === undefined)
      throw new ApiError(400, 'bad_request', 'either token, or user and password are needed');
    if (user.length > LONGEST_USER) throw new ApiError(401, 'wrong_password', WRONG);
    const waitMs = lockout.remainingMs(user, address, now);
    if (waitMs > 0) {
      const waitS = Math.ceil(waitMs / 1000);
      throw new ApiError(429, 'locked', `too many wrong passwords: try again in ${waitS} s`, waitS);
    }
    if (!accounts.isPassword(user, password)) {
      lockout.failed(user, address, now);
      throw new ApiError(401, 'wrong_password', WRONG);
    }
    lockout.succeeded(user, address);
    return begin(user);
  });

  // The old session goes on until its own end: another tab, or a connection being opened, may still carry it.
  app.post('/api/session/renew', async (request) => {
    const { user } = signedIn(request);
    const renewed = sessions.renew(bearer(request), options.nowS());
    if (!renewed) throw noSession();
    options.onRenewed(renewed.family, renewed.expiresAt);
    return begun(user, renewed);
  });

  app.post('/api/logout', async (request) => {
    const family = sessions.end(bearer(request), options.nowS());
    if (family === undefined) throw noSession();
    options.onLogout(family);
    return {};
  });

  app.get('/api/me', async (request) => ({ ...describe(signedIn(request)), domain }));

  app.get('/api/settings', async (request) => accounts.settings(signedIn(request).user));

  // What is not named stays; null takes a forwarding away.
  app.patch('/api/settings', async (request) => {
    const { user } = signedIn(request);
    return changed(user, request.body);
  });

  // How one wants to be seen; how one is seen, calls and all, is in the list of users.
  app.get('/api/presence', async (request) => {
    const { user } = signedIn(request);
    return accounts.settings(user).presence ?? { status: 'available' };
  });

  app.put('/api/presence', async (request) => {
    const { user } = signedIn(request);
    const { presence } = await changed(user, { presence: request.body ?? {} });
    return presence ?? { status: 'available' };
  });

  app.get('/api/turn', async (request) => {
    const { user } = signedIn(request);
    const ttl = turn.ttlS;
    if (turn.uris.length === 0) return { username: '', credential: '', ttl, uris: [] };
    const username = turnRestUsername(options.nowS() + ttl, user);
    return { username, credential: turnRestPassword(turn.secret, username, crypto), ttl, uris: turn.uris };
  });

  app.get('/api/users', async (request) => {
    signedIn(request);
    return accounts.all().map(({ user, displayName }) => ({
      user,
      displayName,
      online: options.bindings(user).length > 0,
      ...options.presence(user),
    }));
  });

  app.get('/api/calls', async (request) => {
    const { user } = signedIn(request);
    const mine = options.calls().filter((call) => isParty(call, user));
    return mine.map((call) => describeCall(seenBy(call, user), options.nowMs()));
  });

  addEvents(app, { events: options.events, signedIn });

  addCdrs(app, { cdrs: options.cdrs, signedIn });

  app.get('/api/registrations', async (request) => {
    const { user } = signedIn(request);
    return options.bindings(user).map((binding) => describeBinding(binding, options.nowMs()));
  });
}

/** Every failure in one form, with words; what went wrong inside is not for the outside. */
export function answerError(error: unknown, reply: FastifyReply): void {
  if (error instanceof ApiError) {
    if (error.retryAfterS !== undefined) reply.header('Retry-After', error.retryAfterS);
    reply.code(error.statusCode).send({ error: { code: error.code, message: error.message } });
    return;
  }
  const status = (error as { statusCode?: number }).statusCode ?? 500;
  const known = status >= 400 && status < 500;
  reply.code(known ? status : 500).send({
    error: known
      ? { code: 'bad_request', message: WORDS[status] ?? 'the request could not be understood' }
      : { code: 'internal', message: 'something went wrong inside the server' },
  });
}

const WORDS: Readonly<Record<number, string>> = {
  413: 'the request is too large',
  415: 'the body has to be JSON (Content-Type: application/json)',
};

/** A call in JSON; times in seconds since they happened. */
export function describeCall(call: CallSummary, nowMs: number): Record<string, unknown> {
  const { startedAtMs, answeredAtMs, endedAtMs, ...rest } = call;
  const secondsSince = (atMs: number | undefined) =>
    atMs === undefined ? undefined : Math.max(0, Math.round((nowMs - atMs) / 1000));
  return {
    ...rest,
    startedSecondsAgo: secondsSince(startedAtMs),
    answeredSecondsAgo: secondsSince(answeredAtMs),
    endedSecondsAgo: secondsSince(endedAtMs),
  };
}

export function describeBinding(binding: Binding, nowMs: number): Record<string, unknown> {
  const { user, contact, flow, q, userAgent } = binding;
  return {
    user,
    contact: contact.toString(),
    transport: flow.transport,
    address: flow.remote.address,
    port: flow.remote.port,
    q,
    expiresInSeconds: secondsLeft(binding, nowMs),
    userAgent,
  };
}

function bearer(request: FastifyRequest): string {
  const value = request.headers.authorization ?? '';
  return value.slice(0, 7).toLowerCase() === 'bearer ' ? value.slice(7).trim() : '';
}

/** The text fields of a JSON object; anything else counts as not given. */
function fieldsOf(body: unknown): Record<'token' | 'user' | 'password', string | undefined> {
  const record = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {};
  const field = (name: string) => {
    const value = record[name];
    return typeof value === 'string' && value !== '' && value.length <= 256 ? value : undefined;
  };
  return { token: field('token'), user: field('user'), password: field('password') };
}
