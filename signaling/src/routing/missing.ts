import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import { lineOfRule } from './place.ts';
import type { RoutingDirectory } from './router.ts';
import type { RoutesThread } from './thread.ts';

const MOST = 20;

/** Users, groups and trunks that the rules name and this server does not know, in words. */
export function missingNames(
  { named, sources }: Pick<RoutesThread, 'named' | 'sources'>,
  directory: RoutingDirectory,
  path: string,
): string[] {
  const text = sources.get(pathToFileURL(path).href)?.source ?? '';
  const problems: string[] = [];
  for (const { rule, names, trunks } of named) {
    const line = lineOfRule(text, rule);
    const say = (words: string) =>
      problems.push(`${basename(path)}${line === undefined ? '' : `:${line}`}: rule '${rule}': ${words}`);
    for (const name of directory.isGuess ? [] : names)
      if (!directory.group(name) && !directory.isUser(name)) say(`there is no user or group '${name}'`);
    for (const trunk of trunks) if (directory.isTrunk?.(trunk) === false) say(`there is no trunk '${trunk}'`);
  }
  return problems.slice(0, MOST);
}
