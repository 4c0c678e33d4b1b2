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
