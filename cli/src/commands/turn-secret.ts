import { rotateTurnSecret, type Secrets } from '../config/secrets.ts';
import { ask, foundParts } from '../running.ts';
import { command } from '../spelling.ts';

const out = (line: string) => process.stdout.write(`${line}\n`);

/**
 * A new secret for TURN's credentials. TURN is told before signalling signs with it, so no credential is refused; when TURN
 * can't be told, signalling goes on with the one before, which is good everywhere.
 */
export async function rotateSecret(data: string): Promise<number> {
  const parts = (await foundParts(data)).map(({ name }) => name);
  const { turn } = rotateTurnSecret(data);
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
  out(`Wait that long before the next change. A coturn beside needs its file anew: ${command('turn coturn-conf')}`);
  return 0;
}

/** What runs is told the secrets, TURN first; `parts` are those that run. */
export async function tellTurnSecrets(data: string, turn: Secrets['turn'], parts: readonly string[]): Promise<void> {
  if (parts.includes('turn')) await ask(data, 'turn', 'secrets', { secrets: turn });
  if (parts.includes('signaling')) await ask(data, 'signaling', 'turn-secret', { secret: turn[0] });
}
