#!/usr/bin/env node
// The `offhook` command on whatever Node the shell has: hands over to the pinned Node 24, or stays here where this one
// is new enough.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const pinned = join(root, 'node_modules/.bin/node');
const [major, minor] = process.versions.node.split('.').map(Number);
const node = existsSync(pinned) ? pinned : process.execPath;

if (node === process.execPath && major < 24) {
  process.stderr.write(
    `offhook needs Node 24 or newer, and this is ${process.versions.node}. \`npm start\` (or \`npm ci\`) in ${root} installs it.\n`,
  );
  process.exit(1);
}

const command = [node, join(root, 'cli/src/main.ts'), ...process.argv.slice(2)];
if (
  typeof process.execve === 'function' &&
  (major > 22 || (major === 22 && minor >= 15)) &&
  process.platform !== 'win32'
) {
  process.removeAllListeners('warning');
  process.on('warning', () => {}); // execve is marked experimental
  process.execve(command[0], command, process.env);
}
const child = spawn(command[0], command.slice(1), { stdio: 'inherit' });
// The terminal sends Ctrl-C to both; a signal sent to this process alone is passed on.
process.on('SIGINT', () => {});
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.once('error', (error) => {
  process.stderr.write(`offhook: ${error.message}\n`);
  process.exit(1);
});
child.once('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
