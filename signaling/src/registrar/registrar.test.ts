import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SipMessage } from '@offhook/core';
import { Registrar } from './index.ts';
import { flow, register } from './testkit.ts';

const events = (r: Registrar) => {
  const out: string[] = [];
  for (let e = r.poll(); e; e = r.poll()) out.push(e.why ? `${e.kind}: ${e.why}` : e.kind);
  return out;
};

test('many contacts of one user live side by side and expire one by one', () => {
  const r = new Registrar();
  const UDP = flow(1);
  const first = r.handleRegister(
    register(['<sip:alice@10.0.0.1>;expires=100;q=0.5'], { callId: 'a' }),
    UDP,
    'alice',
    0,
  );
  assert.equal(first.status, 200);
  const second = r.handleRegister(register(['<sip:alice@10.0.0.2>'], { callId: 'b', expires: 200 }), UDP, 'alice', 0);
  assert.deepEqual(second.headers('contact'), [
    '<sip:alice@10.0.0.2>;expires=200',
    '<sip:alice@10.0.0.1>;expires=100;q=0.5',
  ]);
  assert.deepEqual(
    r.lookup('alice', 0).map((b) => b.contact.host),
    ['10.0.0.2', '10.0.0.1'],
  );
  assert.deepEqual(r.lookup('bob', 0), []);
  assert.equal(r.nextTimeout(), 100_000);
  r.handleTimeout(100_000);
  assert.deepEqual(
    r.lookup('alice', 100_000).map((b) => b.contact.host),
    ['10.0.0.2'],
  );
  r.handleTimeout(200_000);
  assert.equal(r.size, 0);
  assert.equal(r.nextTimeout(), undefined);
  assert.deepEqual(events(r), ['registered', 'registered', 'removed: expired', 'removed: expired']);
});

test('a refresh moves the expiry and the flow; expires 0 takes the contact back; a query changes nothing', () => {
  const r = new Registrar();
  r.handleRegister(register(['<sip:alice@10.0.0.1>']), flow(1), 'alice', 0);
  const moved = flow(2);
  r.handleRegister(register(['<sip:alice@10.0.0.1>']), moved, 'alice', 1000);
  assert.equal(r.lookup('alice', 1000)[0]?.flow, moved);
  assert.equal(r.lookup('alice', 1000)[0]?.expiresAtMs, 601_000);
  assert.deepEqual(r.handleRegister(register([]), moved, 'alice', 2000).headers('contact'), [
    '<sip:alice@10.0.0.1>;expires=599',
  ]);
  assert.deepEqual(
    r.handleRegister(register(['<sip:alice@10.0.0.1>;expires=0']), moved, 'alice', 3000).headers('contact'),
    [],
  );
  assert.equal(r.size, 0);
});

test('Contact * removes all, but only with Expires 0', () => {
  const r = new Registrar();
  r.handleRegister(register(['<sip:a@1.1.1.1>', '<sip:a@2.2.2.2>']), flow(1), 'alice', 0);
  assert.equal(r.handleRegister(register(['*']), flow(1), 'alice', 0).status, 400);
  assert.equal(r.handleRegister(register(['*'], { expires: 10 }), flow(1), 'alice', 0).status, 400);
  assert.equal(r.handleRegister(register(['*'], { expires: 0 }), flow(1), 'alice', 0).status, 200);
  assert.equal(r.size, 0);
});

test('old requests of the same Call-ID change nothing', () => {
  const r = new Registrar();
  r.handleRegister(register(['<sip:a@1.1.1.1>'], { cseq: 5 }), flow(1), 'alice', 0);
  for (const old of [4, 5])
    assert.equal(
      r.handleRegister(register(['<sip:a@1.1.1.1>;expires=0'], { cseq: old }), flow(1), 'alice', 0).status,
      500,
    );
  assert.equal(r.size, 1);
  assert.equal(
    r.handleRegister(register(['<sip:a@1.1.1.1>;expires=0'], { cseq: 1, callId: 'restarted' }), flow(1), 'alice', 0)
      .status,
    200,
  );
});

test('the same instance on a new connection replaces its binding; the old connection’s end does not remove it', () => {
  const r = new Registrar();
  const before = flow(1, 'ws');
  const after = flow(2, 'ws');
  const contact = (host: string) => `<sip:x@${host}.invalid;transport=ws>;+sip.instance="<urn:uuid:1>";reg-id=1`;
  r.handleRegister(register([contact('a')]), before, 'alice', 0);
  const answer = r.handleRegister(register([contact('b')], { callId: 'two' }), after, 'alice', 0);
  assert.equal(answer.headers('contact').length, 1);
  assert.match(answer.header('contact')!, /\+sip\.instance="<urn:uuid:1>";reg-id=1/);
  r.handleFlowClosed(before);
  assert.equal(r.size, 1);
  r.handleFlowClosed(after);
  assert.equal(r.size, 0);
  assert.deepEqual(events(r), ['registered', 'refreshed', 'removed: connection closed']);
});

test('limits: too brief, too many, not SIP', () => {
  const r = new Registrar();
  const brief = r.handleRegister(register(['<sip:a@1.1.1.1>;expires=59']), flow(1), 'alice', 0);
  assert.equal(brief.status, 423);
  assert.equal(brief.header('min-expires'), '60');
  assert.equal(r.handleRegister(register(['<sip:a@x.invalid>;expires=30']), flow(2, 'ws'), 'alice', 0).status, 200);
  assert.equal(
    r
      .handleRegister(register(['<sip:a@1.1.1.1>;expires=99999999']), flow(1), 'alice', 0)
      .header('contact')
      ?.includes('expires=3600'),
    true,
  );
  const nine = Array.from({ length: 9 }, (_, i) => `<sip:a@10.0.0.${i}>`);
  assert.equal(r.handleRegister(register(nine), flow(1), 'alice', 0).status, 403);
  assert.equal(r.handleRegister(register(nine.slice(1)), flow(1), 'alice', 0).status, 200);
  for (const bad of ['<tel:+123>', '<sip:a@b?Route=x>', 'rubbish', '<sip:a@b'])
    assert.equal(r.handleRegister(register([bad]), flow(1), 'alice', 0).status, 400, bad);
});

test('what was granted is told exactly, whatever the fractions of the clock', () => {
  const r = new Registrar();
  for (let i = 0; i < 1000; i++) {
    const now = 1234.567891 * (i + 1);
    const answer = r.handleRegister(register(['<sip:a@1.1.1.1>'], { expires: 60 + i }), flow(1), 'alice', now);
    assert.equal(answer.header('contact'), `<sip:a@1.1.1.1>;expires=${60 + i}`);
  }
});

const contactsOf = (message: SipMessage) => message.headers('contact');

test('several contacts of one REGISTER live side by side, also those of one phone; theirs come first in the answer', () => {
  const r = new Registrar();
  r.handleRegister(register(['<sip:other@10.0.0.9>'], { callId: 'other' }), flow(1), 'alice', 0);
  const both = [
    '<sip:alice@10.0.0.1>;q=0.5;+sip.instance="<urn:uuid:1>"',
    '<sip:alice@10.0.0.1;transport=tcp>;q=0.7;+sip.instance="<urn:uuid:1>"',
  ];
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(contactsOf(r.handleRegister(register(both), flow(1), 'alice', 0)), [
      '<sip:alice@10.0.0.1>;expires=600;q=0.5;+sip.instance="<urn:uuid:1>"',
      '<sip:alice@10.0.0.1;transport=tcp>;expires=600;q=0.7;+sip.instance="<urn:uuid:1>"',
      '<sip:other@10.0.0.9>;expires=600',
    ]);
  }
  const moved = register(['<sip:alice@10.0.0.7>;+sip.instance="<urn:uuid:1>"'], { callId: 'rebooted' });
  r.handleRegister(moved, flow(1), 'alice', 0);
  assert.equal(r.size, 3, 'the phone that comes back under another URI replaces one of its own');
});

test('with reg-id the same URI over two flows is two bindings (RFC 5626 6); a reg-id that is none is ignored', () => {
  const r = new Registrar();
  const contact = (regId: string) => `<sip:a@1.1.1.1>;+sip.instance="<urn:uuid:1>";reg-id=${regId}`;
  r.handleRegister(register([contact('1')]), flow(1), 'alice', 0);
  r.handleRegister(register([contact('2')]), flow(2), 'alice', 0);
  assert.equal(r.size, 2);
  const odd = r.handleRegister(register([`<sip:b@1.1.1.1>;+sip.instance="a\\"b";reg-id="1;q=0"`]), flow(3), 'alice', 0);
  assert.equal(contactsOf(odd)[0], '<sip:b@1.1.1.1>;expires=600;+sip.instance="a\\"b"');
  assert.equal(r.size, 3);
});

test('contacts are the same by RFC 3261 19.1.4, and are told as the phone wrote them', () => {
  const same = (a: string, b: string) => {
    const r = new Registrar();
    r.handleRegister(register([a]), flow(1), 'alice', 0);
    const answer = r.handleRegister(register([b]), flow(1), 'alice', 0);
    assert.equal(contactsOf(answer)[0], `${b};expires=600`);
    return r.size === 1;
  };
  assert.ok(same('<sip:%61lice@PHONE.example;transport=UDP;ob>', '<sip:alice@phone.example;ob;transport=udp>'));
  assert.ok(same('<sip:alice@phone.example>', '<sip:alice@phone.example;x=1>'));
  assert.equal(same('<sip:alice@phone.example;line=a>', '<sip:alice@phone.example;line=b>'), false);
  assert.equal(same('<sip:alice@phone.example>', '<sip:alice@phone.example;transport=udp>'), false);
  assert.equal(same('<sip:alice@phone.example>', '<sip:alice@phone.example:5060>'), false);
  assert.equal(same('<sip:Alice@phone.example>', '<sip:alice@phone.example>'), false);
});

test('expiry: the parameter before the header, a malformed one is an hour, a huge one is no removal; q by its grammar', () => {
  const table: readonly (readonly [contact: string, expires: number | undefined, answer: string])[] = [
    ['<sip:a@1.1.1.1>;expires=120', 0, ';expires=120'],
    ['<sip:a@1.1.1.1>', 300, ';expires=300'],
    ['<sip:a@1.1.1.1>', undefined, ';expires=600'],
    ['<sip:a@1.1.1.1>;expires=soon', 0, ';expires=3600'],
    ['<sip:a@1.1.1.1>;expires', 0, ';expires=3600'],
    ['<sip:a@1.1.1.1>;expires=99999999999999', 0, ';expires=3600'],
    ['<sip:a@1.1.1.1>;q=0.25', undefined, ';expires=600;q=0.25'],
    ['<sip:a@1.1.1.1>;q', undefined, ';expires=600'],
    ['<sip:a@1.1.1.1>;q=1e-7', undefined, ';expires=600'],
    ['<sip:a@1.1.1.1>;q=2', undefined, ';expires=600'],
  ];
  for (const [contact, expires, answer] of table) {
    const ok = new Registrar().handleRegister(register([contact], { expires }), flow(1), 'alice', 0);
    assert.deepEqual(contactsOf(ok), [`<sip:a@1.1.1.1>${answer}`], contact);
  }
});

test('the answer has a Date where there is a clock (RFC 3261 10.3 step 8)', () => {
  const r = new Registrar({ wallMs: () => Date.UTC(2026, 0, 2, 3, 4, 5) });
  const answer = r.handleRegister(register(['<sip:a@1.1.1.1>']), flow(1), 'alice', 0);
  assert.equal(answer.header('date'), 'Fri, 02 Jan 2026 03:04:05 GMT');
});

test('a contact without reg-id renews the one without, when the same URI is there with a reg-id too', () => {
  const r = new Registrar();
  const contact = '<sip:a@1.1.1.1>;+sip.instance="<urn:uuid:1>"';
  r.handleRegister(register([`${contact};reg-id=1`]), flow(1), 'alice', 0);
  r.handleRegister(register([contact]), flow(1), 'alice', 0);
  r.handleRegister(register(['<sip:a@1.1.1.1>;q=0.5'], { callId: 'plain' }), flow(1), 'alice', 0);
  assert.deepEqual(
    r.lookup('alice', 0).map((b) => [b.regId, b.q]),
    [
      ['1', 1],
      [undefined, 0.5],
    ],
  );
});

test('a contact that a REGISTER names twice counts once', () => {
  const r = new Registrar();
  const nine = Array.from({ length: 9 }, (_, i) => `<sip:a@10.0.0.${i}>`);
  r.handleRegister(register(nine), flow(1), 'alice', 0);
  const twice = register(['<sip:b@10.0.0.99>;q=0.1', '<sip:b@10.0.0.99>;q=0.2']);
  assert.equal(r.handleRegister(twice, flow(1), 'alice', 0).status, 200);
  assert.deepEqual([r.size, r.lookup('alice', 0).at(-1)?.q], [10, 0.2]);
});

test('who has as many contacts as allowed can still replace and remove them', () => {
  const r = new Registrar();
  const ten = Array.from({ length: 10 }, (_, i) => `<sip:a@10.0.0.${i}>`);
  r.handleRegister(register(ten), flow(1), 'alice', 0);
  assert.equal(r.handleRegister(register(['<sip:b@10.0.0.99>']), flow(1), 'alice', 0).status, 403);
  const swap = register(['<sip:a@10.0.0.0>;expires=0', '<sip:b@10.0.0.99>']);
  assert.equal(r.handleRegister(swap, flow(1), 'alice', 0).status, 200);
  assert.equal(r.size, 10);
});
