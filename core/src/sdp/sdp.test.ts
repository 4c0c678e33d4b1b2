import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  attribute,
  bundleGroups,
  cloneSdp,
  cryptoLines,
  direction,
  fingerprints,
  iceCredentials,
  isSdpError,
  parseCandidate,
  parseSdp,
  removePayloadTypes,
  rtcpPort,
  rtpMaps,
  type SessionDescription,
  setAttribute,
  setDirection,
  setup,
  writeCandidate,
  writeSdp,
} from '../index.ts';

const OFFER = [
  'v=0',
  'o=- 4611731400430051336 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0 1',
  'a=fingerprint:sha-256 aa:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111 0 126',
  'c=IN IP4 0.0.0.0',
  'b=AS:64',
  'a=ice-ufrag:abcd',
  'a=ice-pwd:0123456789012345678901',
  'a=setup:actpass',
  'a=mid:0',
  'a=rtpmap:111 opus/48000/2',
  'a=fmtp:111 minptime=10;useinbandfec=1',
  'a=rtcp-fb:111 transport-cc',
  'a=rtpmap:126 telephone-event/8000',
  'a=candidate:1 1 udp 2113937151 192.0.2.1 54321 typ host generation 0',
  'a=x-unknown:kept as it is',
  'm=video 0 RTP/SAVP 96',
  'a=recvonly',
  'a=rtcp:53020 IN IP4 126.16.64.4',
  'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20',
  'a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32',
  '',
].join('\r\n');

function parsed(text: string): SessionDescription {
  const result = parseSdp(text);
  assert.ok(!isSdpError(result), JSON.stringify(result));
  return result;
}

test('a description is written back byte for byte', () => {
  assert.equal(writeSdp(parsed(OFFER)), OFFER);
  assert.equal(writeSdp(parsed(OFFER.replaceAll('\r\n', '\n'))), OFFER);
});

test('fields are read where the RFCs put them', () => {
  const sdp = parsed(OFFER);
  const [audio, video] = sdp.media as [SessionDescription['media'][0], SessionDescription['media'][0]];
  assert.deepEqual(bundleGroups(sdp), [['0', '1']]);
  assert.deepEqual(iceCredentials(audio, sdp), { ufrag: 'abcd', pwd: '0123456789012345678901' });
  assert.equal(setup(audio, sdp), 'actpass');
  assert.equal(fingerprints(audio, sdp)[0]?.digest.slice(0, 5), 'AA:BB');
  assert.equal(direction(audio, sdp), 'sendrecv');
  assert.equal(direction(video, sdp), 'recvonly');
  assert.deepEqual(
    rtpMaps(audio).map((m) => [m.payloadType, m.encoding, m.clockRate, m.channels, m.fmtp]),
    [
      [111, 'opus', 48000, 2, 'minptime=10;useinbandfec=1'],
      [0, 'PCMU', 8000, undefined, undefined],
      [126, 'telephone-event', 8000, undefined, undefined],
    ],
  );
  assert.deepEqual(rtcpPort(video), { port: 53020, address: '126.16.64.4' });
  assert.deepEqual(
    cryptoLines(video).map((c) => c.tag),
    [1],
    'a line with an MKI is not for us',
  );
  const candidate = parseCandidate(attribute(audio, 'candidate')!)!;
  assert.equal(writeCandidate(candidate), '1 1 udp 2113937151 192.0.2.1 54321 typ host');
});

test('changes touch the copy, not the original', () => {
  const sdp = parsed(OFFER);
  const copy = cloneSdp(sdp);
  setDirection(copy.media[0]!, 'inactive');
  setAttribute(copy.media[0]!, 'setup', 'passive');
  removePayloadTypes(copy.media[0]!, (pt) => pt === 111);
  copy.origin.sessionVersion = '3';
  assert.equal(writeSdp(sdp), OFFER);
  const text = writeSdp(copy);
  assert.match(text, /m=audio 9 UDP\/TLS\/RTP\/SAVPF 0 126\r\n/);
  assert.doesNotMatch(text, /opus|minptime|transport-cc/);
  assert.match(text, /a=setup:passive\r\n/);
  assert.match(text, /a=inactive\r\n/);
});

test('malformed descriptions are refused in words', () => {
  for (const [text, reason] of [
    ['', /missing/],
    ['v=1\r\no=- 1 1 IN IP4 1.2.3.4\r\n', /version/],
    ['v=0\r\no=- a 1 IN IP4 1.2.3.4\r\n', /o= line/],
    ['v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 70000 RTP/AVP 0\r\n', /65535/],
    ['v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 17000 RTP/AVP 4294967296\r\n', /payload type/],
    ['v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio x RTP/AVP 0\r\n', /m= line/],
    ['v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nc=XX IP4 1\r\n', /c= line/],
    ['v=0\r\nhello\r\n', /not a session description line/],
    [`v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\n${'m=audio 1 RTP/AVP 0\r\n'.repeat(17)}`, /too many media/],
    [`v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\na=${'x'.repeat(5000)}\r\n`, /too long/],
    ['v'.repeat(40_000), /too long/],
  ] as const) {
    const result = parseSdp(text);
    assert.ok(isSdpError(result), text.slice(0, 60));
    assert.match(result.reason, reason);
  }
});

test('no text makes the parser throw, and what it accepts is stable', () => {
  const lines = fc.constantFrom(
    ...OFFER.split('\r\n'),
    'm=',
    'c=IN IP6 ::1',
    'a=',
    'a=:',
    'b=',
    'z=0',
    'm=audio 1/2 RTP/AVP',
    'a=rtpmap:x',
    'a=fingerprint:',
    'a=candidate:',
    'a=crypto:',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(lines).map((l) => `v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\n${l.join('\r\n')}`),
  );
  fc.assert(
    fc.property(text, (t) => {
      const first = parseSdp(t);
      if (isSdpError(first)) return;
      for (const m of first.media) {
        rtpMaps(m);
        cryptoLines(m);
        fingerprints(m, first);
        iceCredentials(m, first);
        rtcpPort(m);
      }
      const once = writeSdp(first);
      assert.equal(writeSdp(parsed(once)), once);
    }),
    { numRuns: 2000 },
  );
});
