import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { ROOT } from '../root.ts';
import { type ConfigFlags, homeOf, loadConfig, readSettings } from './config.ts';
import { ConfigError } from './config-error.ts';

/**
 * The data folder, for commands that need nothing else: a mistake in the configuration is told to `warn` and does not
 * keep anybody from stopping a running system. Throws ConfigError only when nothing says where the data is.
 */
export function findData(flags: ConfigFlags, cwd: string, warn: (line: string) => void, root = ROOT): string {
  const { config, data } = flags;
  try {
    return loadConfig({ config, data }, cwd, root).data;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (config !== undefined && data === undefined && !existsSync(resolve(cwd, config))) throw error;
    const folder = data === undefined ? resolve(...wanted(config, cwd, root)) : resolve(cwd, data);
    warn(`the configuration has mistakes (the next start will refuse it):\n${error.message}`);
    warn(`Going on with the data folder ${folder}${data === undefined ? '; --data names another' : ''}.`);
    return folder;
  }
}

/** The folder that holds the configuration, and the data folder as it says, or as it is without a word. */
function wanted(config: string | undefined, cwd: string, root: string): [string, string] {
  const path = resolve(cwd, config ?? resolve(homeOf(cwd, root), 'offhook.config.json'));
  let data: unknown;
  try {
    data = (readSettings(path, 'has to be there') as { data?: unknown } | null)?.data;
  } catch {
    // the mistake has been told
  }
  return [resolve(path, '..'), typeof data === 'string' && data !== '' ? data : './data'];
}
