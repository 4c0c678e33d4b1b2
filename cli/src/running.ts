import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { callAdmin, type PartStatus } from '@offhook/core/node';

export const runDirOf = (data: string): string => join(data, 'run');

/** The parts that answer on their admin sockets, in the order of their names. */
export async function runningParts(data: string): Promise<PartStatus[]> {
  let names: string[];
  try {
    names = readdirSync(runDirOf(data));
  } catch {
    return [];
  }
  const parts = names.filter((name) => name.endsWith('.sock') && name !== 'supervisor.sock').sort();
  const answers = await Promise.all(
    parts.map((name) => callAdmin(join(runDirOf(data), name), 'status').catch(() => undefined)),
  );
  return answers.filter((answer) => answer !== undefined) as PartStatus[];
}

/** One verb of one part, or of the supervisor; the error says in words that it does not run. */
export async function ask(
  data: string,
  part: string,
  verb: string,
  args: Record<string, unknown> = {},
): Promise<unknown> {
  try {
    return await callAdmin(join(runDirOf(data), `${part}.sock`), verb, args);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error;
    throw new Error(
      `Offhook does not run with the data folder ${data} (no ${part} answers there). Start it with 'npm start'.`,
    );
  }
}
