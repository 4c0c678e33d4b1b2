import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spelled } from './pattern.ts';

/** Frames of ours, between those of the user's. */
const OWN = dirname(fileURLToPath(import.meta.url));

/** Where in a file of the user's an error came from, as `routes.ts:12:5`; of a syntax error Node tells the line alone. */
export function placeOf(error: unknown): string | undefined {
  const stack = String((error as { stack?: unknown } | null)?.stack ?? '');
  for (const line of stack.split('\n', 40)) {
    const [, path, at] = /(?:^|[( ])((?:file:\/\/|\/)\S+?):(\d+(?::\d+)?)\)?$/.exec(line) ?? [];
    if (path === undefined) continue;
    const file = path.startsWith('file:') ? pathOf(path) : path;
    if (file !== undefined && dirname(file) !== OWN) return `${basename(file)}:${at}`;
  }
  return undefined;
}

/** Why a file could not be loaded: the place, Node's own words, and what is usually meant. */
export function loadWords(error: unknown, lastFile: string | undefined): string {
  if (!(error instanceof Error)) return `${spelled(error)} was thrown while it was loaded`;
  const place = placeOf(error) ?? (lastFile === undefined ? undefined : basename(lastFile));
  const isImport = /does not provide an export named|Cannot find package/.test(error.message);
  const hint = isImport ? ' (types are imported by: import type { … } from …)' : '';
  const words = `${error.name}: ${error.message}`.slice(0, 1000);
  return `${place === undefined ? '' : `${place}: `}${words}${hint}`;
}

/** The line of a rule, by its name; undefined when the name is not written there as one text. */
export function lineOfRule(source: string, name: string): number | undefined {
  const quoted = ["'", '"', '`'].map((quote) => source.indexOf(`${quote}${name}${quote}`)).filter((at) => at >= 0);
  if (quoted.length === 0) return undefined;
  return source.slice(0, Math.min(...quoted)).split('\n').length;
}

function pathOf(url: string): string | undefined {
  try {
    return fileURLToPath(url);
  } catch {
    return undefined;
  }
}
