// One case by itself: `node media-relay/src/congestion/study/main.ts <case> [--seeds n] [--result file] [--plots folder]`.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CASES, type Check } from './cases.ts';
import { tracePlot } from './trace.ts';
import { meanBps } from './world.ts';

const SEED = 1;
/** Figures are told for so many seeds; plots are of the first. */
const SEEDS = '3';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: SEEDS },
    result: { type: 'string' },
    plots: { type: 'string', default: 'prove-results/congestion' },
  },
});
const [name] = positionals;
const chosen = name !== undefined && Object.hasOwn(CASES, name) ? CASES[name] : undefined;
if (!chosen || name === undefined) {
  const list = Object.entries(CASES).map(([known, { title }]) => `  ${known.padEnd(20)} ${title}\n`);
  process.stderr.write(
    `usage: node media-relay/src/congestion/study/main.ts <case> [--seeds n] [--result file] [--plots folder]\n\n${list.join('')}`,
  );
  process.exit(2);
}

const checks: Check[] = [];
const rates: Record<string, unknown> = {};
for (let seed = SEED; seed < SEED + Number(values.seeds); seed++) {
  const world = chosen.run(seed);
  checks.push(...chosen.checks(world).map((check) => ({ ...check, what: `${name}, seed ${seed}: ${check.what}` })));
  rates[`seed ${seed}`] = Object.fromEntries(
    world.curves.map((curve) => [curve.name, Math.round(meanBps(curve.receivedBps, 0, chosen.seconds))]),
  );
  if (seed === SEED) writePlot(tracePlot(chosen.title, world, chosen.seconds));
}
for (const { what, figure, aim, isMet } of checks)
  process.stdout.write(`${isMet ? 'met    ' : 'MISSED '} ${what}: ${figure} (${aim})\n`);
if (checks.some(({ isMet }) => !isMet)) process.exitCode = 1;
const outcome = { checks, figures: { seconds: chosen.seconds, meanReceivedBps: rates } };
if (values.result !== undefined) writeFileSync(values.result, JSON.stringify(outcome));
writeFileSync(join(values.plots, `${name}.json`), JSON.stringify({ title: chosen.title, checks }));
writeIndex();

function writePlot(svg: string): void {
  mkdirSync(values.plots, { recursive: true });
  writeFileSync(join(values.plots, `${name}.svg`), svg);
}

/** All cases that were ever run here, so that each may be run by itself. */
function writeIndex(): void {
  const sections = Object.keys(CASES)
    .filter((known) => readdirSync(values.plots).includes(`${known}.json`))
    .map((known) => {
      const { title, checks: told } = JSON.parse(readFileSync(join(values.plots, `${known}.json`), 'utf8')) as {
        title: string;
        checks: Check[];
      };
      const rows = told.map(
        ({ what, figure, aim, isMet }) =>
          `<tr><td>${what}</td><td>${figure}</td><td>${aim}</td><td>${isMet ? 'met' : '<b>missed</b>'}</td></tr>`,
      );
      return `<h2>${title}</h2><img src="${known}.svg" alt="${title}"><table>${rows.join('')}</table>`;
    });
  const style = 'body{font:14px sans-serif;margin:2em}td{padding:.1em .8em;border-bottom:1px solid #ddd}';
  const page = `<!doctype html><meta charset="utf-8"><title>Rate adaptation</title><style>${style}</style><h1>Rate adaptation in the virtual network, after RFC 8867</h1>${sections.join('\n')}\n`;
  writeFileSync(join(values.plots, 'index.html'), page);
}
