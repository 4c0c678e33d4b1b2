import { readFileSync } from 'node:fs';
import type { LongTermUser } from './auth/long-term-users.ts';
import { readUsers } from './auth/users-file.ts';
import type { TurnPolicy } from './config.ts';
import type { TurnRules } from './server/options.ts';

/** What the policy says with what its files hold now. Throws in words when a file can't be used. */
export function readRules(policy: TurnPolicy, realm: string): TurnRules {
  const { secrets, secretsFile, usersFile, peers, limits, alternateServer, strictExpiry } = policy;
  const users: LongTermUser[] = usersFile === undefined ? [] : readUsers(usersFile, realm);
  const all = [...secrets, ...(secretsFile === undefined ? [] : readSecrets(secretsFile))];
  return { secrets: [...new Set(all)], users, peers, limits, alternateServer, strictExpiry };
}

function readSecrets(path: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`secretsFile: ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  let file: { readonly turn?: unknown } | null;
  try {
    file = JSON.parse(text) as typeof file;
  } catch {
    // the words of V8 would show a piece of the file
    throw new Error(`secretsFile: ${path} is damaged (not JSON)`);
  }
  const turn = file?.turn;
  const list = Array.isArray(turn) ? turn : [turn];
  if (list.length === 0 || !list.every((one) => typeof one === 'string' && one !== ''))
    throw new Error(`secretsFile: ${path} needs a key 'turn' with a secret or a list of them`);
  return list as string[];
}
