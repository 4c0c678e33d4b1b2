// `npm run prove -- recovery`: one minute of sound at 5, 10 and 20 % random and bursty loss, with RED and NACK on and off.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Row, row, TREATMENTS } from './study.ts';

const { values } = parseArgs({ allowPositionals: true, options: { result: { type: 'string' } } });
/** Minutes of each row; more where an aim is close to what theory promises. */
const MINUTES = 20;
const AIM_MINUTES = 200;

const AIMS = [
  { treatment: 'RED {1}', loss: 0.1, burst: undefined, limit: 1.1 },
  { treatment: 'RED {2,4}', loss: 0.1, burst: 3, limit: 2.2 },
];

const isAim = (treatment: string, loss: number, burst: number | undefined) =>
  AIMS.find((a) => a.treatment === treatment && a.loss === loss && a.burst === burst);

const rows: Row[] = [];
for (const loss of [0.05, 0.1, 0.2]) {
  for (const burst of [undefined, 3]) {
    for (const [name, treatment] of Object.entries(TREATMENTS)) {
      const minutes = isAim(name, loss, burst) ? AIM_MINUTES : MINUTES;
      const one = row(name, treatment, { loss, burst, minutes });
      rows.push(one);
      const path = `${loss * 100} % ${burst === undefined ? 'random' : `in bursts of ${burst}`}`;
      process.stdout.write(
        `${path.padEnd(20)} ${name.padEnd(20)} ${one.lostPercent} % -> ${one.residualPercent} % [${one.range.join('–')}], bytes × ${one.bandwidth}\n`,
      );
    }
  }
}

const checks = AIMS.map(({ treatment, loss, burst, limit }) => {
  const figure = rows.find((r) => r.treatment === treatment && r.loss === loss && r.burst === burst)!.residualPercent;
  const path = burst === undefined ? 'random' : `in bursts of ${burst}`;
  return {
    what: `residual loss of ${loss * 100} % ${path} with ${treatment}, percent`,
    figure,
    aim: `at most ${limit}`,
    isMet: figure <= limit,
  };
});
const twice = rows.reduce((sum, r) => sum + r.twice, 0);
checks.push({ what: 'packets delivered twice', figure: twice, aim: 'exactly 0', isMet: twice === 0 });
for (const { what, figure, aim, isMet } of checks) {
  process.stdout.write(`${isMet ? 'met   ' : 'missed'} ${what}: ${figure}, ${aim}\n`);
}
if (values.result) writeFileSync(values.result, JSON.stringify({ checks, figures: { rows } }, undefined, 2));
if (!checks.every(({ isMet }) => isMet)) process.exitCode = 1;
