import { type AdminHandler, nodeCrypto } from '@offhook/core/node';
import { longTermUser, userNameProblem } from './auth/long-term-users.ts';
import { writeUsers } from './auth/users-file.ts';
import type { TurnConfig } from './config.ts';
import type { TurnRules } from './server/options.ts';

/** `users`: the long-term users, kept in the users file. */
export function usersVerb(
  { realm, usersFile }: TurnConfig,
  current: () => TurnRules['users'],
  apply: (users: TurnRules['users']) => Promise<void>,
): AdminHandler {
  const replace = async (users: TurnRules['users']) => {
    if (usersFile !== undefined) writeUsers(usersFile, realm, users);
    await apply(users);
  };
  return async ({ op, name, password }) => {
    const users = current();
    if (op === 'list') return { users: users.map((user) => user.name) };
    const problem = userNameProblem(name);
    if (problem !== undefined) throw new Error(problem);
    const others = users.filter((user) => user.name !== name);
    switch (op) {
      case 'put':
        if (typeof password !== 'string' || password.length < 8)
          throw new Error('password: at least eight characters are needed; clients don’t type it');
        await replace([...others, longTermUser(name as string, realm, password, nodeCrypto)]);
        return { users: others.length + 1 };
      case 'remove':
        if (others.length === users.length) throw new Error(`there is no user '${String(name)}'`);
        await replace(others);
        return { users: others.length };
      default:
        throw new Error("op: 'list', 'put' or 'remove'");
    }
  };
}
