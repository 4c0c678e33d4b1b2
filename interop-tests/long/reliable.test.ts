import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { lacking } from '../src/peers.ts';
import { sipp, sippPhone } from '../src/sipp.ts';
import { SippUsers } from '../src/sipp-users.ts';
import type { System } from '../src/system.ts';

const skip = lacking('sipp');
const PHONE_PORT = 38_062;
const CALLS = 30;

let users: SippUsers;
let system: System;

before(async () => {
  if (skip) return;
  users = await SippUsers.start();
  system = users.system;
});

after(() => users?.stop());

test(`${2 * CALLS} calls of two SIPp phones with 100rel: early media acknowledged and changed before the answer`, {
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
  await using _phone = await sippPhone(PHONE_PORT, users.folder, 'reliable-phone.xml');
  for (const need of ['Supported', 'Require']) {
    const run = await sipp({
      ...users.as('tester'),
      scenario: 'reliable-caller.xml',
      replace: { TARGET: 'desk', NEED: need },
      calls: CALLS,
      ratePerS: 15,
      timeoutS: 40,
    });
    assert.equal(run.failed, 0, run.output);
    assert.equal(run.successful, CALLS, run.output);
  }
  const metrics = await system.metrics('signaling');
  assert.equal(metrics.sip_call_answered_total, 2 * CALLS);
  assert.equal(metrics.sip_call_no_prack_total, 0);
  assert.equal(metrics.sip_call_prack_failed_total, 0);
  await system.assertNothingLingers();
});
