import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANSWER, last, OFFER, type Phone, type Stage, stage } from './test-kit.ts';

// `media.encryption`, and phones that refuse the kind of media they are offered.

const SECURE = OFFER.replace(/RTP\/AVP 0\r\n/, 'RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n');
const WEBRTC = OFFER.replace(/RTP\/AVP 0\r\n/, 'UDP/TLS/RTP/SAVPF 0\r\na=ice-ufrag:u\r\n');

function phone(s: Stage, user: string, over: 'ws' | 'udp'): Phone {
  const made = s.phone(user, over);
  Object.assign(made.flow, { account: user });
  return made;
}

function desks(
  encryption: 'optional' | 'required' = 'optional',
  caller: 'ws' | 'udp' = 'udp',
  mediaPath: 'opaque' | 'none' = 'opaque',
) {
  const s = stage({ core: { encryption, mediaPath } });
  const [alice, bob] = [phone(s, 'alice', caller), phone(s, 'bob', 'udp')];
  bob.register();
  return { s, alice, bob };
}

/** What the relay was asked to offer in each attempt, and the attempt it is still asked to keep. */
const kinds = (s: Stage) => s.ng.filter((m) => m.command === 'offer').map((m) => m['transport-protocol']);

/** bob refuses every INVITE with that status until none comes; how many came. */
function refuseAll(bob: Phone, status: number): number {
  for (let refused = 0; ; refused++) {
    const invite = bob.take().findLast((m) => m.method === 'INVITE');
    if (!invite) return refused;
    bob.answer(invite, status);
  }
}

for (const status of [488, 415, 606]) {
  test(`a phone that refuses SRTP with ${status} is offered plain RTP in the end, and the record says so`, () => {
    const { s, alice, bob } = desks();
    alice.request('INVITE', { sdp: SECURE });
    const tried: (string | undefined)[] = [];
    for (const _ of ['SDES', 'DTLS', 'SDES with feedback']) {
      const invite = last(bob.take());
      tried.push(invite.callId);
      bob.answer(invite, status);
    }
    const invite = last(bob.take());
    tried.push(invite.callId);
    assert.deepEqual(kinds(s), ['RTP/SAVP', 'UDP/TLS/RTP/SAVPF', 'RTP/SAVPF', 'RTP/AVP']);
    assert.equal(new Set(tried).size, 4, 'each attempt is a call of its own to the phone');
    bob.answer(invite, 200, ANSWER);
    const ok = last(alice.take());
    assert.equal(ok.status, 200);
    alice.within(ok, 'ACK', { cseq: 1 });
    const [call] = s.core.calls.calls();
    const note = `bob’s phone refused SRTP (${status}): its side of the call was not encrypted`;
    assert.equal(call?.note, note);
    const offered = s.ng.findLast((m) => m.command === 'answer')!;
    assert.deepEqual(s.core.calls.relayed(), [
      {
        id: call.id,
        relayed: offered['call-id'],
        tags: [
          { tag: offered['from-tag'], party: 'alice' },
          { tag: offered['to-tag'], party: 'bob' },
        ],
      },
    ]);
    alice.within(ok, 'BYE', { cseq: 2 });
    bob.answer(last(bob.take()), 200);
    assert.equal(s.ended.length, 1);
    assert.ok(s.ended[0]?.endsWith(`; ${note}`), s.ended[0]);
    s.advance(40_000);
    s.assertNothingLeft();
  });
}

const WAYS = ['at once', 'with early media', 'in an ACK', 'without the relay', 'in a change'] as const;
for (const way of WAYS) {
  test(`the record says that SRTP or a browser’s offer was answered with plain RTP: ${way}`, () => {
    const isDesk = way === 'without the relay' || way === 'in an ACK';
    const { s, alice, bob } = desks('optional', isDesk ? 'udp' : 'ws', way === 'without the relay' ? 'none' : 'opaque');
    const sdp = { 'in an ACK': undefined, 'without the relay': SECURE, 'in a change': OFFER }[way as string] ?? WEBRTC;
    alice.request('INVITE', { sdp: way === 'in an ACK' ? undefined : sdp });
    const invite = last(bob.take());
    if (way === 'with early media') {
      bob.answer(invite, 183, ANSWER);
      assert.equal(last(alice.take()).status, 183);
      assert.equal(s.core.calls.calls()[0]?.note, undefined, 'another phone may get the call yet');
    }
    bob.answer(invite, 200, way === 'in an ACK' ? SECURE : ANSWER);
    const ok = last(alice.take());
    assert.equal(ok.status, 200);
    alice.within(ok, 'ACK', way === 'in an ACK' ? { cseq: 1, sdp: OFFER } : { cseq: 1 });
    bob.take();
    if (way === 'in a change') {
      assert.equal(s.core.calls.calls()[0]?.note, undefined, 'the caller had asked for no more');
      alice.within(ok, 'INVITE', { cseq: 2, sdp: WEBRTC });
      bob.answer(last(bob.take()), 200, ANSWER);
      alice.within(last(alice.take()), 'ACK', { cseq: 2 });
      bob.take();
    }
    const who = way === 'in an ACK' ? 'alice' : 'bob';
    const note = `${who}’s phone answered with plain RTP: its side of the call was not encrypted`;
    assert.equal(s.core.calls.calls()[0]?.note, note);
    alice.within(ok, 'BYE', { cseq: 3 });
    bob.answer(last(bob.take()), 200);
    assert.ok(s.ended[0]?.endsWith(`; ${note}`), s.ended[0]);
    s.advance(40_000);
    s.assertNothingLeft();
  });
}

test('a phone that insists on SRTP gets it when a plain phone or a browser calls', () => {
  for (const [over, sdp] of [
    ['udp', OFFER],
    ['ws', WEBRTC],
  ] as const) {
    const { s, alice, bob } = desks('optional', over);
    alice.request('INVITE', { sdp });
    for (const _ of ['plain', 'DTLS']) bob.answer(last(bob.take()), 488);
    bob.answer(last(bob.take()), 200, ANSWER.replace('RTP/AVP', 'RTP/SAVP'));
    assert.equal(last(alice.take()).status, 200);
    assert.deepEqual(kinds(s), ['RTP/AVP', 'UDP/TLS/RTP/SAVPF', 'RTP/SAVP']);
    assert.equal(s.core.calls.calls()[0]?.note, undefined, 'nothing was given up');
  }
});

test('a phone that refuses everything is asked once for each kind, and the caller gets its words', () => {
  const { s, alice, bob } = desks();
  alice.request('INVITE', { sdp: OFFER });
  assert.equal(refuseAll(bob, 488), 4);
  assert.deepEqual(kinds(s), ['RTP/AVP', 'UDP/TLS/RTP/SAVPF', 'RTP/SAVP', 'RTP/SAVPF']);
  assert.equal(last(alice.take()).status, 488);
  s.advance(40_000);
  s.assertNothingLeft();
});

test('a phone that answers SDES with a DTLS fingerprint is hung up and called again with DTLS', () => {
  const { s, alice, bob } = desks();
  alice.request('INVITE', { sdp: SECURE });
  const invite = last(bob.take());
  bob.answer(invite, 180);
  const fingerprint = `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}\r\n`;
  const answer = `${ANSWER.replace('RTP/AVP', 'RTP/SAVP')}${fingerprint}`;
  bob.answer(invite, 200, answer);
  const [ack, bye, again] = bob.take();
  assert.deepEqual([ack?.method, bye?.method, again?.method], ['ACK', 'BYE', 'INVITE']);
  bob.answer(bye!, 200);
  assert.deepEqual(kinds(s), ['RTP/SAVP', 'UDP/TLS/RTP/SAVPF']);
  bob.answer(again!, 200, answer.replace('RTP/SAVP', 'UDP/TLS/RTP/SAVPF'));
  const ok = last(alice.take());
  assert.equal(ok.status, 200);
  alice.within(ok, 'ACK', { cseq: 1 });
  assert.deepEqual(bob.seen(), ['ACK']);
  assert.equal(s.core.calls.calls()[0]?.note, undefined);
  alice.within(ok, 'BYE', { cseq: 2 });
  bob.answer(last(bob.take()), 200);
  s.advance(40_000);
  s.assertNothingLeft();
});

test('nothing else is offered to a browser, after ringing, after another refusal, or once the caller has gone', () => {
  const { s, alice } = desks();
  const web = phone(s, 'carol', 'ws');
  web.register();
  alice.request('INVITE', { sdp: OFFER, uri: 'sip:carol@example.test', to: '<sip:carol@example.test>' });
  assert.equal(refuseAll(web, 488), 1);
  for (const way of ['rung', 'busy', 'cancelled'] as const) {
    const { alice: caller, bob } = desks();
    caller.request('INVITE', { sdp: SECURE });
    const invite = last(bob.take());
    if (way === 'rung') bob.answer(invite, 180);
    if (way === 'cancelled') {
      bob.answer(invite, 100);
      caller.request('CANCEL', { branch: 'alice1INVITE' });
    }
    bob.answer(invite, way === 'busy' ? 486 : 488);
    assert.ok(!bob.seen().includes('INVITE'), way);
  }
});

test('where encryption is required nobody is offered plain RTP, not even after 488', () => {
  const { s, alice, bob } = desks('required', 'ws');
  alice.request('INVITE', { sdp: WEBRTC });
  assert.equal(refuseAll(bob, 488), 3);
  assert.deepEqual(kinds(s), ['RTP/SAVP', 'UDP/TLS/RTP/SAVPF', 'RTP/SAVPF']);
  assert.equal(last(alice.take()).status, 488);
});

test('where encryption is required plain RTP is refused in words: in an INVITE, a change, and a late offer', () => {
  const words = /encrypted media only, and audio is offered as RTP\/AVP/;
  {
    const { s, alice, bob } = desks('required');
    alice.request('INVITE', { sdp: OFFER });
    const refused = last(alice.take());
    assert.equal(refused.status, 488);
    assert.match(refused.header('reason') ?? '', words);
    assert.deepEqual([bob.take(), s.ng], [[], []]);
  }
  const { s, alice, bob } = desks('required');
  alice.request('INVITE', { sdp: SECURE });
  bob.answer(last(bob.take()), 200, SECURE);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  bob.take();
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  const refused = last(alice.take());
  assert.equal(refused.status, 488);
  assert.match(refused.header('reason') ?? '', words);
  assert.equal(s.core.calls.size, 1, 'the call goes on as it was');
  {
    const { alice: caller, bob: called } = desks('required');
    caller.request('INVITE');
    called.answer(last(called.take()), 200, OFFER);
    assert.ok(last(caller.take()).status >= 400);
    assert.deepEqual(called.seen(), ['ACK', 'BYE']);
  }
});

test('where encryption is required only SRTP is taken, however a protocol is written, by the relay and without it', () => {
  const offers = [
    OFFER.replace('RTP/AVP', 'rtp/avp'),
    OFFER.replace('RTP/AVP', 'RTP/avpf'),
    OFFER.replace('RTP/AVP', 'TCP/RTP/AVP'),
    OFFER.replace('RTP/AVP', 'udp'),
    OFFER.replace('RTP/AVP', 'RTP/SAVPX'),
    OFFER.replace('m=audio', 'm=application'),
    `${SECURE}m=video 0 RTP/AVP 96\r\na=bundle-only\r\n`,
    `${SECURE}m=video 5002 RTP/AVP 96\r\n`,
  ];
  for (const mediaPath of ['opaque', 'none'] as const) {
    for (const offer of offers) {
      const { s, alice, bob } = desks('required', 'udp', mediaPath);
      alice.request('INVITE', { sdp: offer });
      const refused = last(alice.take());
      assert.equal(refused.status, 488, offer);
      assert.match(refused.header('reason') ?? '', /encrypted media only/);
      assert.deepEqual([bob.take(), s.ng], [[], []]);
    }
    const { alice, bob } = desks('required', 'udp', mediaPath);
    const rejected = 'm=video 0 RTP/AVP 96\r\nm=application 5004 UDP/BFCP *\r\n';
    alice.request('INVITE', { sdp: `${SECURE.replace('RTP/SAVP', 'rtp/savp')}${rejected}` });
    assert.deepEqual(bob.seen(), ['INVITE'], 'SRTP in small letters, a rejected section, and what is no media');
  }
});
