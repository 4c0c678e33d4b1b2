import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, hex } from '@offhook/core';
import { liveCipherContexts } from '@offhook/core/node';
import fc from 'fast-check';
import { CmCipher, GcmCipher } from './cipher.ts';
import { deriveKey, LABEL } from './derive.ts';
import {
  MAX_KNOWN_SSRCS,
  MAX_SRTP_OVERHEAD,
  MAX_WINDOWS,
  REPLAY_WINDOW,
  SRTP_PROFILES,
  SrtpContext,
  type SrtpProfile,
} from './index.ts';

const bytes = (digits: string) => fromHex(digits)!;
const PROFILES = Object.keys(SRTP_PROFILES) as SrtpProfile[];

function keysOf(profile: SrtpProfile, seed = 1) {
  const { keyLength, saltLength } = SRTP_PROFILES[profile];
  return {
    profile,
    key: Uint8Array.from({ length: keyLength }, (_, i) => (i * 7 + seed) & 255),
    salt: Uint8Array.from({ length: saltLength }, (_, i) => (i * 13 + seed) & 255),
  };
}

/** Runs over both directions and then shows that their OpenSSL contexts are gone. */
function withPair(profile: SrtpProfile, use: (sender: SrtpContext, receiver: SrtpContext) => void): void {
  const before = liveCipherContexts();
  const sender = new SrtpContext(keysOf(profile), 'protect');
  const receiver = new SrtpContext(keysOf(profile), 'unprotect');
  use(sender, receiver);
  sender.close();
  receiver.close();
  receiver.close();
  assert.equal(liveCipherContexts(), before);
}

function rtp(sequence: number, { ssrc = 0x11223344, payload = 20, first = 0x80 } = {}): Uint8Array {
  const packet = new Uint8Array(12 + payload + MAX_SRTP_OVERHEAD).fill(sequence & 255);
  packet.set([first, 0, sequence >> 8, sequence & 255, 0, 0, 0, 1]);
  new DataView(packet.buffer).setUint32(8, ssrc);
  return packet;
}

/** Protects into a copy; undefined when refused. */
function sealed(sender: SrtpContext, packet: Uint8Array): Uint8Array | undefined {
  const copy = packet.slice();
  const length = sender.protect(copy, 0, packet.length - MAX_SRTP_OVERHEAD);
  return length < 0 ? undefined : copy.slice(0, length);
}

const opens = (receiver: SrtpContext, packet: Uint8Array) => receiver.unprotect(packet.slice(), 0, packet.length) > 0;

test('key derivation gives the keys of RFC 3711 B.3', () => {
  const key = bytes('E1F97A0D3E018BE0D64FA32C06DE4139');
  const salt = bytes('0EC675AD498AFEEBB6960B3AABE6');
  assert.equal(hex(deriveKey(key, salt, LABEL.rtpKey, 16)), 'c61e7a93744f39ee10734afe3ff7a087');
  assert.equal(hex(deriveKey(key, salt, LABEL.rtpSalt, 14)), '30cbbc08863d8c85d49db34a9ae1');
  assert.equal(hex(deriveKey(key, salt, LABEL.rtpAuth, 20)), 'cebe321f6ff7716b6fd4ab49af256a156d38baa4');
});

test('the AES-CM key stream is that of RFC 3711 B.2', () => {
  const cipher = new CmCipher(
    bytes('2B7E151628AED2A6ABF7158809CF4F3C'),
    bytes('F0F1F2F3F4F5F6F7F8F9FAFBFCFD'),
    new Uint8Array(20),
    10,
  );
  const packet = new Uint8Array(12 + 48 + 10);
  cipher.aim(0, 0);
  cipher.sealRtp(packet, 0, 12, 60);
  assert.equal(
    hex(packet.subarray(12, 60)),
    'e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0',
  );
  cipher.close();
});

test('AES_CM_128_HMAC_SHA1_80 gives the packets of libsrtp’s self-test', () => {
  const keys = {
    profile: 'AES_CM_128_HMAC_SHA1_80' as const,
    key: bytes('e1f97a0d3e018be0d64fa32c06de4139'),
    salt: bytes('0ec675ad498afeebb6960b3aabe6'),
  };
  const sender = new SrtpContext(keys, 'protect');
  const plain = bytes(`800f1234decafbadcafebabe${'ab'.repeat(16)}`);
  const protectedHex = '800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb';
  const packet = new Uint8Array(64);
  packet.set(plain, 3);
  assert.equal(sender.protect(packet, 3, plain.length), 38);
  assert.equal(hex(packet.subarray(3, 41)), protectedHex);

  const report = bytes(`81c8000bcafebabe${'ab'.repeat(16)}`);
  const protectedReport = '81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798';
  const buffer = new Uint8Array(64);
  for (let i = 0; i < 2; i++) {
    buffer.set(report); // the vector has index 1: the second packet
    assert.equal(sender.protectRtcp(buffer, 0, report.length), 38);
  }
  assert.equal(hex(buffer.subarray(0, 38)), protectedReport);

  const receiver = new SrtpContext(keys, 'unprotect');
  assert.equal(receiver.unprotect(packet, 3, 38), plain.length);
  assert.equal(hex(packet.subarray(3, 3 + plain.length)), hex(plain));
  assert.equal(receiver.unprotectRtcp(buffer, 0, 38), report.length);
  assert.equal(hex(buffer.subarray(0, report.length)), hex(report));
  sender.close();
  receiver.close();
});

test('AEAD_AES_128_GCM gives the packets of RFC 7714 16.1.1 and 17.1', () => {
  const key = bytes('000102030405060708090a0b0c0d0e0f');
  const salt = bytes('517569642070726f2071756f');
  const seal = new GcmCipher(key, salt, 'protect');
  const open = new GcmCipher(key, salt, 'unprotect');
  const header = '8040f17b8041f8d35501a0b2';
  const text = '47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573';
  const cipherText =
    'f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce';
  const packet = new Uint8Array(96);
  packet.set(bytes(header + text));
  for (const cipher of [seal, open]) cipher.aim(0x5501a0b2, 0xf17b);
  assert.ok(seal.sealRtp(packet, 0, 12, 50));
  assert.equal(hex(packet.subarray(0, 66)), header + cipherText);
  assert.ok(open.openRtp(packet, 0, 12, 50));
  assert.equal(hex(packet.subarray(0, 50)), header + text);

  const report =
    '81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef';
  const sealedReport =
    '81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade';
  packet.fill(0);
  packet.set(bytes(report));
  for (const cipher of [seal, open]) cipher.aim(0x4d617273, 0x5d4);
  assert.ok(seal.sealRtcp(packet, 0, 52));
  assert.equal(hex(packet.subarray(0, 68)), sealedReport);
  assert.ok(open.openRtcp(packet, 0, 52));
  assert.equal(hex(packet.subarray(0, 52)), report);
  seal.close();
  open.close();
});

for (const profile of PROFILES) {
  test(`${profile}: any packet comes back as it was, header with CSRCs and extension readable on the way`, () => {
    withPair(profile, (sender, receiver) => {
      let sequence = 65_000;
      fc.assert(
        fc.property(
          fc.nat(3),
          fc.option(fc.nat(3)),
          fc.uint8Array({ maxLength: 1300 }),
          fc.nat(50),
          (cc, ext, payload, offset) => {
            sequence = (sequence + 1) & 0xffff;
            const header = 12 + cc * 4 + (ext === null ? 0 : 4 + ext * 4);
            const length = header + payload.length;
            const buffer = new Uint8Array(offset + length + MAX_SRTP_OVERHEAD).fill(0x77);
            buffer.set(
              [0x80 | cc | (ext === null ? 0 : 0x10), 96, sequence >> 8, sequence & 255, 0, 0, 0, 9, 1, 2, 3, 4],
              offset,
            );
            if (ext !== null) buffer.set([0xbe, 0xde, 0, ext], offset + 12 + cc * 4);
            buffer.set(payload, offset + header);
            const plain = buffer.slice(offset, offset + length);
            const n = sender.protect(buffer, offset, length);
            assert.equal(n, length + SRTP_PROFILES[profile].rtpTagLength);
            assert.deepEqual(buffer.subarray(offset, offset + header), plain.subarray(0, header));
            if (payload.length > 8) assert.notDeepEqual(buffer.slice(offset + header, offset + length), payload);
            assert.equal(receiver.unprotect(buffer, offset, n), length);
            assert.deepEqual(buffer.slice(offset, offset + length), plain);
          },
        ),
      );
    });
  });

  test(`${profile}: SRTCP comes back as it was; every flipped bit and a repetition are refused`, () => {
    withPair(profile, (sender, receiver) => {
      const plain = bytes('80c9000111223344aabbccddeeff0011');
      const packet = new Uint8Array(64);
      packet.set(plain);
      const n = sender.protectRtcp(packet, 0, plain.length);
      assert.equal(n, plain.length + 4 + SRTP_PROFILES[profile].rtcpTagLength);
      for (let bit = 0; bit < n * 8; bit++) {
        const bad = packet.slice(0, n);
        bad[bit >> 3]! ^= 1 << (bit & 7);
        assert.equal(receiver.unprotectRtcp(bad, 0, n), -1, `bit ${bit}`);
      }
      const good = packet.slice(0, n);
      assert.equal(receiver.unprotectRtcp(good, 0, n), plain.length);
      assert.equal(hex(good.subarray(0, plain.length)), hex(plain));
      assert.equal(receiver.unprotectRtcp(packet.slice(0, n), 0, n), -1);
      assert.equal(receiver.stats.replayed, 1);
    });
  });

  test(`${profile}: every flipped bit of a packet is refused and costs nothing`, () => {
    withPair(profile, (sender, receiver) => {
      const packet = sealed(sender, rtp(5))!;
      for (let bit = 0; bit < packet.length * 8; bit++) {
        const bad = packet.slice();
        bad[bit >> 3]! ^= 1 << (bit & 7);
        assert.ok(!opens(receiver, bad), `bit ${bit}`);
      }
      assert.equal(receiver.streams, 0);
      assert.ok(opens(receiver, packet));
    });
  });

  test(`${profile}: truncated and random bytes are refused without throwing`, () => {
    withPair(profile, (sender, receiver) => {
      const packet = sealed(sender, rtp(5))!;
      for (let length = 0; length < packet.length; length++) {
        assert.equal(receiver.unprotect(packet.slice(), 0, length), -1);
        assert.equal(receiver.unprotectRtcp(packet.slice(), 0, length), -1);
      }
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (junk) => {
          assert.equal(receiver.unprotect(junk.slice(), 0, junk.length), -1);
          assert.equal(receiver.unprotectRtcp(junk.slice(), 0, junk.length), -1);
        }),
      );
    });
  });

  test(`${profile}: the roll-over counter survives gaps up to 2^15 across the wrap, and reordering there`, () => {
    withPair(profile, (sender, receiver) => {
      // lost packets: the sender sends all, the receiver sees some
      let index = 65_000;
      const deliver = (at: number) => opens(receiver, sealed(sender, rtp(at & 0xffff))!);
      assert.ok(deliver(index));
      for (const gap of [1, 101, 700, 5000, 32_767, 32_767, 32_767, 32_767, 32_767, 1]) {
        index += gap;
        assert.ok(deliver(index), `gap of ${gap} to ${index}`);
      }
      // around the next wrap, out of order
      const wrap = Math.ceil(index / 65_536) * 65_536;
      while (index + 32_000 < wrap - 2) {
        index += 32_000;
        assert.ok(deliver(index));
      }
      for (const at of [wrap - 2, wrap + 1, wrap - 1, wrap + 2, wrap])
        assert.ok(deliver(at), `${at - wrap} from the wrap`);
    });
  });
}

/** A sender whose rollover counter has come so far; what it sends next has that number. */
function sentLong(sender: SrtpContext, rollovers: number, { ssrc = 0x11223344 } = {}): number {
  for (let i = 0; i < rollovers * 4; i++) assert.ok(sealed(sender, rtp((i * 0x4000) & 0xffff, { ssrc })));
  assert.ok(sealed(sender, rtp(0, { ssrc })));
  return 1;
}

for (const profile of PROFILES) {
  test(`${profile}: a stream that began elsewhere is found, however often its numbers have wrapped`, () => {
    for (const rollovers of [1, 5, 31]) {
      withPair(profile, (sender, receiver) => {
        const first = sentLong(sender, rollovers);
        const good: boolean[] = [];
        for (let s = 0; s < 80; s++) good.push(opens(receiver, sealed(sender, rtp(first + s))!));
        const found = good.indexOf(true);
        assert.ok(found >= 0 && found < rollovers, `the ${found}th packet was good`);
        assert.ok(good.slice(found).every(Boolean), 'and all that followed');
        assert.equal(receiver.stats.badTag, found);
        // A stream that begins now loses nothing, and another that began elsewhere is found too.
        const fresh = [1, 2, 3].map((s) => opens(receiver, sealed(sender, rtp(s, { ssrc: 7 }))!));
        assert.deepEqual(fresh, [true, true, true]);
        const second = sentLong(sender, 2, { ssrc: 9 });
        const more = Array.from({ length: 80 }, (_, s) =>
          opens(receiver, sealed(sender, rtp(second + s, { ssrc: 9 }))!),
        );
        assert.ok(more.includes(true) && more.slice(more.indexOf(true)).every(Boolean));
      });
    }
  });

  test(`${profile}: a stream that begins here is taken at once, whatever was sent in its name before`, () => {
    withPair(profile, (sender, receiver) => {
      for (let s = 0; s < 200; s++) assert.equal(opens(receiver, rtp(s, { payload: 60 })), false);
      const good = [1, 2, 3, 4].map((s) => opens(receiver, sealed(sender, rtp(s))!));
      assert.deepEqual(good, [true, true, true, true]);
    });
  });
}

test('streams that began elsewhere and send by turns are all found', () => {
  // Each turn is that of the counters that a search with an even number of them would never try for it.
  for (const rollovers of [
    [2, 1],
    [1, 4, 2, 1],
  ]) {
    withPair('AES_CM_128_HMAC_SHA1_80', (sender, receiver) => {
      for (const [ssrc, count] of rollovers.entries()) sentLong(sender, count, { ssrc });
      for (let s = 1; s <= 150; s++)
        for (const ssrc of rollovers.keys()) opens(receiver, sealed(sender, rtp(s, { ssrc }))!);
      assert.equal(receiver.streams, rollovers.length);
    });
  }
});

test('the replay window: each index once, up to its width back, on both sides', () => {
  withPair('AEAD_AES_128_GCM', (sender, receiver) => {
    const packets = new Map<number, Uint8Array>();
    for (let sequence = 0; sequence <= 2000; sequence++) packets.set(sequence, sealed(sender, rtp(sequence))!);
    assert.equal(sealed(sender, rtp(2000)), undefined);
    assert.equal(sender.stats.replayed, 1);
    assert.ok(opens(receiver, packets.get(1500)!));
    assert.ok(!opens(receiver, packets.get(1500)!));
    assert.ok(opens(receiver, packets.get(1500 - REPLAY_WINDOW + 1)!));
    assert.ok(!opens(receiver, packets.get(1500 - REPLAY_WINDOW)!));
    assert.ok(opens(receiver, packets.get(2000)!));
    assert.ok(!opens(receiver, packets.get(1500)!));
    assert.ok(opens(receiver, packets.get(1501)!));
    assert.ok(!opens(receiver, packets.get(1501)!));
    assert.equal(receiver.stats.badTag, 0);
  });
});

test('the replay window agrees with a model for any order of arrival', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 200 }), (arrivals) => {
      withPair('AEAD_AES_128_GCM', (sender, receiver) => {
        const seen = new Set<number>();
        let highest = -1;
        for (const sequence of arrivals) {
          const one = new SrtpContext(keysOf('AEAD_AES_128_GCM'), 'protect');
          const packet = sealed(one, rtp(sequence))!;
          one.close();
          const expected = !seen.has(sequence) && (highest < 0 || highest - sequence < REPLAY_WINDOW);
          assert.equal(opens(receiver, packet), expected);
          if (expected) {
            seen.add(sequence);
            highest = Math.max(highest, sequence);
          }
        }
        assert.equal(sender.stats.protected, 0);
      });
    }),
    { numRuns: 30 },
  );
});

test('a new stream takes the window of the one silent the longest; neither side uses an index of that one twice', () => {
  for (const profile of PROFILES) {
    withPair(profile, (sender, receiver) => {
      const first = [60_000, 60_002].map((n) => sealed(sender, rtp(n, { ssrc: 1 }))!);
      const kept = sealed(sender, rtp(7, { ssrc: 2 }))!;
      for (const packet of [first[1]!, kept]) assert.ok(opens(receiver, packet));
      for (let ssrc = 3; ssrc <= MAX_WINDOWS; ssrc++) assert.ok(opens(receiver, sealed(sender, rtp(5, { ssrc }))!));
      assert.ok(opens(receiver, sealed(sender, rtp(8, { ssrc: 2 }))!), 'so stream 1 is the one silent the longest');
      assert.ok(opens(receiver, sealed(sender, rtp(1, { ssrc: 99 }))!), 'one more than there are windows');
      // What stream 1 sent before is refused, replayed and late packets alike, and it costs nobody a window.
      for (const packet of first) assert.ok(!opens(receiver, packet));
      for (const n of [60_000, 60_001, 60_002]) assert.equal(sealed(sender, rtp(n, { ssrc: 1 })), undefined);
      assert.ok(!opens(receiver, kept), 'stream 2 has its window still');
      // It goes on above, across the wrap as before, and its new window remembers.
      const next = [60_005, 60_004, 100].map((n) => sealed(sender, rtp(n, { ssrc: 1 }))!);
      for (const packet of next) assert.ok(opens(receiver, packet));
      for (const packet of [...first, ...next]) assert.ok(!opens(receiver, packet));
      for (const n of [60_002, 60_004, 60_005, 100]) assert.equal(sealed(sender, rtp(n, { ssrc: 1 })), undefined);
      assert.equal(receiver.stats.badTag, 0);
    });
  }
});

test('a replay of SRTCP is refused also when its stream has lost its window', () => {
  withPair('AEAD_AES_128_GCM', (sender, receiver) => {
    const report = (ssrc: number) => {
      const packet = new Uint8Array(64);
      packet.set([0x80, 201, 0, 1, 0, 0, 0, ssrc]);
      return packet.slice(0, sender.protectRtcp(packet, 0, 8));
    };
    const first = report(1);
    assert.equal(receiver.unprotectRtcp(first.slice(), 0, first.length), 8);
    for (let ssrc = 2; ssrc <= MAX_WINDOWS + 1; ssrc++) {
      const packet = report(ssrc);
      assert.equal(receiver.unprotectRtcp(packet, 0, packet.length), 8);
    }
    assert.equal(receiver.unprotectRtcp(first.slice(), 0, first.length), -1);
    assert.equal(receiver.stats.replayed, 1);
  });
});

test('under one key no index is used twice, whatever streams come and go (against a model)', () => {
  const packets = fc.array(fc.tuple(fc.nat(80), fc.nat(40)), { minLength: 200, maxLength: 2000 });
  fc.assert(
    fc.property(packets, (sent) => {
      withPair('AEAD_AES_128_GCM', (sender, receiver) => {
        const used = new Set<string>();
        for (const [ssrc, sequence] of sent) {
          const packet = sealed(sender, rtp(sequence, { ssrc }));
          if (!packet) continue;
          assert.ok(!used.has(`${ssrc} ${sequence}`));
          used.add(`${ssrc} ${sequence}`);
          assert.ok(opens(receiver, packet));
          assert.ok(!opens(receiver, packet));
        }
        assert.ok(used.size >= new Set(sent.map(([ssrc]) => ssrc)).size);
      });
    }),
    { numRuns: 20 },
  );
});

test(`after ${MAX_KNOWN_SSRCS} streams a new one is refused on both sides, and those known go on`, () => {
  withPair('AES_CM_128_HMAC_SHA1_80', (sender, receiver) => {
    for (let ssrc = 0; ssrc < MAX_KNOWN_SSRCS; ssrc++)
      assert.ok(opens(receiver, sealed(sender, rtp(60_000 - ssrc, { ssrc }))!));
    assert.equal(sealed(sender, rtp(1, { ssrc: 5000 })), undefined);
    assert.equal(sender.stats.ssrcLimit, 1);
    const other = new SrtpContext(keysOf('AES_CM_128_HMAC_SHA1_80'), 'protect');
    assert.ok(!opens(receiver, sealed(other, rtp(1, { ssrc: 5000 }))!));
    assert.equal(receiver.stats.ssrcLimit, 1);
    for (const ssrc of [0, 500, 1023]) assert.ok(opens(receiver, sealed(sender, rtp(60_001, { ssrc }))!));
    other.close();
  });
});

test('SRTCP without the E bit, a wrong direction and a closed context are refused', () => {
  withPair('AEAD_AES_128_GCM', (sender, receiver) => {
    const packet = new Uint8Array(64);
    packet.set(bytes('80c9000111223344'));
    const n = sender.protectRtcp(packet, 0, 8);
    const clear = packet.slice(0, n);
    clear[n - 4]! &= 0x7f;
    assert.equal(receiver.unprotectRtcp(clear, 0, n), -1);
    assert.equal(receiver.stats.malformed, 1);
    assert.equal(receiver.protect(rtp(1), 0, 32), -1);
    assert.equal(sender.unprotect(rtp(1), 0, 32), -1);
    sender.close();
    assert.equal(sender.protect(rtp(2), 0, 32), -1);
    assert.equal(sender.protectRtcp(packet, 0, 8), -1);
  });
  assert.throws(
    () => new SrtpContext({ ...keysOf('AEAD_AES_128_GCM'), key: new Uint8Array(15) }, 'protect'),
    RangeError,
  );
});
