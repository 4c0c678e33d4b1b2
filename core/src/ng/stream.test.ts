import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { text, utf8 } from '../base/index.ts';
import { NG_LIMITS } from './limits.ts';
import { encodeNg, type NgDictionary } from './message.ts';
import { NgStreamReader } from './stream.ts';

/** Feeds pieces and collects what comes out, until nothing does. */
function read(reader: NgStreamReader, pieces: readonly Uint8Array[]): string[] {
  const out: string[] = [];
  for (const piece of pieces) {
    for (let rest = piece; ; ) {
      const taken = reader.push(rest);
      let item = reader.next();
      for (; typeof item === 'object'; item = reader.next()) out.push(text(item));
      if (item === 'malformed') return [...out, 'malformed'];
      rest = rest.subarray(taken);
      if (rest.length === 0) break;
    }
  }
  return out;
}

test('messages follow each other without anything between, bencode and JSON, as rtpengine frames them', () => {
  const stream = utf8('c1 d7:command4:pingec2 {"command":"pi}\\"ng"}\r\n c3 d1:ali1e2:xyd1:b0:eee');
  assert.deepEqual(read(new NgStreamReader(), [stream]), [
    'c1 d7:command4:pinge',
    'c2 {"command":"pi}\\"ng"}',
    'c3 d1:ali1e2:xyd1:b0:eee',
  ]);
});

test('however a stream is cut, the same messages come out', () => {
  const messages = fc.array(
    fc.record({
      cookie: fc.stringMatching(/^[!-~]{1,20}$/),
      body: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.array(fc.string()))),
      encoding: fc.constantFrom('bencode' as const, 'json' as const),
    }),
    { maxLength: 6 },
  );
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (list, cuts) => {
      const encoded = list.map((m) => encodeNg(m.cookie, m.body as NgDictionary, m.encoding));
      const all = Uint8Array.from(encoded.flatMap((bytes) => [...bytes]));
      const pieces: Uint8Array[] = [];
      for (let at = 0, i = 0; at < all.length; i++) {
        const size = cuts[i % cuts.length]!;
        pieces.push(all.subarray(at, at + size));
        at += size;
      }
      const reader = new NgStreamReader();
      assert.deepEqual(
        read(reader, pieces),
        encoded.map((bytes) => text(bytes)),
      );
      assert.equal(reader.isWithin, false);
    }),
    { numRuns: 100 },
  );
});

test('what can be no message is refused, never thrown at', () => {
  const bad = ['\u0001 d', 'x y', ' \u00e9', `${'c'.repeat(300)} d`, 'c d5x:', 'c di12', 'c d99999:'];
  for (const bytes of bad.slice(0, 5))
    assert.equal(read(new NgStreamReader(), [utf8(bytes)]).at(-1), 'malformed', bytes);
  assert.equal(read(new NgStreamReader(), [utf8('c d99999:')]).at(-1), 'malformed');
  assert.equal(read(new NgStreamReader(), [utf8(`c ${'d1:a'.repeat(NG_LIMITS.depth + 5)}`)]).at(-1), 'malformed');
  assert.equal(read(new NgStreamReader(), [utf8(`c ${'['.repeat(3)}`)]).at(-1), 'malformed');
  const endless = utf8(`c {"a":"${'x'.repeat(NG_LIMITS.bytes)}`);
  assert.equal(read(new NgStreamReader(), [endless]).at(-1), 'malformed');
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (pieces) => {
      read(new NgStreamReader(), pieces);
    }),
  );
});

test('a message of the longest length passes', () => {
  const head = 'c d1:a';
  const tail = 'e';
  const length = NG_LIMITS.bytes - head.length - tail.length - 6;
  const message = `${head}${length}:${'x'.repeat(length)}${tail}`;
  assert.equal(message.length, NG_LIMITS.bytes);
  assert.deepEqual(read(new NgStreamReader(), [utf8(message + message)]), [message, message]);
});
