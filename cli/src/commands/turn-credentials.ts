import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { turnRestPassword, turnRestUsername } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { loadSecrets } from '../config/secrets.ts';
import { foundParts, runDirOf } from '../running.ts';
import { command } from '../spelling.ts';

const out = (line: string) => process.stdout.write(`${line}\n`);

interface CredentialOptions {
  readonly user: string;
  readonly ttlS: number;
  readonly json: boolean;
}

/** What a web phone would be given, for trying TURN with other clients. */
export async function turnCredentials(data: string, { user, ttlS, json }: CredentialOptions): Promise<number> {
  if (!existsSync(join(data, 'secrets.json')))
    throw new Error(`the data folder ${data} has no secrets yet; the first start makes them: ${command('start')}`);
  const [secret] = loadSecrets(data).turn;
  const username = turnRestUsername(Math.floor(Date.now() / 1000) + ttlS, user);
  const credential = turnRestPassword(secret, username, nodeCrypto);
  const uris = (await foundParts(data)).some(({ name }) => name === 'turn') ? toldUris(data) : [];
  if (json) {
    out(JSON.stringify({ username, credential, ttl: ttlS, uris }, undefined, 2));
    return 0;
  }
  out(`username  ${username}`);
  out(`password  ${credential}`);
  for (const uri of uris) out(`uri       ${uri}`);
  if (uris.length === 0) process.stderr.write('TURN does not run here, so there is no address to try them at\n');
  return 0;
}

/** Where the running web phones are told that TURN is. */
function toldUris(data: string): readonly string[] {
  try {
    const text = readFileSync(join(runDirOf(data), 'signaling.config.json'), 'utf8');
    return (JSON.parse(text) as { turn: { uris: string[] } }).turn.uris;
  } catch {
    return [];
  }
}
