import { readFileSync } from 'node:fs';
import { UsageError } from '../arguments.ts';

/** The file that an option names; what is in the way of reading it is a mistake in its use, said in words. */
export function readNamed(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw new UsageError(`${option}: ${WORDS[code]?.(path) ?? message}`);
  }
}

const WORDS: Readonly<Record<string, (path: string) => string>> = {
  ENOENT: (path) => `there is no file ${path}`,
  ENOTDIR: (path) => `there is no file ${path}`,
  EACCES: (path) => `${path} may not be read by this user`,
  EISDIR: (path) => `${path} is a folder`,
};
