import type { PartStatus } from '@offhook/core/node';
import { ask, runningReach } from '../running.ts';
import { command } from '../spelling.ts';
import { phoneWords } from '../words.ts';

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
  options: {
    name?: string | undefined;
    password?: string | undefined;
    displayName?: string | undefined;
    digest?: string | undefined;
    json: boolean;
  },
): Promise<number> {
  const { name, password, displayName, digest, json } = options;
  const answer = await ask(data, 'signaling', 'users', { op, user: name, password, displayName, digest });
  const phone = op === 'add' || op === 'passwd' ? await phoneSettings(data) : undefined;
  if (json) {
    const { domain, servers, ports } = phone ?? {};
    const sip = phone && { domain, servers, udp: ports?.udp, tcp: ports?.tcp, tls: ports?.tls };
    out(JSON.stringify(sip ? { ...(answer as object), sip } : answer, undefined, 2));
    return 0;
  }
  if (op === 'list') {
    const list = answer as Listed[];
    for (const one of list)
      out(
        `${one.user.padEnd(20)} ${one.online ? 'online ' : 'offline'}  ${one.displayName}, since ${one.createdAt.slice(0, 10)}`,
      );
    if (list.length === 0) out(`no accounts yet: ${command('user add <name>')}`);
  } else if (op === 'remove') out(`${name} is removed`);
  else {
    const made = answer as { user: string; password: string };
    out(op === 'add' ? `${made.user} is added` : `${made.user} has a new password`);
    if (password === undefined) out(`password: ${made.password}`);
    if (phone) out(`SIP phone: ${phone.words}, user ${made.user}`);
    out(`web phone: ${command(`link ${made.user}`)}`);
  }
  return 0;
}

/** Where the running system takes SIP phones; undefined when it can't be seen. */
async function phoneSettings(data: string) {
  const { ports } = (await ask(data, 'signaling', 'status')) as PartStatus;
  const reach = runningReach(data);
  if (!reach) return undefined;
  return { domain: reach.domain, servers: reach.addresses, ports, words: phoneWords(reach, ports) };
}
