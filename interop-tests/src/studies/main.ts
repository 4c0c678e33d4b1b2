// One study by itself: `node interop-tests/src/studies/main.ts <name> [--seconds N] [--profiles folder] [--result file]`.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { lacking } from '../peers.ts';
import { scratchFolder } from '../system.ts';
import { calls } from './calls.ts';
import { flood } from './flood.ts';
import { idle } from './idle.ts';
import { LOAD_CPU, pin } from './process.ts';
import { rate } from './rate.ts';
import { relaySpray } from './relay-spray.ts';
import type { Outcome, Study } from './study.ts';
import { turnFlood } from './turn-flood.ts';

const STUDIES: Readonly<Record<string, Study>> = {
  calls,
  rate,
  idle,
  flood,
  'relay-spray': relaySpray,
  'turn-flood': turnFlood,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean' },
    seconds: { type: 'string' },
    'calls-per-s': { type: 'string' },
    'registers-per-s': { type: 'string' },
    profiles: { type: 'string' },
    result: { type: 'string' },
  },
});
const [name] = positionals;
const study = name !== undefined && Object.hasOwn(STUDIES, name) ? STUDIES[name] : undefined;
const number = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  if (Number(text) > 0) return Number(text);
  process.stderr.write(`'${text}' is no number above 0\n`);
  process.exit(2);
};
if (!study || values.help) {
  const list = Object.entries(STUDIES).map(([known, { words }]) => `  ${known.padEnd(6)} ${words}\n`);
  process.stderr.write(
    `usage: node interop-tests/src/studies/main.ts <name> [--seconds of each phase] [--calls-per-s] [--registers-per-s] [--profiles folder] [--result file]\n\n${list.join('')}`,
  );
  process.exit(values.help ? 0 : 2);
}
const missing = lacking('sipp', 'taskset');
if (missing) {
  process.stderr.write(`${missing}\n`);
  process.exit(2);
}

const began = performance.now();
const say = (words: string) => {
  const s = Math.round((performance.now() - began) / 1000);
  process.stderr.write(
    `${name} ${String(Math.floor(s / 60)).padStart(2, '0')}:${String(s % 60).padStart(2, '0')}  ${words}\n`,
  );
};
pin(process.pid, LOAD_CPU);
const scratch = scratchFolder();
let outcome: Outcome;
try {
  outcome = await study.run({
    folder: scratch.path,
    say,
    seconds: number(values.seconds),
    callsPerS: number(values['calls-per-s']),
    registersPerS: number(values['registers-per-s']),
    profiles: values.profiles,
  });
} catch (error) {
  say(`could not be finished: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exitCode = 1;
  outcome = { checks: [], figures: { problem: error instanceof Error ? error.message : String(error) } };
} finally {
  if (process.env.KEEP_STUDY === undefined) scratch.remove();
  else say(`kept: ${scratch.path}`);
}
for (const { what, figure, aim, isMet } of outcome.checks)
  process.stdout.write(`${isMet ? 'met    ' : 'MISSED '} ${what}: ${figure} (${aim})\n`);
if (outcome.checks.length === 0 || outcome.checks.some(({ isMet }) => !isMet)) process.exitCode = 1;
if (values.result === undefined) process.stdout.write(`${JSON.stringify(outcome.figures, undefined, 2)}\n`);
else writeFileSync(values.result, JSON.stringify(outcome));
