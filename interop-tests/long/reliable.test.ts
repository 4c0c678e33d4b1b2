import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { lacking } from '../src/peers.ts';
import { sipp, sippPhone } from '../src/sipp.ts';
import { System, scratchFolder } from '../src/system.ts';

const skip = lacking('sipp');
const PHONE_PORT = 38_062;
const CALLS = 30;

const folder = scratchFolder();
let system: System;

before(async () => {
  if (skip) return;
  system = await System.start({ folder: folder.path });
  await system.addUser('tester', 'correct-Horse-7');
  await system.addUser('desk', 'correct-Horse-8');
});

after(async () => {
  await system?.stop();
  folder.remove();
});

const as = (user: string, password: string) => ({
  folder: folder.path,
  server: `127.0.0.1:${system.ports.udp}`,
  user,
  password,
  domain: system.domain,
});

test(`${2 * CALLS} calls of two SIPp phones with 100rel: early media acknowledged and changed before the answer`, {
  skip,
}, async () => {
  const registered = await sipp({
    ...as('desk', 'correct-Horse-8'),
    scenario: 'register.xml',
    replace: { EXPIRES: '600', EXPECTED: '200' },
    calls: 1,
    port: PHONE_PORT,
  });
  assert.equal(registered.failed, 0, registered.output);
  await using _phone = await sippPhone(PHONE_PORT, folder.path, 'reliable-phone.xml');
  for (const need of ['Supported', 'Require']) {
    const run = await sipp({
      ...as('tester', 'correct-Horse-7'),
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
