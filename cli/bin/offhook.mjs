#!/usr/bin/env node
// Runs the command with the Node this project pins, whatever Node the caller has. Plain JavaScript on purpose.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const pinned = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
const node = existsSync(pinned) ? pinned : process.execPath;
if (node === process.execPath && Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(
    `offhook needs Node 24 or newer and this is ${process.version}; run 'npm start' in ${root} once, it brings its own.\n`,
  );
  process.exit(1);
}
// In a session of its own, out of reach of the terminal's Ctrl-C: every signal comes here, and is passed on once. A chat needs
// the terminal itself: its size, and Ctrl-Z; a second signal changes nothing for it.
const words = process.argv.slice(2);
const isChat = words.includes('chat');
const first = isChat ? ['--import', pathToFileURL(join(root, 'cli', 'src', 'chat', 'no-echo.ts')).href] : [];
const child = spawn(node, [...first, join(root, 'cli', 'src', 'main.ts'), ...words], {
  stdio: 'inherit',
  detached: !isChat,
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  process.stderr.write(`offhook: ${error.message}\n`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)));
