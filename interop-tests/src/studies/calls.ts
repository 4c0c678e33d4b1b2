import { DatabaseSync } from 'node:sqlite';
import { System } from '../system.ts';
import { INSPECTABLE, Inspected } from './inspected.ts';
import { addAccounts, type LoadResult, load, phones } from './load.ts';
import { descriptorsOf, freePort, place } from './process.ts';
import { atMost, exactly, type Outcome, rounded, type Study, type StudyOptions } from './study.ts';

/** Calls whose heap use is no measure yet: code is compiled, and the last 10,000 events (four a call) fill their ring. */
const WARM_UP = 2600;
/** What is remembered of a used nonce for ten minutes, so that it is not good twice. */
const NONCE_BYTES = 200;
const USERS = 20;
const HOLD_MS = 1000;
/** No failure in so many calls: fewer than one in 10,000 fails, with 95 % confidence (3/n). */
const CALLS = 30_000;
const RATE_PER_S = 50;

export const calls: Study = {
  words: '30,000 calls in a row: none fails, each has its record, nothing is left over',
  run: async (options) => {
    const count = options.seconds === undefined ? CALLS : Math.ceil(options.seconds * RATE_PER_S);
    const ratePerS = options.callsPerS ?? RATE_PER_S;
    const warmUp = Math.min(WARM_UP, count);
    const result = await callsInARow({ ...options, count, ratePerS, warmUp, withSound: true, isPinned: true });
    const { before, after } = result.heap;
    const grown = after.bytes - before.bytes - (after.nonces - before.nonces) * NONCE_BYTES;
    const check = atMost(
      'heap after collection, more than before, used nonces apart, %',
      (grown / before.bytes) * 100,
      5,
    );
    return { checks: [...result.checks, check], figures: result.figures };
  },
};

/** Calls of authenticated SIPp callers to registered SIPp phones, with media of both sides through the relay. */
export async function callsInARow(
  o: StudyOptions & {
    readonly count: number;
    readonly ratePerS: number;
    readonly warmUp: number;
    readonly withSound: boolean;
    /** Signalling has a processor for itself, and all of it first. */
    readonly isPinned: boolean;
  },
): Promise<Outcome & { heap: { before: Heap; after: Heap } }> {
  await using system = await System.start({ folder: o.folder, env: INSPECTABLE });
  const callers = await addAccounts(system, 'caller', USERS);
  const callees = await addAccounts(system, 'phone', USERS);
  if (o.isPinned) await place(system);
  const { pid } = await system.status('signaling');
  await using _phones = await phones({ system, folder: o.folder, users: callees, port: await freePort() });
  const run = (count: number): Promise<LoadResult> =>
    load({
      ...{ system, folder: o.folder, callers, callees, calls: count, ratePerS: o.ratePerS, holdMs: HOLD_MS },
      ...{ withSound: o.withSound, say: o.say },
    });
  let failedBefore = 0;
  if (o.warmUp > 0) {
    o.say(`${o.warmUp} calls to warm up`);
    failedBefore = (await run(o.warmUp)).failed;
    await system.assertNothingLingers();
  }
  const inspected = await Inspected.open(system, 'signaling');
  try {
    const now = async () => {
      const { heapBytes: bytes, rssBytes } = await inspected.memory();
      const { sip_nonces_used: nonces } = await system.metrics('signaling');
      return { bytes, rssBytes, nonces: nonces!, descriptors: descriptorsOf(pid) };
    };
    const before = await now();
    const records = recordsIn(system.database);
    const packets = async () => (await system.metrics('media-relay-0')).offhook_media_packets_forwarded_total!;
    const packetsBefore = await packets();
    o.say(`${o.count} calls, ${o.ratePerS} a second`);
    const result = await run(o.count);
    const packetsPerCall = ((await packets()) - packetsBefore) / o.count;
    o.say('waiting for the last timers (32 s)');
    await system.assertNothingLingers();
    const after = await now();
    const figures = await system.metrics('signaling');
    const recordsAfter = recordsIn(system.database);
    return {
      heap: { before, after },
      checks: [
        exactly('calls that failed', result.failed + failedBefore, 0),
        exactly('calls that succeeded', result.successful, o.count),
        exactly('call records', recordsAfter.all - records.all, o.count),
        exactly('call records of answered calls', recordsAfter.answered - records.answered, o.count),
        exactly('internal errors', figures.sip_internal_errors_total!, 0),
        atMost('descriptors more than before', (await fewest(pid, before.descriptors)) - before.descriptors, 0),
      ],
      figures: {
        ...result,
        seconds: rounded(result.seconds),
        failureRateBelowAt95Percent: result.failed === 0 ? 3 / result.successful : undefined,
        ratePerS: o.ratePerS,
        holdMs: HOLD_MS,
        usedNonces: after.nonces - before.nonces,
        packetsForwardedPerCall: rounded(packetsPerCall),
        heapMiB: [before.bytes, after.bytes].map((bytes) => rounded(bytes / 2 ** 20)),
        rssMiB: [before.rssBytes, after.rssBytes].map((bytes) => rounded(bytes / 2 ** 20)),
        // `assertNothingLingers` has thrown otherwise.
        leftOver: 'no dialog, transaction, call or port at the relay, UDP socket',
      },
    };
  } finally {
    inspected.close();
  }
}

interface Heap {
  readonly bytes: number;
  readonly nonces: number;
}

function recordsIn(path: string): { all: number; answered: number } {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    const row = db.prepare('SELECT count(DISTINCT id) AS total, count(answered_at) AS answered FROM cdr').get()!;
    return { all: Number(row.total), answered: Number(row.answered) };
  } finally {
    db.close();
  }
}

/** The fewest descriptors within some seconds: whoever watches over a part asks it now and then, over one more. */
async function fewest(pid: number, enough: number): Promise<number> {
  let least = descriptorsOf(pid);
  for (let tries = 0; least > enough && tries < 50; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    least = Math.min(least, descriptorsOf(pid));
  }
  return least;
}
