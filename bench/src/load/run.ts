import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlone, runAlone } from '../namespace.ts';
import { stopAll } from '../pinned.ts';
import { say } from './rounds.ts';

/**
 * Runs a bench beside a peer in a network of its own and with a folder for both, and leaves nothing of it behind; what keeps
 * it from being measured is said, exit code 1.
 *
 * @param peer its version, undefined when it is not there, and how it is to be had
 */
export async function runBeside(
  peer: { readonly version: string | undefined; readonly name: string },
  measure: (folder: string) => Promise<void>,
): Promise<void> {
  if (peer.version === undefined || process.platform !== 'linux') {
    say(process.platform === 'linux' ? `not installed: ${peer.name}` : 'this needs Linux');
    process.exitCode = 1;
    return;
  }
  if (!isAlone()) {
    const code = await runAlone();
    if (code !== undefined) {
      process.exitCode = code;
      return;
    }
    say('no network namespace of its own is to be had here: others have a part in this network');
  }
  const folder = mkdtempSync(join(tmpdir(), 'oh-bench-'));
  const interrupted = () => {
    rmSync(folder, { recursive: true, force: true });
    process.exit(130);
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    await measure(folder);
  } catch (error) {
    say(`it could not be measured: ${(error as Error).message}`);
    process.exitCode = 1;
  } finally {
    await stopAll();
    rmSync(folder, { recursive: true, force: true });
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
  }
}
