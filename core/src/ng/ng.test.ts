import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeNg, encodeNg, NG_LIMITS, type NgDictionary, type NgValue, text, utf8 } from '../index.ts';

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('rtpengine’s ping and its answer', () => {
  const ping = decodeNg(utf8('c01 d7:command4:pinge'))!;
  assert.equal(ping.cookie, 'c01');
  assert.equal(ping.encoding, 'bencode');
  assert.equal(ping.message.command, 'ping');
  assert.equal(text(encodeNg('c01', { result: 'pong' }, 'bencode')), 'c01 d6:result4:ponge');
});

test('an offer with lists, numbers, line ends and non-ASCII text', () => {
  const offer: NgDictionary = {
    command: 'offer',
    'call-id': 'a b',
    sdp: 'v=0\r\ns=Grüße\r\n',
    'rtcp-mux': ['offer'],
    codec: { transcode: ['opus'] },
    ttl: -3,
    nothing: undefined,
  };
  const wire = encodeNg('x', offer, 'bencode');
  assert.equal(
    text(wire),
    'x d7:call-id3:a b5:codecd9:transcodel4:opusee7:command5:offer8:rtcp-muxl5:offere3:sdp16:v=0\r\ns=Grüße\r\n3:ttli-3ee',
  );
  assert.deepEqual(plain(decodeNg(wire)!.message), plain(offer));
  const json = decodeNg(encodeNg('x', offer, 'json'))!;
  assert.equal(json.encoding, 'json');
  assert.deepEqual(plain(json.message), plain(offer));
});

test('what is written is read again in both encodings', () => {
  const { tree } = fc.letrec<{ tree: NgValue }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.string({ unit: 'grapheme' }),
      fc.integer(),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(fc.string({ maxLength: 8 }), tie('tree') as fc.Arbitrary<NgValue>, { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(fc.string(), tree), fc.constantFrom('bencode' as const, 'json' as const), (d, e) => {
      const read = decodeNg(encodeNg('cookie-1', d, e))!;
      assert.equal(read.encoding, e);
      assert.equal(JSON.stringify(sorted(read.message)), JSON.stringify(sorted(d)));
    }),
  );
});

function sorted(value: NgValue): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object') return value === 0 ? 0 : value;
  return Object.keys(value)
    .sort()
    .map((key) => [key, sorted(value[key]!)]);
}

test('malformed, deep, long and ambiguous messages are refused', () => {
  for (const bad of [
    '',
    'x',
    'x ',
    ' d1:a1:be',
    'x d',
    'x d1:a',
    'x d1:a1:b',
    'x d1:a1:bee',
    'x d1:a2:be',
    'x d1:a01:be',
    'x di1e1:be',
    'x d1:ai1.5ee',
    'x d1:ai-0ee',
    'x d1:ai01ee',
    'x d1:aiee',
    'x d1:ai9999999999999999ee',
    'x l1:ae',
    'x 3:abc',
    'x d-1:a1:be',
    'x d4294967297:a1:be',
    'x [1]',
    'x {"a":null}',
    'x {"a":1',
    'x {"a":1}}',
    'c\x01 d1:a1:be',
    `${'c'.repeat(256)} d1:a1:be`,
    `x d1:a${'l'.repeat(NG_LIMITS.depth + 1)}${'e'.repeat(NG_LIMITS.depth + 1)}e`,
    `x {"a":${'['.repeat(30_000)}${']'.repeat(30_000)}}`,
    `x d1:al${'0:'.repeat(NG_LIMITS.values)}ee`,
  ]) {
    assert.equal(decodeNg(utf8(bad)), undefined, bad.slice(0, 60));
  }
  assert.equal(decodeNg(new Uint8Array(70_000)), undefined);
});

test('keys from outside shadow nothing', () => {
  for (const wire of ['x d9:__proto__d5:admini1eee', 'x {"__proto__":{"admin":1}}']) {
    const { message } = decodeNg(utf8(wire))!;
    assert.equal(message.admin, undefined);
    assert.equal(message.constructor, undefined);
    assert.equal((Object.entries(message)[0]![1] as NgDictionary).admin, 1);
  }
});

test('any bytes are decoded or refused, never thrown at', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (b) => {
      decodeNg(b);
      decodeNg(utf8(`c d${text(b)}e`));
      decodeNg(utf8(`c {${text(b)}}`));
    }),
    { numRuns: 500 },
  );
  const wire = encodeNg('c', { command: 'offer', list: ['a', { b: 12 }], n: 7 }, 'bencode');
  for (let n = 0; n < wire.length; n++) assert.equal(decodeNg(wire.subarray(0, n)), undefined);
});
