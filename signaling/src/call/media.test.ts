import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Flow } from '../transaction/index.ts';
import {
  answerCommand,
  type MediaSide,
  mediaLines,
  offerCommand,
  padSections,
  profileOf,
  trimSections,
} from './media.ts';

const flow = (transport: Flow['transport']): Flow => ({
  id: 1,
  transport,
  local: { address: '192.0.2.1', port: 5060 },
  remote: { address: '2001:db8::7', port: 5062 },
});
const sdp = (protocol: string, attributes = '') =>
  `v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 ${protocol} 0\r\n${attributes}`;
const FINGERPRINT = `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}\r\n`;
const PLAIN = sdp('RTP/AVP');
const SDES = sdp('RTP/SAVP', 'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n');
const WEBRTC = sdp('UDP/TLS/RTP/SAVPF', `a=ice-ufrag:u\r\n${FINGERPRINT}`);
const browser: MediaSide = { mediaTag: 'browser', flow: flow('ws') };
const desk: MediaSide = { mediaTag: 'desk', flow: flow('udp') };
const offer = (from: MediaSide, to: MediaSide, text: string, path: 'opaque' | 'terminated' = 'opaque') => {
  const c = offerCommand({ ngCallId: 'c', from, to, sdp: text, path });
  return [c['transport-protocol'], c.ICE, c['rtcp-mux'], c.SDES, c.flags];
};

test('what the far phone gets: WebRTC for a browser, the offer’s own protocol or plain RTP for others', () => {
  const off = ['off'];
  assert.deepEqual(offer(browser, browser, WEBRTC), ['UDP/TLS/RTP/SAVPF', 'force', ['offer'], off, ['opaque']]);
  assert.deepEqual(offer(browser, browser, WEBRTC, 'terminated'), [
    'UDP/TLS/RTP/SAVPF',
    'force',
    ['offer'],
    off,
    undefined,
  ]);
  assert.deepEqual(offer(browser, desk, WEBRTC), ['RTP/AVP', 'remove', ['demux'], off, undefined]);
  assert.deepEqual(offer(desk, browser, PLAIN), ['UDP/TLS/RTP/SAVPF', 'force', ['offer'], off, undefined]);
  const behindEdge: MediaSide = { ...desk, isWeb: true };
  assert.deepEqual(offer(desk, behindEdge, PLAIN), ['UDP/TLS/RTP/SAVPF', 'force', ['offer'], off, undefined]);
  assert.deepEqual(offer(browser, behindEdge, WEBRTC)[4], ['opaque']);
  assert.deepEqual(offer(desk, desk, PLAIN), ['RTP/AVP', 'remove', ['demux'], off, undefined]);
  assert.deepEqual(offer(desk, desk, SDES), ['RTP/SAVP', 'remove', ['demux'], undefined, undefined]);
});

test('a phone that has described itself keeps its kind when the other side offers anew', () => {
  const ice: MediaSide = { ...desk, profile: profileOf(WEBRTC) };
  assert.deepEqual(offer(browser, ice, WEBRTC)[0], 'UDP/TLS/RTP/SAVPF');
  assert.deepEqual(offer(browser, ice, WEBRTC)[1], 'force');
  assert.deepEqual(offer(browser, { ...desk, profile: profileOf(SDES) }, WEBRTC)[0], 'RTP/SAVP');
  const back = answerCommand({ ngCallId: 'c', from: browser, to: ice, sdp: WEBRTC });
  assert.equal(back.ICE, 'force');
  assert.deepEqual(back['received-from'], ['IP6', '2001:db8::7']);
  assert.equal(back['from-tag'], 'desk', 'the offerer');
  assert.equal(back['to-tag'], 'browser');
});

test('a plain profile from before encryption was required is not offered again', () => {
  const required = (to: MediaSide, text: string) =>
    offerCommand({ ngCallId: 'c', from: browser, to, sdp: text, path: 'opaque', encryption: 'required' });
  const plain: MediaSide = { ...desk, profile: profileOf(PLAIN) };
  assert.equal(required(plain, WEBRTC)['transport-protocol'], 'RTP/SAVP');
  assert.equal(
    required({ ...desk, profile: { protocol: 'rtp/avp', ice: false } }, SDES)['transport-protocol'],
    'RTP/SAVP',
  );
  assert.equal(required({ ...browser, profile: profileOf(PLAIN) }, WEBRTC)['transport-protocol'], 'UDP/TLS/RTP/SAVPF');
  assert.equal(required({ ...desk, profile: profileOf(WEBRTC) }, SDES)['transport-protocol'], 'UDP/TLS/RTP/SAVPF');
});

test('what a description shows of its phone', () => {
  assert.deepEqual(profileOf(PLAIN), { protocol: 'RTP/AVP', ice: false });
  assert.deepEqual(profileOf(sdp('RTP/SAVPF', FINGERPRINT)), { protocol: 'UDP/TLS/RTP/SAVPF', ice: false });
  assert.deepEqual(profileOf(sdp('rtp/savpf', FINGERPRINT)), { protocol: 'UDP/TLS/RTP/SAVPF', ice: false });
  assert.deepEqual(profileOf(SDES), { protocol: 'RTP/SAVP', ice: false });
  assert.equal(profileOf('not a description'), undefined);
  assert.equal(profileOf(PLAIN.slice(0, PLAIN.indexOf('m='))), undefined);
});

test('sections that only the relay knows are added as rejected and cut off again', () => {
  const both = `${PLAIN}m=video 4002/2 RTP/AVP 96 97\r\na=rtpmap:96 VP8/90000\r\n`;
  const padded = padSections(PLAIN, mediaLines(both));
  assert.equal(padded, `${PLAIN}m=video 0 RTP/AVP 96 97\r\n`);
  assert.equal(trimSections(padded, 1), PLAIN);
  assert.equal(trimSections(both, 2), both);
  assert.equal(padSections(both, mediaLines(PLAIN)), both);
  assert.equal(padSections('v=0', []), 'v=0');
});
