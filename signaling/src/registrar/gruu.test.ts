import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseUri, type SipMessage, seededCrypto } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import fc from 'fast-check';
import { publicGruu, readPublicGruu } from './gruu.ts';
import { Registrar } from './index.ts';
import { flow, register } from './testkit.ts';

const DOMAIN = 'example.test';
const UUID = 'urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6';
const contact = (instance = UUID, extra = '') => `<sip:a@x.invalid>;+sip.instance="<${instance}>"${extra}`;
const registrar = () => new Registrar({ gruu: { domain: DOMAIN, crypto: seededCrypto(1, nodeCrypto) } });
const given = (answer: SipMessage, name: string, i = 0) =>
  answer.contacts === '*' ? undefined : answer.contacts?.[i]?.params.get(name);
const resolve = (r: Registrar, uri: string | undefined) => r.resolveGruu(parseUri(uri ?? '')!);

test('a phone that knows GRUUs gets a public and a temporary one, both of which mean it (RFC 5627 5.3)', () => {
  const r = registrar();
  const answer = r.handleRegister(register([contact()], { supported: 'path, gruu' }), flow(1), 'alice', 0);
  assert.equal(given(answer, 'pub-gruu'), `sip:alice@${DOMAIN};gr=${UUID}`);
  assert.match(given(answer, 'temp-gruu')!, /^sip:tgruu\.[\w-]{22}@example\.test;gr$/);
  for (const name of ['pub-gruu', 'temp-gruu'])
    assert.deepEqual(resolve(r, given(answer, name)), { user: 'alice', instance: UUID }, name);
  const { instance } = resolve(r, given(answer, 'temp-gruu'))!;
  assert.equal(r.lookup('alice', 0, instance).length, 1);
  assert.equal(
    r.lookup('alice', 0, UUID.toUpperCase().replace('URN:UUID', 'urn:uuid')).length,
    1,
    'UUIDs know no case',
  );
  assert.equal(r.lookup('alice', 0, 'urn:uuid:another').length, 0);
});

test('nobody else gets any: who does not ask, who has no instance, a registrar without a domain', () => {
  const answers = [
    registrar().handleRegister(register([contact()]), flow(1), 'alice', 0),
    registrar().handleRegister(register(['<sip:a@x.invalid>'], { supported: 'gruu' }), flow(1), 'alice', 0),
    new Registrar().handleRegister(register([contact()], { supported: 'gruu' }), flow(1), 'alice', 0),
  ];
  for (const answer of answers) {
    assert.equal(answer.status, 200);
    assert.doesNotMatch(answer.toString(), /-gruu/);
  }
});

test('each refresh brings another temporary one, that tells nothing and leaves the older ones good (RFC 5627 3.2)', () => {
  const r = registrar();
  const ask = (i: number) =>
    given(r.handleRegister(register([contact()], { supported: 'gruu' }), flow(1), 'alice', i * 1000), 'temp-gruu')!;
  const all = Array.from({ length: 64 }, (_, i) => ask(i));
  assert.equal(new Set(all).size, 64);
  for (const uri of all) {
    assert.deepEqual(resolve(r, uri), { user: 'alice', instance: UUID });
    assert.doesNotMatch(uri, /alice|f81d4fae/);
  }
  ask(64);
  assert.equal(r.temporaryGruus, 64, 'the oldest makes room');
  assert.equal(resolve(r, all[0]), undefined);
  assert.ok(resolve(r, all[1]));
});

test('temporary ones end with the contact, and with its Call-ID (RFC 5627 5.4)', () => {
  const ends: readonly (readonly [what: string, (r: Registrar) => void])[] = [
    ['unregistered', (r) => r.handleRegister(register([contact(UUID, ';expires=0')]), flow(1), 'alice', 1)],
    ['all unregistered', (r) => r.handleRegister(register(['*'], { expires: 0 }), flow(1), 'alice', 1)],
    ['expired', (r) => r.handleTimeout(600_000)],
    ['connection closed', (r) => r.handleFlowClosed(TCP)],
    ['account removed', (r) => r.removeUser('alice')],
    ['another Call-ID', (r) => r.handleRegister(register([contact()], { callId: 'two' }), TCP, 'alice', 1)],
  ];
  const TCP = flow(1, 'tcp');
  for (const [what, end] of ends) {
    const r = registrar();
    const answer = r.handleRegister(register([contact()], { supported: 'gruu' }), TCP, 'alice', 0);
    const uri = given(answer, 'temp-gruu');
    assert.ok(resolve(r, uri));
    end(r);
    assert.equal(resolve(r, uri), undefined, what);
    assert.equal(r.temporaryGruus, 0, what);
    assert.deepEqual(resolve(r, given(answer, 'pub-gruu')), { user: 'alice', instance: UUID }, 'the public one stays');
  }
});

test('the flows of one phone have their own temporary ones; two contacts without reg-id share them', () => {
  const r = registrar();
  const ask = (written: string, over: object = {}) =>
    r.handleRegister(register([written], { supported: 'gruu', ...over }), flow(1, 'tcp'), 'alice', 0);
  const first = given(ask(contact(UUID, ';reg-id=1')), 'temp-gruu');
  const second = given(ask(contact(UUID, ';reg-id=2'), { callId: 'other' }), 'temp-gruu');
  assert.deepEqual(resolve(r, first), resolve(r, second));
  ask(contact(UUID, ';reg-id=1;expires=0'));
  assert.equal(resolve(r, first), undefined);
  assert.ok(resolve(r, second));

  const both = ['<sip:a@x.invalid>', '<sip:a@x.invalid;transport=tcp>'].map((c) => `${c};+sip.instance="<${UUID}>"`);
  const shared = r.handleRegister(register(both, { supported: 'gruu' }), flow(2), 'bob', 0);
  assert.equal(given(shared, 'temp-gruu'), given(shared, 'temp-gruu', 1));
  r.handleRegister(register([`${both[0]};expires=0`]), flow(2), 'bob', 0);
  assert.ok(resolve(r, given(shared, 'temp-gruu')), 'one of the two is left');
});

test('a GRUU is no contact: a call to it would come back (RFC 5627 5.1)', () => {
  const r = registrar();
  for (const uri of [`sip:alice@${DOMAIN};gr=${UUID}`, `sip:tgruu.x@${DOMAIN};gr`])
    assert.equal(r.handleRegister(register([`<${uri}>`]), flow(1), 'alice', 0).status, 403);
  assert.equal(r.handleRegister(register(['<sip:a@elsewhere.test;gr=1>']), flow(1), 'alice', 0).status, 200);
});

test('all other URIs are none', () => {
  const r = registrar();
  for (const uri of [`sip:alice@${DOMAIN}`, `sip:${DOMAIN};gr=x`, `sip:tgruu.${'A'.repeat(22)}@${DOMAIN};gr`, 'tel:+1'])
    assert.equal(resolve(r, uri), undefined, uri);
  assert.equal(resolve(r, `sip:alice@${DOMAIN};gr=%zz`), undefined);
});

test('whatever a phone calls its instance, its public GRUU is a URI that names it', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, maxLength: 80, unit: 'grapheme' }), (instance) => {
      fc.pre(!/^<.*>$/.test(instance) && !/^urn:uuid:/i.test(instance));
      const uri = parseUri(publicGruu({ user: 'alice', instance }, DOMAIN));
      assert.deepEqual(uri && readPublicGruu(uri), { user: 'alice', instance });
    }),
  );
});
