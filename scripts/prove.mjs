// `npm run prove -- <part> …`: proofs that take longer than `npm test` may. Each writes `prove-results/<part>.json`.
// Nothing is installed before it is known what is to be proved; then the Node that does it may be another one.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { help, readArguments, root } from './prove-parts.mjs';

const args = process.argv.slice(2);
const asked = readArguments(args);
if (asked.help) process.stdout.write(help());
else if (asked.problems) {
  process.stderr.write(`${asked.problems.join('\n')}\nSee: npm run prove -- --help\n`);
  process.exitCode = 2;
} else {
  const prepared = step(process.execPath, 'bootstrap.mjs', ['--peers']);
  // npm has put the pinned Node first on PATH
  process.exitCode = prepared === 0 ? step('node', 'prove-run.mjs', args) : prepared;
}

function step(node, script, words) {
  const { status } = spawnSync(node, [join(root, 'scripts', script), ...words], { cwd: root, stdio: 'inherit' });
  return status ?? 1;
}
