import { numberOption, UsageError, type Values } from '../arguments.ts';
import type { Invocation } from '../commands.ts';
import { parseSocketAddress } from '../config/turn.ts';
import { givenPassword } from '../given-password.ts';
import { helpCommand } from '../spelling.ts';

const USERS_OPS = ['list', 'add', 'remove'] as const;
const WEEK_S = 604_800;

export async function turn(call: Invocation): Promise<number> {
  const { NotRunning } = await import('../running.ts');
  try {
    return await run(call);
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    const words = await (await import('./turn-absent.ts')).turnAbsence(await call.data(), call.values);
    throw words === undefined ? error : new Error(words);
  }
}

/** Each is loaded when it is called. */
async function run({ words: [op = 'status', first, second], values, data }: Invocation): Promise<number> {
  const { json = false } = values;
  switch (op) {
    case 'status':
      return (await import('./turn-status.ts')).turnStatus(await data(), json);
    case 'users':
      return (await import('./turn-users.ts')).turnUsers(await data(), await usersRequest(first, second, values));
    case 'drain':
      return (await import('./turn-drain.ts')).turnDrain(await data(), {
        to: drainTo(values.to),
        wait: values.wait ?? false,
      });
    case 'undrain':
      return (await import('./turn-drain.ts')).turnUndrain(await data());
    case 'rotate-secret':
      return (await import('./turn-secret.ts')).rotateSecret(await data(), values);
    case 'credentials': {
      const user = needed(first, 'for whom? offhook turn credentials <user>.', 'turn credentials');
      const ttlS = numberOption(values, 'ttl', { min: 1, max: WEEK_S, otherwise: 3600, kind: 'whole' });
      return (await import('./turn-credentials.ts')).turnCredentials(await data(), { user, ttlS, json });
    }
    case 'coturn-conf':
      return (await import('./turn-coturn-conf.ts')).coturnConf(values);
    case 'check-conf': {
      const file = needed(first, 'which file? offhook turn check-conf <file>.', 'turn check-conf');
      return (await import('./turn-check-conf.ts')).checkConf(file, json);
    }
    case 'serve': {
      const file = needed(values.conf, 'by which file? offhook turn serve --conf <file>.', 'turn serve');
      return (await import('./turn-serve.ts')).serveConf(file);
    }
    default:
      throw new UsageError(`'offhook turn ${op}' does not exist. See: ${helpCommand('turn')}`);
  }
}

/** What is asked about long-term users. */
export interface UsersRequest {
  readonly op: (typeof USERS_OPS)[number];
  readonly name: string;
  readonly password: string | undefined;
  readonly json: boolean;
}

async function usersRequest(op = 'list', name: string | undefined, values: Values): Promise<UsersRequest> {
  const page = 'turn users';
  const known = USERS_OPS.find((one) => one === op);
  if (known === undefined)
    throw new UsageError(`'offhook turn users ${op}' does not exist: list, add, remove. See: ${helpCommand(page)}`);
  const { json = false } = values;
  if (values.password !== undefined && known !== 'add')
    throw new UsageError(`--password is for offhook turn users add. See: ${helpCommand(page)}`);
  if (known === 'list') {
    if (name !== undefined) throw new UsageError(`'${name}' is one word too many. See: ${helpCommand(page)}`);
    return { op: known, name: '', password: undefined, json };
  }
  const who = needed(name, `whom? offhook turn users ${op} <name>.`, page);
  // what stands before a colon is the time of a time-limited name
  if (/[:\p{Cc}]/u.test(who) || who.length > 120)
    throw new UsageError(`'${who.slice(0, 60)}' is no name of a TURN user: up to 120 characters, without a colon.`);
  const password = await givenPassword(values.password);
  if (password !== undefined && password.length < 8) throw new UsageError('--password: 8 characters at least.');
  return { op: known, name: who, password, json };
}

function drainTo(to: string | undefined): { readonly address: string; readonly port: number } | undefined {
  if (to === undefined) return undefined;
  const at = parseSocketAddress(to);
  if (at) return at;
  throw new UsageError(`--to: '${to.slice(0, 60)}' is no address and port, as 192.0.2.7:3478 or [2001:db8::7]:3478.`);
}

function needed(value: string | undefined, words: string, page: string): string {
  if (value === undefined || value === '') throw new UsageError(`${words} See: ${helpCommand(page)}`);
  return value;
}
