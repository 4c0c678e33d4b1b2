import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest, createResponse, type SipMessage } from '@offhook/core';
import { askTwice, assertLegsApart, credentials, sees, seesOne, signUp } from './flow-kit.ts';
import { ANSWER, DOMAIN, last, OFFER, type Phone, type Stage, stage } from './test-kit.ts';

// RFC 3665: the basic call flows. This server is registrar and, for calls, a back-to-back user agent: it takes the part of
// all proxies between the two phones, and each phone has a dialog with it alone.

const HOME = { uri: `sip:${DOMAIN}`, to: `<sip:bob@${DOMAIN}>`, callId: 'register' };
const REGISTRAR = { user: 'bob', method: 'REGISTER', uri: HOME.uri };

/** The call has one record with that status, and nothing of it is left. */
function assertOver(s: Stage, ...ended: string[]): void {
  s.assertNothingLeft();
  assert.deepEqual(s.ended, ended);
}

/** Acknowledges a failure as the transaction of the phone does (RFC 3261 17.1.1.3). */
function ackFailure(phone: Phone, response: SipMessage): void {
  phone.request('ACK', {
    uri: `sip:bob@${DOMAIN}`,
    to: response.header('to')!,
    callId: response.callId,
    cseq: response.cseq.number,
    branch: response.vias[0]!.branch.replace('z9hG4bK', ''),
    tag: response.from.tag,
  });
}

test('2.1 a new registration: the first REGISTER is challenged, the one with credentials is answered with the contact', () => {
  const s = stage();
  const bob = s.phone('bob', 'udp');
  bob.request('REGISTER', { ...HOME, cseq: 1, headers: [['Expires', '3600']] });
  const challenge = seesOne(bob, '401 REGISTER');
  assert.match(
    challenge.header('www-authenticate') ?? '',
    new RegExp(`^Digest realm="${DOMAIN}", nonce="[^"]+".*qop="auth"`),
  );
  assert.equal(s.core.registrar.size, 0, 'nothing is remembered of who has not shown who it is');
  assert.equal(s.core.transactions.size, 0);
  bob.request('REGISTER', { ...HOME, cseq: 2, headers: [['Expires', '3600'], credentials(challenge, REGISTRAR)] });
  const ok = seesOne(bob, '200 REGISTER');
  assert.deepEqual([ok.callId, ok.cseq], ['register', { number: 2, method: 'REGISTER' }]);
  assert.deepEqual(ok.headers('contact'), [`${bob.contact};expires=3600`]);
  s.advance(3_600_000);
  assert.equal(s.core.registrar.size, 0);
  s.assertNothingLeft();
});

test('2.2 the list of contacts grows: the nonce is used again, both contacts are in the answer; only sip: and sips: can be called', () => {
  const s = stage();
  const bob = s.phone('bob', 'udp');
  const ok = signUp(bob);
  const first = ok.headers('contact')[0];
  bob.request('REGISTER', { ...HOME, cseq: 3 });
  const challenge = seesOne(bob, '401 REGISTER');
  const own = bob.contact;
  bob.contact = '<sip:bob@192.0.2.77:5070;transport=tcp>';
  bob.request('REGISTER', { ...HOME, cseq: 4, headers: [credentials(challenge, REGISTRAR)] });
  const [both] = sees(bob, '200 REGISTER') as [SipMessage];
  assert.deepEqual(both.headers('contact'), [`${bob.contact};expires=600`, first]);
  bob.contact = '<mailto:bob@example.test>';
  bob.request('REGISTER', { ...HOME, cseq: 5, headers: [credentials(challenge, { ...REGISTRAR, nc: 2 })] });
  assert.equal(seesOne(bob, '400 REGISTER').reason, 'A Contact must be a SIP URI without headers');
  bob.contact = own;
  bob.request('REGISTER', { ...HOME, cseq: 6, headers: [credentials(challenge, { ...REGISTRAR, nc: 3 })] });
  assert.equal(seesOne(bob, '200 REGISTER').headers('contact').length, 2);
  s.advance(600_000);
  assert.equal(s.core.registrar.size, 0);
  s.assertNothingLeft();
});

test('2.3 a REGISTER without Contact asks for the list and changes nothing', () => {
  const s = stage();
  const bob = s.phone('bob');
  bob.register();
  s.advance(10_000);
  const known = s.core.registrar.lookup('bob', s.clock.now);
  const query = { ...HOME, method: 'REGISTER', from: `<sip:bob@${DOMAIN}>;tag=q`, cseq: 9 };
  bob.send(createRequest(query).prepend('via', 'SIP/2.0/WS x.invalid;branch=z9hG4bKquery'));
  assert.deepEqual(seesOne(bob, '200 REGISTER').headers('contact'), [`${bob.contact};expires=590`]);
  assert.deepEqual(s.core.registrar.lookup('bob', s.clock.now), known);
  s.assertNothingLeft();
});

test('2.4 a registration is cancelled: Contact * with Expires 0 removes every contact, and calls find nobody', () => {
  const s = stage();
  const [alice, bob, other] = [s.phone('alice'), s.phone('bob'), s.phone('bob')];
  bob.register();
  other.register();
  bob.contact = '*';
  bob.request('REGISTER', { ...HOME, cseq: 99, headers: [['Expires', '0']] });
  assert.deepEqual(seesOne(bob, '200 REGISTER').headers('contact'), []);
  assert.equal(s.core.registrar.size, 0);
  alice.request('INVITE', { sdp: OFFER });
  ackFailure(alice, last(sees(alice, '100 INVITE', '480 INVITE')));
  s.assertNothingLeft();
});

test('2.5 a wrong password: challenged again with another nonce, and no contact is known', () => {
  const s = stage();
  const bob = s.phone('bob', 'udp');
  bob.request('REGISTER', { ...HOME, cseq: 1 });
  const first = seesOne(bob, '401 REGISTER');
  bob.request('REGISTER', { ...HOME, cseq: 2, headers: [credentials(first, { ...REGISTRAR, password: 'wrong' })] });
  const second = seesOne(bob, '401 REGISTER');
  assert.notEqual(second.header('www-authenticate'), first.header('www-authenticate'));
  assert.match(second.header('reason') ?? '', /password is wrong/);
  assert.equal(s.core.registrar.size, 0);
  s.assertNothingLeft();
});

test('3.1 a call is established and ended by the callee: each phone has one dialog, with the server', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const sent = alice.request('INVITE', { sdp: OFFER, cseq: 314 });
  const trying = seesOne(alice, '100 INVITE');
  assert.equal(trying.to.tag, undefined, '100 makes no dialog (RFC 3261 8.2.6.2)');
  const invite = seesOne(bob, 'INVITE');
  assertLegsApart(sent, invite);
  assert.equal(invite.uri, bob.contact.slice(1, -1), 'the Request-URI is the contact that bob registered');
  assert.equal(invite.maxForwards, 69);
  assert.equal(invite.to.uri.toString(), `sip:bob@${DOMAIN}`);
  bob.answer(invite, 180);
  const ringing = seesOne(alice, '180 INVITE');
  bob.answer(invite, 200, ANSWER);
  const ack = seesOne(bob, 'ACK');
  assert.equal(ack.cseq.number, invite.cseq.number, 'the ACK has the CSeq of its INVITE (RFC 3261 13.2.2.4)');
  assert.notEqual(ack.vias[0]?.branch, invite.vias[0]?.branch, 'and is a transaction of its own');
  assert.equal(ack.to.tag, `tag-bob-${bob.flow.id}`);
  const ok = seesOne(alice, '200 INVITE');
  assert.equal(ok.to.tag, ringing.to.tag, 'the early dialog is the one that is confirmed');
  assert.equal(ok.header('via'), sent.header('via'));
  assert.deepEqual([ok.callId, ok.cseq.number], [sent.callId, 314]);
  alice.within(ok, 'ACK', { cseq: 314 });
  s.advance(5000);
  sees(alice);
  sees(bob);

  bob.within(invite, 'BYE', { cseq: 231 });
  seesOne(bob, '200 BYE');
  const bye = seesOne(alice, 'BYE');
  assert.equal(bye.uri, alice.contact.slice(1, -1));
  assert.deepEqual(
    [bye.callId, bye.from.tag, bye.to.tag, bye.cseq.number],
    [sent.callId, ok.to.tag, sent.from.tag, 1],
    'CSeq of each side counts for itself (RFC 3261 12.2.1.1)',
  );
  alice.answer(bye, 200);
  sees(alice);
  assertOver(s, '200 ended by bob');
});

test('3.2 through proxies on either side: Vias and Record-Route go back as they came, requests within the dialogs take the routes', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const sent = createRequest({
    method: 'INVITE',
    uri: `sip:bob@${DOMAIN}`,
    from: `<sip:alice@${DOMAIN}>;tag=a`,
    to: `<sip:bob@${DOMAIN}>`,
    callId: 'proxied',
    cseq: 1,
    maxForwards: 68,
    headers: [
      ['Contact', alice.contact],
      ['Record-Route', '<sip:near.proxy;lr>'],
      ['Record-Route', '<sip:far.proxy;lr>'],
    ],
    body: { type: 'application/sdp', bytes: OFFER },
  });
  for (const hop of ['alice', 'far', 'near']) sent.prepend('via', `SIP/2.0/WS ${hop}.invalid;branch=z9hG4bK${hop}`);
  alice.send(sent);
  sees(alice, '100 INVITE');
  const invite = seesOne(bob, 'INVITE');
  assert.equal(invite.maxForwards, 67);
  assert.deepEqual(invite.headers('route'), []);
  const recorded: [string, string][] = [
    ['Record-Route', '<sip:first.edge;lr>'],
    ['Record-Route', '<sip:second.edge;lr>'],
  ];
  bob.answer(invite, 180, undefined, recorded);
  sees(alice, '180 INVITE');
  bob.answer(invite, 200, ANSWER, recorded);
  const ack = seesOne(bob, 'ACK');
  assert.deepEqual(ack.headers('route'), ['<sip:second.edge;lr>', '<sip:first.edge;lr>'], 'reversed (RFC 3261 12.1.2)');
  assert.equal(ack.uri, bob.contact.slice(1, -1));
  const ok = seesOne(alice, '200 INVITE');
  assert.deepEqual(
    ok.vias.map((v) => v.branch),
    ['z9hG4bKnear', 'z9hG4bKfar', 'z9hG4bKalice'],
  );
  assert.deepEqual(ok.headers('record-route'), ['<sip:near.proxy;lr>', '<sip:far.proxy;lr>']);
  alice.within(ok, 'ACK', { cseq: 1 });
  bob.within(invite, 'BYE', { cseq: 1 });
  sees(bob, '200 BYE');
  const bye = seesOne(alice, 'BYE');
  assert.deepEqual(bye.headers('route'), ['<sip:near.proxy;lr>', '<sip:far.proxy;lr>'], 'in order (RFC 3261 12.1.1)');
  assertOver(s, '200 ended by bob');
});

test('3.3 a call with authentication: 401, ACK, the same call again with credentials and the next CSeq; bob hears of it once', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice', 'udp'), s.phone('bob', 'udp')];
  signUp(bob);
  alice.request('INVITE', { sdp: OFFER, cseq: 1 });
  const challenge = seesOne(alice, '401 INVITE');
  assert.equal(challenge.headers('www-authenticate').length, 1, 'one challenge a request');
  alice.request('ACK', { cseq: 1, branch: 'alice1INVITE', to: challenge.header('to')! });
  sees(bob);
  assert.equal(s.core.calls.size, 0);
  const authorization = credentials(challenge, { user: 'alice', method: 'INVITE', uri: `sip:bob@${DOMAIN}` });
  alice.request('INVITE', { sdp: OFFER, cseq: 2, headers: [authorization] });
  sees(alice, '100 INVITE');
  const invite = seesOne(bob, 'INVITE');
  assert.equal(invite.header('authorization'), undefined, 'credentials are for this server alone');
  bob.answer(invite, 180);
  bob.answer(invite, 200, ANSWER);
  sees(bob, 'ACK');
  const [, ok] = sees(alice, '180 INVITE', '200 INVITE') as [SipMessage, SipMessage];
  alice.within(ok, 'ACK', { cseq: 2 });
  alice.within(ok, 'BYE', { cseq: 3 });
  sees(alice, '200 BYE');
  bob.answer(seesOne(bob, 'BYE'), 200);
  assertOver(s, '200 ended by alice');
});

test('3.4 a server that does not answer: the call that comes here instead, with the same Call-ID, is a new one; and so is one whose answers were lost', () => {
  for (const heardBefore of [false, true]) {
    const s = stage();
    const [alice, bob] = [s.phone('alice', 'udp'), s.phone('bob', 'udp')];
    signUp(bob);
    if (heardBefore) {
      askTwice(alice, 'INVITE', { sdp: OFFER, cseq: 1, callId: 'both', tag: 'first' });
      alice.take(); // lost on its way
      sees(bob, 'INVITE');
      // alice has given up without a word: nobody ever rings, and the call ends by itself
      s.advance(32_000);
      assert.deepEqual(
        bob.take().map((m) => m.method),
        Array.from({ length: 6 }, () => 'INVITE'),
        'timer A: repeated with the interval doubled',
      );
      s.advance(100_000);
      alice.take();
    }
    askTwice(alice, 'INVITE', { sdp: OFFER, cseq: 3, callId: 'both', tag: 'second' });
    sees(alice, '100 INVITE');
    const invite = seesOne(bob, 'INVITE');
    bob.answer(invite, 200, ANSWER);
    sees(bob, 'ACK');
    const ok = seesOne(alice, '200 INVITE');
    alice.within(ok, 'ACK', { cseq: 4 });
    alice.within(ok, 'BYE', { cseq: 5 });
    sees(alice, '200 BYE');
    bob.answer(seesOne(bob, 'BYE'), 200);
    assertOver(s, ...(heardBefore ? ['408 the phone does not answer'] : []), '200 ended by alice');
  }
});

test('3.5 as a SIP ALG does: descriptions and contacts of one side are replaced by our own on the other, both ways', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  const invite = seesOne(bob, 'INVITE');
  assert.equal(invite.bodyText, `${OFFER}a=via-relay:offer\r\n`);
  assert.equal(invite.contentType, 'application/sdp');
  assert.ok(!invite.header('contact')?.includes('phone.invalid'));
  bob.answer(invite, 200, ANSWER);
  sees(bob, 'ACK');
  const [, ok] = sees(alice, '100 INVITE', '200 INVITE') as [SipMessage, SipMessage];
  assert.equal(ok.bodyText, `${ANSWER}a=via-relay:answer\r\n`);
  assert.ok(!ok.header('contact')?.includes('phone.invalid'));
  alice.within(ok, 'ACK', { cseq: 1 });
  assert.deepEqual(
    s.ng.map((m) => m.command),
    ['offer', 'answer'],
  );
  alice.within(ok, 'BYE', { cseq: 2 });
  sees(alice, '200 BYE');
  bob.answer(seesOne(bob, 'BYE'), 200);
  assert.equal(s.ng.at(-1)?.command, 'delete');
  assertOver(s, '200 ended by alice');
});

test('3.6 the description comes in the ACK: the offer is bob’s 200, and bob’s ACK waits for the answer in alice’s', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE');
  const invite = seesOne(bob, 'INVITE');
  assert.deepEqual([invite.body.length, invite.header('content-type')], [0, undefined]);
  bob.answer(invite, 180);
  bob.answer(invite, 200, OFFER);
  sees(bob);
  const [, , ok] = sees(alice, '100 INVITE', '180 INVITE', '200 INVITE') as [SipMessage, SipMessage, SipMessage];
  assert.equal(ok.bodyText, `${OFFER}a=via-relay:offer\r\n`);
  alice.within(ok, 'ACK', { cseq: 1, sdp: ANSWER });
  const ack = seesOne(bob, 'ACK');
  assert.deepEqual([ack.bodyText, ack.cseq.number], [`${ANSWER}a=via-relay:answer\r\n`, invite.cseq.number]);
  alice.within(ok, 'BYE', { cseq: 2 });
  sees(alice, '200 BYE');
  bob.answer(seesOne(bob, 'BYE'), 200);
  assertOver(s, '200 ended by alice');
});

test('3.6 a phone that points elsewhere: its 302 is acknowledged and not passed on', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  const invite = seesOne(bob, 'INVITE');
  bob.send(createResponse(invite, 302, undefined, { toTag: 'b', headers: [['Contact', '<sip:bob@elsewhere.test>']] }));
  sees(bob, 'ACK');
  const [, refused] = sees(alice, '100 INVITE', '480 INVITE') as [SipMessage, SipMessage];
  assert.deepEqual(refused.headers('contact'), [], 'where bob may be is no business of the caller');
  ackFailure(alice, refused);
  assertOver(s, '480 the phone did not take the call');
});

test('3.7 a phone gets another address while it talks: its re-INVITE moves its dialog to the new flow and target', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice', 'udp'), s.phone('bob', 'udp')];
  signUp(bob);
  askTwice(alice, 'INVITE', { sdp: OFFER, cseq: 1 });
  sees(alice, '100 INVITE');
  const invite = seesOne(bob, 'INVITE');
  bob.answer(invite, 200, ANSWER);
  sees(bob, 'ACK');
  const ok = seesOne(alice, '200 INVITE');
  alice.within(ok, 'ACK', { cseq: 2 });

  const moved = s.phone('bob', 'udp');
  const elsewhere = ANSWER.replaceAll('192.0.2.2', '192.0.2.202');
  moved.within(invite, 'INVITE', { cseq: 14, sdp: elsewhere, tag: `tag-bob-${bob.flow.id}` });
  const change = seesOne(alice, 'INVITE');
  assert.equal(change.bodyText, `${elsewhere}a=via-relay:offer\r\n`);
  assert.deepEqual([change.callId, change.to.tag, change.cseq.number], [ok.callId, ok.from.tag, 1]);
  assert.equal(change.from.tag, ok.to.tag, 'within the dialog that there is');
  alice.answer(change, 200, OFFER);
  sees(alice, 'ACK');
  const changed = sees(moved, '100 INVITE', '200 INVITE')[1]!;
  assert.equal(changed.bodyText, `${OFFER}a=via-relay:answer\r\n`);
  moved.within(invite, 'ACK', { cseq: 14, tag: `tag-bob-${bob.flow.id}` });
  s.advance(40_000);
  sees(moved);
  alice.within(ok, 'BYE', { cseq: 3 });
  sees(alice, '200 BYE');
  const bye = seesOne(moved, 'BYE');
  assert.equal(bye.uri, moved.contact.slice(1, -1), 'the new target');
  sees(bob);
  moved.answer(bye, 200);
  assertOver(s, '200 ended by alice');
});

test('3.8 nobody answers and the caller gives up: CANCEL is answered hop by hop, the INVITE by 487 on either side', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const sent = alice.request('INVITE', { sdp: OFFER });
  const invite = seesOne(bob, 'INVITE');
  bob.answer(invite, 180);
  const ringing = sees(alice, '100 INVITE', '180 INVITE')[1]!;
  alice.request('CANCEL', { branch: 'alice1INVITE' });
  const [cancelled, terminated] = sees(alice, '200 CANCEL', '487 INVITE') as [SipMessage, SipMessage];
  assert.equal(cancelled.header('via'), sent.header('via'));
  assert.equal(terminated.to.tag, ringing.to.tag);
  ackFailure(alice, terminated);
  const cancel = seesOne(bob, 'CANCEL');
  assert.equal(cancel.vias[0]?.branch, invite.vias[0]?.branch, 'CANCEL has the branch of its INVITE (RFC 3261 9.1)');
  assert.deepEqual([cancel.uri, cancel.callId, cancel.cseq.number], [invite.uri, invite.callId, invite.cseq.number]);
  assert.equal(cancel.header('to'), invite.header('to'), 'and its To, without a tag');
  bob.answer(cancel, 200);
  bob.answer(invite, 487);
  const ack = seesOne(bob, 'ACK');
  assert.equal(
    ack.vias[0]?.branch,
    invite.vias[0]?.branch,
    'an ACK of a failure belongs to its transaction (17.1.1.3)',
  );
  assertOver(s, '487 cancelled by the caller');
});

test('3.9 busy: 486 comes through with the tag of our dialog and is acknowledged on each side by itself', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice', 'udp'), s.phone('bob', 'udp')];
  signUp(bob);
  askTwice(alice, 'INVITE', { sdp: OFFER, cseq: 1 });
  sees(alice, '100 INVITE');
  const invite = seesOne(bob, 'INVITE');
  bob.answer(invite, 486);
  const ack = seesOne(bob, 'ACK');
  assert.deepEqual([ack.cseq.number, ack.to.tag], [invite.cseq.number, `tag-bob-${bob.flow.id}`]);
  bob.answer(invite, 486);
  sees(bob, 'ACK');
  const busy = seesOne(alice, '486 INVITE');
  assert.notEqual(busy.to.tag, `tag-bob-${bob.flow.id}`, 'the tag is ours');
  s.advance(1500);
  sees(alice, '486 INVITE', '486 INVITE');
  ackFailure(alice, busy);
  s.advance(60_000);
  sees(alice);
  assertOver(s, '486 bob is busy');
});

test('3.10 a phone that does not answer at all: the INVITE is repeated for 32 s, then the caller is told in words', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice', 'udp'), s.phone('bob', 'udp')];
  signUp(bob);
  askTwice(alice, 'INVITE', { sdp: OFFER, cseq: 1 });
  sees(alice, '100 INVITE');
  const first = seesOne(bob, 'INVITE');
  s.advance(31_999);
  const repeated = sees(bob, 'INVITE', 'INVITE', 'INVITE', 'INVITE', 'INVITE', 'INVITE');
  for (const again of repeated) assert.equal(again.header('via'), first.header('via'));
  sees(alice);
  s.advance(1);
  const none = seesOne(alice, '408 INVITE');
  assert.match(none.header('reason') ?? '', /does not answer/);
  ackFailure(alice, none);
  sees(bob);
  assertOver(s, '408 the phone does not answer');
});

test('3.11 temporarily unavailable: 480 after ringing, with the words of bob’s phone', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  const invite = seesOne(bob, 'INVITE');
  bob.answer(invite, 180);
  const ringing = sees(alice, '100 INVITE', '180 INVITE')[1]!;
  bob.answer(invite, 480, undefined, [['Reason', 'SIP;cause=480;text="on the way home"']]);
  sees(bob, 'ACK');
  const away = seesOne(alice, '480 INVITE');
  assert.equal(away.to.tag, ringing.to.tag);
  assert.match(away.header('reason') ?? '', /on the way home/);
  ackFailure(alice, away);
  assertOver(s, '480 on the way home');
});
