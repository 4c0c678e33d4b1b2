import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Folders that a shell of root has and a CI job may lack. */
const SEARCH = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];

function isThere(program: string): boolean {
  return SEARCH.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** What both sentences are made with. */
export const SPEECH = ['espeak-ng', 'sox'] as const;

/**
 * For `skip` of tests that talk to these programs: the ones that are not here, in words, or false. `npm test` installs
 * them where it may, counts the skips, and takes none with CI=true.
 */
export function lacking(...programs: readonly string[]): string | false {
  const missing = programs.filter((program) => !isThere(program));
  return missing.length > 0 && `not installed: ${missing.join(', ')}`;
}
