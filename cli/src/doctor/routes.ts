import type { PartStatus } from '@offhook/core/node';
import type { Config } from '../config/config.ts';
import { command } from '../spelling.ts';
import type { Finding } from './finding.ts';

/** Whether the next start can use the routes; a running system says so itself. Nothing where there are none. */
export async function routesFindings({ routes }: Pick<Config, 'routes'>): Promise<Finding[]> {
  if (routes === undefined) return [];
  const { checkRoutes } = await import('@offhook/signaling');
  try {
    return [{ what: 'routes', state: 'good', words: await checkRoutes(routes) }];
  } catch (error) {
    const remedy = `mend ${routes}, then look with: ${command(`route <from> <to> --file ${routes}`)}`;
    return [{ what: 'routes', state: 'bad', words: (error as Error).message, remedy }];
  }
}

/** Whether the running system goes by the file: it may be wrong, or have come after the start. */
export function runningRoutes({ details }: Pick<PartStatus, 'details'>, file: string | undefined): Finding[] {
  const { routes } = details;
  const trouble = (details.trouble as { routes?: string } | undefined)?.routes;
  const what = 'routes';
  if (trouble !== undefined)
    return [{ what, state: 'bad', words: trouble, remedy: `mend ${file ?? 'the file'}; it is read by itself` }];
  if (routes !== undefined) return [{ what, state: 'good', words: `${String(routes)} in use` }];
  if (file === undefined) return [];
  const remedy = `${command('stop')}, then ${command('start')}`;
  return [{ what, state: 'bad', words: `${file} came after the start, so calls go the built-in way`, remedy }];
}
