import { randomBytes } from 'node:crypto';
import { ask } from '../running.ts';
import { command } from '../spelling.ts';
import type { UsersRequest } from './turn.ts';

const out = (line: string) => process.stdout.write(`${line}\n`);

/** Long-term users of the running TURN server. A password that was made, not given, is printed this one time. */
export async function turnUsers(data: string, { op, name, password, json }: UsersRequest): Promise<number> {
  if (op === 'list') {
    const { users } = (await ask(data, 'turn', 'users', { op })) as { users: readonly string[] };
    if (json) out(JSON.stringify(users, undefined, 2));
    else if (users.length === 0)
      out(`no long-term users; web phones need none. To make one: ${command('turn users add <name>')}`);
    else for (const user of users) out(user);
    return 0;
  }
  if (op === 'remove') {
    await ask(data, 'turn', 'users', { op, name });
    out(json ? JSON.stringify({ removed: name }) : `${name} is removed`);
    return 0;
  }
  const given = password ?? randomBytes(15).toString('base64url');
  await ask(data, 'turn', 'users', { op: 'put', name, password: given });
  if (json) out(JSON.stringify(password === undefined ? { user: name, password: given } : { user: name }));
  else {
    out(`${name} may use TURN until removed`);
    if (password === undefined) out(`password: ${given}`);
  }
  return 0;
}
