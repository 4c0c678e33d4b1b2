// What `npm run prove` can prove, and how its command line is read. Plain JavaScript on whatever Node there is, without any dependency.
// A part is made of test files, or of studies: programs that end with figures (interop-tests/src/studies, or the part's own).
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const models = ['transaction/model', 'registrar/model', 'call/model', 'call/disorder', 'call/reliable-random'];

/** What each part runs, and how often its random histories are played. */
export const PARTS = {
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

const STUDIES = ['signaling', 'relay', 'turn'];

/** What studies may be told beside their names, and those of which parts. */
const OPTIONS = {
  seconds: { words: 'so long for each phase or step, instead of what proves something', parts: STUDIES },
  minutes: { words: 'the same in minutes', parts: STUDIES },
  'calls-per-s': {
    words: 'where the search for the rate begins; how many calls are made in the other studies',
    parts: STUDIES,
  },
  'registers-per-s': { words: 'the same of REGISTERs', parts: STUDIES },
  seeds: { words: 'so many worlds of chance for each case, instead of 3', parts: ['congestion'] },
};
const MOST = 1_000_000;

/** The command line: what to prove, or what is wrong with it in words; `help` asks for the page of help. */
export function readArguments(args) {
  const { tokens } = parseArgs({
    args,
    allowPositionals: true,
    strict: false,
    tokens: true,
    options: Object.fromEntries(Object.keys(OPTIONS).map((name) => [name, { type: 'string' }])),
  });
  const wanted = tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : []));
  const options = tokens.filter(({ kind }) => kind === 'option');
  if (options.some(({ name }) => name === 'help' || name === 'h')) return { help: true };
  const problems = [
    ...wanted.filter((name) => !isKnown(name)).map((name) => `'${name}' is no part, and no study of one`),
    ...options.flatMap((option) => optionProblem(option, wanted) ?? []),
  ];
  if (problems.length === 0 && wanted.length === 0) problems.push('nothing is named that is to be proved');
  if (problems.length > 0) return { problems };
  return { wanted, values: Object.fromEntries(options.map(({ name, value }) => [name, value])) };
}

function isKnown(name) {
  const [part, study] = name.split(':');
  return Object.hasOwn(PARTS, part) && (study === undefined || Object.hasOwn(PARTS[part].studies ?? {}, study));
}

function optionProblem({ name, rawName, value }, wanted) {
  if (!Object.hasOwn(OPTIONS, name)) return `'${rawName}' is no option`;
  if (!/^\d{1,7}(\.\d{1,3})?$/.test(value ?? '') || Number(value) === 0 || Number(value) > MOST)
    return `${rawName} needs a number above 0, not ${value === undefined ? 'nothing' : `'${value}'`}`;
  const { parts } = OPTIONS[name];
  const other = wanted.find((one) => isKnown(one) && !parts.includes(one.split(':')[0]));
  return other === undefined ? undefined : `${rawName} says nothing to ${other}: it is for ${parts.join(', ')}`;
}

export function help() {
  const line = (name, words) => `  ${name.padEnd(18)} ${words}\n`;
  const parts = Object.entries(PARTS).flatMap(([name, { words, studies = {} }]) => [
    line(name, words),
    ...Object.entries(studies).map(([study, about]) => line(`${name}:${study}`, about)),
  ]);
  const options = Object.entries(OPTIONS).map(([name, { words, parts }]) =>
    line(`--${name} <n>`, `${words} (${parts.join(', ')})`),
  );
  return `npm run prove -- <part> …; the result is prove-results/<part>.json\n\n${parts.join('')}\nStudies take:\n${options.join('')}`;
}
