// `npm run prove -- <part> …`: proofs that take longer than `npm test` may. Each writes `prove-results/<part>.json`.
// A part is made of test files, or of studies: programs that end with figures (interop-tests/src/studies, or the part's own).
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

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
    files: ['interop-tests', 'interop-tests/long'].flatMap((folder) =>
      readdirSync(join(root, folder))
        .filter((name) => name.endsWith('.test.ts'))
        .map((name) => `${folder}/${name}`),
    ),
  },
  signaling: {
    words: 'figures of the SIP server under load, one study after the other; signaling:<study> is one of them alone',
    studies: {
      calls: '30,000 calls in a row: none fails, nothing is left over (15 min; --minutes makes it a soak)',
      rate: 'the highest rates of calls and of REGISTERs with fewer than 0.1 % failed, signalling on one processor (15 min)',
      idle: '10,000 idle phones over WebSocket: memory, CPU, all back after a kill (4 min)',
      flood: 'floods at twice those rates: calls go on, memory is flat, recovery (5 min)',
    },
  },
  relay: {
    words: 'the media relay under attack; relay:<study> is one of them alone',
    studies: {
      'relay-spray':
        'its ports sprayed by a third host for the length of 1,000 calls: nothing leaks, nobody is disturbed (1 min)',
    },
  },
  recovery: {
    words: 'loss recovery of the media relay',
    studies: {
      recovery: 'a minute of sound at 5, 10 and 20 % loss, random and in bursts, with RED and NACK on and off (1 min)',
    },
    program: 'media-relay/src/recovery/prove.ts',
  },
  turn: {
    words: 'the TURN server under attack; turn:<study> is one of them alone',
    studies: {
      'turn-flood': 'floods of Allocates, garbage and half-open TLS: relayed voice goes on, memory is flat (3 min)',
    },
  },
  'turn-modes': {
    words: 'coturn’s client against the TURN server in every combination of its modes',
    files: ['turn/src/coturn.test.ts'],
    env: { COTURN_MODES: 'all' },
  },
  congestion: {
    words:
      'rate adaptation in the virtual network after RFC 8867, plots in prove-results/congestion/index.html (1 min)',
    program: 'media-relay/src/congestion/study/main.ts',
    studies: {
      'variable-capacity': '5.1 one flow on a line that changes',
      'multiple-flows': '5.2 two flows on a line that changes',
      'feedback-congestion': '5.3 media both ways, so that feedback waits too',
      'competing-flows': '5.4 three flows that come one after the other',
      'rtt-fairness': '5.5 five flows with different round trips',
      'long-tcp': '5.6 beside a long TCP flow',
      'short-tcp': '5.7 beside short TCP flows',
      'pause-resume': '5.8 one of three flows pauses',
      jitter: 'jitter of up to 30 ms',
      'random-loss': '5 % random loss',
      healing: 'heavy loss and an outage that end',
    },
  },
};

/** What studies may be told, beside their names. */
const OPTIONS = {
  seconds: 'so long for each phase or step, instead of what proves something',
  minutes: 'the same in minutes',
  'calls-per-s': 'where the search for the rate begins; how many calls are made in the other studies',
  'registers-per-s': 'the same of REGISTERs',
};

const { values, positionals: wanted } = readArguments();
const isKnown = (name) => {
  const [part, study] = name.split(':');
  return Object.hasOwn(PARTS, part) && (study === undefined || Object.hasOwn(PARTS[part].studies ?? {}, study));
};
if (wanted.length === 0 || values.help || !wanted.every(isKnown)) {
  const line = ([name, words]) => `  ${name.padEnd(18)} ${words}\n`;
  const parts = Object.entries(PARTS).flatMap(([name, { words, studies = {} }]) => [
    line([name, words]),
    ...Object.entries(studies).map(([study, about]) => line([`${name}:${study}`, about])),
  ]);
  const options = Object.entries(OPTIONS).map(([name, words]) => line([`--${name} <n>`, words]));
  process.stderr.write(
    `npm run prove -- <part> …; the result is prove-results/<part>.json\n\n${parts.join('')}\nStudies take:\n${options.join('')}`,
  );
  process.exit(values.help ? 0 : 2);
}

for (const name of wanted) {
  const [part, study] = name.split(':');
  const isProven = PARTS[part].studies ? proveByStudies(part, study) : await prove(part);
  if (!isProven) process.exitCode = 1;
}

function readArguments() {
  const options = Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, { type: 'string' }]));
  try {
    return parseArgs({ allowPositionals: true, options: { ...options, help: { type: 'boolean' } } });
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    return { values: {}, positionals: [] };
  }
}

/** Runs one study or all; what an earlier run has said of the others stays in the result. */
function proveByStudies(part, only) {
  const path = join('prove-results', `${part}.json`);
  const studies = only === undefined ? {} : (readJson(join(root, path))?.studies ?? {});
  const asked = only === undefined ? Object.keys(PARTS[part].studies) : [only];
  for (const name of asked) {
    studies[name] = study(name, { highest: studies.rate?.figures?.highest, program: PARTS[part].program });
    const checks = Object.values(studies).flatMap(({ checks }) => checks);
    const summary = {
      met: checks.filter(({ isMet }) => isMet).length,
      missed: checks.filter(({ isMet }) => !isMet).length,
    };
    mkdirSync(join(root, 'prove-results'), { recursive: true });
    writeFileSync(join(root, path), `${JSON.stringify({ part, ...summary, studies }, undefined, 2)}\n`);
    process.stdout.write(`${part}: ${name} took ${studies[name].seconds} s; ${path}\n`);
  }
  return asked.every((name) => studies[name].checks.length > 0 && studies[name].checks.every(({ isMet }) => isMet));
}

/**
 * `highest`: the rates that were found, which are what floods are measured by. `program`: what runs the study, if not the
 * program of all studies.
 */
function study(name, { highest, program = 'interop-tests/src/studies/main.ts' }) {
  const folder = mkdtempSync(join(tmpdir(), 'offhook-prove-'));
  const result = join(folder, 'result.json');
  const startedAt = new Date();
  const seconds = values.minutes === undefined ? values.seconds : String(Number(values.minutes) * 60);
  const found = name === 'flood' ? highest : undefined;
  const told = {
    seconds,
    'calls-per-s': values['calls-per-s'] ?? (found?.callsPerS || undefined),
    'registers-per-s': values['registers-per-s'] ?? (found?.registersPerS || undefined),
  };
  const args = Object.entries(told).flatMap(([option, value]) =>
    value === undefined ? [] : [`--${option}`, String(value)],
  );
  try {
    spawnSync(process.execPath, [join(root, program), name, ...args, '--result', result], {
      cwd: root,
      stdio: 'inherit',
    });
    const outcome = readJson(result) ?? { checks: [], figures: { problem: 'it ended without a result' } };
    return {
      startedAt: startedAt.toISOString(),
      seconds: secondsSince(startedAt),
      machine: machine(),
      told,
      ...outcome,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function machine() {
  return { node: process.version, arch: arch(), kernel: release(), cpus: cpus().length };
}

function secondsSince(startedAt) {
  return Math.round((Date.now() - startedAt.getTime()) / 1000);
}

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
  const seconds = secondsSince(startedAt);
  mkdirSync(join(root, 'prove-results'), { recursive: true });
  const path = join('prove-results', `${name}.json`);
  const result = {
    part: name,
    startedAt: startedAt.toISOString(),
    seconds,
    machine: machine(),
    ...env,
    ...summary,
    tests,
  };
  writeFileSync(join(root, path), `${JSON.stringify(result, undefined, 2)}\n`);
  process.stdout.write(`${name}: ${JSON.stringify(summary)} in ${seconds} s; ${path}\n`);
  return summary.failed === 0 && summary.passed > 0;
}
