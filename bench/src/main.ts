import { comparePacketLoops } from './packet-loop/compare.ts';
import { compareRelays } from './relay/compare.ts';
import { compareSignaling } from './signaling/compare.ts';
import { compareTurn } from './turn/compare.ts';

const benches: Readonly<Record<string, { readonly about: string; readonly run: (args: string[]) => Promise<void> }>> = {
  'packet-loop': {
    about: 'CPU per forwarded packet of an event loop, a gathering event loop and a thread of its own: [rounds]',
    run: comparePacketLoops,
  },
  relay: {
    about: 'CPU, packets/s, latency and memory of the media relay beside rtpengine: [--rounds n] [--json] [--help]',
    run: compareRelays,
  },
  signaling: {
    about: 'CPU, set-up time and memory of signalling beside Kamailio: [--rounds n] [--json] [--help]',
    run: compareSignaling,
  },
  turn: {
    about: 'CPU, packets/s, latency and memory of the TURN server beside coturn: [--rounds n] [--json] [--help]',
    run: compareTurn,
  },
};

const [name, ...args] = process.argv.slice(2);
const bench = name !== undefined && Object.hasOwn(benches, name) ? benches[name] : undefined;
const list = Object.entries(benches).map(([known, { about }]) => `  ${known}  ${about}\n`);
const usage = `usage: npm run bench -- <name>\n${list.join('')}`;
if (bench) await bench.run(args);
else if (name === '--help' || name === '-h') process.stdout.write(usage);
else {
  process.stderr.write(`${name === undefined ? '' : `'${name}' is no bench\n`}${usage}`);
  process.exitCode = 2;
}
