import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hex, STUN_HEADER } from '@offhook/core';
import fc from 'fast-check';
import { StreamFramer } from './stream-framer.ts';

function stun(length: number): Uint8Array {
  const bytes = new Uint8Array(STUN_HEADER + length);
  bytes.set([0, 1, length >> 8, length & 255, 0x21, 0x12, 0xa4, 0x42]);
  return bytes.fill(7, 8);
}

function channelData(length: number): { readonly whole: Uint8Array; readonly bare: Uint8Array } {
  const whole = new Uint8Array(4 + ((length + 3) & ~3));
  whole.set([0x40, 1, length >> 8, length & 255]);
  whole.fill(9, 4, 4 + length);
  return { whole, bare: whole.slice(0, 4 + length) };
}

function collect(
  chunks: readonly Uint8Array[],
  most = Number.POSITIVE_INFINITY,
): { messages: string[]; oversize: number; alive: boolean } {
  const messages: string[] = [];
  let oversize = 0;
  const framer = new StreamFramer({
    message: (bytes, offset, length) => messages.push(hex(bytes.subarray(offset, offset + length))),
    oversize: () => oversize++,
  });
  let alive = true;
  for (const chunk of chunks) {
    alive &&= framer.handle(chunk, most);
    while (alive && framer.isWaiting) {
      const before = messages.length + oversize;
      alive &&= framer.resume(most);
      if (messages.length + oversize - before > most) throw new Error('more than what was asked for');
    }
  }
  return { messages, oversize, alive };
}

test('messages come out whole however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ isStun: fc.boolean(), words: fc.integer({ min: 0, max: 600 }), odd: fc.nat(3) }), {
        maxLength: 12,
      }),
      fc.array(fc.integer({ min: 1, max: 7000 }), { minLength: 1 }),
      fc.integer({ min: 1, max: 5 }),
      (frames, cuts, most) => {
        const wanted: string[] = [];
        let tooLong = 0;
        const parts: Uint8Array[] = [];
        for (const { isStun, words, odd } of frames) {
          const one = isStun ? { whole: stun(words * 4), bare: stun(words * 4) } : channelData(words * 4 + odd);
          parts.push(one.whole);
          if (one.whole.length > 1856) tooLong++;
          else wanted.push(hex(one.bare));
        }
        const all = Uint8Array.from(parts.flatMap((part) => [...part]));
        const chunks: Uint8Array[] = [];
        for (let at = 0, cut = 0; at < all.length; cut++) {
          const length = cuts[cut % cuts.length]!;
          chunks.push(all.slice(at, at + length));
          at += length;
        }
        const whole = { messages: wanted, oversize: tooLong, alive: true };
        assert.deepEqual(collect(chunks), whole);
        assert.deepEqual(collect(chunks, most), whole, `${most} at a time`);
      },
    ),
    { numRuns: 300 },
  );
});

test('what is neither STUN nor ChannelData ends the stream', () => {
  assert.equal(collect([new Uint8Array([0x80, 0, 0, 0])]).alive, false);
  assert.equal(collect([new Uint8Array([0xff])]).alive, false);
  assert.equal(collect([new Uint8Array([0, 1, 0, 3])]).alive, false, 'a length that is no multiple of four');
  assert.equal(collect([new Uint8Array([0, 1]), new Uint8Array([0, 3])]).alive, false);
  assert.equal(
    collect([new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')]).alive,
    true,
    'G is ChannelData by its bits',
  );
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (chunks) => void collect(chunks)));
});

test('each byte is looked at once, however the stream is cut: work grows with the bytes and no faster', () => {
  /** Counts what is taken out of it. */
  class Counted extends Uint8Array {
    taken = 0;
    override subarray(begin?: number, end?: number): Uint8Array<ArrayBuffer> {
      const part = new Uint8Array(this.buffer as ArrayBuffer).subarray(begin, end);
      this.taken += part.length;
      return part;
    }
  }
  for (const size of [1, 3, 4, 20, 700]) {
    let messages = 0;
    const framer = new StreamFramer({ message: () => messages++, oversize: () => {} });
    let taken = 0;
    const stream = new Uint8Array(40 * 1024);
    for (let at = 0; at < stream.length; at += 1024) stream.set(stun(1004), at);
    for (let at = 0; at < stream.length; at += size) {
      const chunk = new Counted(stream.slice(at, at + size));
      assert.ok(framer.handle(chunk));
      taken += chunk.taken;
    }
    assert.equal(messages, 40);
    assert.ok(taken <= stream.length, `${taken} bytes were held of ${stream.length}`);
  }
});
