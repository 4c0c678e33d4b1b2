import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/**
 * One supervisor per data folder: an exclusive SQLite transaction, so the kernel gives the lock back however its holder
 * ends. Undefined when another process holds it.
 */
export function takeLock(runDir: string): { release(): void } | undefined {
  const database = new DatabaseSync(join(runDir, 'supervisor.lock'));
  try {
    database.exec('PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if (/locked|busy/i.test(String(error))) return undefined;
    throw error;
  }
  return { release: () => database.close() };
}
