import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NgDictionary } from '@offhook/core';
import fc from 'fast-check';
import type { DescribeRequest } from '../session/index.ts';
import { parametersOf, unknownNames } from './parameters.ts';
import { optionsOf } from './words.ts';

const base = { command: 'offer', 'call-id': 'c', 'from-tag': 'a', sdp: 'v=0' };

/** The request of a message that can be carried out. */
function read(more: NgDictionary) {
  const parameters = parametersOf({ ...base, ...more });
  assert.ok('request' in parameters, 'error' in parameters ? parameters.error : '');
  return parameters;
}

/** A key, the same as words of a script in `flags` and `rtpp-flags`, and what of the request it means. */
const MEANINGS: readonly (readonly [NgDictionary, string, Partial<DescribeRequest>])[] = [
  [{ ICE: 'remove' }, 'ICE=remove', { ice: 'remove' }],
  [{ ICE: 'force-relay' }, 'ICE=force-relay', { ice: 'force' }],
  [{ 'transport protocol': 'RTP/SAVPF' }, 'RTP/SAVPF', { protocol: 'RTP/SAVPF' }],
  [{ 'transport-protocol': 'UDP/TLS/RTP/SAVP' }, 'UDP/TLS/RTP/SAVP', { protocol: 'UDP/TLS/RTP/SAVP' }],
  [{ 'transport-protocol': 'accept' }, 'transport-protocol=accept', { protocol: undefined }],
  [{ direction: ['in', 'out'] }, 'direction=in,out', { interfaces: ['in', 'out'] }],
  [{ interface: 'in' }, 'interface=in', { interfaces: ['in', 'in'] }],
  [{ 'media address': '192.0.2.1' }, 'media-address=192.0.2.1', { mediaAddress: '192.0.2.1' }],
  [{ 'media-address': 'host.example' }, 'media-address=host.example', { mediaAddress: undefined }],
  [{ 'address family': 'IP6' }, 'address-family=IP6', { addressFamily: 6 }],
  [{ 'rtcp-mux': ['offer', 'reject'] }, 'rtcp-mux-offer rtcp-mux-reject', { rtcpMux: ['offer', 'reject'] }],
  [{ replace: ['session name'] }, 'replace-session-name', { replace: new Set(['session-name'] as const) }],
  [{ replace: ['origin', 'session-connection'] }, 'replace-origin replace-session-connection', { replaceOrigin: true }],
  [{ DTLS: 'off' }, 'DTLS=off', { dtlsOff: true }],
  [
    { DTLS: 'passive', 'DTLS-reverse': 'active' },
    'DTLS=passive DTLS-reverse=active',
    { dtlsRole: 'passive', dtlsReverse: 'active' },
  ],
  [{ 'DTLS-fingerprint': 'SHA-256' }, 'DTLS-fingerprint=SHA-256', {}],
  [{ SDES: ['off'] }, 'SDES-off', { sdesOff: true }],
  [
    { SDES: ['no-X', 'only-Y', 'nonew', 'order:A;B', 'offerer_pref:C;'] },
    'SDES-no-X SDES-only-Y SDES-nonew SDES-order:A;B SDES-offerer_pref:C;',
    { sdes: { not: ['X'], only: ['Y'], addsNone: true, order: ['A', 'B'], preferred: ['C'] } },
  ],
  [
    { codec: { strip: ['PCMU'], offer: ['opus', 'PCMA'], except: 'G722' } },
    'codec-strip-PCMU codec-offer-opus codec-offer-PCMA codec-except-G722',
    { codecs: { strip: ['PCMU'], offer: ['opus', 'PCMA'], except: ['G722'], transcode: [] } },
  ],
  [
    { codec: { transcode: ['opus/48000/2'] } },
    'transcode-opus/48000/2',
    { codecs: { strip: [], offer: [], except: [], transcode: ['opus/48000/2'] } },
  ],
  [{ ptime: 40 }, 'ptime=40', { ptimeMs: 40 }],
  [{ label: 'x' }, 'label=x', {}],
  [{ flags: ['trust address'] }, 'trust-address', { trustAddress: true }],
  [{ 'received from': ['IP4', '192.0.2.5'] }, 'received-from=192.0.2.5', { receivedFrom: '192.0.2.5' }],
];
for (const [keys, words, expected] of MEANINGS) {
  test(`${JSON.stringify(keys)} means what the words do: ${words}`, () => {
    const ways = [keys, { flags: words.split(' ') }, { 'rtpp-flags': words }];
    for (const [i, way] of ways.entries()) {
      const { request } = read(way);
      for (const [name, value] of Object.entries(expected)) {
        assert.deepEqual(request[name as keyof DescribeRequest], value, `${name}, way ${i}`);
      }
      assert.deepEqual(unknownNames(optionsOf({ ...base, ...way })), []);
    }
  });
}

test('what a key says comes before a word, and who the call is of is never taken from words', () => {
  const { request } = read({ ICE: 'remove', 'rtpp-flags': 'ICE=force call-id=evil from-tag=evil sdp=evil' });
  assert.deepEqual([request.ice, request.callId, request.fromTag, request.sdp], ['remove', 'c', 'a', 'v=0']);
});

const REFUSED: readonly (readonly [NgDictionary, RegExp])[] = [
  [{ SDES: ['unencrypted_srtp'] }, /without encryption and authentication/],
  [{ flags: ['SDES-unauthenticated_srtp'] }, /without encryption and authentication/],
  [{ codec: { mask: ['PCMU'] } }, /codec mask: it needs transcoding/],
  [{ 'rtpp-flags': 'codec-consume-opus' }, /codec consume: it needs transcoding/],
  [{ 'DTLS-fingerprint': 'SHA-1' }, /SHA-256 only/],
  [{ 'T.38': ['decode'] }, /no fax gateway/],
  [{ OSRTP: ['offer'] }, /RTP or SRTP, not both/],
  [{ 'via-branch': 'x'.repeat(257) }, /via-branch is longer than 256/],
  [{ 'call-id': '' }, /call-id is missing/],
];
for (const [keys, words] of REFUSED) {
  test(`${JSON.stringify(keys).slice(0, 50)} is refused in words`, () => {
    const parameters = parametersOf({ ...base, ...keys });
    assert.match('error' in parameters ? parameters.error : '', words);
  });
}

test('what is passed over is warned of where somebody may count on it', () => {
  const { warnings } = read({ 'record call': 'yes', flags: ['inject DTMF', 'always-transcode'], ptime: 20 });
  assert.deepEqual(
    warnings.map(({ about }) => about),
    ['record-call', 'inject-DTMF', 'always-transcode', 'ptime'],
  );
  assert.deepEqual(read({ 'record-call': 'no' }).warnings, []);
  const asked = read({ 'DTMF security': 'silence', 'delay-buffer': 100, flags: ['audio player'] }).warnings;
  assert.deepEqual(
    asked.map(({ about }) => about),
    ['DTMF-security', 'audio-player', 'delay-buffer'],
  );
  const words = { 'rtpp-flags': 'audio-player=transcoding DTMF-security=drop xmlrpc-callback=192.0.2.1' };
  assert.equal(read(words).warnings.length, 3);
  assert.deepEqual(read({ 'audio-player': 'off', 'delay-buffer': 0, 'DTMF-security': 'off' }).warnings, []);
});

test('unknown keys and flags are named, known ones not', () => {
  const message = { ...base, frobnicate: 'x', flags: ['loop protect', 'SIP source address', 'levitate'], TOS: 184 };
  assert.deepEqual(unknownNames(optionsOf(message)), ['frobnicate', 'levitate']);
});

test('any values of any keys are read or refused, never thrown at', () => {
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      fc.string(),
      fc.integer(),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(fc.string(), tie('any'), { maxKeys: 3 }),
    ),
  })).any;
  const name = fc.constantFrom(
    'flags',
    'rtpp-flags',
    'codec',
    'SDES',
    'replace',
    'direction',
    'ICE',
    'DTLS',
    'ptime',
    'label',
    'call-id',
    'received-from',
    'T.38',
    'constructor',
    '__proto__',
  );
  fc.assert(
    fc.property(fc.dictionary(name, value), (keys) => {
      parametersOf({ ...base, ...(keys as NgDictionary) });
    }),
  );
});
