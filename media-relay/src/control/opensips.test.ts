import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeNg } from '@offhook/core';
import { line, mediaAt, Peer, plainSdp, rtp } from '../test-kit.ts';
import { TestRelay } from '../test-relay.ts';
import { bencodeUnsorted, type Unsorted } from './bencode-unsorted.ts';

// What OpenSIPS' rtpengine module sends, after its source (modules/rtpengine/rtpengine.c): one datagram a command, the keys
// in the order in which they are added there and not sorted, `command` the last, `address family` with a space.

let relay: TestRelay;
let client: Peer;
let count = 0;

before(async () => {
  relay = await TestRelay.start();
  client = await Peer.open();
});

after(async () => {
  await client.close();
  await relay.stop();
});

/** One command under a cookie as OpenSIPS makes them: process, then a count. */
async function ask(message: { readonly [key: string]: Unsorted }) {
  const cookie = `2101_${++count}`;
  client.send(Buffer.from(`${cookie} ${bencodeUnsorted(message)}`), relay.ngAt);
  const answer = decodeNg((await client.next())!)!;
  assert.equal(answer.cookie, cookie);
  return answer.message;
}

/** Both hear each other by what they were told. */
async function assertTalk(a: Peer, toA: string, b: Peer, toB: string): Promise<void> {
  a.send(rtp({ ssrc: 1, sequence: ++count }), mediaAt(toA));
  assert.ok(await b.next());
  b.send(rtp({ ssrc: 2, sequence: ++count }), mediaAt(toB));
  assert.ok(await a.next());
}

test("a call as OpenSIPS' rtpengine module drives it: ping, offer, answer, re-INVITE of the callee, delete", async () => {
  const [a, b] = [await Peer.open(), await Peer.open()];
  assert.equal((await ask({ command: 'ping' })).result, 'pong');

  const script = { flags: ['trust-address', 'symmetric'], replace: ['origin', 'session-connection'] };
  const call = { 'call-id': 'osips@host', 'via-branch': 'branch-0', 'received-from': ['IP4', '127.0.0.1'] };
  const offered = await ask({
    sdp: plainSdp(a),
    ICE: 'remove',
    'address family': 'IP4',
    direction: ['external', 'internal'],
    ...script,
    'transport-protocol': 'RTP/AVP',
    'rtcp-mux': ['demux'],
    ...call,
    'from-tag': 'caller',
    command: 'offer',
  });
  assert.equal(offered.result, 'ok');
  const toB = String(offered.sdp);
  assert.equal(line(toB, 'm=').split(' ')[2], 'RTP/AVP');
  assert.ok(!toB.includes(`c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${a.at.port} `), 'the caller’s port is not told');

  // The reply to the caller's request: its From tag stays first.
  const answered = await ask({
    sdp: plainSdp(b),
    ...script,
    ...call,
    'from-tag': 'caller',
    'to-tag': 'callee',
    command: 'answer',
  });
  const toA = String(answered.sdp);
  await assertTalk(a, toA, b, toB);

  // A request of the callee has no via-branch of the call's forks, and the tags the other way round.
  const { 'via-branch': _, ...within } = call;
  const tags = { 'from-tag': 'callee', 'to-tag': 'caller' };
  const again = await ask({ sdp: plainSdp(b, ['a=ptime:20']), ...script, ...within, ...tags, command: 'offer' });
  assert.equal(mediaAt(String(again.sdp)).port, mediaAt(toA).port, 'ports stay');
  const agreed = await ask({ sdp: plainSdp(a), ...script, ...within, ...tags, command: 'answer' });
  assert.equal(mediaAt(String(agreed.sdp)).port, mediaAt(toB).port);
  await assertTalk(a, toA, b, toB);

  // The BYE has both tags; by default the To tag is not sent, which means the whole call.
  const ended = await ask({ ...within, 'from-tag': 'callee', command: 'delete' });
  assert.equal(ended.result, 'ok');
  relay.assertNothingLeft();
  assert.equal((await ask({ ...within, 'from-tag': 'callee', command: 'delete' })).result, 'ok', 'a repeated BYE');
  await Promise.all([a.close(), b.close()]);
});

test('a WebRTC offer towards a browser by the same module: ICE, DTLS, rtcp-mux, no SDES', async () => {
  const a = await Peer.open();
  const { sdp, warning } = await ask({
    sdp: plainSdp(a),
    ICE: 'force',
    flags: ['trust-address', 'SDES-off'],
    replace: ['origin', 'session-connection'],
    'transport-protocol': 'UDP/TLS/RTP/SAVPF',
    'rtcp-mux': ['offer'],
    'call-id': 'web@host',
    'received-from': ['IP4', '127.0.0.1'],
    'from-tag': 'caller',
    command: 'offer',
  });
  const text = String(sdp);
  assert.equal(warning, undefined);
  assert.equal(line(text, 'm=').split(' ')[2], 'UDP/TLS/RTP/SAVPF');
  for (const needed of ['a=ice-lite', 'a=rtcp-mux', 'a=fingerprint:sha-256 ', 'a=setup:actpass'])
    assert.ok(text.includes(needed), needed);
  assert.ok(!text.includes('a=crypto'));
  assert.equal((await ask({ 'call-id': 'web@host', 'from-tag': 'caller', command: 'delete' })).result, 'ok');
  await a.close();
});
