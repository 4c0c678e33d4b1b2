import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { lacking } from './src/peers.ts';
import { sipp, sippPhone } from './src/sipp.ts';
import { SippUsers } from './src/sipp-users.ts';
import { type System, waitUntil } from './src/system.ts';

const skip = lacking('sipp');
const CALLS = 50;
const PHONE_PORT = 38_060;

let users: SippUsers;
let system: System;

before(async () => {
  if (skip) return;
  users = await SippUsers.start();
  system = users.system;
});

after(() => users?.stop());

interface Cdr {
  readonly to: string;
  readonly status: number;
  readonly reason: string;
  readonly answeredAt: number;
  readonly endedAt: number;
}

async function cdrs(to: string): Promise<Cdr[]> {
  const page = await system.verb('signaling', 'cdrs', { user: 'tester', to, limit: 500 });
  return (page as { records: Cdr[] }).records;
}

/** Calls that are up when signalling is killed; the phones go on afterwards as if nothing had been. */
async function acrossTheDeath(target: string, change: string): Promise<void> {
  const calls = sipp({
    ...users.as('tester'),
    scenario: 'held-call.xml',
    replace: { TARGET: target, HOLD: '9000', CHANGE: change },
    calls: CALLS,
    ratePerS: 25,
    timeoutS: 60,
  });
  await waitUntil(`${CALLS} calls are up`, async () => {
    const metrics = await system.metrics('signaling');
    return (
      metrics.sip_calls === CALLS && metrics.sip_journal_waiting === 0 && metrics.sip_call_answered_total! >= CALLS
    );
  });
  // An ACK may still be on its way; the journal writes each 20 ms.
  await new Promise((resolve) => setTimeout(resolve, 500));
  await system.killPart('signaling');
  await system.waitForPart('signaling');
  assert.equal((await system.metrics('signaling')).sip_call_restored_total, CALLS);
  const run = await calls;
  assert.equal(run.failed, 0, run.output);
  assert.equal(run.successful, CALLS, run.output);
  await system.assertNothingLeft();
  const records = await cdrs(target);
  assert.equal(records.length, CALLS, 'one record for each call');
  for (const cdr of records) {
    assert.equal(cdr.status, 200, cdr.reason);
    const talkedMs = cdr.endedAt - cdr.answeredAt;
    assert.ok(talkedMs > 8000 && talkedMs < 20_000, `${talkedMs} ms are told for a call of nine seconds`);
  }
}

test(
  `kill -9 of signalling with ${CALLS} calls to the echo up: each can be changed and ended afterwards, with one record`,
  {
    skip,
  },
  () => acrossTheDeath('600', readFileSync(new URL('./scenarios/change.part.xml', import.meta.url), 'utf8')),
);

test(`kill -9 of signalling with ${CALLS} calls between two phones up: the BYE of each reaches the other side, with one record`, {
  skip,
}, async () => {
  const registered = await sipp({
    ...users.as('desk'),
    scenario: 'register.xml',
    replace: { EXPIRES: '600', EXPECTED: '200' },
    calls: 1,
    port: PHONE_PORT,
  });
  assert.equal(registered.failed, 0, registered.output);
  await using _phone = await sippPhone(PHONE_PORT, users.folder);
  await acrossTheDeath('desk', '');
  assert.equal((await system.status('signaling')).details.registrations, 1, 'its contact was remembered too');
});
