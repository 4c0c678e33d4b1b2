import { statSync } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { UsageError } from '../arguments.ts';
import { readNamed } from './file.ts';

const VARIABLE = 'OFFHOOK_PASSWORD';
const MAX_LENGTH = 256;

/**
 * The account's password: from a file, from the environment, or asked for without echo. Never from the command line, which
 * every user of the machine can read. `warn` is told of a file that others can read.
 */
export async function findPassword(
  how: { readonly file: string | undefined; readonly account: string; readonly hint: string },
  warn: (words: string) => void,
): Promise<string> {
  if (how.file !== undefined) return fromFile(how.file, warn);
  const given = process.env[VARIABLE];
  if (given !== undefined && given !== '') {
    delete process.env[VARIABLE];
    return given;
  }
  if (process.stdin.isTTY && process.stderr.isTTY) return askedPassword(`Password of ${how.account}: `, how.hint);
  throw new UsageError(
    `the password of ${how.account}? It is read from --password-file or from ${VARIABLE} when there is no terminal to ask at. ${how.hint}`,
  );
}

function fromFile(path: string, warn: (words: string) => void): string {
  const password = readNamed('--password-file', path).split(/\r?\n/, 1)[0]!;
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & 0o077) !== 0) warn(`others can read ${path}: chmod 600 ${path}`);
  if (password === '') throw new UsageError(`--password-file: the first line of ${path} is empty`);
  return password;
}

/** Without echo, and on standard error, so that what standard output holds is the command's alone. */
export function askedPassword(words: string, hint: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(words);
  stdin.setRawMode(true);
  stdin.resume();
  const decoder = new StringDecoder('utf8');
  let typed: string[] = [];
  return new Promise((resolve, reject) => {
    const end = (then: () => void) => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      then();
    };
    const onData = (chunk: Buffer) => {
      for (const key of decoder.write(chunk)) {
        if (key === '\r' || key === '\n') {
          const password = typed.join('');
          end(() => (password === '' ? reject(new Error(`no password was typed. ${hint}`)) : resolve(password)));
          return;
        }
        if (key === '\u0003' || key === '\u0004') {
          end(() => reject(new Error('no password was typed')));
          return;
        }
        if (key === '\u007f' || key === '\b') typed.pop();
        else if (key === '\u0015') typed = [];
        else if (key >= ' ' && typed.length < MAX_LENGTH) typed.push(key);
      }
    };
    stdin.on('data', onData);
  });
}
