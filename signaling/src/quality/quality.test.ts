import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SipMessage, VQ_TYPE } from '@offhook/core';
import { ANSWER, DOMAIN, established, last, OFFER, type Phone, stage } from '../call/test-kit.ts';

const report = (callId: string | undefined, kind = 'VQIntervalReport', more: readonly string[] = []): string =>
  [
    kind,
    ...(callId === undefined ? [] : [`CallID: ${callId}`]),
    'LocalMetrics:',
    'SessionDesc: PD=PCMU',
    'PacketLoss: NLR=1.5 JDR=0.2',
    'Delay: RTD=40 IAJ=6',
    ...more,
    '',
  ].join('\r\n');

let branches = 0;
const publish = (
  phone: Phone,
  body: string | undefined,
  over: { uri?: string; event?: string; type?: string; headers?: [string, string][] } = {},
): SipMessage => {
  phone.request('PUBLISH', {
    uri: over.uri ?? `sip:collector@${DOMAIN}`,
    to: `<sip:collector@${DOMAIN}>`,
    callId: `q${++branches}`,
    branch: `q${branches}`,
    headers: [['Event', over.event ?? 'vq-rtcpxr'], ...(over.headers ?? [])],
    body: body === undefined ? undefined : { type: over.type ?? VQ_TYPE, bytes: body },
  });
  const answers = phone.take().filter((m) => m.kind === 'response' && m.method === 'PUBLISH');
  assert.equal(answers.length, 1);
  return answers[0]!;
};

const hangUp = (phone: Phone, other: Phone, ok: SipMessage) => {
  phone.within(ok, 'BYE', { cseq: 2 });
  other.answer(last(other.take()), 200);
  phone.take();
};

test('what phones say of their call is told with the id that the call has for everybody', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { invite, ok } = established(alice, bob);
  const answer = publish(alice, report(ok.callId));
  assert.deepEqual([answer.status, answer.header('expires')], [200, '0']);
  assert.match(answer.header('sip-etag')!, /^[0-9a-f]{16}$/);
  const [call] = s.core.calls.calls();
  const figures = { lossPercent: 1.5, discardPercent: 0.2, jitterMs: 6, roundTripMs: 40, codec: 'PCMU' };
  const parties = { id: call!.id, from: 'alice', to: 'bob', users: ['alice', 'bob'], isPrivate: call!.isPrivate };
  assert.deepEqual(s.heard, [{ ...parties, user: 'alice', report: 'interval', ...figures }]);

  // The called phone knows the call by a Call-ID of ours.
  const remote = ['QualityEst: MOSLQ=4.1', 'RemoteMetrics:', 'PacketLoss: NLR=3'];
  assert.equal(publish(bob, report(invite.callId, 'VQAlertReport: Type=NLR Severity=Warning', remote)).status, 200);
  assert.deepEqual(s.heard[1], {
    ...parties,
    user: 'bob',
    report: 'alert',
    alert: 'NLR',
    severity: 'warning',
    ...figures,
    mosListening: 4.1,
    remote: { lossPercent: 3 },
  });
  assert.deepEqual(s.core.quality.counters, { taken: 2, refused: 0 });
  hangUp(alice, bob, ok);
  s.assertNothingLeft();
});

test('a report comes up to 32 s after the end', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { invite, ok } = established(alice, bob);
  hangUp(alice, bob, ok);
  const final = 'VQSessionReport: CallTerm';
  s.advance(31_000);
  assert.equal(publish(alice, report(ok.callId, final)).status, 200);
  assert.deepEqual(
    s.heard.map(({ user, report: kind, from }) => [user, kind, from]),
    [['alice', 'session', 'alice']],
  );
  s.advance(2000);
  assert.equal(publish(bob, report(invite.callId, final)).status, 403);
  assert.equal(s.heard.length, 1);
  s.assertNothingLeft();
});

test('nobody reports on calls of others, on those that ring, and on none', () => {
  const s = stage();
  const [alice, bob, carol] = [s.phone('alice'), s.phone('bob'), s.phone('carol')];
  bob.register();
  alice.request('INVITE', { sdp: OFFER });
  const [invite] = bob.take() as [SipMessage];
  bob.answer(invite, 180);
  assert.equal(publish(bob, report(invite.callId)).status, 403);
  bob.answer(invite, 200, ANSWER);
  bob.take();
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  assert.equal(publish(carol, report(ok.callId)).status, 403);
  assert.equal(publish(bob, report(ok.callId)).status, 403, 'the other side’s Call-ID');
  assert.equal(publish(alice, report('nothing@x')).status, 403);
  const words = publish(carol, report(ok.callId)).header('reason');
  assert.match(words!, /carol has no answered call of that CallID/);
  assert.deepEqual(s.heard, []);
  hangUp(alice, bob, ok);
  assert.equal(publish(carol, report(ok.callId)).status, 403);
  s.assertNothingLeft();
});

test('what is wrong with a report is said', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { ok } = established(alice, bob);
  const fine = report(ok.callId);
  assert.equal(publish(alice, undefined).status, 400);
  assert.equal(publish(alice, 'v=0').status, 400);
  assert.equal(publish(alice, report(undefined)).status, 400);
  assert.equal(publish(alice, fine, { headers: [['SIP-If-Match', 'x']] }).status, 412);
  const unread = publish(alice, fine, { type: 'text/plain' });
  assert.deepEqual([unread.status, unread.header('accept')], [415, VQ_TYPE]);
  const unknown = publish(alice, fine, { event: 'dialog', uri: `sip:alice@${DOMAIN}` });
  assert.deepEqual([unknown.status, unknown.header('allow-events')], [489, 'presence, vq-rtcpxr']);
  assert.equal(publish(alice, fine, { uri: 'sip:collector@elsewhere.test' }).status, 404);
  assert.equal(publish(alice, fine, { uri: `sip:${DOMAIN}`, event: 'VQ-RTCPXR;id=1' }).status, 200);
  assert.deepEqual(s.core.quality.counters, { taken: 1, refused: 5 });
  hangUp(alice, bob, ok);
  s.assertNothingLeft();
});

test('a phone that reports too often is slowed down, in this call', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const { invite, ok } = established(alice, bob);
  const status = () => publish(alice, report(ok.callId)).status;
  assert.deepEqual([status(), status(), status(), status(), status()], [200, 200, 200, 200, 503]);
  assert.equal(publish(alice, report(ok.callId)).header('retry-after'), '5');
  assert.equal(publish(bob, report(invite.callId)).status, 200);
  s.advance(5000);
  assert.deepEqual([status(), status()], [200, 503]);
  hangUp(alice, bob, ok);
  s.assertNothingLeft();
});

test('a call to the echo is reported on like any other', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.register();
  alice.request('INVITE', { uri: `sip:600@${DOMAIN}`, to: `<sip:600@${DOMAIN}>`, sdp: OFFER });
  const ok = last(alice.take());
  assert.equal(ok.status, 200);
  alice.within(ok, 'ACK', { cseq: 1 });
  assert.equal(publish(alice, report(ok.callId)).status, 200);
  assert.deepEqual(
    s.heard.map(({ id, to, users }) => [id, to, users]),
    [[s.core.calls.calls()[0]!.id, '600', ['alice']]],
  );
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('OPTIONS says that reports are taken here (RFC 3903 8), a refused SUBSCRIBE that they can’t be watched', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.request('OPTIONS', { uri: `sip:${DOMAIN}`, to: `<sip:${DOMAIN}>` });
  assert.match(last(alice.take()).header('allow-events')!, /presence.*, vq-rtcpxr$/);
  alice.request('SUBSCRIBE', {
    uri: `sip:alice@${DOMAIN}`,
    headers: [['Event', 'vq-rtcpxr']],
    branch: 'w',
    callId: 'w',
  });
  const refused = last(alice.take());
  assert.equal(refused.status, 489);
  assert.doesNotMatch(refused.header('allow-events')!, /vq-rtcpxr/);
});

test('who is transferred reports on the call that it is in now, who has left on the one that it was in', () => {
  const s = stage();
  const [alice, bob, carol] = [s.phone('alice'), s.phone('bob'), s.phone('carol')];
  bob.register();
  carol.register();
  const { invite, ok } = established(alice, bob);
  const old = s.core.calls.calls()[0]!.id;
  bob.within(invite, 'REFER', { cseq: 1, headers: [['Refer-To', `<sip:carol@${DOMAIN}>`]] });
  bob.within(invite, 'BYE', { cseq: 2 });
  bob.take();
  const final = 'VQSessionReport: CallTerm';
  assert.equal(publish(bob, report(invite.callId, final)).status, 200, 'while the transfer is under way');
  const ring = last(carol.take());
  carol.answer(ring, 200, ANSWER);
  alice.answer(last(alice.take()), 200, OFFER);
  alice.take();
  assert.equal(publish(bob, report(invite.callId, final)).status, 200, 'when it is done');
  assert.equal(publish(alice, report(ok.callId)).status, 200);
  const now = s.core.calls.calls()[0]!.id;
  assert.deepEqual(
    s.heard.map(({ id, user, to }) => [id === old ? 'old' : id === now && 'new', user, to]),
    [
      ['old', 'bob', 'bob'],
      ['old', 'bob', 'bob'],
      ['new', 'alice', 'carol'],
    ],
  );
  carol.take();
  carol.within(ring, 'BYE', { cseq: 1 });
  s.assertNothingLeft();
});
