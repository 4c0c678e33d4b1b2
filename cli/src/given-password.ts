import { UsageError } from './arguments.ts';

/**
 * What `--password` gives. `-` is the first line of standard input, asked for without echo at a terminal: a command line can
 * be read by every user of the machine.
 */
export async function givenPassword(given: string | undefined): Promise<string | undefined> {
  if (given !== '-') return given;
  const { stdin } = process;
  if (stdin.isTTY) return (await import('./chat/password.ts')).askedPassword('Password: ', 'Nothing is changed.');
  let text = '';
  stdin.setEncoding('utf8');
  for await (const chunk of stdin) {
    text += chunk;
    if (text.includes('\n')) break;
  }
  const password = text.split(/\r?\n/, 1)[0]!;
  if (password === '') throw new UsageError('--password -: the first line of standard input is empty.');
  return password;
}
