import type { Values } from '../arguments.ts';
import { configPath, loadConfig } from '../config/config.ts';
import { foundParts, isRelayAlone, relayAlone } from '../running.ts';
import { command } from '../spelling.ts';

/** Why TURN does not answer, when it is not that nothing runs: it is switched off, or was when the others were started. */
export async function turnAbsence(data: string, { config, data: named }: Values): Promise<string | undefined> {
  const flags = { config, data: named };
  if (!isEnabled(flags)) {
    const path = configPath(flags, process.cwd());
    return `TURN is switched off (turn.enabled is false in ${path})`;
  }
  const others = await foundParts(data);
  if (others.length === 0) return undefined;
  const names = others.map(({ name }) => name).join(', ');
  const words = `TURN does not run with the data folder ${data}, though ${names} ${others.length === 1 ? 'does' : 'do'}`;
  if (isRelayAlone(others)) return `${words}${relayAlone()}`;
  return `${words}. Was turn.enabled changed since? It is read at the start: ${command('stop')}, then ${command('start')}`;
}

function isEnabled(flags: { readonly config: string | undefined; readonly data: string | undefined }): boolean {
  try {
    return loadConfig(flags, process.cwd()).turn.enabled;
  } catch {
    return true; // its mistakes have been told when the data folder was looked for
  }
}
