// Makes a fresh clone runnable and says what it does. Plain JavaScript: it runs on whatever Node the system has (18+),
// before the pinned Node 24 and any dependency exist.
//   node scripts/bootstrap.mjs            dependencies, pinned Node, web phone
//   node scripts/bootstrap.mjs --peers    … and the programs the tests talk to
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPeers, missingPeers } from './peers.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const NODE_NEEDED = 24;

function say(words) {
  process.stdout.write(`offhook: ${words}\n`);
}

function fail(words) {
  process.stderr.write(`offhook: ${words}\n`);
  process.exit(1);
}

function modified(path) {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

/** The time of the newest file below, or of the file itself; 0 when there is none. */
function newest(path) {
  let latest = 0;
  let entries;
  try {
    entries = readdirSync(path, { withFileTypes: true });
  } catch {
    return modified(path);
  }
  for (const entry of entries) {
    if (entry.name === 'node_modules' || entry.name === 'dist') continue;
    const at = join(path, entry.name);
    latest = Math.max(latest, entry.isDirectory() ? newest(at) : modified(at));
  }
  return latest;
}

function checkSystem() {
  if (Number.parseInt(process.versions.node, 10) < 18) {
    fail(`Node ${process.versions.node} is too old even to install with; any Node from 18 on will do.`);
  }
  if (process.env.npm_execpath === undefined && spawnSync('npm', ['--version']).status !== 0) {
    fail('npm is needed to install the dependencies, and it was not found on PATH.');
  }
}

/** `npm ci` unless node_modules was installed from exactly this package-lock.json. */
function installDependencies() {
  const lock = join(root, 'package-lock.json');
  const digest = createHash('sha256').update(readFileSync(lock)).digest('hex');
  const stamp = join(root, 'node_modules/.offhook-lock');
  const installed = join(root, 'node_modules/.package-lock.json'); // npm writes it last
  if (existsSync(installed)) {
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
    if (modified(installed) + 10_000 >= modified(lock)) {
      // installed by npm itself, which writes both files within seconds
      writeFileSync(stamp, digest);
      return;
    }
    say('the dependencies changed; installing them again (npm ci) …');
  } else say('installing the dependencies, Node 24 among them (npm ci, about 400 MB, once) …');
  const run = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (run.status !== 0) {
    fail(
      'npm ci did not succeed (its words are above). With no network, copy node_modules from a machine that has one.',
    );
  }
  writeFileSync(stamp, digest);
}

/** The Node that runs everything else: the pinned one, or the system's where no pinned one exists. */
function chooseNode() {
  const pinned = join(root, 'node_modules/.bin/node');
  if (existsSync(pinned)) {
    const asked = spawnSync(pinned, ['-p', 'process.versions.node'], { encoding: 'utf8' });
    const version = asked.status === 0 ? asked.stdout.trim() : '';
    if (Number.parseInt(version, 10) >= NODE_NEEDED) return pinned;
  }
  if (Number.parseInt(process.versions.node, 10) >= NODE_NEEDED) {
    say(`no pinned Node for ${process.platform}-${process.arch}: using the system's Node ${process.versions.node}.`);
    return process.execPath;
  }
  return fail(
    `Node ${NODE_NEEDED} or newer is needed; the system has ${process.versions.node} and the pinned one ` +
      (existsSync(pinned)
        ? 'does not start here (on Alpine it needs glibc).'
        : `was not installed for ${process.platform}-${process.arch} (npm skips it when the download fails: remove node_modules and try again).`),
  );
}

function buildWebPhone(node) {
  const phone = join(root, 'web-phone');
  const built = modified(join(phone, 'dist/index.html'));
  const sources = Math.max(newest(phone), newest(join(root, 'core/src')));
  if (built >= sources) return;
  say(built === 0 ? 'building the web phone …' : 'building the web phone again: its sources changed …');
  const run = spawnSync(node, [join(root, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'warn'], {
    cwd: phone,
    encoding: 'utf8',
  });
  if (run.status !== 0) {
    process.stderr.write(run.stdout + run.stderr);
    fail('the web phone could not be built (the reasons are above).');
  }
}

function preparePeers() {
  let missing = missingPeers();
  if (missing.length > 0) missing = installPeers(missing, say);
  if (missing.length === 0) return;
  say(`not installed: ${missing.map((peer) => `${peer.command} (${peer.use})`).join(', ')}.`);
  if (process.env.CI === 'true') fail('with CI=true every peer has to be there.');
  say('the tests that need them will be skipped and counted.');
}

checkSystem();
installDependencies();
const node = chooseNode();
buildWebPhone(node);
if (process.argv.includes('--peers')) preparePeers();
