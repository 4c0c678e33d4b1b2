import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Values } from '../arguments.ts';
import { type Config, configProblems, loadConfig } from '../config/config.ts';
import { rotateTurnSecret, type Secrets, turnRotatedAtMs } from '../config/secrets.ts';
import { ask, foundParts, runDirOf } from '../running.ts';
import { command } from '../spelling.ts';

const out = (line: string) => process.stdout.write(`${line}\n`);

/**
 * A new secret for TURN's credentials. TURN is told before signalling signs with it, so no credential is refused; when TURN
 * can't be told, signalling goes on with the one before, which is good everywhere.
 */
export async function rotateSecret(data: string, values: Values): Promise<number> {
  const nowMs = Date.now();
  const ttlS = credentialTtlS(data, values);
  const rotatedAtMs = turnRotatedAtMs(data);
  if (rotatedAtMs !== undefined && !values.force) {
    // a clock that was set back makes nobody wait longer than for a change of now
    const agoS = Math.max(0, Math.round((nowMs - rotatedAtMs) / 1000));
    if (agoS < ttlS)
      throw new Error(
        `the last change was ${agoS} s ago: credentials given out before it, and their allocations, would end now; wait ${ttlS - agoS} s or use --force`,
      );
  }
  const parts = (await foundParts(data)).map(({ name }) => name);
  const { turn } = rotateTurnSecret(data, nowMs);
  if (!parts.includes('turn') && !parts.includes('signaling')) {
    out('a new secret is kept in secrets.json, and used from the next start on');
    return 0;
  }
  try {
    await tellTurnSecrets(data, turn, parts);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    process.stderr.write(
      `the new secret is kept in secrets.json, but not everybody could be told: ${why}\nIt is used from the next start on: ${command('stop')}, then ${command('start')}\n`,
    );
    return 1;
  }
  out('TURN credentials are signed with a new secret; those of the one before are good until they end.');
  out(`That takes up to ${ttlS} s (turn.credentialTtlS): wait so long before the next change.`);
  out(`A coturn beside needs its file anew: ${command('turn coturn-conf')}`);
  return 0;
}

/** The longest that a credential may be good which signalling has given out, by its configuration of then or of now. */
function credentialTtlS(data: string, { config, data: named }: Values): number {
  return Math.max(configuredTtlS({ config, data: named }), runningTtlS(data));
}

function configuredTtlS(flags: Pick<Values, 'config' | 'data'>): number {
  try {
    return loadConfig(flags, process.cwd()).turn.credentialTtlS;
  } catch {
    // its mistakes have been told when the data folder was looked for
    const defaults: unknown = {};
    configProblems(defaults);
    return (defaults as Config).turn.credentialTtlS;
  }
}

function runningTtlS(data: string): number {
  try {
    const text = readFileSync(join(runDirOf(data), 'signaling.config.json'), 'utf8');
    return Number((JSON.parse(text) as { turn: { ttlS?: number } }).turn.ttlS ?? 0);
  } catch {
    return 0;
  }
}

/** What runs is told the secrets, TURN first; `parts` are those that run. */
export async function tellTurnSecrets(data: string, turn: Secrets['turn'], parts: readonly string[]): Promise<void> {
  if (parts.includes('turn')) await ask(data, 'turn', 'secrets', { secrets: turn });
  if (parts.includes('signaling')) await ask(data, 'signaling', 'turn-secret', { secret: turn[0] });
}
