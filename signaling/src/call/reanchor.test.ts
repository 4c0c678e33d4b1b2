import assert from 'node:assert/strict';
import { test } from 'node:test';
import { continued } from './reanchor.ts';
import { ANSWER, DOMAIN, established, last, OFFER, type Phone, type Stage, stage } from './test-kit.ts';

function talking(s: Stage = stage()) {
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  return { s, alice, bob, ...established(alice, bob) };
}

/** The phone takes the re-INVITE that it has just got, with a description of its own. */
function takes(phone: Phone, sdp: string): string {
  const reinvite = last(phone.take());
  assert.equal(reinvite.method, 'INVITE');
  phone.answer(reinvite, 200, sdp);
  assert.deepEqual(phone.seen(), ['ACK']);
  return reinvite.bodyText;
}

test('a call whose relay died goes on at the one that follows: both phones get the other side anew, once', () => {
  const { s, alice, bob, invite } = talking();
  s.killRelay();
  assert.deepEqual([alice.seen(), bob.seen()], [[], []], 'there is no relay that they could be sent to');
  s.relayReturns();
  const toBob = takes(bob, ANSWER.replaceAll('192.0.2.2', '192.0.2.22'));
  assert.match(toBob, /192\.0\.2\.1[\s\S]*via-relay:offer/, 'bob gets what alice last said');
  const aliceNow = OFFER.replaceAll('192.0.2.1', '192.0.2.11');
  const toAlice = takes(alice, aliceNow);
  assert.match(toAlice, /192\.0\.2\.22[\s\S]*via-relay:offer/, 'and alice what bob says now');
  assert.equal(s.alive.size, 1);
  assert.equal(s.core.calls.counters.reanchored, 1);
  assert.deepEqual(s.ended, []);
  const [bobs, alices] = s.ng.filter((m) => m.command === 'offer' || m.command === 'answer').slice(-2);
  assert.deepEqual([bobs?.command, alices?.command, alices?.['from-tag']], ['offer', 'answer', bobs?.['from-tag']]);
  assert.match(String(bobs?.sdp), /192\.0\.2\.22/);
  assert.equal(String(alices?.sdp), aliceNow, 'the relay knows both sides as they are in the end');

  // Everything as before: bob changes something, alice hangs up.
  bob.within(invite, 'INVITE', { cseq: 1, sdp: ANSWER });
  alice.answer(last(alice.take()), 200, OFFER);
  bob.take();
  bob.within(invite, 'ACK', { cseq: 1 });
  bob.within(invite, 'BYE', { cseq: 2 });
  alice.take();
  s.assertNothingLeft();
});

/** The same with ICE, as a browser says it. */
const withIce = (sdp: string, ufrag: string) => `${sdp}a=ice-ufrag:${ufrag}\r\na=ice-pwd:${ufrag.repeat(24)}\r\n`;

test('that an encrypted side is offered to a plain one then is not said of the call', () => {
  const { s, alice, bob, invite } = talking();
  s.killRelay();
  s.relayReturns();
  takes(bob, ANSWER.replace('RTP/AVP', 'RTP/SAVP'));
  takes(alice, OFFER);
  bob.within(invite, 'BYE', { cseq: 1 });
  alice.answer(last(alice.take()), 200);
  assert.equal(s.ended.length, 1);
  assert.doesNotMatch(s.ended[0]!, /not encrypted/);
});

test('what a phone with ICE said to a relay that is gone is a stand-in for what it says to the next one', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  alice.request('INVITE', { sdp: withIce(OFFER, 'a') });
  const ring = last(bob.take());
  bob.answer(ring, 200, ANSWER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  bob.take();
  s.killRelay();
  s.relayReturns();
  const before = s.ng.length;
  takes(bob, ANSWER);
  takes(alice, withIce(OFFER, 'b'));
  const said = s.ng
    .slice(before - 1)
    .map((m) => `${m.command} ${m.flags ?? ''} ${/ufrag:(.)/.exec(String(m.sdp))?.[1]}`);
  assert.deepEqual(said, ['offer opaque,stand-in a', 'answer  undefined', 'offer opaque undefined', 'answer  b']);
  alice.within(ok, 'BYE', { cseq: 2 });
  bob.answer(last(bob.take()), 200);
  s.assertNothingLeft();
});

test('where another relay is there the calls go to it at once', () => {
  const { s, alice, bob, invite } = talking(stage({ core: { relays: 2 } }));
  const home = s.core.media.relayOf([...s.alive][0]!)!;
  // Where it still answers, who said so was a liar.
  s.core.handleRelayRefused(home, s.clock.now);
  s.advance(2000);
  assert.deepEqual([alice.seen(), bob.seen()], [[], []]);
  s.killRelay(home);
  takes(bob, ANSWER);
  takes(alice, OFFER);
  assert.equal(s.core.media.relayOf([...s.alive][0]!), 1 - home);
  bob.within(invite, 'BYE', { cseq: 1 });
  alice.take();
  s.assertNothingLeft();
});

test('a phone that does not take the new path ends the call in words; it outlives a relay that is away for long', () => {
  for (const stays of [false, true]) {
    const { s, alice, bob } = talking();
    s.killRelay();
    if (stays) s.advance(20_000);
    else {
      s.relayReturns();
      bob.answer(last(bob.take()), 488);
    }
    const words = /^480 the media relay of alice and bob is gone, and bob.s phone does not take/;
    if (!stays) assert.match(s.ended.join(), words);
    else {
      assert.deepEqual(s.ended, [], 'while no relay answers nothing is certain');
      s.relayReturns();
      takes(bob, ANSWER);
      takes(alice, OFFER);
      s.core.hangUpAll('the end', s.clock.now);
      s.settle();
    }
    for (const phone of [alice, bob]) phone.answer(last(phone.take()), 200);
    s.assertNothingLeft();
  }
});

test('a phone that hangs up in between ends it all', () => {
  const { s, alice, bob, ok } = talking();
  s.killRelay();
  s.relayReturns();
  const reinvite = last(bob.take());
  alice.within(ok, 'BYE', { cseq: 2 });
  bob.answer(reinvite, 200, ANSWER);
  const seen = bob.take();
  assert.deepEqual(seen.map((m) => m.method).sort(), ['ACK', 'BYE']);
  s.assertNothingLeft();
});

test('a phone that takes its time gets one re-INVITE, whatever else would be looked for meanwhile', () => {
  const { s, alice, bob, invite } = talking();
  s.advance(59_000); // soon the relay would be asked whether it still has media
  s.killRelay();
  s.relayReturns();
  const reinvite = last(bob.take());
  bob.answer(reinvite, 100);
  s.advance(10_000);
  assert.deepEqual(bob.seen(), []);
  bob.answer(reinvite, 200, ANSWER);
  bob.take();
  takes(alice, OFFER);
  assert.deepEqual([bob.seen(), s.core.calls.counters.reanchored], [[], 1]);
  bob.within(invite, 'BYE', { cseq: 1 });
  alice.take();
  s.assertNothingLeft();
});

test('the echo begins anew too', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.request('INVITE', { uri: `sip:600@${DOMAIN}`, sdp: OFFER });
  const ok = last(alice.take());
  assert.equal(ok.status, 200);
  alice.within(ok, 'ACK', { cseq: 1 });
  s.killRelay();
  s.relayReturns();
  takes(alice, OFFER);
  assert.equal(s.core.calls.counters.reanchored, 1);
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();

  alice.request('INVITE', { uri: `sip:600@${DOMAIN}`, sdp: withIce(OFFER, 'a'), callId: 'with-ice' });
  const answered = last(alice.take());
  alice.within(answered, 'ACK', { cseq: 1 });
  s.killRelay();
  s.relayReturns();
  takes(alice, withIce(OFFER, 'b'));
  const said = s.ng.filter((m) => m.command === 'echo').slice(-2);
  assert.deepEqual(
    said.map((m) => [String(m.flags ?? ''), /ufrag:(.)/.exec(String(m.sdp))?.[1]]),
    [
      ['stand-in', 'a'],
      ['', 'b'],
    ],
  );
  alice.within(answered, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('a relay that dies once more in the middle, and is back before anybody notices: both begin anew again', () => {
  const { s, alice, bob, invite } = talking();
  s.killRelay();
  s.relayReturns();
  s.hold('offer');
  takes(bob, ANSWER); // what he says waits at a relay that is dead already
  s.restartRelay();
  s.release();
  const half = last(alice.take());
  s.advance(1000); // its next ping says that it is another one
  alice.answer(half, 200, OFFER);
  alice.take();
  assert.equal(s.core.calls.counters.reanchored, 0, 'bob sends to where nobody is');
  s.advance(500);
  takes(alice, OFFER);
  takes(bob, ANSWER);
  assert.equal(s.core.calls.counters.reanchored, 1);
  bob.within(invite, 'BYE', { cseq: 1 });
  alice.answer(last(alice.take()), 200);
  s.assertNothingLeft();
});

test('that goes for the echo as well', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.request('INVITE', { uri: `sip:600@${DOMAIN}`, sdp: OFFER });
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  s.killRelay();
  s.relayReturns();
  const half = last(alice.take());
  s.restartRelay();
  s.advance(1000);
  alice.answer(half, 200, OFFER);
  alice.take();
  s.advance(500);
  takes(alice, OFFER);
  s.advance(2000);
  assert.deepEqual([alice.seen(), s.core.calls.counters.reanchored], [[], 1]);
  alice.within(ok, 'BYE', { cseq: 2 });
  s.assertNothingLeft();
});

test('a phone whose session is refreshed while it keeps the new path waiting still gets it', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  const headers: [string, string][] = [
    ['Supported', 'timer'],
    ['Session-Expires', '90;refresher=uas'],
  ];
  const { invite } = established(alice, bob, { headers });
  s.advance(42_000);
  s.killRelay();
  s.relayReturns();
  takes(bob, ANSWER);
  alice.answer(last(alice.take()), 491);
  let asked = 0;
  for (let seconds = 0; seconds < 6; seconds++) {
    s.advance(1000);
    for (const message of alice.take()) {
      if (message.kind !== 'request' || message.method === 'ACK') continue;
      asked++;
      alice.answer(message, 200, message.bodyText.includes('via-relay:offer') ? OFFER : undefined);
    }
  }
  assert.deepEqual([asked, s.core.calls.counters.reanchored], [2, 1], 'the refresh and the new path');
  bob.within(invite, 'BYE', { cseq: 1 });
  alice.answer(last(alice.take()), 200);
  s.assertNothingLeft();
});

test('a relay that dies in the middle of a transfer: it is the new call that begins anew', () => {
  const { s, alice, bob, ok } = talking();
  const carol = s.phone('carol');
  carol.register();
  alice.within(ok, 'REFER', { cseq: 2, headers: [['Refer-To', `<sip:carol@${DOMAIN}>`]] });
  for (const message of alice.take()) if (message.method === 'NOTIFY') alice.answer(message, 200);
  const carols = OFFER.replaceAll('192.0.2.1', '192.0.2.3');
  takes(carol, carols);
  const moved = last(bob.take());
  s.killRelay();
  s.relayReturns();
  bob.answer(moved, 200, ANSWER);
  assert.deepEqual(bob.seen(), ['ACK']);
  for (const message of alice.take()) alice.answer(message, 200);
  takes(carol, carols);
  s.advance(500); // what the call that bob has left had for him is nothing any more
  const toBob = takes(bob, ANSWER);
  assert.match(toBob, /192\.0\.2\.3[\s\S]*via-relay:offer/);
  s.advance(2000);
  assert.deepEqual([alice.seen(), bob.seen(), carol.seen()], [[], [], []]);
  assert.deepEqual([s.core.calls.counters.reanchored, s.alive.size], [1, 1]);
  s.core.hangUpAll('the end', s.clock.now);
  s.settle();
  for (const phone of [bob, carol]) phone.answer(last(phone.take()), 200);
  s.assertNothingLeft();
});

test('thousands begin anew one after the other, none is forgotten', () => {
  const s = stage({ limits: { callsPerUser: 1000 } });
  const alice = s.phone('alice');
  const calls = 120;
  for (let i = 0; i < calls; i++) {
    alice.request('INVITE', { uri: `sip:600@${DOMAIN}`, sdp: OFFER, branch: `b${i}`, callId: `c${i}` });
    alice.within(last(alice.take()), 'ACK', { cseq: 1 });
  }
  const answered = s.core.calls.size;
  s.killRelay();
  s.relayReturns(210); // its next ping
  for (let round = 0; round < 20; round++, s.advance(50)) {
    const invites = alice.take().filter((m) => m.method === 'INVITE' && m.kind === 'request');
    assert.ok(invites.length <= 60, `${invites.length} at once`);
    for (const invite of invites) alice.answer(invite, 200, OFFER);
  }
  alice.take();
  assert.equal(s.core.calls.counters.reanchored, answered);
  s.core.hangUpAll('the end', s.clock.now);
  s.settle();
  for (const bye of alice.take()) alice.answer(bye, 200);
  s.assertNothingLeft();
});

test('the session that a description belongs to stays, its version rises', () => {
  const before = OFFER.replace(/^o=.*$/m, 'o=- 77 9 IN IP4 192.0.2.9');
  assert.match(continued(ANSWER, before), /^o=- 77 10 IN IP4 /m);
  assert.equal(continued(ANSWER, undefined), ANSWER);
  assert.equal(continued('junk', before), 'junk');
});
