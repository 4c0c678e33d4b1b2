// `npm run prove -- <part> …`: proofs that take longer than `npm test` may. Each writes `prove-results/<part>.json`.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { arch, cpus, release } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const HOUR_MS = 3_600_000;
const models = ['transaction/model', 'registrar/model', 'call/model', 'call/disorder', 'call/reliable-random'];

/** What each part runs, and how often its random histories are played. */
const PARTS = {
  models: {
    words: 'state machines of transactions, registrar and calls against their models: 10,000 random histories each',
    files: models.map((name) => `signaling/src/${name}.test.ts`),
    env: {
      TRANSACTION_MODEL_RUNS: '10000',
      REGISTRAR_MODEL_RUNS: '10000',
      CALL_MODEL_RUNS: '10000',
      DISORDER_RUNS: '10000',
    },
  },
  flows: {
    words: 'torture messages (RFC 4475, 5118) and call flows (RFC 3665, 5359, 5407) by name',
    files: ['core/src/sip', 'signaling/src/call'].flatMap((folder) =>
      readdirSync(join(root, folder))
        .filter((name) => /torture|rfc|flows-|hunt|fetch|outside/.test(name) && name.endsWith('.test.ts'))
        .map((name) => `${folder}/${name}`),
    ),
  },
  peers: {
    words: 'the whole system with real browsers, phones, SIPp and Kamailio',
    files: readdirSync(join(root, 'interop-tests'))
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `interop-tests/${name}`),
  },
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !Object.hasOwn(PARTS, name));
if (wanted.length === 0 || wanted.includes('--help') || unknown.length > 0) {
  const list = Object.entries(PARTS).map(([name, { words }]) => `  ${name.padEnd(8)} ${words}\n`);
  process.stderr.write(`npm run prove -- <part> …; the result is prove-results/<part>.json\n\n${list.join('')}`);
  process.exit(wanted.includes('--help') ? 0 : 2);
}

for (const name of wanted) if (!(await prove(name))) process.exitCode = 1;

async function prove(name) {
  const { files, env } = PARTS[name];
  Object.assign(process.env, env);
  const startedAt = new Date();
  const tests = [];
  const stream = run({ files: files.map((file) => join(root, file)), concurrency: 1, timeout: HOUR_MS, cwd: root });
  for await (const { type, data } of stream) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    // Files, and tests that have others within: those are told by themselves.
    if (data.details?.type === 'suite' || data.details?.error?.failureType === 'subtestsFailed') continue;
    const result = data.skip === undefined ? (type === 'test:pass' ? 'passed' : 'failed') : 'skipped';
    const why =
      result === 'failed' ? String(data.details.error.cause?.message ?? data.details.error.message) : undefined;
    tests.push({ test: data.name, result, ms: Math.round(data.details.duration_ms), why });
    process.stdout.write(`${result.padEnd(8)} ${data.name}${why === undefined ? '' : `\n         ${why}`}\n`);
  }
  const count = (result) => tests.filter((test) => test.result === result).length;
  const summary = { passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
  const machine = { node: process.version, arch: arch(), kernel: release(), cpus: cpus().length };
  const seconds = Math.round((Date.now() - startedAt.getTime()) / 1000);
  mkdirSync(join(root, 'prove-results'), { recursive: true });
  const path = join('prove-results', `${name}.json`);
  const result = { part: name, startedAt: startedAt.toISOString(), seconds, machine, ...env, ...summary, tests };
  writeFileSync(join(root, path), `${JSON.stringify(result, undefined, 2)}\n`);
  process.stdout.write(`${name}: ${JSON.stringify(summary)} in ${seconds} s; ${path}\n`);
  return summary.failed === 0 && summary.passed > 0;
}
