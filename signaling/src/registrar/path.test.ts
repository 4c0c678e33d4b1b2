import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registrar } from './index.ts';
import { rerouted } from './path.ts';
import { flow, register } from './testkit.ts';

const CONTACT = ['<sip:a@x.invalid;transport=ws>'];
const EDGE = '<sip:token1@192.0.2.7;lr;ob>';
const INNER = '<sip:inner.example.test;lr>';
const EDGES = { isEdge: (address: string) => address === '127.0.0.1' };

test('a binding keeps the Path of its REGISTER in order, the answer tells it (RFC 3327 5.3)', () => {
  const r = new Registrar();
  const answer = r.handleRegister(
    register(CONTACT, { path: [`${INNER}, ${EDGE}`, '<sip:third@192.0.2.9;lr>'], supported: 'path' }),
    flow(1),
    'alice',
    0,
  );
  assert.equal(answer.status, 200);
  assert.deepEqual(answer.values('path'), [INNER, EDGE, '<sip:third@192.0.2.9;lr>']);
  assert.deepEqual(r.lookup('alice', 0)[0]?.path, [INNER, EDGE, '<sip:third@192.0.2.9;lr>']);
  const refresh = r.handleRegister(register(CONTACT, { path: [EDGE], supported: 'path' }), flow(1), 'alice', 1);
  assert.deepEqual(refresh.values('path'), [EDGE]);
  assert.deepEqual(r.lookup('alice', 1)[0]?.path, [EDGE], 'the newest Path counts');
  r.handleRegister(register(CONTACT), flow(1), 'alice', 2);
  assert.deepEqual(r.lookup('alice', 2)[0]?.path, [], 'none any more');
});

test('a Path that the phone did not ask for is refused with 420, unless it is of an edge of ours (RFC 3327 5.3)', () => {
  const table: readonly (readonly [options: object, over: object, status: number, echoed: string[]])[] = [
    [{}, {}, 420, []],
    [{}, { supported: 'gruu, outbound' }, 420, []],
    [{}, { supported: 'gruu, PATH' }, 200, [EDGE]],
    [{}, { headers: [['Require', 'path']] }, 200, [EDGE]],
    [EDGES, {}, 200, []],
    [EDGES, { supported: 'path' }, 200, [EDGE]],
  ];
  for (const [options, over, status, echoed] of table) {
    const r = new Registrar(options);
    const answer = r.handleRegister(register(CONTACT, { path: [EDGE], ...over }), flow(1), 'alice', 0);
    assert.equal(answer.status, status, JSON.stringify(over));
    assert.deepEqual(answer.values('path'), echoed);
    assert.equal(answer.header('unsupported'), status === 420 ? 'path' : undefined);
    assert.equal(r.size, status === 200 ? 1 : 0);
  }
});

test('a Path is at most 32 loose routes of 1024 characters; all else is refused and changes nothing', () => {
  const r = new Registrar();
  const ask = (path: string[]) =>
    r.handleRegister(register(CONTACT, { path, supported: 'path' }), flow(1), 'alice', 0).status;
  const many = (n: number) => Array.from({ length: n }, (_, i) => `<sip:p${i}.example.test;lr>`);
  for (const bad of [
    many(33),
    ['<sip:strict.example.test>'],
    ['sip:bare.example.test;lr'],
    ['<tel:+1;lr>'],
    ['<sip:p.example.test;lr?Route=x>'],
    ['rubbish'],
    ['<sip:p.example.test;lr'],
    [`<sip:${'x'.repeat(1020)}@p;lr>`],
  ])
    assert.equal(ask(bad), 400, bad[0]);
  assert.equal(r.size, 0);
  assert.equal(ask(many(32)), 200);
});

test('the routes of an edge give way to the new Path, whatever its Record-Route looked like', () => {
  const double = ['<sip:192.0.2.7;transport=ws;r2=on;lr>', '<sip:192.0.2.7;r2=on;lr;ftag=1>'];
  const next = ['<sip:token2@192.0.2.7;lr;ob>'];
  const table: readonly (readonly [string[], string[], string[] | undefined, readonly string[] | undefined])[] = [
    [[EDGE], next, [EDGE], next],
    [double, next, [EDGE], next],
    [[...double, INNER], next, [EDGE], [...next, INNER]],
    [[EDGE], ['<sip:other@192.0.2.8;lr>'], [EDGE], ['<sip:other@192.0.2.8;lr>']],
    // Known by its place alone: the phone's old binding had expired.
    [double, ['<sip:other@192.0.2.8;lr>'], undefined, ['<sip:other@192.0.2.8;lr>']],
    // An edge that does not stay in the way of a dialog, and a phone that comes without one from now on.
    [[], next, [EDGE], next],
    [[EDGE, INNER], [], [EDGE], [INNER]],
    // Nothing changed, or there is no edge.
    [double, [EDGE], [EDGE], undefined],
    [[INNER], [], [], undefined],
    [[INNER], [], undefined, undefined],
  ];
  for (const [routeSet, path, before, expected] of table) assert.deepEqual(rerouted(routeSet, path, before), expected);
});
