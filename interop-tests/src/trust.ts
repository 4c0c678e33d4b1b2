import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';

/** HOME of a Chromium whose user has imported this CA as docs/operating.md says. */
export function homeTrusting(caPath: string, folder: string): string {
  const home = mkdtempSync(join(folder, 'home-'));
  importAuthority(join(home, '.pki', 'nssdb'), caPath);
  return home;
}

/** Profile of a Firefox whose user has imported this CA. */
export function profileTrusting(caPath: string, folder: string): string {
  const profile = mkdtempSync(join(folder, 'profile-'));
  importAuthority(profile, caPath);
  return profile;
}

function importAuthority(database: string, caPath: string): void {
  mkdirSync(database, { recursive: true });
  const certutil = (...args: string[]) => execFileSync('certutil', ['-d', `sql:${database}`, ...args]);
  certutil('-N', '--empty-password');
  certutil('-A', '-t', 'C,,', '-n', 'Offhook', '-i', caPath);
}
