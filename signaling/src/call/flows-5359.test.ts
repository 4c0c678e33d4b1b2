import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SipMessage } from '@offhook/core';
import { sees, seesOne } from './flow-kit.ts';
import { ANSWER, DOMAIN, established, last, OFFER, type Phone, type Stage, stage } from './test-kit.ts';

// RFC 5359: services. The phones hold; the server transfers (RFC 5589 with this server in the place of both other phones).

const CAROLS = OFFER.replaceAll('192.0.2.1', '192.0.2.3');
const directed = (sdp: string, direction: string) => `${sdp}a=${direction}\r\n`;
const directionIn = (m: SipMessage) => /^a=(sendrecv|sendonly|recvonly|inactive)\r?$/m.exec(m.bodyText)?.[1];

/** alice has called bob and they talk; carol is signed in. */
function talking() {
  const s = stage();
  const [alice, bob, carol] = [s.phone('alice'), s.phone('bob'), s.phone('carol')];
  bob.register();
  carol.register();
  return { s, alice, bob, carol, ...established(alice, bob) };
}

/** One phone changes what it sends and receives; the other answers. Both descriptions pass as they are meant. */
function change(by: Phone, other: Phone, how: { of: SipMessage; cseq: number; offer: string; answer: string }): void {
  by.within(how.of, 'INVITE', { cseq: how.cseq, sdp: how.offer });
  sees(by, '100 INVITE');
  const asked = seesOne(other, 'INVITE');
  assert.equal(asked.bodyText, `${how.offer}a=via-relay:offer\r\n`);
  other.answer(asked, 200, how.answer);
  sees(other, 'ACK');
  const done = seesOne(by, '200 INVITE');
  assert.equal(done.bodyText, `${how.answer}a=via-relay:answer\r\n`);
  by.within(how.of, 'ACK', { cseq: how.cseq });
}

function assertOver(s: Stage, ...ended: string[]): void {
  s.assertNothingLeft();
  assert.deepEqual(s.ended, ended);
}

/** carol is called from a phone that is in a call already. */
function consult(from: Phone, carol: Phone) {
  from.request('INVITE', {
    uri: `sip:carol@${DOMAIN}`,
    to: `<sip:carol@${DOMAIN}>`,
    sdp: ANSWER,
    callId: 'consultation',
    branch: 'consultation',
    tag: 'consulting',
  });
  const ring = seesOne(carol, 'INVITE');
  carol.answer(ring, 180);
  carol.answer(ring, 200, CAROLS);
  sees(carol, 'ACK');
  const ok = last(sees(from, '100 INVITE', '180 INVITE', '200 INVITE'));
  from.within(ok, 'ACK', { cseq: 1 });
  return { ring, ok, replaces: `consultation%3Bto-tag%3D${ok.to.tag}%3Bfrom-tag%3Dconsulting` };
}

/** Answers a NOTIFY and tells what it said. */
function told(phone: Phone, notify: SipMessage): string {
  assert.equal(notify.contentType, 'message/sipfrag');
  assert.match(notify.header('event') ?? '', /^refer/);
  phone.answer(notify, 200);
  return `${notify.bodyText.trim()} ${notify.header('subscription-state')}`;
}

const TRYING = 'SIP/2.0 100 Trying active;expires=60';
const RINGING = 'SIP/2.0 180 Ringing active;expires=60';
const DONE = 'SIP/2.0 200 OK terminated;reason=noresource';

test('2.1 call hold: sendonly and recvonly pass to the other side, and so does the way back', () => {
  const { s, alice, bob, invite, ok } = talking();
  const hold = { offer: directed(ANSWER, 'sendonly'), answer: directed(OFFER, 'recvonly') };
  const resume = { offer: directed(ANSWER, 'sendrecv'), answer: directed(OFFER, 'sendrecv') };
  change(bob, alice, { of: invite, cseq: 1, ...hold });
  change(bob, alice, { of: invite, cseq: 2, ...resume });

  // Both hold: who is asked while it holds answers inactive, and nobody is heard until both have resumed.
  change(bob, alice, { of: invite, cseq: 3, ...hold });
  change(alice, bob, { of: ok, cseq: 2, offer: directed(OFFER, 'inactive'), answer: directed(ANSWER, 'inactive') });
  change(bob, alice, { of: invite, cseq: 4, ...resume, answer: directed(OFFER, 'sendonly') });
  change(alice, bob, { of: ok, cseq: 3, offer: OFFER, answer: ANSWER });
  assert.equal(s.core.calls.size, 1);
  bob.within(invite, 'BYE', { cseq: 5 });
  sees(bob, '200 BYE');
  alice.answer(seesOne(alice, 'BYE'), 200);
  assertOver(s, '200 ended by bob');
});

test('2.1 a call that is on hold can be ended from either side', () => {
  for (const who of ['holder', 'held'] as const) {
    const { s, alice, bob, invite, ok } = talking();
    change(bob, alice, {
      of: invite,
      cseq: 1,
      offer: directed(ANSWER, 'sendonly'),
      answer: directed(OFFER, 'recvonly'),
    });
    const [by, other] = who === 'holder' ? [bob, alice] : [alice, bob];
    by.within(who === 'holder' ? invite : ok, 'BYE', { cseq: 9 });
    sees(by, '200 BYE');
    other.answer(seesOne(other, 'BYE'), 200);
    assertOver(s, `200 ended by ${by.user}`);
  }
});

test('2.2 consultation hold: alice is held while bob talks with carol in a call of its own, and resumed when that has ended', () => {
  const { s, alice, bob, carol, invite } = talking();
  change(bob, alice, { of: invite, cseq: 1, offer: directed(ANSWER, 'sendonly'), answer: directed(OFFER, 'recvonly') });
  const { ok: consulted } = consult(bob, carol);
  assert.notEqual(consulted.callId, invite.callId);
  sees(alice);
  assert.equal(s.alive.size, 2, 'each call has its own way at the relay');
  bob.within(consulted, 'BYE', { cseq: 2 });
  sees(bob, '200 BYE');
  carol.answer(seesOne(carol, 'BYE'), 200);
  change(bob, alice, { of: invite, cseq: 2, offer: ANSWER, answer: OFFER });
  bob.within(invite, 'BYE', { cseq: 3 });
  sees(bob, '200 BYE');
  alice.answer(seesOne(alice, 'BYE'), 200);
  assertOver(s, '200 ended by bob', '200 ended by bob');
});

test('2.4 unattended transfer: bob holds alice, refers her to carol and hears how it goes; alice is given carol, not on hold', () => {
  const { s, alice, bob, carol, invite } = talking();
  change(bob, alice, { of: invite, cseq: 1, offer: directed(ANSWER, 'sendonly'), answer: directed(OFFER, 'recvonly') });
  bob.within(invite, 'REFER', { cseq: 2, headers: [['Refer-To', `<sip:carol@${DOMAIN}>`]] });
  const [accepted, trying] = sees(bob, '202 REFER', 'NOTIFY') as [SipMessage, SipMessage];
  assert.equal(accepted.status, 202);
  assert.equal(told(bob, trying), TRYING);
  const ring = seesOne(carol, 'INVITE');
  assert.deepEqual([ring.from.uri.user, ring.header('referred-by')], ['alice', `<sip:bob@${DOMAIN}>`]);
  assert.equal(directionIn(ring), undefined, 'carol is offered a conversation, not the hold that alice was in');
  carol.answer(ring, 180);
  assert.equal(told(bob, seesOne(bob, 'NOTIFY')), RINGING);
  sees(alice);
  carol.answer(ring, 200, CAROLS);
  sees(carol, 'ACK');
  const given = seesOne(alice, 'INVITE');
  assert.match(given.bodyText, /192\.0\.2\.3/);
  assert.equal(directionIn(given), undefined);
  alice.answer(given, 200, OFFER);
  sees(alice, 'ACK');
  const [done, bye] = sees(bob, 'NOTIFY', 'BYE') as [SipMessage, SipMessage];
  assert.equal(told(bob, done), DONE);
  bob.answer(bye, 200);
  alice.within(given, 'BYE', { cseq: 9, tag: given.to.tag });
  sees(alice, '200 BYE');
  carol.answer(seesOne(carol, 'BYE'), 200);
  assertOver(s, '200 alice was transferred to carol by bob', '200 ended by alice');
});

test('2.4 unattended transfer to someone who does not answer: bob is told 480 and has alice still', () => {
  const { s, alice, bob, carol, invite } = talking();
  bob.within(invite, 'REFER', { cseq: 1, headers: [['Refer-To', `<sip:carol@${DOMAIN}>`]] });
  told(bob, last(sees(bob, '202 REFER', 'NOTIFY')));
  const ring = seesOne(carol, 'INVITE');
  carol.answer(ring, 180);
  told(bob, seesOne(bob, 'NOTIFY'));
  s.advance(60_000);
  const cancel = seesOne(carol, 'CANCEL');
  carol.answer(cancel, 200);
  carol.answer(ring, 487);
  sees(carol, 'ACK');
  assert.match(told(bob, seesOne(bob, 'NOTIFY')), /^SIP\/2\.0 480 .* terminated;reason=noresource$/);
  sees(alice);
  change(bob, alice, { of: invite, cseq: 2, offer: ANSWER, answer: OFFER });
  bob.within(invite, 'BYE', { cseq: 3 });
  sees(bob, '200 BYE');
  alice.answer(seesOne(alice, 'BYE'), 200);
  assertOver(s, '480 carol does not answer', '200 ended by bob');
});

test('2.5 attended transfer: bob holds alice, talks with carol, joins the two and leaves both calls', () => {
  const { s, alice, bob, carol, invite } = talking();
  change(bob, alice, { of: invite, cseq: 1, offer: directed(ANSWER, 'sendonly'), answer: directed(OFFER, 'recvonly') });
  const { ring, ok: consulted, replaces } = consult(bob, carol);
  change(bob, carol, {
    of: consulted,
    cseq: 2,
    offer: directed(ANSWER, 'sendonly'),
    answer: directed(CAROLS, 'recvonly'),
  });
  bob.within(invite, 'REFER', { cseq: 2, headers: [['Refer-To', `<sip:carol@${DOMAIN}?Replaces=${replaces}>`]] });
  assert.equal(told(bob, last(sees(bob, '202 REFER', 'NOTIFY'))), TRYING);
  const toCarol = seesOne(carol, 'INVITE');
  assert.deepEqual([toCarol.callId, directionIn(toCarol)], [ring.callId, undefined], 'in the dialog that she has');
  assert.match(toCarol.bodyText, /192\.0\.2\.1/);
  carol.answer(toCarol, 200, CAROLS);
  sees(carol, 'ACK');
  const toAlice = seesOne(alice, 'INVITE');
  assert.match(toAlice.bodyText, /192\.0\.2\.3/);
  assert.equal(directionIn(toAlice), undefined);
  alice.answer(toAlice, 200, OFFER);
  sees(alice, 'ACK');
  const [done, ...byes] = sees(bob, 'NOTIFY', 'BYE', 'BYE') as [SipMessage, SipMessage, SipMessage];
  assert.equal(told(bob, done), DONE);
  assert.deepEqual(byes.map((m) => m.callId).sort(), [invite.callId, consulted.callId].sort());
  for (const bye of byes) bob.answer(bye, 200);
  assert.equal(s.alive.size, 1);
  carol.within(ring, 'BYE', { cseq: 1 });
  sees(carol, '200 BYE');
  alice.answer(seesOne(alice, 'BYE'), 200);
  const joined = '200 alice was transferred to carol by bob';
  assertOver(s, joined, joined, '200 ended by carol');
});

test('2.10 three-way conference, the third party is added: the phone that mixes has both calls up at once', () => {
  const { s, alice, bob, carol, ok, invite } = talking();
  change(alice, bob, {
    of: ok,
    cseq: 2,
    offer: directed(OFFER, 'sendonly'),
    answer: directed(ANSWER, 'recvonly'),
  });
  const third = consult(alice, carol);
  // Back to bob, who hears the mix from now on; the call to carol does not notice.
  change(alice, bob, { of: ok, cseq: 3, offer: directed(OFFER, 'sendrecv'), answer: directed(ANSWER, 'sendrecv') });
  assert.deepEqual(
    s.core.calls.calls().map(({ to, state }) => `${to} ${state}`),
    ['bob answered', 'carol answered'],
  );
  assert.deepEqual(carol.take(), []);
  bob.within(invite, 'BYE', { cseq: 1 });
  assert.equal(last(alice.take()).method, 'BYE');
  alice.within(third.ok, 'BYE', { cseq: 2 });
  assert.equal(last(carol.take()).method, 'BYE');
  s.assertNothingLeft();
});
