// Makes a fresh clone runnable and says what it does. Plain JavaScript: it runs on whatever Node the system has (18+; 20.19+ to install),
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

/** Checked before an install only: npm leaves out optional packages that are not for its Node, the web phone's builder among them. */
function checkInstaller() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (!(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19))) {
    fail(
      `Node ${process.versions.node} can't install the dependencies; Node 20.19 or newer can (not 21, and 22 from 22.12 on).`,
    );
  }
  if (process.env.npm_execpath === undefined && spawnSync('npm', ['--version']).status !== 0) {
    fail('npm is needed to install the dependencies, and it was not found on PATH.');
  }
}

/**
 * `npm ci` unless node_modules holds what this package-lock.json names: by the stamp of an install before, or by npm's own
 * list of what it installed. Contents, not times, so that a copied node_modules is taken.
 */
function installDependencies() {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const digest = createHash('sha256').update(lock).digest('hex');
  const stamp = join(root, 'node_modules/.offhook-lock');
  const installed = join(root, 'node_modules/.package-lock.json'); // npm writes it last
  if (existsSync(installed)) {
    if (existsSync(stamp) && readFileSync(stamp, 'utf8').trim() === digest) return;
    if (isInstalled(lock, readFileSync(installed, 'utf8'))) {
      note(stamp, digest);
      return;
    }
    say('the dependencies changed; installing them again (npm ci) …');
  } else say('installing the dependencies, Node 24 among them (npm ci, about 400 MB, once) …');
  checkInstaller();
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
  note(stamp, digest);
}

/** A node_modules that can't be written to serves all the same; it is only compared again the next time. */
function note(stamp, digest) {
  try {
    writeFileSync(stamp, digest);
  } catch {}
}

/** Whether npm's list of what it installed holds what a lockfile names, in the same versions; optional packages may be missing. */
function isInstalled(lock, installed) {
  let wanted;
  let there;
  try {
    wanted = JSON.parse(lock).packages;
    there = JSON.parse(installed).packages;
  } catch {
    return false;
  }
  const isSame = (a, b) => a.version === b.version && a.integrity === b.integrity && a.resolved === b.resolved;
  return (
    Object.entries(there).every(([path, one]) => wanted[path] && isSame(wanted[path], one)) &&
    Object.entries(wanted).every(([path, { optional }]) => path === '' || optional || there[path])
  );
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

installDependencies();
const node = chooseNode();
buildWebPhone(node);
if (process.argv.includes('--peers')) preparePeers();
