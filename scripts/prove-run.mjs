// The proving itself: `scripts/prove.mjs` has read its arguments and prepared the machine.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch, cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { PARTS, readArguments, root } from './prove-parts.mjs';

const HOUR_MS = 3_600_000;

const { wanted, values } = readArguments(process.argv.slice(2));
for (const name of wanted) {
  const [part, study] = name.split(':');
  const isProven = PARTS[part].studies ? proveByStudies(part, study) : await prove(part);
  if (!isProven) process.exitCode = 1;
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
    seeds: values.seeds,
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
