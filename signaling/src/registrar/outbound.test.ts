import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFlowFailure, Registrar, targets } from './index.ts';
import { flow, register } from './testkit.ts';

const contact = (regId: number | string, instance = 'urn:uuid:1', host = 'x') =>
  `<sip:a@${host}.invalid;transport=ws;ob>;+sip.instance="<${instance}>";reg-id=${regId}`;
const OB = '<sip:token@192.0.2.7;lr;ob>';
const LACKS = '<sip:token@192.0.2.7;lr>';

test('outbound is done, and said, when the phone asks and its first hop keeps flows (RFC 5626 6)', () => {
  type Over = Parameters<typeof register>[1];
  const both = 'path, outbound';
  const table: readonly (readonly [what: string, contact: string, Over, status: number, done: boolean])[] = [
    ['directly', contact(1), { supported: 'outbound' }, 200, true],
    ['without Supported', contact(1), {}, 200, false],
    ['without reg-id', '<sip:a@x.invalid>;+sip.instance="<urn:uuid:1>"', { supported: 'outbound' }, 200, false],
    ['without instance', '<sip:a@x.invalid>;reg-id=1', { supported: 'outbound' }, 200, false],
    ['an edge with ob', contact(1), { supported: both, path: [OB], vias: 2 }, 200, true],
    ['two proxies, the first hop with ob', contact(1), { supported: both, path: [LACKS, OB], vias: 3 }, 200, true],
    ['two proxies, the first hop without', contact(1), { supported: both, path: [OB, LACKS], vias: 3 }, 439, false],
    ['an edge without ob', contact(1), { supported: both, path: [LACKS], vias: 2 }, 439, false],
    ['a proxy without Path', contact(1), { supported: both, vias: 2 }, 439, false],
    ['the same without asking', contact(1), { supported: 'path', path: [LACKS], vias: 2 }, 200, false],
  ];
  for (const [what, written, over, status, done] of table) {
    const r = new Registrar();
    const answer = r.handleRegister(register([written], over), flow(1, 'tcp'), 'alice', 0);
    assert.equal(answer.status, status, what);
    assert.equal(answer.hasToken('require', 'outbound'), done, what);
    assert.equal(r.size, status === 200 ? 1 : 0, what);
  }
});

test('an edge of ours without ob is let pass, as if nobody had asked, unless the phone requires it', () => {
  const r = new Registrar({ isEdge: () => true });
  const via = { path: [LACKS], vias: 2 };
  const answer = r.handleRegister(register([contact(1)], { ...via, supported: 'outbound' }), flow(1), 'alice', 0);
  assert.deepEqual([answer.status, answer.header('require')], [200, undefined]);
  const required = register([contact(1)], { ...via, headers: [['Require', 'outbound']] });
  assert.equal(r.handleRegister(required, flow(1), 'alice', 0).status, 439);
});

test('Flow-Timer is for connections to us: 120 s; over UDP and behind an edge it is not ours to say (RFC 5626 4.4)', () => {
  const timer = (transport: 'udp' | 'tcp' | 'wss', over: object) =>
    new Registrar()
      .handleRegister(register([contact(1)], { supported: 'path, outbound', ...over }), flow(1, transport), 'alice', 0)
      .header('flow-timer');
  assert.equal(timer('tcp', {}), '120');
  assert.equal(timer('wss', {}), '120');
  assert.equal(timer('udp', {}), undefined);
  assert.equal(timer('tcp', { path: [OB], vias: 2 }), undefined);
});

test('a contact with reg-id is the only one of its request, removals apart (RFC 5626 6)', () => {
  const r = new Registrar();
  const two = [contact(1), '<sip:b@y.invalid>'];
  assert.equal(r.handleRegister(register(two), flow(1), 'alice', 0).status, 400);
  assert.equal(r.size, 0);
  const swap = [contact(1), '<sip:b@y.invalid>;expires=0'];
  assert.equal(r.handleRegister(register(swap), flow(1), 'alice', 0).status, 200);
});

test('a binding with reg-id is replaced by its own instance and reg-id only', () => {
  const r = new Registrar();
  const ask = (written: string, id: number) => r.handleRegister(register([written]), flow(id), 'alice', id);
  ask(contact(1), 1);
  ask(contact(1, 'urn:uuid:2'), 2);
  ask(contact(2), 3);
  ask('<sip:a@x.invalid;transport=ws;ob>', 4);
  ask('<sip:a@x.invalid;transport=ws;ob>;expires=0', 5);
  assert.deepEqual(
    r.lookup('alice', 5).map((b) => [b.flow.id, b.instanceId, b.regId]),
    [
      [3, '<urn:uuid:1>', '2'],
      [2, '<urn:uuid:2>', '1'],
      [1, '<urn:uuid:1>', '1'],
    ],
  );
  ask(contact(1, 'urn:uuid:1', 'elsewhere'), 6);
  assert.deepEqual(
    r
      .lookup('alice', 6)
      .map((b) => b.flow.id)
      .sort(),
    [2, 3, 6],
  );
});

test('the flows of one phone are one target, the last registered first; other contacts are each their own', () => {
  const r = new Registrar();
  const ask = (written: string, id: number) => r.handleRegister(register([written]), flow(id), 'alice', id);
  ask(contact(1), 1);
  ask(`${contact(1, 'urn:uuid:2')};q=0.5`, 2);
  ask(contact(2), 3);
  ask('<sip:b@y.invalid>', 4);
  ask('<sip:b@z.invalid>;+sip.instance="<urn:uuid:3>"', 5);
  ask('<sip:b@z.invalid;transport=tcp>;+sip.instance="<urn:uuid:3>"', 6);
  const order = () => targets(r.lookup('alice', 7)).map((flows) => flows.map((b) => b.flow.id));
  assert.deepEqual(order(), [[6], [4], [3, 1], [2]]);
  ask(contact(1), 7);
  assert.deepEqual(order(), [[7, 3], [6], [4], [2]], 'a refresh makes a flow the first to be tried');
  assert.deepEqual(targets([]), []);
});

test('what is worth another flow: 430, 408, silence and lost connections, not what the phone itself has said', () => {
  assert.deepEqual(([430, 408, 'timeout', 'transport-error', 486, 480, 404, 603, 500] as const).map(isFlowFailure), [
    true,
    true,
    true,
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
});
