import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeNg, type NgDictionary } from '@offhook/core';
import { line, mediaAt, type NgClient, Peer, plainSdp, rtp } from '../test-kit.ts';
import { TestRelay } from '../test-relay.ts';
import { bencodeUnsorted, type Unsorted } from './bencode-unsorted.ts';

let relay: TestRelay;
let ng: NgClient;

before(async () => {
  relay = await TestRelay.start();
  ng = relay.ng;
});

after(() => relay.stop());

test("a call as Kamailio's rtpengine module drives it: offer, answer, re-INVITE of the callee, query, BYE", async () => {
  const [a, b, client] = [await Peer.open(), await Peer.open(), await Peer.open()];
  let count = 0;
  const ask = async (message: { readonly [key: string]: Unsorted }, cookie = `1_3735928559_${++count}`) => {
    client.send(Buffer.from(`${cookie} ${bencodeUnsorted(message)}`), relay.ngAt);
    const text = Buffer.from((await client.next())!).toString();
    assert.ok(text.startsWith(`${cookie} d`));
    return decodeNg(Buffer.from(text))!.message;
  };
  const common = (type: string) => ({ 'call-id': 'kam@host', 'sip-message-type': type });
  const script = {
    supports: ['load limit'],
    ICE: 'remove',
    label: 'caller',
    direction: ['external', 'internal'],
    flags: ['trust-address', 'symmetric', 'loop-protect'],
    replace: ['origin', 'session-connection'],
    'transport-protocol': 'RTP/AVP',
    'rtcp-mux': ['demux'],
    SDES: ['off'],
    'received-from': ['IP4', '127.0.0.1'],
  };
  const tags = (from: string, to?: string) => ({
    'via-branch': 'z9hG4bK.1',
    'from-tag': from,
    ...(to ? { 'to-tag': to } : {}),
  });
  const invite = { sdp: plainSdp(a), ...script, ...common('request'), ...tags('A'), command: 'offer' };
  const toB = await ask(invite);
  assert.equal(toB.result, 'ok');
  // Repeated by Kamailio (same cookie), and by the SIP phone (another cookie): the same ports.
  assert.deepEqual(await ask(invite, `1_3735928559_${count}`), toB);
  assert.deepEqual(await ask(invite), toB);
  const ok = { sdp: plainSdp(b), ...script, ...common('reply'), ...tags('A', 'B'), command: 'answer' };
  const toA = await ask(ok);
  assert.deepEqual(await ask(ok), toA);
  b.send(rtp({ ssrc: 2, sequence: 1 }), mediaAt(String(toB.sdp)));
  assert.ok(await a.next());
  a.send(rtp({ ssrc: 1, sequence: 1 }), mediaAt(String(toA.sdp)));
  assert.ok(await b.next());
  // The callee's re-INVITE is a request from B; the 200 of A is a reply, so its tags are those of the request.
  const again = await ask({ sdp: plainSdp(b), ...script, ...common('request'), ...tags('B', 'A'), command: 'offer' });
  assert.deepEqual(mediaAt(String(again.sdp)), mediaAt(String(toA.sdp)));
  const final = await ask({ sdp: plainSdp(a), ...script, ...common('reply'), ...tags('B', 'A'), command: 'answer' });
  assert.deepEqual(mediaAt(String(final.sdp)), mediaAt(String(toB.sdp)));

  const query = await ask({ supports: ['load limit'], ...common('request'), ...tags('A', 'B'), command: 'query' });
  const totals = query.totals as Record<string, NgDictionary>;
  assert.deepEqual([totals.RTP!.packets, totals.RTP!.errors, totals.RTCP!.packets], [2, 0, 0]);
  const leg = (query.tags as Record<string, NgDictionary>).A!;
  assert.deepEqual([leg.tag, leg['in dialogue with'], typeof query.created], ['A', 'B', 'number']);
  const [stream, rtcp] = (leg.medias as NgDictionary[])[0]!.streams as NgDictionary[];
  assert.deepEqual(
    { ...(stream!.endpoint as NgDictionary) },
    { address: '127.0.0.1', family: 'IPv4', port: a.at.port },
  );
  assert.deepEqual([stream!.flags, rtcp!.flags], [['RTP'], ['RTCP']]);
  assert.equal(stream!['local port'], mediaAt(String(toA.sdp)).port);
  assert.ok(Math.abs(Number(stream!['last packet']) - Date.now() / 1000) < 5);

  const bye = await ask({ supports: ['load limit'], ...common('request'), ...tags('B', 'A'), command: 'delete' });
  assert.deepEqual([bye.result, (bye.totals as Record<string, NgDictionary>).RTP!.packets], ['ok', 2]);
  const twice = await ask({ supports: ['load limit'], ...common('request'), ...tags('A'), command: 'delete' });
  assert.deepEqual([twice.result, typeof twice.warning], ['ok', 'string']);
  await Promise.all([a.close(), b.close(), client.close()]);
  await relay.hangUp('kam@host');
});

test('a late offer in the 200 and its answer in the ACK, as Kamailio tags them', async () => {
  const [a, b] = [await Peer.open(), await Peer.open()];
  const toA = await ng.sdp({ command: 'offer', 'call-id': 'late', 'from-tag': 'B', 'to-tag': 'A', sdp: plainSdp(b) });
  const toB = await ng.sdp({ command: 'answer', 'call-id': 'late', 'from-tag': 'B', 'to-tag': 'A', sdp: plainSdp(a) });
  a.send(rtp({ ssrc: 1, sequence: 1 }), mediaAt(toA));
  assert.ok(await b.next());
  b.send(rtp({ ssrc: 2, sequence: 1 }), mediaAt(toB));
  assert.ok(await a.next());
  await Promise.all([a.close(), b.close()]);
  await relay.hangUp('late');
});

test("rtpp-flags, the script's words unread, mean what the keys mean", async () => {
  const a = await Peer.open();
  const base = { command: 'offer', 'from-tag': 'a', sdp: plainSdp(a) };
  const words =
    'replace-origin ICE=force rtcp-mux-offer UDP/TLS/RTP/SAVPF received-from=127.0.0.1 trust-address call-id=x from-tag=y SDES-off';
  const sdp = await ng.sdp({ ...base, 'call-id': 'w1', 'rtpp-flags': words });
  assert.match(sdp, /^o=- /m);
  assert.equal(line(sdp, 'm=').split(' ')[2], 'UDP/TLS/RTP/SAVPF');
  assert.ok(sdp.includes('a=ice-lite') && sdp.includes('a=rtcp-mux'));
  await a.close();
  await relay.hangUp('w1');
});
