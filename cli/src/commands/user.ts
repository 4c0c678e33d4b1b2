import { ask } from '../running.ts';

const out = (line: string) => process.stdout.write(`${line}\n`);

interface Listed {
  readonly user: string;
  readonly displayName: string;
  readonly createdAt: string;
  readonly online: boolean;
}

/** Accounts of the running system. A password that was made, not given, is printed this one time. */
export async function user(
  data: string,
  op: string,
  options: { name?: string; password?: string; displayName?: string; json: boolean },
): Promise<number> {
  const { name, password, displayName, json } = options;
  const answer = await ask(data, 'signaling', 'users', { op, user: name, password, displayName });
  if (json) {
    out(JSON.stringify(answer, undefined, 2));
    return 0;
  }
  if (op === 'list') {
    const list = answer as Listed[];
    for (const one of list)
      out(
        `${one.user.padEnd(20)} ${one.online ? 'online ' : 'offline'}  ${one.displayName}, since ${one.createdAt.slice(0, 10)}`,
      );
    if (list.length === 0) out('no accounts yet: offhook user add <name>');
  } else if (op === 'remove') out(`${name} is removed`);
  else {
    const made = answer as { user: string; password: string };
    out(op === 'add' ? `${made.user} is added` : `${made.user} has a new password`);
    if (password === undefined) out(`password: ${made.password}`);
  }
  return 0;
}
