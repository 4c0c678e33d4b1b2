import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { lacking } from './src/peers.ts';
import { alawPcap, sipp } from './src/sipp.ts';
import { System, scratchFolder } from './src/system.ts';

const skip = lacking('sipp');

const folder = scratchFolder();
let system: System;
const user = 'tester';
const password = 'correct-Horse-7';

before(async () => {
  if (skip) return;
  system = await System.start({ folder: folder.path });
  await system.addUser(user, password);
});

after(async () => {
  await system?.stop();
  folder.remove();
});

const common = () => ({
  folder: folder.path,
  server: `127.0.0.1:${system.ports.udp}`,
  user,
  password,
  domain: system.domain,
});

test('200 SIPp calls to the echo with G.711 media: none fails, media comes back', { skip }, async () => {
  const before = await system.metrics('media-relay-0');
  const run = await sipp({
    ...common(),
    scenario: 'echo-with-media.xml',
    replace: { PCAP: alawPcap() },
    calls: 200,
    ratePerS: 20,
  });
  assert.equal(run.failed, 0, run.output);
  assert.equal(run.successful, 200, run.output);
  assert.equal(run.code, 0, run.output);
  const later = await system.metrics('media-relay-0');
  const forwarded = 'offhook_media_packets_forwarded_total';
  const packets = later[forwarded]! - before[forwarded]!;
  // The recording has a packet each 30 ms: 66 in two seconds.
  assert.ok(packets > 200 * 60, `only ${packets} packets were sent back in 200 calls of two seconds`);
  await system.assertNothingLingers();
});

for (const transport of ['u1', 't1'] as const) {
  test(`REGISTER with digest over ${transport === 'u1' ? 'UDP' : 'TCP'} is accepted and can be taken back`, {
    skip,
  }, async () => {
    const server = `127.0.0.1:${transport === 'u1' ? system.ports.udp : system.ports.tcp}`;
    const run = await sipp({
      ...common(),
      server,
      transport,
      scenario: 'register.xml',
      replace: { EXPIRES: '60', EXPECTED: '200' },
      calls: 5,
    });
    assert.equal(run.failed, 0, run.output);
    const gone = await sipp({
      ...common(),
      server,
      transport,
      scenario: 'register.xml',
      replace: { EXPIRES: '0', EXPECTED: '200' },
      calls: 1,
    });
    assert.equal(gone.failed, 0, gone.output);
  });
}

test('a wrong password is challenged again, never accepted', { skip }, async () => {
  const run = await sipp({
    ...common(),
    password: 'wrong',
    scenario: 'register.xml',
    replace: { EXPIRES: '60', EXPECTED: '401' },
    calls: 1,
  });
  assert.equal(run.failed, 0, run.output);
});

test('an unknown user gets the same answer as a wrong password', { skip }, async () => {
  const run = await sipp({
    ...common(),
    user: 'nobody',
    scenario: 'register.xml',
    replace: { EXPIRES: '60', EXPECTED: '401' },
    calls: 1,
  });
  assert.equal(run.failed, 0, run.output);
});
