import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BY_ADDRESS, good, Provider, REGISTERING, type Reply, trunkStage } from './test-kit.ts';

const WATCHED = { ...BY_ADDRESS, optionsS: 30 };

function watched(reply: () => Reply | undefined) {
  const provider = new Provider('192.0.2.1', () => reply());
  return { provider, s: trunkStage({ p: WATCHED }, { 'one.example': [provider] }) };
}

for (const status of [200, 404, 405, 407, 500, 603])
  test(`${status} to OPTIONS says that the target is up`, () => {
    const { provider, s } = watched(() => ({ status }));
    s.advance(100_000);
    assert.ok(provider.of('OPTIONS').length >= 3);
    assert.equal(s.status().isUp, true);
    s.stop();
  });

for (const [what, reply] of [
  ['503', { status: 503 }],
  ['408', { status: 408 }],
  ['silence', undefined],
] as const)
  test(`${what} twice says down, once says nothing, the first answer says up`, () => {
    let now: Reply | undefined = reply;
    const { provider, s } = watched(() => now);
    s.advance(27_000);
    assert.equal(new Set(provider.of('OPTIONS').map((m) => m.callId)).size, 1);
    assert.equal(s.status().isUp, true);
    s.advance(80_000);
    assert.equal(s.status().isUp, false);
    assert.match(s.status().why, /sip:one.example is down: sip:one.example (answers|does not answer)/);
    const dialled = s.core.trunks.dial(
      { trunk: 'p', number: '030123', caller: { user: 'bob', payer: 'bob', isPrivate: false } },
      s.clock.now,
    );
    assert.ok('status' in dialled && dialled.status === 503);
    assert.match(dialled.words, /no target of trunk 'p' is up/);
    now = { status: 200 };
    s.advance(70_000);
    assert.equal(s.status().isUp, true);
    s.stop();
  });

test('one lost answer in between keeps it up', () => {
  let count = 0;
  const { s } = watched(() => (count++ % 2 === 0 ? { status: 503 } : { status: 200 }));
  for (let i = 0; i < 100; i++) {
    s.advance(10_000);
    assert.equal(s.status().isUp, true);
  }
  s.stop();
});

test('a target is up as long as one of its addresses answers', () => {
  const dead = new Provider('192.0.2.1', () => ({ status: 503 }));
  const alive = new Provider('192.0.2.2', () => ({ status: 200 }));
  const s = trunkStage({ p: WATCHED }, { 'one.example': [dead, alive] });
  s.advance(120_000);
  assert.equal(s.status().isUp, true);
  assert.ok(alive.of('OPTIONS').length >= 3);
  s.stop();
});

test('what can’t be found is down, in the words of who looked', () => {
  const s = trunkStage({ p: WATCHED }, {});
  s.advance(70_000);
  assert.match(s.status().why, /there is no \(other\) address/);
  s.stop();
});

test('optionsS 0: nothing is asked, and the target is always up', () => {
  const provider = new Provider('192.0.2.1', () => undefined);
  const s = trunkStage({ p: BY_ADDRESS }, { 'one.example': [provider] });
  s.advance(1_000_000);
  assert.equal(provider.seen.length, 0);
  assert.equal(s.status().isUp, true);
  s.stop();
});

test('the registrar goes down: registered with the next target at once; it comes back where none was left: at once', () => {
  const first = new Provider('192.0.2.1', good);
  const second = new Provider('192.0.2.2', good);
  const config = { ...REGISTERING, targets: ['sip:one.example', 'sip:two.example'], optionsS: 30 };
  const s = trunkStage({ p: config }, { 'one.example': [first], 'two.example': [second] });
  assert.equal(first.of('REGISTER').length, 1);
  first.script = () => ({ status: 503 });
  s.advance(80_000);
  assert.equal(second.of('REGISTER').length, 1);
  assert.equal(s.status().isUp, true);
  second.script = () => ({ status: 503 });
  s.advance(700_000);
  assert.equal(s.status().isUp, false);
  first.script = good;
  const before = first.of('REGISTER').length;
  s.advance(40_000);
  assert.ok(first.of('REGISTER').length > before);
  assert.equal(s.status().isUp, true);
  s.stop();
});
