import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CallEnd, callEndWords, calledMeanwhileWords, isPlainHangup, parseReason } from './call-end.ts';

const rejected = (status: number, reason?: string): CallEnd => ({
  by: 'remote',
  cause: 'rejected',
  status,
  ...(reason ? { reason } : {}),
});

test('every rejection of the brief has its own words and a next step', () => {
  const cases: [number, RegExp, RegExp][] = [
    [404, /No one here is called bob/, /People/],
    [480, /Bob is not signed in/, /no phone is registered/],
    [486, /Bob is busy/, /Try again/],
    [603, /Bob declined/, /chose not/],
    [408, /The phone of bob does not respond/, /switched off/],
    [488, /No common way/, /format/],
    [503, /could not be carried/, /media relay/],
    [401, /not signed in/, /Sign in/],
  ];
  for (const [status, title, detail] of cases) {
    const words = callEndWords(rejected(status), 'bob');
    assert.match(words.title, title);
    assert.match(words.detail!, detail);
    assert.equal(words.tone, 'problem');
  }
});

test('no status from 300 to 699 is without words, and none shows a bare number', () => {
  for (let status = 300; status < 700; status++) {
    const words = callEndWords(rejected(status), 'bob');
    assert.ok(words.title.length > 5 && words.detail!.length > 5, String(status));
    assert.doesNotMatch(words.title + words.detail, /%|\b\d{3}\b|undefined/, String(status));
  }
});

test('the server’s own reason is shown', () => {
  assert.match(callEndWords(rejected(480, 'bob is on holiday'), 'bob').detail!, /“bob is on holiday”/);
});

test('a phone that rang did not answer; one that did not ring does not respond', () => {
  for (const status of [408, 480]) {
    const words = callEndWords({ ...rejected(status), rang: true }, 'bob');
    assert.equal(words.title, 'Bob did not answer');
    assert.match(words.detail!, /rang without an answer/);
  }
  assert.doesNotMatch(callEndWords(rejected(408), 'bob').detail!, /rang/);
});

test('a domain that is not ours is named, whoever was called there', () => {
  const words = callEndWords(
    rejected(404, 'example.org is not served here: calls go to users of this server only'),
    'bob@example.org',
  );
  assert.equal(words.title, 'Calls to example.org are not possible here');
  assert.doesNotMatch(words.detail!, /People|spelling/);
});

test('whoever calls the own name is told so, and offered nothing to repeat', () => {
  const cases: [CallEnd, string][] = [
    [rejected(480, 'alice has no other phone that is signed in'), 'That is you'],
    [{ ...rejected(480), rang: true }, 'Your other phone was not answered'],
    [rejected(486), 'Your other phone is busy'],
    [rejected(603), 'You declined on your other phone'],
  ];
  for (const [end, title] of cases) {
    const words = callEndWords(end, 'Alice', 'self');
    assert.equal(words.title, title);
    assert.equal(words.action, undefined);
  }
  assert.match(callEndWords(rejected(480), 'Alice', 'self').detail!, /No other phone of yours is signed in/);
  assert.match(callEndWords(rejected(503), 'Alice', 'self').title, /could not be carried/);
  assert.match(calledMeanwhileWords('Alice', 'self').title, /Your other phone/);
});

test('a missed call offers to call back, a normal hang-up needs no more words', () => {
  assert.equal(callEndWords({ by: 'remote', cause: 'canceled' }, 'Bob').action, 'call-back');
  assert.equal(callEndWords({ by: 'remote', cause: 'no-answer' }, 'Bob').action, 'call-back');
  assert.equal(isPlainHangup({ by: 'local', cause: 'hangup' }), true);
  assert.equal(isPlainHangup({ by: 'remote', cause: 'hangup', reason: 'the relay was restarted' }), false);
  assert.equal(isPlainHangup({ by: 'local', cause: 'canceled' }), false);
});

test('a name is put into the words as it is', () => {
  assert.equal(callEndWords(rejected(486), 'A$&%').title, 'A$&% is busy');
});

test('ends of calls are told from this phone’s side', () => {
  assert.equal(callEndWords({ by: 'remote', cause: 'hangup' }, 'Bob').title, 'Bob hung up');
  assert.equal(callEndWords({ by: 'local', cause: 'hangup' }, 'Bob').title, 'Call ended');
  assert.equal(callEndWords({ by: 'remote', cause: 'canceled' }, 'Bob').title, 'Missed call from Bob');
  assert.equal(callEndWords({ by: 'remote', cause: 'answered-elsewhere' }, 'Bob').title, 'Answered on another device');
  assert.match(callEndWords({ by: 'local', cause: 'media-never' }, 'Bob').detail!, /firewall/);
  assert.match(callEndWords({ by: 'local', cause: 'forgotten' }, 'Bob').detail!, /restarted/);
  assert.equal(callEndWords({ by: 'local', cause: 'relay-unreachable' }, 'Bob').action, 'without-relay');
});

test('a Reason header is read (RFC 3326)', () => {
  assert.deepEqual(parseReason('SIP;cause=200;text="Call completed elsewhere"'), {
    cause: 200,
    text: 'Call completed elsewhere',
  });
  assert.deepEqual(parseReason('SIP ; text="say \\"no\\"" ;cause=603'), { cause: 603, text: 'say "no"' });
  assert.deepEqual(parseReason('Q.850;cause=16'), {});
  assert.deepEqual(parseReason(undefined), {});
});
