import { parseArgs } from 'node:util';
import { nodeCrypto } from '@offhook/core/node';
import { reportTable, setupUnderLoss } from './setup-loss/index.ts';

const USAGE = `usage: node network-lab/src/main.ts setup-loss [--calls 1000] [--loss 0.2] [--seed 1] [--delay 20] [--json]

  setup-loss   calls to the echo (600) while datagrams are lost both ways, in virtual time:
               how many are set up within timer B (32 s), and how long it takes
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    calls: { type: 'string', default: '1000' },
    loss: { type: 'string', default: '0.2' },
    seed: { type: 'string', default: '1' },
    delay: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false },
  },
});

const problems: string[] = [];
const number = (name: 'calls' | 'loss' | 'seed' | 'delay', least: number, most: number): number => {
  const value = Number(values[name]);
  if (values[name].trim() === '' || !(value >= least && value <= most))
    problems.push(`--${name} has to be a number from ${least} to ${most}`);
  return value;
};
const calls = number('calls', 1, 100_000);
const loss = number('loss', 0, 0.9);
const seed = number('seed', 0, 0xffffffff);
const delayMs = number('delay', 0, 5000);
if (positionals.length !== 1 || positionals[0] !== 'setup-loss') problems.push('the scenario is missing or unknown');
if (problems.length > 0) {
  process.stderr.write(`${problems.join('\n')}\n\n${USAGE}`);
  process.exit(2);
}
const report = await setupUnderLoss({ calls, loss, seed, delayMs, crypto: nodeCrypto });
process.stdout.write(values.json ? `${JSON.stringify(report, undefined, 2)}\n` : reportTable(report));
process.exitCode = report.inTime === calls ? 0 : 1;
