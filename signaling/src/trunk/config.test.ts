import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trunkConfigProblems } from './config.ts';
import { BY_ADDRESS, REGISTERING } from './test-kit.ts';

test('what is right has no problem', () => {
  assert.deepEqual(trunkConfigProblems(undefined), []);
  assert.deepEqual(trunkConfigProblems({ a: REGISTERING, b: BY_ADDRESS }), []);
});

test('everything that is wrong is told at once', () => {
  const problems = trunkConfigProblems({
    'no name': REGISTERING,
    p: {
      targets: ['sip:user:pw@host', 'tel:1', 7],
      register: { user: 'a b', password: 'x', passwordFile: 'y', expiresS: 5 },
      identity: 'x',
      numbers: { country: 'de' },
      dids: { bob: 'bob' },
      inbound: { from: ['10.0.0.1/8'] },
      maxCalls: 0,
      optionsS: 1,
      tls: { cert: 'c', verify: 'x' },
    },
    q: { targets: [] },
    r: 3,
  });
  const wanted = [
    /^trunks: 'no name' is no name/,
    /^trunks\.p\.targets: 'sip:…@host' is no URI/,
    /^trunks\.p\.targets: 'tel:1'/,
    /^trunks\.p\.targets: '7'/,
    /^trunks\.p\.identity: one of/,
    /^trunks\.p\.register\.user: a word/,
    /^trunks\.p\.register\.password or passwordFile: one of both/,
    /^trunks\.p\.register\.expiresS/,
    /^trunks\.p\.numbers\.country/,
    /^trunks\.p\.dids: 'bob' is no number/,
    /^trunks\.p\.inbound\.from: '10\.0\.0\.1\/8'/,
    /^trunks\.p\.maxCalls: a number from 1/,
    /^trunks\.p\.optionsS/,
    /^trunks\.p\.tls\.verify/,
    /^trunks\.p\.tls\.cert/,
    /^trunks\.q\.targets: the provider/,
    /^trunks\.q\.callerId: needed/,
    /^trunks\.r: an object/,
  ];
  for (const [i, words] of wanted.entries()) assert.match(problems[i] ?? '', words);
  assert.equal(problems.length, wanted.length, problems.join('\n'));
});

test('nothing that a file may hold throws', () => {
  for (const junk of [
    null,
    [],
    'x',
    3,
    { p: null },
    { p: { targets: 'x', register: 3, dids: [], numbers: 1, inbound: 7 } },
    { p: { targets: [{}], register: {}, dids: { '+1': null }, inbound: { from: 'x' }, tls: 3 } },
  ])
    assert.ok(Array.isArray(trunkConfigProblems(junk)));
});
