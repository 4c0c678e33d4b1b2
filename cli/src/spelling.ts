import { sep } from 'node:path';
import { ROOT } from './root.ts';

/** Where and with which settings this process was called. */
export interface Call {
  readonly cwd: string;
  readonly config?: string | undefined;
  readonly data?: string | undefined;
}

let call: Call = { cwd: process.cwd() };

export function calledAs(now: Call): void {
  call = now;
}

/**
 * A command as it can be pasted where it is read: `npx offhook …` in the project's folder, by its path elsewhere, with
 * the settings that this process was called with.
 */
export function command(words: string, { cwd, config, data }: Call = call): string {
  const settings = [config === undefined ? [] : ['--config', config], data === undefined ? [] : ['--data', data]];
  const more = settings
    .flat()
    .map((word) => ` ${quoted(word)}`)
    .join('');
  if (words === 'start' && cwd === ROOT && more === '') return 'npm start';
  const inside = cwd === ROOT || cwd.startsWith(ROOT + sep);
  return `${inside ? 'npx offhook' : `node ${quoted(`${ROOT}/cli/bin/offhook.mjs`)}`} ${words}${more}`;
}

/** The command that prints a page of help. */
export function helpCommand(page: string): string {
  return command(`${page} --help`.trimStart(), { cwd: process.cwd() });
}

/** One word for a POSIX shell. */
function quoted(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
