import { comparePacketLoops } from './packet-loop/compare.ts';
import { compareSignaling } from './signaling/compare.ts';

const benches: Readonly<Record<string, { readonly about: string; readonly run: (args: string[]) => Promise<void> }>> = {
  'packet-loop': {
    about: 'CPU per forwarded packet of an event loop, a gathering event loop and a thread of its own: [rounds]',
    run: comparePacketLoops,
  },
  signaling: {
    about: 'CPU, set-up time and memory of signalling beside Kamailio: [--rounds n] [--json] [--help]',
    run: compareSignaling,
  },
};

const [name, ...args] = process.argv.slice(2);
const bench = name === undefined ? undefined : benches[name];
if (bench) await bench.run(args);
else {
  process.stderr.write('usage: npm run bench -- <name>\n');
  for (const [known, { about }] of Object.entries(benches)) process.stderr.write(`  ${known}  ${about}\n`);
  process.exitCode = 2;
}
