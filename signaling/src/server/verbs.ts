import type { DigestAlgorithm } from '@offhook/core';
import { type AdminHandler, monotonicMs } from '@offhook/core/node';
import type { Accounts, Sessions } from '../auth/index.ts';
import { describeBinding, describeCall } from '../http/index.ts';
import { type Journal, readCdrQuery } from '../store/index.ts';
import type { SipCore } from './core.ts';

/** Records in one answer. */
const MAX_CDRS = 500;

/** The admin socket's verbs beside those that every part has. */
export function adminVerbs(of: {
  readonly accounts: Accounts;
  readonly sessions: Sessions;
  readonly core: SipCore;
  readonly journal: Journal;
  /** What TURN credentials are signed with. */
  readonly turn: { secret: string };
  readonly httpPort: number;
}): Record<string, AdminHandler> {
  const { accounts, sessions, core, journal } = of;
  const text = (value: unknown, what: string): string => {
    if (typeof value !== 'string' || value === '') throw new Error(`${what} is missing`);
    return value;
  };
  const known = (user: unknown): string => {
    const name = text(user, 'the user name');
    if (!accounts.find(name)) throw new Error(`there is no user '${name}'`);
    return name;
  };
  const optional = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  return {
    users: async ({ op, user, password, displayName, digest, change }) => {
      switch (op) {
        case 'list':
          return accounts.all().map((a) => ({
            user: a.user,
            displayName: a.displayName,
            createdAt: a.createdAt,
            online: core.registrar.lookup(a.user, monotonicMs()).length > 0,
          }));
        case 'add':
          return accounts.add(text(user, 'the user name'), optional(password), {
            displayName: optional(displayName),
            digest: digest as DigestAlgorithm | undefined, // the store looks at it
          });
        case 'passwd':
          return accounts.setPassword(text(user, 'the user name'), optional(password), digest as DigestAlgorithm);
        case 'settings':
          return accounts.settings(known(user));
        case 'change':
          return accounts.change(text(user, 'the user name'), change);
        case 'remove':
          await accounts.remove(text(user, 'the user name'));
          return { removed: user };
        default:
          throw new Error('op is one of list, add, passwd, remove, settings, change');
      }
    },
    'login-link': ({ user }) => {
      const name = known(user);
      const token = sessions.makeLoginToken(name, Math.floor(Date.now() / 1000));
      return { token, url: `http://localhost:${of.httpPort}/#login=${token}` };
    },
    /** Credentials that are made from now on; those that are out are TURN's to accept. */
    'turn-secret': ({ secret }) => {
      of.turn.secret = text(secret, 'the secret');
      return {};
    },
    calls: () => core.calls.calls().map((call) => describeCall(call, monotonicMs())),
    relayed: () => core.calls.relayed(),
    /** All records, or those of one user, but as they are: nobody is hidden from who runs the server. */
    cdrs: ({ user, ...parameters }) => {
      const texts = Object.entries(parameters).map(([name, value]) => [
        name,
        typeof value === 'number' ? String(value) : value,
      ]);
      const read = readCdrQuery(Object.fromEntries(texts), { user: optional(user), mostRecords: MAX_CDRS });
      if ('problem' in read) throw new Error(read.problem);
      return journal.cdrs(read.query);
    },
    trunks: () => core.trunks.status(monotonicMs()),
    registrations: () => core.registrar.all().map((binding) => describeBinding(binding, monotonicMs())),
  };
}
