import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { base64, encodeNg, fromBase64, type NgDictionary, RtcpWriter, rtcpSsrc, rtpSsrc } from '@offhook/core';
import { MAX_PACKET, nodeCrypto } from '@offhook/core/node';
import { type DtlsCertificate, DtlsEndpoint, liveDtlsEndpoints, makeCertificate } from './dtls/index.ts';
import type { LegStatistics } from './session/index.ts';
import { SRTP_PROFILES, SrtpContext, type SrtpProfile } from './srtp/index.ts';
import { line, mediaAt, type NgClient, Peer, plainSdp, rtp, until, WebRtcPeer } from './test-kit.ts';
import { PLAIN, TestRelay, WEBRTC } from './test-relay.ts';

let relay: TestRelay;
let ng: NgClient;
let certificate: DtlsCertificate;
let otherCertificate: DtlsCertificate;

before(async () => {
  relay = await TestRelay.start();
  ({ ng, certificate } = relay);
  otherCertificate = makeCertificate();
});

after(async () => {
  await relay.stop();
  otherCertificate.close();
});

const dropped = (reason: string) => relay.dropped(reason);
const iceCount = (event: string) => relay.metrics()[`offhook_media_ice_total{event="${event}"}`]!;
const gone = (callId: string) => relay.hangUp(callId);

/** An RTCP packet (PLI) of a sender. */
function report(sender: number): Uint8Array {
  const bytes = new Uint8Array(200);
  const writer = new RtcpWriter(bytes);
  writer.pli(sender, 1);
  return bytes.slice(0, writer.length);
}

/** One crypto suite with a fresh key, and both directions once the relay has answered. */
function sdes() {
  const profile = 'AES_CM_128_HMAC_SHA1_80' as const;
  const master = nodeCrypto.randomBytes(30);
  const split = (k: Uint8Array) => ({ profile, key: k.slice(0, 16), salt: k.slice(16) });
  return {
    crypto: `a=crypto:1 ${profile} inline:${base64(master)}`,
    tx: new SrtpContext(split(master), 'protect'),
    rx: (answer: string) =>
      new SrtpContext(split(fromBase64(line(answer, 'a=crypto:').split('inline:')[1]!)!), 'unprotect'),
  };
}

async function dtlsEcho(callId: string): Promise<WebRtcPeer> {
  const a = await WebRtcPeer.open(certificate);
  const answer = await ng.sdp({
    command: 'echo',
    'call-id': callId,
    'from-tag': 'a',
    'to-tag': 'e',
    sdp: a.sdp('actpass'),
  });
  assert.equal(line(answer, 'a=setup:'), 'passive');
  await a.join(answer);
  return a;
}

test('a WebRTC leg hears its own packets with another SSRC, RTP and RTCP', async () => {
  const a = await dtlsEcho('e1');
  a.sendRtp(rtp({ ssrc: 0x1234, sequence: 1, payloadType: 111 }));
  const back = await a.nextRtp();
  assert.ok(back);
  assert.notEqual(rtpSsrc(back, 0), 0x1234);
  assert.deepEqual(back.slice(12), rtp({ ssrc: 0, sequence: 1 }).slice(12));
  const mask = rtpSsrc(back, 0) ^ 0x1234;

  const report = new Uint8Array(200);
  const writer = new RtcpWriter(report);
  writer.pli(0x1234, 0x9999);
  const length = a.tx!.protectRtcp(report, 0, writer.length);
  a.peer.send(report.slice(0, length), a.remote.at);
  const rtcp = Uint8Array.from((await a.peer.nextIn(128, 191))!);
  assert.ok(a.rx!.unprotectRtcp(rtcp, 0, rtcp.length) > 0);
  assert.equal(rtcpSsrc(rtcp, 0), (0x1234 ^ mask) >>> 0);
  await a.close();
  await gone('e1');
});

test('plain RTP and RTCP are echoed to the address of the SDP', async () => {
  const a = await Peer.open();
  const answer = await ng.sdp({ command: 'echo', 'call-id': 'e2', 'from-tag': 'a', 'to-tag': 'e', sdp: plainSdp(a) });
  const at = mediaAt(answer);
  assert.equal(at.port % 2, 0);
  assert.equal(Number(line(answer, 'a=rtcp:')), at.port + 1);
  for (let sequence = 1; sequence <= 3; sequence++) {
    a.send(rtp({ ssrc: 5, sequence }), at);
    const back = await a.next();
    assert.equal(back?.length, 172);
  }
  await a.close();
  await gone('e2');
});

for (const profile of Object.keys(SRTP_PROFILES) as SrtpProfile[]) {
  test(`a leg with keys in its SDP is echoed: ${profile}`, async () => {
    const { keyLength, saltLength } = SRTP_PROFILES[profile];
    const a = await Peer.open();
    const master = nodeCrypto.randomBytes(keyLength + saltLength);
    const sdp = plainSdp(a, [`a=crypto:4 ${profile} inline:${base64(master)}|2^31`]).replace('RTP/AVP', 'RTP/SAVP');
    const answer = await ng.sdp({ command: 'echo', 'call-id': 's1', 'from-tag': 'a', 'to-tag': 'e', sdp });
    const [tag, suite, inline] = line(answer, 'a=crypto:').split(' ');
    assert.deepEqual([tag, suite], ['4', profile]);
    const own = fromBase64(inline!.slice('inline:'.length))!;
    assert.notDeepEqual(own, master);
    const split = (k: Uint8Array) => ({ profile, key: k.slice(0, keyLength), salt: k.slice(keyLength) });
    const tx = new SrtpContext(split(master), 'protect');
    const rx = new SrtpContext(split(own), 'unprotect');
    const packet = new Uint8Array(220);
    packet.set(rtp({ ssrc: 77, sequence: 9 }));
    const length = tx.protect(packet, 0, 172);
    // A stranger with a packet that has no good tag comes first and learns nothing.
    const stranger = await Peer.open();
    stranger.send(rtp({ ssrc: 1, sequence: 1, length: 178 }), mediaAt(answer));
    a.send(packet.slice(0, length), mediaAt(answer));
    const back = Uint8Array.from((await a.next())!);
    assert.equal(rx.unprotect(back, 0, back.length), 172);
    assert.equal(stranger.waiting, 0);
    tx.close();
    rx.close();
    await a.close();
    await stranger.close();
    await gone('s1');
  });
}

test('a WebRTC peer and a plain phone talk, RTCP included, and delete leaves nothing', async () => {
  const a = await WebRtcPeer.open(certificate);
  const b = await Peer.open();
  const bRtcp = await Peer.open();
  const toB = await ng.sdp({ command: 'offer', 'call-id': 't1', 'from-tag': 'a', sdp: a.sdp('actpass'), ...PLAIN });
  assert.match(toB, /m=audio \d+ RTP\/AVP 111 0\r\n/);
  const answer = plainSdp(b, [`a=rtcp:${bRtcp.at.port}`]);
  await a.join(
    await ng.sdp({ command: 'answer', 'call-id': 't1', 'from-tag': 'a', 'to-tag': 'b', sdp: answer, ...WEBRTC }),
  );
  const at = mediaAt(toB);

  a.sendRtp(rtp({ ssrc: 11, sequence: 1 }));
  assert.deepEqual(await b.next(), Buffer.from(rtp({ ssrc: 11, sequence: 1 })));
  b.send(rtp({ ssrc: 22, sequence: 5 }), at);
  assert.deepEqual(await a.nextRtp(), rtp({ ssrc: 22, sequence: 5 }));

  const report = new Uint8Array(200);
  const writer = new RtcpWriter(report);
  writer.pli(22, 11);
  const plain = report.slice(0, writer.length);
  bRtcp.send(plain, { address: at.address, port: at.port + 1 });
  const rtcp = Uint8Array.from((await a.peer.nextIn(128, 191))!);
  assert.equal(a.rx!.unprotectRtcp(rtcp, 0, rtcp.length), plain.length);
  assert.deepEqual(rtcp.slice(0, plain.length), plain);
  const length = a.tx!.protectRtcp(report, 0, plain.length);
  a.peer.send(report.slice(0, length), a.remote.at);
  assert.deepEqual(await bRtcp.next(), Buffer.from(plain));

  const statistics = relay.part.verbs!.statistics!;
  const [told] = statistics({ calls: ['t1', 'not-here', 7] }) as { id: string; legs: LegStatistics[] }[];
  assert.equal(told?.id, 't1');
  const counts = told.legs.map(({ tag, packetsIn, packetsOut }) => [tag, packetsIn, packetsOut]);
  assert.deepEqual(counts, [
    ['a', 2, 2],
    ['b', 2, 2],
  ]);
  assert.throws(() => statistics({}), /a list of call-ids/);
  assert.throws(() => statistics({ calls: Array(101).fill('x') }), /no more than 100/);

  const query = await ng.call({ command: 'query', 'call-id': 't1' });
  const tags = query.tags as Record<string, NgDictionary>;
  assert.equal((tags.a!.dtls as NgDictionary).state, 'connected');
  assert.equal((tags.a!.ice as NgDictionary).state, 'nominated');
  assert.match(String((tags.b!.medias as NgDictionary[])[0]!.source), /^locked to 127\.0\.0\.1 port/);
  await Promise.all([a.close(), b.close(), bRtcp.close()]);
  await gone('t1');
});

test('the opaque path carries DTLS and SRTP unread, and early DTLS waits for the other side', async () => {
  const a = await WebRtcPeer.open(certificate);
  const b = await WebRtcPeer.open(otherCertificate);
  const opaque = { ...WEBRTC, flags: ['opaque', 'some-future-flag'] };
  const toB = await ng.sdp({ command: 'offer', 'call-id': 'o1', 'from-tag': 'a', sdp: a.sdp('actpass'), ...opaque });
  assert.equal(line(toB, 'a=fingerprint:'), certificate.fingerprint);
  assert.equal(line(toB, 'a=setup:'), 'actpass');
  b.learn(toB);
  assert.equal(await b.check(), 0x0101); // before the answer has reached the relay
  const toA = await ng.sdp({
    command: 'answer',
    'call-id': 'o1',
    'from-tag': 'a',
    'to-tag': 'b',
    sdp: b.sdp('active'),
    ...opaque,
  });
  assert.equal(line(toA, 'a=fingerprint:'), otherCertificate.fingerprint);
  a.learn(toA);
  const client = b.handshake('client');
  assert.equal(await a.check(), 0x0101);
  const server = a.handshake('server');
  assert.deepEqual([await client, await server], [true, true]);
  b.sendRtp(rtp({ ssrc: 3, sequence: 1 }));
  assert.deepEqual(await a.nextRtp(), rtp({ ssrc: 3, sequence: 1 }));
  a.sendRtp(rtp({ ssrc: 4, sequence: 1 }));
  assert.deepEqual(await b.nextRtp(), rtp({ ssrc: 4, sequence: 1 }));
  assert.equal((await ng.call({ command: 'query', 'call-id': 'o1' })).path, 'opaque');
  await Promise.all([a.close(), b.close()]);
  await gone('o1');
});

test('the relay is the DTLS client of a peer that answers passive', async () => {
  const a = await Peer.open();
  const b = await WebRtcPeer.open(certificate);
  b.learn(await ng.sdp({ command: 'offer', 'call-id': 'p1', 'from-tag': 'a', sdp: plainSdp(a), ...WEBRTC }));
  const toA = await ng.sdp({
    command: 'answer',
    'call-id': 'p1',
    'from-tag': 'a',
    'to-tag': 'b',
    sdp: b.sdp('passive'),
    ...PLAIN,
  });
  b.peer.send(b.checkBytes(), b.remote.at);
  assert.ok(await b.handshake('server'), b.failure);
  a.send(rtp({ ssrc: 8, sequence: 2 }), mediaAt(toA));
  assert.deepEqual(await b.nextRtp(), rtp({ ssrc: 8, sequence: 2 }));
  await Promise.all([a.close(), b.close()]);
  await gone('p1');
});

for (const role of ['client', 'server'] as const) {
  test(`a certificate that is not the SDP's gives no media, with the peer as ${role}`, async () => {
    const a = await Peer.open();
    const b = await WebRtcPeer.open(otherCertificate);
    b.learn(await ng.sdp({ command: 'offer', 'call-id': 'f1', 'from-tag': 'a', sdp: plainSdp(a), ...WEBRTC }));
    const sdp = b.sdp(role === 'client' ? 'active' : 'passive', certificate.fingerprint);
    const toA = await ng.sdp({ command: 'answer', 'call-id': 'f1', 'from-tag': 'a', 'to-tag': 'b', sdp, ...PLAIN });
    const mismatches = () => relay.metrics()['offhook_media_dtls_total{event="fingerprintMismatch"}']!;
    const before = mismatches();
    b.peer.send(b.checkBytes(), b.remote.at);
    await b.handshake(role, 500);
    await until(() => mismatches() === before + 1);
    a.send(rtp({ ssrc: 8, sequence: 2 }), mediaAt(toA));
    assert.equal(await b.peer.nextIn(128, 191, 50), undefined);
    const query = await ng.call({ command: 'query', 'call-id': 'f1' });
    const leg = (query.tags as Record<string, NgDictionary>).b!;
    assert.match(String((leg.dtls as NgDictionary).reason), /not the one its SDP names/);
    await Promise.all([a.close(), b.close()]);
    await gone('f1');
  });
}

test('checks that prove nothing are refused as the RFC says and open no path', async () => {
  const a = await WebRtcPeer.open(certificate);
  a.learn(await ng.sdp({ command: 'echo', 'call-id': 'h1', 'from-tag': 'a', 'to-tag': 'e', sdp: a.sdp('actpass') }));
  const stranger = await Peer.open();
  const code = async (bytes: Uint8Array) => {
    stranger.send(bytes, a.remote.at);
    const reply = await stranger.next();
    assert.ok(reply && reply.length <= bytes.length);
    return reply[20] === 0 && reply[21] === 9 ? reply[26]! * 100 + reply[27]! : 0;
  };
  assert.equal(await code(a.checkBytes({ pwd: 'wrongwrongwrongwrongwrong' })), 401);
  assert.equal(await code(a.checkBytes({ username: `${a.remote.ufrag}:somebody` })), 401);
  assert.equal(await code(a.checkBytes({ username: `nobody:${a.ufrag}` })), 401);
  assert.equal(await code(a.checkBytes({ username: 'nocolon' })), 401);
  assert.equal(await code(a.checkBytes({ extra: 0x7ff0 })), 420);
  assert.equal(await code(a.checkBytes({ controlled: true })), 487);
  const bare = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, ...new Array(12).fill(7)];
  stranger.send(Uint8Array.from(bare), a.remote.at); // shorter than any error: no answer
  const longer = Uint8Array.from([...bare, 0, 0x24, 0, 4, 0, 0, 0, 1]); // PRIORITY
  longer[3] = 8;
  assert.equal(await code(longer), 400);
  assert.equal(iceCount('badRequest'), 2);

  const strangers = dropped('dtlsStranger');
  stranger.send(Uint8Array.from([22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 0, 0, 0, 0]), a.remote.at);
  await until(() => dropped('dtlsStranger') === strangers + 1);
  assert.equal(liveDtlsEndpoints(), 0);

  // The real peer still gets through, and the stranger's media does not.
  assert.equal(await a.check(), 0x0101);
  assert.ok(await a.handshake('client'), a.failure);
  const others = dropped('stranger');
  stranger.send(rtp({ ssrc: 1, sequence: 1 }), a.remote.at);
  await until(() => dropped('stranger') === others + 1);
  a.sendRtp(rtp({ ssrc: 2, sequence: 1 }));
  assert.ok(await a.nextRtp());
  await stranger.close();
  await a.close();
  await gone('h1');
});

test('a changed or repeated SRTP packet is dropped and the call goes on', async () => {
  const a = await dtlsEcho('r1');
  const room = new Uint8Array(220);
  room.set(rtp({ ssrc: 2, sequence: 1 }));
  const wire = room.slice(0, a.tx!.protect(room, 0, 172));
  const broken = wire.slice();
  broken[40]! ^= 1;
  const before = dropped('srtp');
  a.peer.send(broken, a.remote.at);
  a.peer.send(wire, a.remote.at);
  a.peer.send(wire, a.remote.at);
  assert.ok(await a.nextRtp());
  await until(() => dropped('srtp') === before + 2);
  assert.equal(a.peer.waiting, 0);
  await a.close();
  await gone('r1');
});

test('RTP from a stranger is neither forwarded nor followed, before and after the phone speaks', async () => {
  const a = await Peer.open();
  const stranger = await Peer.open('127.0.0.9');
  const answer = await ng.sdp({
    command: 'echo',
    'call-id': 'b1',
    'from-tag': 'a',
    'to-tag': 'e',
    sdp: plainSdp(a),
    'received-from': ['IP4', '127.0.0.1'],
  });
  const at = mediaAt(answer);
  const before = dropped('stranger');
  for (let sequence = 1; sequence <= 20; sequence++) stranger.send(rtp({ ssrc: 66, sequence }), at);
  await until(() => dropped('stranger') === before + 20);
  a.send(rtp({ ssrc: 5, sequence: 1 }), at);
  assert.ok(await a.next());
  for (let sequence = 21; sequence <= 40; sequence++) stranger.send(rtp({ ssrc: 5, sequence }), at);
  // Another port of the phone's own address doesn't take over either once the phone's port is locked.
  const neighbour = await Peer.open();
  for (let sequence = 2; sequence <= 11; sequence++) neighbour.send(rtp({ ssrc: 5, sequence }), at);
  await until(() => dropped('stranger') === before + 50);
  assert.deepEqual([a.waiting, stranger.waiting, neighbour.waiting], [0, 0, 0]);
  await Promise.all([a.close(), stranger.close(), neighbour.close()]);
  await gone('b1');
});

test('a phone behind NAT is learned from five consistent packets of its signalling address', async () => {
  const a = await Peer.open();
  const sdp = plainSdp(a, [], '127.0.0.1').replace(/m=audio \d+/, 'm=audio 9999');
  const answer = await ng.sdp({ command: 'echo', 'call-id': 'n1', 'from-tag': 'a', 'to-tag': 'e', sdp });
  for (let sequence = 1; sequence <= 6; sequence++) a.send(rtp({ ssrc: 5, sequence }), mediaAt(answer));
  assert.ok(await a.next());
  assert.ok(await a.next());
  assert.equal(await a.next(30), undefined);
  await a.close();
  await gone('n1');
});

test('an address that only an SDP names gets at most fifty packets', async () => {
  const a = await Peer.open();
  const victim = await Peer.open('127.0.0.8');
  const toB = await ng.sdp({ command: 'offer', 'call-id': 'v1', 'from-tag': 'a', sdp: plainSdp(a) });
  const sdp = plainSdp(victim);
  const answer = {
    command: 'answer',
    'call-id': 'v1',
    'from-tag': 'a',
    'to-tag': 'b',
    sdp,
    'received-from': ['IP4', '127.0.0.1'],
  };
  const toA = await ng.sdp(answer);
  assert.ok(toB);
  const before = dropped('unconfirmed');
  for (let sequence = 1; sequence <= 80; sequence++) a.send(rtp({ ssrc: 5, sequence }), mediaAt(toA));
  await until(() => dropped('unconfirmed') === before + 30 && victim.waiting >= 50);
  assert.equal(victim.waiting, 50);
  await Promise.all([a.close(), victim.close()]);
  await gone('v1');
});

test('a=rtcp sends RTCP to nobody but the peer, whatever address it names', async () => {
  const a = await Peer.open();
  const b = await Peer.open();
  const bRtcp = await Peer.open();
  const victim = await Peer.open('127.0.0.8', bRtcp.at.port);
  const toB = await ng.sdp({ command: 'offer', 'call-id': 'v2', 'from-tag': 'a', sdp: plainSdp(a) });
  const sdp = plainSdp(b, [`a=rtcp:${victim.at.port} IN IP4 127.0.0.8`]);
  const received = { 'received-from': ['IP4', '127.0.0.1'] };
  const answer = { command: 'answer', 'call-id': 'v2', 'from-tag': 'a', 'to-tag': 'b', sdp, ...received };
  const at = mediaAt(await ng.sdp(answer));
  assert.ok(toB);
  for (let n = 0; n < 5; n++) a.send(report(5), at);
  for (let n = 0; n < 5; n++) assert.ok(await bRtcp.next());
  assert.equal(victim.waiting, 0);
  await Promise.all([a.close(), b.close(), bRtcp.close(), victim.close()]);
  await gone('v2');
});

test('an address that only an SDP names gets at most fifty RTCP packets too, beside the RTP', async () => {
  const a = await Peer.open();
  const victim = await Peer.open('127.0.0.8');
  const victimRtcp = await Peer.open('127.0.0.8');
  await ng.sdp({ command: 'offer', 'call-id': 'v3', 'from-tag': 'a', sdp: plainSdp(a) });
  const sdp = plainSdp(victim, [`a=rtcp:${victimRtcp.at.port}`]);
  const answer = {
    command: 'answer',
    'call-id': 'v3',
    'from-tag': 'a',
    'to-tag': 'b',
    sdp,
    'received-from': ['IP4', '127.0.0.1'],
  };
  const at = mediaAt(await ng.sdp(answer));
  const before = dropped('unconfirmed');
  for (let sequence = 1; sequence <= 60; sequence++) {
    a.send(rtp({ ssrc: 5, sequence }), at);
    a.send(report(5), at);
  }
  await until(() => dropped('unconfirmed') === before + 20);
  await ng.sdp(answer); // said again, the same address gets no further fifty
  for (let sequence = 61; sequence <= 70; sequence++) a.send(rtp({ ssrc: 5, sequence }), at);
  await until(() => dropped('unconfirmed') === before + 30);
  assert.deepEqual([victim.waiting, victimRtcp.waiting], [50, 50]);
  await Promise.all([a.close(), victim.close(), victimRtcp.close()]);
  await gone('v3');
});

test('RTCP from the own address does not lift the limit of packets to somebody else', async () => {
  const a = await Peer.open();
  const b = await Peer.open();
  const victim = await Peer.open('127.0.0.8');
  const toB = mediaAt(await ng.sdp({ command: 'offer', 'call-id': 'v4', 'from-tag': 'a', sdp: plainSdp(a) }));
  const received = { 'received-from': ['IP4', '127.0.0.1'] };
  const answer = { command: 'answer', 'call-id': 'v4', 'from-tag': 'a', 'to-tag': 'b', ...received };
  const toA = mediaAt(await ng.sdp({ ...answer, sdp: plainSdp(b) }));
  b.send(rtp({ ssrc: 9, sequence: 1 }), toB);
  assert.ok(await a.next());
  await ng.sdp({
    command: 'offer',
    'call-id': 'v4',
    'from-tag': 'b',
    'to-tag': 'a',
    sdp: plainSdp(victim, [`a=rtcp:${b.at.port} IN IP4 127.0.0.1`]),
    ...received,
  });
  b.send(report(9), { ...toB, port: toB.port + 1 });
  const query = async () => {
    const tags = (await ng.call({ command: 'query', 'call-id': 'v4' })).tags as Record<string, NgDictionary>;
    return (tags.b!.medias as NgDictionary[])[0]!.rtcp as NgDictionary;
  };
  for (let n = 0; n < 100 && (await query()).packets !== 1; n++);
  assert.equal((await query()).packets, 1, 'the RTCP packet was accepted');
  const before = dropped('unconfirmed');
  for (let sequence = 1; sequence <= 80; sequence++) a.send(rtp({ ssrc: 5, sequence }), toA);
  await until(() => dropped('unconfirmed') === before + 30 && victim.waiting >= 50);
  assert.equal(victim.waiting, 50);
  // When the address itself speaks there is no limit any more.
  victim.send(rtp({ ssrc: 9, sequence: 2 }), toB);
  assert.ok(await a.next());
  for (let sequence = 81; sequence <= 90; sequence++) a.send(rtp({ ssrc: 5, sequence }), toA);
  await until(() => victim.waiting === 60);
  await Promise.all([a.close(), b.close(), victim.close()]);
  await gone('v4');
});

test("a forged packet from the SDP's address locks no phone out whose packets carry a good tag", async () => {
  const forger = await Peer.open(); // the SDP's address and port, as anybody can write it into a packet
  const phone = await Peer.open(); // behind NAT: another port
  const { crypto, tx, rx } = sdes();
  const sdp = plainSdp(forger, [crypto]).replace('RTP/AVP', 'RTP/SAVP');
  const answer = await ng.sdp({ command: 'echo', 'call-id': 'l1', 'from-tag': 'a', 'to-tag': 'e', sdp });
  const opener = rx(answer);
  const before = dropped('srtp');
  forger.send(rtp({ ssrc: 1, sequence: 1, length: 170 }), mediaAt(answer));
  await until(() => dropped('srtp') === before + 1);
  const packet = new Uint8Array(220);
  packet.set(rtp({ ssrc: 77, sequence: 9 }));
  phone.send(packet.slice(0, tx.protect(packet, 0, 172)), mediaAt(answer));
  const back = Uint8Array.from((await phone.next())!);
  assert.equal(opener.unprotect(back, 0, back.length), 172);
  assert.equal(forger.waiting, 0);
  tx.close();
  opener.close();
  await Promise.all([forger.close(), phone.close()]);
  await gone('l1');
});

test('a malformed packet from the address of the SDP locks no plain port', async () => {
  const sender = await Peer.open();
  const phone = await Peer.open();
  const answer = await ng.sdp({
    command: 'echo',
    'call-id': 'l2',
    'from-tag': 'a',
    'to-tag': 'e',
    sdp: plainSdp(sender),
  });
  const before = dropped('malformed');
  sender.send(Uint8Array.from([0x8f, 0, 0, 1]), mediaAt(answer));
  await until(() => dropped('malformed') === before + 1);
  for (let sequence = 1; sequence <= 5; sequence++) phone.send(rtp({ ssrc: 5, sequence }), mediaAt(answer));
  assert.ok(await phone.next());
  await Promise.all([sender.close(), phone.close()]);
  await gone('l2');
});

/** DTLS without ICE, as baresip speaks it on a plain port. */
function bareDtls(peer: WebRtcPeer, port = peer.peer.at.port): string {
  return peer
    .sdp('active')
    .replace('m=audio 9', `m=audio ${port}`)
    .replace('c=IN IP4 0.0.0.0', 'c=IN IP4 127.0.0.1')
    .replace(/a=(ice-|group:|mid:).*\r\n/g, '');
}

async function endpointPort(callId: string): Promise<unknown> {
  const tags = (await ng.call({ command: 'query', 'call-id': callId })).tags as Record<string, NgDictionary>;
  return ((tags.a!.medias as NgDictionary[])[0]!.endpoint as NgDictionary).port;
}

test('DTLS without ICE: a forged ClientHello moves nothing, is answered twice at most, and gives way to the peer', async () => {
  const a = await WebRtcPeer.open(certificate);
  const sdp = bareDtls(a);
  const answer = await ng.sdp({ command: 'echo', 'call-id': 'q1', 'from-tag': 'a', 'to-tag': 'e', sdp });
  a.remote = { ...a.remote, at: mediaAt(answer) };
  const forger = await Peer.open();
  const endpoint = new DtlsEndpoint({ role: 'client', certificate: otherCertificate });
  endpoint.handleStart(0);
  for (let c = endpoint.poll(); c; c = endpoint.poll()) if (c.kind === 'send') forger.send(c.bytes, a.remote.at);
  endpoint.close();
  assert.ok(await forger.nextIn(20, 63));
  assert.equal(await endpointPort('q1'), a.peer.at.port);
  await new Promise((resolve) => setTimeout(resolve, 800)); // retransmissions at 100, 300 and 700 ms
  assert.equal(forger.waiting, 1);
  assert.ok(await a.handshake('client'), a.failure);
  a.sendRtp(rtp({ ssrc: 3, sequence: 1 }));
  assert.ok(await a.nextRtp());
  assert.equal(forger.waiting, 1);
  await Promise.all([a.close(), forger.close()]);
  await gone('q1');
});

test('DTLS without ICE from another port of the allowed address is followed once the handshake is complete', async () => {
  const a = await WebRtcPeer.open(certificate);
  const sdp = bareDtls(a, 9999);
  const answer = await ng.sdp({ command: 'echo', 'call-id': 'q2', 'from-tag': 'a', 'to-tag': 'e', sdp });
  a.remote = { ...a.remote, at: mediaAt(answer) };
  assert.equal(await endpointPort('q2'), 9999);
  assert.ok(await a.handshake('client'), a.failure);
  await until(() => relay.metrics()['offhook_media_dtls_total{event="connected"}']! > 0);
  assert.equal(await endpointPort('q2'), a.peer.at.port);
  a.sendRtp(rtp({ ssrc: 3, sequence: 1 }));
  assert.ok(await a.nextRtp());
  await a.close();
  await gone('q2');
});

test('DTLS without ICE: hellos and alerts from another port of the allowed address keep no peer from its handshake', async () => {
  const a = await WebRtcPeer.open(certificate);
  const sdp = bareDtls(a);
  const answer = await ng.sdp({ command: 'echo', 'call-id': 'q3', 'from-tag': 'a', 'to-tag': 'e', sdp });
  a.remote = { ...a.remote, at: mediaAt(answer) };
  const forger = await Peer.open();
  for (let round = 0; round < 9; round++) {
    const endpoint = new DtlsEndpoint({ role: 'client', certificate: otherCertificate });
    endpoint.handleStart(0);
    for (let c = endpoint.poll(); c; c = endpoint.poll()) if (c.kind === 'send') forger.send(c.bytes, a.remote.at);
    endpoint.close();
    forger.send(Buffer.from('15fefd000000000000000f00020228', 'hex'), a.remote.at);
  }
  assert.ok(await forger.nextIn(20, 63));
  assert.ok(await a.handshake('client'), a.failure);
  await Promise.all([a.close(), forger.close()]);
  await gone('q3');
});

test('garbage on every port is dropped and counted, and the next call works', async () => {
  const a = await Peer.open();
  const answer = await ng.sdp({ command: 'echo', 'call-id': 'g1', 'from-tag': 'a', 'to-tag': 'e', sdp: plainSdp(a) });
  const at = mediaAt(answer);
  const mux = { address: '127.0.0.1', port: relay.ports.mux! };
  const control = { address: '127.0.0.1', port: relay.ports.ng! };
  for (let i = 0; i < 200; i++) {
    const bytes = nodeCrypto.randomBytes(i * 7);
    for (const to of [at, { address: at.address, port: at.port + 1 }, mux, control]) a.send(bytes, to);
  }
  const good = rtp({ ssrc: 5, sequence: 1 });
  for (let cut = 0; cut < 12; cut++) a.send(good.slice(0, cut), at);
  for (const text of [
    'c1 d7:command',
    'c2 {"command":',
    'c3 d7:commandi5ee',
    'x',
    ' ',
    `${'c'.repeat(300)} d7:command4:pinge`,
  ]) {
    a.send(Buffer.from(text), control);
  }
  assert.equal((await ng.call({ command: 'ping' })).result, 'pong');
  assert.ok(relay.metrics()['offhook_media_ng_total{event="malformed"}']! > 100);
  await a.close();
  await gone('g1');
  const again = await dtlsEcho('g2');
  await again.close();
  await gone('g2');
});

test('a repeated cookie gets the same answer and nothing is done twice', async () => {
  const a = await Peer.open();
  const client = await Peer.open();
  const message = { command: 'echo', 'call-id': 'k1', 'from-tag': 'a', 'to-tag': 'e', sdp: plainSdp(a) };
  const bytes = encodeNg('same', message, 'json');
  client.send(bytes, relay.ngAt);
  const first = await client.next();
  client.send(bytes, relay.ngAt);
  assert.deepEqual(await client.next(), first);
  assert.equal(relay.metrics().offhook_media_rtp_port_pairs, 1);
  await client.close();
  await a.close();
  await gone('k1');
});

test('requests that can not be served are refused in words', async () => {
  const why = async (message: NgDictionary) => String((await ng.call(message, 'json'))['error-reason']);
  assert.equal(await why({ command: 'dance' }), "unknown command 'dance'");
  assert.equal(await why({}), 'command is missing');
  assert.equal(await why({ command: 'offer', 'from-tag': 'a', sdp: 'x' }), 'call-id is missing');
  assert.equal(
    await why({ command: 'offer', 'call-id': 'q'.repeat(300), 'from-tag': 'a', sdp: 'x' }),
    'call-id is longer than 256 characters',
  );
  assert.match(await why({ command: 'offer', 'call-id': 'q', 'from-tag': 'a', sdp: 'v=1' }), /SDP|session|line/);
  const a = await Peer.open();
  const sdp = plainSdp(a);
  assert.equal(
    await why({ command: 'answer', 'call-id': 'q', 'from-tag': 'a', 'to-tag': 'b', sdp }),
    'no offer with this call-id stands',
  );
  assert.equal(
    await why({ command: 'offer', 'call-id': 'q', 'from-tag': 'a', sdp, 'transport-protocol': 'RTP/XXX' }),
    "transport-protocol 'RTP/XXX' is not one of this relay's",
  );
  assert.equal(await why({ command: 'query', 'call-id': 'q' }), 'Unknown call-id');
  const gone = await ng.call({ command: 'delete', 'call-id': 'q' });
  assert.deepEqual([gone.result, gone.warning], ['ok', "Call-ID not found or tags didn't match"]);
  assert.deepEqual((await ng.call({ command: 'list' })).calls, []);
  assert.equal((await ng.call({ command: 'statistics' })).result, 'ok');
  await a.close();
});

test('a call without packets is deleted after the media timeout and its ports return', async () => {
  const quick = await TestRelay.start({ mediaTimeoutS: 0.1 });
  const client = quick.ng;
  const a = await Peer.open();
  await client.sdp({ command: 'echo', 'call-id': 'm1', 'from-tag': 'a', 'to-tag': 'e', sdp: plainSdp(a) });
  assert.equal(quick.metrics().offhook_media_rtp_port_pairs, 1);
  await until(() => quick.metrics().offhook_media_calls === 0);
  assert.equal(quick.metrics().offhook_media_rtp_port_pairs, 0);
  assert.equal(quick.metrics().offhook_media_calls_timed_out_total, 1);
  quick.part.drain!();
  const refused = await client.call({
    command: 'echo',
    'call-id': 'm2',
    'from-tag': 'a',
    'to-tag': 'e',
    sdp: plainSdp(a),
  });
  assert.equal(refused['error-reason'], 'this relay is draining and takes no new calls');
  const next = await client.call({
    command: 'offer',
    'call-id': 'm3',
    'from-tag': 'a',
    sdp: plainSdp(a),
    supports: ['load limit'],
  });
  assert.deepEqual({ ...next }, { result: 'load limit', message: 'this relay is draining and takes no new calls' });
  await a.close();
  await quick.stop();
});

test('an exhausted range of ports is said, and what was taken comes back', async () => {
  const probe = await Peer.open();
  const portMin = 61_000 + (probe.at.port % 400) * 8;
  await probe.close();
  const small = await TestRelay.start({ rtp: { address: '127.0.0.1', portMin, portMax: portMin + 3 } });
  const client = small.ng;
  const a = await Peer.open();
  const echo = (id: string) =>
    client.call({ command: 'echo', 'call-id': id, 'from-tag': 'a', 'to-tag': 'e', sdp: plainSdp(a) });
  const free = () => small.metrics().offhook_media_rtp_port_pairs_free;
  assert.equal(free(), 2);
  assert.equal((await echo('x1')).result, 'ok');
  assert.equal((await echo('x2')).result, 'ok');
  assert.equal(free(), 0);
  assert.equal((await echo('x3'))['error-reason'], 'all RTP ports of this relay are in use');
  const offer = { command: 'offer', 'call-id': 'x4', 'from-tag': 'a', sdp: plainSdp(a), supports: ['load limit'] };
  assert.equal((await client.call(offer)).result, 'load limit');
  await client.call({ command: 'delete', 'call-id': 'x1' });
  assert.equal((await echo('x3')).result, 'ok');
  await a.close();
  await small.stop();
});

test('datagrams that are too long are counted, those of ports that are closed by now too', async () => {
  const a = await Peer.open();
  const oversize = () => relay.metrics().offhook_media_packets_oversize_total!;
  const before = oversize();
  const answer = await ng.sdp({ command: 'echo', 'call-id': 'z1', 'from-tag': 'a', 'to-tag': 'e', sdp: plainSdp(a) });
  const at = mediaAt(answer);
  const long = new Uint8Array(MAX_PACKET + 1).fill(0x80);
  for (const to of [at, { ...at, port: at.port + 1 }, { ...at, port: relay.ports.mux! }]) a.send(long, to);
  await until(() => oversize() === before + 3);
  await a.close();
  await gone('z1');
  assert.equal(oversize(), before + 3);
});

/** A plain description at an address of its own. */
const plainAt = (address: string, port: number): string => plainSdp({ at: { address, port } } as Peer);

test('media can not be sent round in circles between ports of the relay', async () => {
  const a = await Peer.open();
  const echo = (id: string, sdp: string) =>
    ng.sdp({ command: 'echo', 'call-id': id, 'from-tag': 'a', 'to-tag': 'e', sdp });
  const loops = () => relay.metrics().offhook_media_address_loops_total!;
  const before = loops();
  const first = mediaAt(await echo('c1', plainSdp(a)));
  a.send(rtp({ ssrc: 5, sequence: 1 }), first);
  assert.ok(await a.next());
  const second = mediaAt(await echo('c2', plainAt('127.0.0.1', first.port)));
  await echo('c1', plainAt('127.0.0.1', second.port)); // the ring is closed, were it not refused
  await echo('c3', plainAt('127.0.0.1', relay.ports.mux!));
  await echo('c4', plainAt('127.0.0.1', relay.ports.ng!));
  assert.ok(loops() >= before + 4);
  const forwarded = relay.metrics().offhook_media_packets_forwarded_total;
  for (let sequence = 2; sequence < 8; sequence++) a.send(rtp({ ssrc: 5, sequence }), first);
  await until(() => dropped('unready') + dropped('stranger') > 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(relay.metrics().offhook_media_packets_forwarded_total, forwarded);
  for (const id of ['c2', 'c3', 'c4']) await ng.call({ command: 'delete', 'call-id': id });
  await a.close();
  await gone('c1');
});

test("a phone's port on this machine is not opened for another call, so that no ring closes later", async () => {
  const probe = await Peer.open();
  const portMin = 61_000 + (probe.at.port % 400) * 8;
  await probe.close();
  const small = await TestRelay.start({
    rtp: { address: '127.0.0.1', portMin, portMax: portMin + 5 },
    otherWorkers: [{ portMin: portMin + 6, portMax: portMin + 7 }],
  });
  const client = small.ng;
  const echo = (id: string, port: number) =>
    client.call({
      command: 'echo',
      'call-id': id,
      'from-tag': 'a',
      'to-tag': 'e',
      sdp: plainAt('127.0.0.1', port),
    });
  const loops = () => small.metrics().offhook_media_address_loops_total!;
  const first = mediaAt(String((await echo('x1', 4000)).sdp));
  // The next pairs in turn, but one of them is named as a phone's.
  const next = portMin + ((first.port - portMin + 2) % 6);
  const last = portMin + ((first.port - portMin + 4) % 6);
  assert.equal((await echo('x1', next)).result, 'ok');
  assert.equal(loops(), 0, 'nobody of the relay is there');
  assert.equal(mediaAt(String((await echo('x2', 4000)).sdp)).port, last);
  assert.equal((await echo('x3', 4000))['error-reason'], 'all RTP ports of this relay are in use');
  await client.call({ command: 'delete', 'call-id': 'x1' });
  assert.equal((await echo('x3', 4000)).result, 'ok');
  assert.equal((await echo('x2', portMin + 7)).result, 'ok');
  assert.ok(loops() >= 1, 'the port of another worker');
  await small.stop();
});

test('a neighbour at the same address keeps the stream only until the phone speaks from the port of its SDP', async () => {
  const phone = await Peer.open();
  const neighbour = await Peer.open();
  const sdp = plainSdp(phone);
  const at = mediaAt(await ng.sdp({ command: 'echo', 'call-id': 'b1', 'from-tag': 'a', 'to-tag': 'e', sdp }));
  for (let sequence = 1; sequence <= 6; sequence++) neighbour.send(rtp({ ssrc: 0xbad, sequence }), at);
  assert.ok(await neighbour.next());
  assert.ok(await neighbour.next());
  for (let sequence = 1; sequence <= 3; sequence++) {
    phone.send(rtp({ ssrc: 7, sequence }), at);
    assert.ok(await phone.next());
  }
  const before = dropped('stranger');
  for (let sequence = 7; sequence <= 9; sequence++) neighbour.send(rtp({ ssrc: 0xbad, sequence }), at);
  await until(() => dropped('stranger') === before + 3);
  assert.deepEqual([neighbour.waiting, phone.waiting], [0, 0]);
  await Promise.all([phone.close(), neighbour.close()]);
  await gone('b1');
});

test('nobody passes a probation before the phone knows its port', async () => {
  const phone = await Peer.open();
  const neighbour = await Peer.open();
  const far = await Peer.open();
  await ng.sdp({ command: 'offer', 'call-id': 'b2', 'from-tag': 'a', sdp: plainSdp(phone) });
  const tags = (await ng.call({ command: 'query', 'call-id': 'b2' })).tags as Record<string, NgDictionary>;
  const port = Number((tags.a!.medias as NgDictionary[])[0]!['local port']);
  const before = dropped('probation');
  for (let sequence = 1; sequence <= 10; sequence++)
    neighbour.send(rtp({ ssrc: 0xbad, sequence }), { address: '127.0.0.1', port });
  await until(() => dropped('probation') === before + 10);
  const answer = { command: 'answer', 'call-id': 'b2', 'from-tag': 'a', 'to-tag': 'b', sdp: plainSdp(far) };
  assert.equal(mediaAt(await ng.sdp(answer)).port, port);
  for (let sequence = 11; sequence <= 15; sequence++)
    neighbour.send(rtp({ ssrc: 0xbad, sequence }), { address: '127.0.0.1', port });
  assert.ok(await far.next(), 'a phone behind NAT is heard from then on');
  await Promise.all([phone.close(), neighbour.close(), far.close()]);
  await gone('b2');
});

test('RTCP from another port is refused, even with an SSRC of the phone, unless its RTP comes from another port too', async () => {
  const phone = await Peer.open();
  const phoneRtcp = await Peer.open();
  const foreign = await Peer.open();
  const sdp = plainSdp(phone, [`a=rtcp:${phoneRtcp.at.port}`]);
  const echo = { command: 'echo', 'from-tag': 'a', 'to-tag': 'e' };
  const at = mediaAt(await ng.sdp({ ...echo, 'call-id': 'b3', sdp }));
  const rtcpAt = { ...at, port: at.port + 1 };
  phone.send(rtp({ ssrc: 7, sequence: 1 }), at);
  assert.ok(await phone.next());
  const before = dropped('probation');
  for (let n = 0; n < 5; n++) foreign.send(report(7), rtcpAt);
  await until(() => dropped('probation') === before + 5);
  phone.send(report(7), rtcpAt); // a phone that sends RTCP from its RTP port is heard there
  assert.ok(await phone.next());
  phoneRtcp.send(report(7), rtcpAt); // and the port of the SDP comes before that
  assert.ok(await phoneRtcp.next());
  const strangers = dropped('stranger');
  for (const peer of [phone, foreign]) peer.send(report(7), rtcpAt);
  await until(() => dropped('stranger') === strangers + 2);
  assert.equal(foreign.waiting, 0);
  await gone('b3');

  const behindNat = plainSdp({ at: { address: '127.0.0.1', port: 9 } } as Peer);
  const nat = mediaAt(await ng.sdp({ ...echo, 'call-id': 'b4', sdp: behindNat }));
  for (let sequence = 1; sequence <= 5; sequence++) phone.send(rtp({ ssrc: 7, sequence }), nat);
  assert.ok(await phone.next());
  phoneRtcp.send(report(7), { ...nat, port: nat.port + 1 });
  assert.ok(await phoneRtcp.next());
  await Promise.all([phone.close(), phoneRtcp.close(), foreign.close()]);
  await gone('b4');
});

test('only the allowed clients command a relay, without a list those of this machine', async () => {
  const open = await TestRelay.start();
  const closed = await TestRelay.start({ ng: { address: '127.0.0.1', port: 0, allowedClients: ['127.0.0.9'] } });
  const ping = new TextEncoder().encode('c1 d7:command4:pinge');
  const [friend, other] = [await Peer.open('127.0.0.9'), await Peer.open('127.0.0.8')];
  const to = ({ ports }: TestRelay) => ({ address: '127.0.0.1', port: ports.ng! });
  const refused = () => closed.metrics()['offhook_media_ng_total{event="refusedClients"}'];
  for (const peer of [friend, other]) {
    peer.send(ping, to(open));
    assert.ok(await peer.next());
    peer.send(ping, to(closed));
  }
  assert.ok(await friend.next());
  await until(() => refused() === 1);
  assert.equal(other.waiting, 0);
  await Promise.all([friend.close(), other.close(), open.stop(), closed.stop()]);
});

test('connect moves a phone into another call: its ports stay, and it hears whom it is connected with', async () => {
  const [a, b, c] = [await Peer.open(), await Peer.open(), await Peer.open()];
  const offer = (id: string, from: string, peer: Peer) =>
    ng.sdp({ command: 'offer', 'call-id': id, 'from-tag': from, sdp: plainSdp(peer) });
  const answer = (id: string, from: string, peer: Peer) =>
    ng.sdp({ command: 'answer', 'call-id': id, 'from-tag': from, 'to-tag': 'b', sdp: plainSdp(peer) });
  const atB = mediaAt(await offer('n2', 'a', a));
  const atA = mediaAt(await answer('n2', 'a', b));
  a.send(rtp({ ssrc: 1, sequence: 1 }), atA);
  assert.equal(rtpSsrc((await b.next())!, 0), 1);
  await offer('n3', 'c', c);
  const connect = { command: 'connect', 'call-id': 'n3', 'from-call-id': 'n2', 'from-tag': 'b' };
  for (const key of ['call-id', 'from-call-id', 'from-tag']) {
    const { [key]: _, ...less } = connect as Record<string, string>;
    assert.equal((await ng.call(less))['error-reason'], `${key} is missing or too long`);
  }
  assert.equal((await ng.call(connect)).result, 'ok');
  const atC = mediaAt(await answer('n3', 'c', b));
  b.send(rtp({ ssrc: 2, sequence: 1 }), atB);
  assert.equal(rtpSsrc((await c.next())!, 0), 2);
  c.send(rtp({ ssrc: 3, sequence: 9 }), atC);
  assert.equal(rtpSsrc((await b.next())!, 0), 1, 'the stream it knows goes on');
  const before = dropped('unroutable');
  a.send(rtp({ ssrc: 1, sequence: 2 }), atA);
  await until(() => dropped('unroutable') === before + 1);
  assert.deepEqual([a.waiting, b.waiting, c.waiting], [0, 0, 0]);
  assert.equal((await ng.call({ command: 'delete', 'call-id': 'n2' })).result, 'ok');
  b.send(rtp({ ssrc: 2, sequence: 2 }), atB);
  assert.ok(await c.next());
  await Promise.all([a.close(), b.close(), c.close()]);
  await gone('n3');
});
