import { STATUSES, type Status } from './status.ts';

/** What a typed line means. */
export type Typed =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'to'; readonly who: string }
  | { readonly kind: 'who'; readonly who?: string }
  | { readonly kind: 'status'; readonly status: Status; readonly note: string }
  | { readonly kind: 'show-status' }
  | { readonly kind: 'history'; readonly who?: string }
  | { readonly kind: 'forget'; readonly who: string }
  | { readonly kind: 'help' }
  | { readonly kind: 'quit' }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'mistake'; readonly words: string };

export const COMMANDS = ['/to', '/who', '/status', '/history', '/forget', '/help', '/quit'] as const;

export const COMMAND_HELP: readonly string[] = [
  '/to bob            whom what you type goes to from now on; bob@example.org is somebody elsewhere',
  '/who [bob]         who is there; with a name, follows how that person is from now on',
  '/status busy       how others see you: available, busy or away; a note may follow: /status away back at five',
  '/history [bob]     what was written lately, all of it or with one person',
  '/forget bob        deletes what was written with one person from the history; how that person is, is not followed any more',
  '/help              this',
  '/quit              ends; so does Ctrl-D, and Ctrl-C on an empty line',
  'A line that ends in \\ goes on with the next one; one that begins with // is a text that begins with /.',
];

/** Reads one line (several, when they were joined). */
export function parseTyped(line: string): Typed {
  if (line.trim() === '') return { kind: 'nothing' };
  if (line.startsWith('//')) return { kind: 'text', text: line.slice(1) };
  if (!line.startsWith('/')) return { kind: 'text', text: line };
  const [command = '', ...words] = line.trim().split(/\s+/);
  const [first, ...more] = words;
  switch (command.toLowerCase()) {
    case '/to':
      return first !== undefined && more.length === 0
        ? { kind: 'to', who: first }
        : { kind: 'mistake', words: 'to whom? /to bob' };
    case '/who':
      return more.length === 0
        ? { kind: 'who', who: first }
        : { kind: 'mistake', words: 'one name at a time: /who bob' };
    case '/status': {
      if (first === undefined) return { kind: 'show-status' };
      const status = STATUSES.find((one) => one === first.toLowerCase());
      return status
        ? { kind: 'status', status, note: more.join(' ') }
        : { kind: 'mistake', words: `a status is one of ${STATUSES.join(', ')}; a note may follow it` };
    }
    case '/history':
      return more.length === 0
        ? { kind: 'history', who: first }
        : { kind: 'mistake', words: 'one name at a time: /history bob' };
    case '/forget':
      return first !== undefined && more.length === 0
        ? { kind: 'forget', who: first }
        : { kind: 'mistake', words: 'forget whom? /forget bob' };
    case '/help':
    case '/?':
      return { kind: 'help' };
    case '/quit':
    case '/exit':
    case '/q':
      return { kind: 'quit' };
    default:
      return {
        kind: 'mistake',
        words: `${command} is no command; /help names them, and //${line.slice(1, 20)} would be a text`,
      };
  }
}
