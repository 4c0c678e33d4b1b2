import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { hostAddresses } from '../addresses.ts';
import type { Config } from '../config/config.ts';
import { pathProblem } from '../config/data-path.ts';
import { logOf } from '../running.ts';
import { command } from '../spelling.ts';
import { errorAtEnd, lastLines } from '../supervisor/log-file.ts';
import type { Finding } from './finding.ts';

/** What would keep the next start from succeeding, beside ports: the data folder, its accounts, the addresses. */
export function obstacles(config: Config): Finding[] {
  return [folder(config), secrets(config), accounts(config), addresses(config)].filter((one) => one !== undefined);
}

function folder({ data }: Config): Finding | undefined {
  const what = 'data folder';
  const tooLong = pathProblem(data);
  if (tooLong) return { what, state: 'bad', words: tooLong };
  if (!existsSync(data)) return { what, state: 'good', words: `${data} is made at the first start` };
  try {
    accessSync(data, constants.R_OK | constants.W_OK | constants.X_OK);
    return undefined;
  } catch {
    const remedy = 'give it to the user that runs Offhook, or name another with --data';
    return { what, state: 'bad', words: `${data} can't be written`, remedy };
  }
}

function secrets({ data }: Config): Finding | undefined {
  const path = join(data, 'secrets.json');
  if (!existsSync(path)) return undefined;
  try {
    JSON.parse(readFileSync(path, 'utf8'));
    return undefined;
  } catch (error) {
    const words = `${path} can't be used: ${(error as Error).message}`;
    return { what: 'secrets', state: 'bad', words, remedy: 'mend it, or remove it: everybody then signs in anew' };
  }
}

/** Digests are made for one domain (the realm), so the server refuses to start with another. */
function accounts({ data, domain }: Config): Finding | undefined {
  const what = 'accounts';
  const path = join(data, 'offhook.sqlite');
  if (!existsSync(path)) return undefined;
  try {
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      const row = database.prepare("SELECT value FROM meta WHERE name = 'realm'").get();
      const made = row?.value;
      if (typeof made !== 'string' || made === domain)
        return { what, state: 'good', words: `made for the domain ${domain}` };
      return {
        what,
        state: 'bad',
        words: `those in ${path} were made for the domain '${made}', and the configuration says '${domain}': the next start will fail`,
        remedy: `set domain to '${made}', or use another data folder (passwords can't be carried over)`,
      };
    } finally {
      database.close();
    }
  } catch (error) {
    return { what, state: 'bad', words: `${path} can't be read: ${(error as Error).message}` };
  }
}

function addresses({ hostAddresses: wanted }: Config): Finding | undefined {
  const strange = (wanted ?? []).filter((address) => !address.startsWith('127.') && !hostAddresses().includes(address));
  if (strange.length === 0) return undefined;
  const words = `hostAddresses names ${strange.join(', ')}, which this host does not have`;
  return { what: 'addresses', state: 'bad', words, remedy: `it has ${hostAddresses().join(', ') || 'none'}` };
}

/** Parts whose last words are why they could not start or go on. */
export function lastWords(data: string, parts: readonly string[]): Finding[] {
  return parts.flatMap((part): Finding[] => {
    const log = logOf(data, part);
    const words = errorAtEnd(lastLines(log, 0, 40));
    if (words === undefined) return [];
    return [
      {
        what: part,
        state: 'bad',
        words: `its log ends in an error: ${words}`,
        remedy: `see ${log}; when that is mended: ${command('start')}`,
      },
    ];
  });
}
