import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processIdentity } from '../supervisor/identity.ts';
import { livingProcess, removePidFile, writePidFile } from '../supervisor/pid-file.ts';

const URN = /^urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * What a registrar knows this terminal by (RFC 5626 4.1): kept, so that its next start replaces the contact of this one. A
 * second terminal of the same account at the same time is a phone of its own, under a name that it makes up.
 */
export function takeInstance(folder: string): { readonly urn: string; release(): void } {
  const made = { urn: `urn:uuid:${randomUUID()}`, release: () => {} };
  const pidFile = join(folder, 'terminal.pid');
  const identity = processIdentity(process.pid);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (livingProcess(pidFile) || identity === undefined) return made;
    writePidFile(pidFile, { pid: process.pid, identity });
    return { urn: kept(join(folder, 'instance')), release: () => removePidFile(pidFile) };
  } catch {
    return made; // a folder that can't be written to; the history says so
  }
}

function kept(path: string): string {
  try {
    const known = readFileSync(path, 'utf8').trim();
    if (URN.test(known)) return known;
  } catch {
    // the first start
  }
  const urn = `urn:uuid:${randomUUID()}`;
  writeFileSync(`${path}.new`, `${urn}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return urn;
}
