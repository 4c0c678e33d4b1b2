// `npm test`: everything that shows that Offhook works, in one run with one closing line.
//   node scripts/test.mjs [check] [unit] [interop]      (none named: all three)
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const ci = process.env.CI === 'true';
const scratch = mkdtempSync(join(tmpdir(), 'offhook-test-'));
/** Each test file and each part it starts is a process of its own, which need not strip and compile the same modules anew. */
const env = { NODE_COMPILE_CACHE: join(scratch, 'compiled'), ...process.env };

const WORKSPACES = ['core', 'signaling', 'media-relay', 'turn', 'network-lab', 'web-phone', 'cli', 'bench'];
const UNIT = [...WORKSPACES.map((name) => `${name}/src/**/*.test.ts`), 'scripts/**/*.test.mjs'];
const INTEROP = readdirSync(join(root, 'interop-tests'))
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => `interop-tests/${name}`);
/** Where sound is measured nothing else may run: a busy machine makes jitter buffers stretch it. */
const hasSound = (file) => /src\/proof\.ts|in-namespace/.test(readFileSync(join(root, file), 'utf8'));

/** A test that hangs is a failure with a name, not a run that never ends. The longest takes a minute. */
const TEST_MS = 240_000;

function title(words) {
  process.stdout.write(`\n━━ ${words}\n`);
}

/** Runs test files; answers the counts of the reporter that runs beside the readable one. */
function nodeTest(name, globs, ...options) {
  const file = join(scratch, `${name}.json`);
  const run = spawnSync(
    process.execPath,
    [
      '--test',
      `--test-timeout=${TEST_MS}`,
      ...options,
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      '--test-reporter=./scripts/count-reporter.mjs',
      `--test-reporter-destination=${file}`,
      ...globs,
    ],
    { cwd: root, stdio: 'inherit', env },
  );
  let counts = { passed: 0, failed: 0, skips: [] };
  try {
    counts = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // the runner died before its summary: counted as one failure below
  }
  if (run.status !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

const stages = {
  check: () => {
    title('formatting, lint, import rule, types, dead code');
    const run = spawnSync('npm', ['run', '--silent', 'check'], { cwd: root, stdio: 'inherit' });
    return run.status === 0 ? { passed: 1, failed: 0, skips: [] } : { passed: 0, failed: 1, skips: [] };
  },
  unit: () => {
    title('unit tests');
    return nodeTest('unit', UNIT, '--test-concurrency=2');
  },
  interop: () => {
    title('whole system with real peers');
    const silent = nodeTest(
      'silent',
      INTEROP.filter((file) => !hasSound(file)),
      '--test-concurrency=2',
    );
    const sound = nodeTest('sound', INTEROP.filter(hasSound), '--test-concurrency=1');
    const counts = {
      passed: silent.passed + sound.passed,
      failed: silent.failed + sound.failed,
      skips: [...silent.skips, ...sound.skips],
    };
    if (ci && counts.skips.length > 0) {
      process.stdout.write('With CI=true a skipped test of the whole system is a failure.\n');
      counts.failed += counts.skips.length;
      counts.skips = [];
    }
    return counts;
  },
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(stages, name));
if (unknown.length > 0) {
  process.stderr.write(`unknown: ${unknown.join(', ')}; known are: ${Object.keys(stages).join(', ')}\n`);
  process.exit(2);
}

let passed = 0;
let failed = 0;
const skips = [];
try {
  for (const [name, run] of Object.entries(stages)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const counts = run();
    passed += counts.passed;
    failed += counts.failed;
    skips.push(...counts.skips);
    if (counts.failed > 0) process.stdout.write(`\n${name}: ${counts.failed} failed\n`);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
title('summary');
for (const skip of skips) process.stdout.write(`skipped: ${skip}\n`);
process.stdout.write(`${passed} passed, ${failed} failed, ${skips.length} skipped\n`);
process.exitCode = failed > 0 ? 1 : 0;
