// `npm test`: everything that shows that Offhook works, in one run with one closing line.
//   node scripts/test.mjs [check] [unit] [interop]      (none named: all three)
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run as runTests } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { counted } from './counted.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const ci = process.env.CI === 'true';
const scratch = mkdtempSync(join(tmpdir(), 'offhook-test-'));
/** Each test file and each part it starts is a process of its own, which need not strip and compile the same modules anew. */
process.env.NODE_COMPILE_CACHE ??= join(scratch, 'compiled');

const WORKSPACES = ['core', 'signaling', 'media-relay', 'turn', 'network-lab', 'web-phone', 'cli', 'bench'];
const UNIT = [...WORKSPACES.map((name) => `${name}/src/**/*.test.ts`), 'scripts/**/*.test.mjs'];
const INTEROP = readdirSync(join(root, 'interop-tests'))
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => `interop-tests/${name}`);
/** Where sound is measured nothing else may run: a busy machine makes jitter buffers stretch it. */
const hasSound = (file) => /src\/proof\.ts|in-namespace/.test(readFileSync(join(root, file), 'utf8'));

/** A test that hangs is a failure with a name, not a run that never ends. The longest takes a minute. */
const TEST_MS = 240_000;

/** What takes half a minute and more, begun first so that nothing is left over at the end. */
const LONG = ['sipp', 'messages', 'fresh-clone', 'scanners', 'remembered', 'bad-input', 'presence'];

function longestFirst(files) {
  const rank = (file) => {
    const at = LONG.findIndex((name) => file.endsWith(`/${name}.test.ts`));
    return at < 0 ? LONG.length : at;
  };
  return files.toSorted((a, b) => rank(a) - rank(b));
}

function title(words) {
  process.stdout.write(`\n━━ ${words}\n`);
}

/** Runs test files, begun in the order given and so many at once; answers how they ended. */
async function nodeTest(files, concurrency) {
  const running = runTests({ cwd: root, files: files.map((file) => join(root, file)), concurrency, timeout: TEST_MS });
  const counts = counted(running);
  running.compose(spec).pipe(process.stdout, { end: false });
  return await counts;
}

const stages = {
  check: () => {
    title('formatting, lint, import rule, types, dead code');
    const run = spawnSync('npm', ['run', '--silent', 'check'], { cwd: root, stdio: 'inherit' });
    return run.status === 0 ? { passed: 1, failed: 0, skips: [] } : { passed: 0, failed: 1, skips: [] };
  },
  unit: () => {
    title('unit tests');
    // Three on two cores: some wait for processes and sockets.
    return nodeTest(globSync(UNIT, { cwd: root }).sort(), 3);
  },
  interop: async () => {
    title('whole system with real peers');
    const silent = longestFirst(INTEROP.filter((file) => !hasSound(file)));
    // They wait for timers of the protocols more than for the processor.
    const { passed, failed, skips } = await nodeTest(silent, 3);
    const sound = await nodeTest(INTEROP.filter(hasSound), 1);
    const counts = {
      passed: passed + sound.passed,
      failed: failed + sound.failed,
      skips: [...skips, ...sound.skips],
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
    const counts = await run();
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
