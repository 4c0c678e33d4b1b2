import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  channelDataLength,
  channelNumber,
  decodeStun,
  formatIPv4,
  formatIPv6,
  fromHex,
  hex,
  isChannelData,
  isStun,
  longTermKey,
  longTermKeySha256,
  nonceCookie,
  nonceFeatures,
  PasswordAlgorithm,
  passwordAlgorithm,
  StunAttribute,
  StunClass,
  type StunMessage,
  StunMethod,
  StunWriter,
  shortTermKey,
  turnRestPassword,
  turnRestUsername,
  userHash,
  utf8,
  writeChannelHeader,
} from '../index.ts';
import { nodeCrypto as crypto } from '../node/crypto.ts';

const bytes = (digits: string) => fromHex(digits)!;
const decoded = (digits: string): StunMessage => {
  const message = decodeStun(bytes(digits));
  assert.ok(message);
  return message;
};

/** RFC 5769 2.1: padding is not zero, so re-encoding would break the HMAC. */
const REQUEST = `
  00010058 2112a442 b7e7a701bc34d686fa87dfae
  80220010 5354554e207465737420636c69656e74   SOFTWARE "STUN test client"
  00240004 6e0001ff                           PRIORITY
  80290008 932ff9b151263b36                   ICE-CONTROLLED
  00060009 6576746a3a68367659202020           USERNAME "evtj:h6vY", padded with spaces
  00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
  80280004 e57a3bcf`.replace(/ {3}[A-Z][^\n]*/g, '');
const RESPONSE_V4 = `
  0101003c 2112a442 b7e7a701bc34d686fa87dfae
  8022000b 7465737420766563746f7220
  00200008 0001a147e112a643
  00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7
  80280004 c07d4c96`;
const RESPONSE_V6 = `
  01010048 2112a442 b7e7a701bc34d686fa87dfae
  8022000b 7465737420766563746f7220
  00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9
  00080014 a382954e4be67bf11784c97c8292c275bfe3ed41
  80280004 c8fb0b4c`;
const LONG_TERM = `
  00010060 2112a442 78ad3433c6ad72c029da412e
  00060012 e3839ee38388e383aae38383e382afe382b90000
  0015001c 662f2f3439396b39353464364f4c33346f4c39465354767936347341
  0014000b 6578616d706c652e6f726700
  00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666`;
const SHA256 = `000100902112a44278ad3433c6ad72c029da412e001e00204a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704
  001500296f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c394653547679363473410000000014000b6578616d706c652e6f7267
  00001d000400020000001c0020b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65`;

const SHORT_KEY = shortTermKey('VOkJxbRl1RmTxUk/WvJxBt');

test('RFC 5769 2.1: a request with short-term credentials', () => {
  const message = decoded(REQUEST);
  assert.equal(message.class, StunClass.request);
  assert.equal(message.method, StunMethod.binding);
  assert.equal(message.text(StunAttribute.software), 'STUN test client');
  assert.equal(message.text(StunAttribute.username), 'evtj:h6vY');
  assert.equal(message.u32(StunAttribute.priority), 0x6e0001ff);
  assert.equal(hex(message.attribute(StunAttribute.iceControlled)!), '932ff9b151263b36');
  assert.equal(hex(message.transactionId), 'b7e7a701bc34d686fa87dfae');
  assert.ok(message.verifyIntegrity(SHORT_KEY, crypto));
  assert.ok(message.verifyFingerprint());
});

for (const [name, wire, address] of [
  ['2.2: an IPv4 response', RESPONSE_V4, '192.0.2.1'],
  ['2.3: an IPv6 response', RESPONSE_V6, '2001:db8:1234:5678:11:2233:4455:6677'],
] as const) {
  test(`RFC 5769 ${name}`, () => {
    const message = decoded(wire);
    assert.equal(message.class, StunClass.success);
    assert.equal(message.text(StunAttribute.software), 'test vector');
    assert.deepEqual(message.xorAddress(StunAttribute.xorMappedAddress), { address, port: 32853 });
    assert.ok(message.verifyIntegrity(SHORT_KEY, crypto));
    assert.ok(message.verifyFingerprint());
  });
}

test('RFC 5769 2.4: a request with long-term credentials', () => {
  const message = decoded(LONG_TERM);
  assert.equal(message.text(StunAttribute.username), 'マトリックス');
  assert.equal(message.text(StunAttribute.nonce), 'f//499k954d6OL34oL9FSTvy64sA');
  assert.equal(message.text(StunAttribute.realm), 'example.org');
  assert.ok(message.verifyIntegrity(longTermKey('マトリックス', 'example.org', 'TheMatrIX', crypto), crypto));
  assert.equal(message.verifyFingerprint(), false);
});

test('RFC 8489 B.1 with erratum 6268: MESSAGE-INTEGRITY-SHA256 and USERHASH', () => {
  const message = decoded(SHA256);
  const key = longTermKeySha256('マトリックス', 'example.org', 'TheMatrIX', crypto);
  assert.ok(message.verifyIntegritySha256(key, crypto));
  assert.equal(message.verifyIntegrity(key, crypto), false);
  const userhash = crypto.hash('sha256', utf8('マトリックス:example.org'));
  assert.equal(hex(message.attribute(StunAttribute.userhash)!), hex(userhash));
});

test('RFC 8489 B.1 with erratum 6268: what we write is the same byte for byte, and its nonce asks for USERHASH', () => {
  const wire = decoded(SHA256);
  const nonce = 'obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA';
  const [name, realm] = ['マトリックス', 'example.org'];
  const written = new StunWriter(new Uint8Array(200).fill(0xff))
    .start(StunClass.request, StunMethod.binding, wire.transactionId)
    .bytes(StunAttribute.userhash, userHash(name, realm, crypto))
    .text(StunAttribute.nonce, nonce)
    .text(StunAttribute.realm, realm)
    .bytes(StunAttribute.passwordAlgorithm, new Uint8Array([0, PasswordAlgorithm.sha256, 0, 0]))
    .integritySha256(longTermKeySha256(name, realm, 'TheMatrIX', crypto), crypto)
    .message();
  assert.equal(hex(written), hex(bytes(SHA256)));
  assert.equal(wire.text(StunAttribute.nonce), nonce);
  assert.deepEqual(nonceFeatures(nonce), { passwordAlgorithms: false, usernameAnonymity: true });
  assert.equal(passwordAlgorithm(wire.attribute(StunAttribute.passwordAlgorithm)!), PasswordAlgorithm.sha256);
});

test('security features of a nonce: written and read alike, none without the cookie, nothing thrown at', () => {
  for (const passwordAlgorithms of [false, true]) {
    for (const usernameAnonymity of [false, true]) {
      const features = { passwordAlgorithms, usernameAnonymity };
      assert.deepEqual(nonceFeatures(`${nonceCookie(features)}rest`), features);
    }
  }
  for (const bad of [
    '',
    'obMatJos',
    'obMatJos2',
    'obMatJos2AA',
    'obMatJos2AA=A',
    'obMatJos2\u{1f600}\u{1f600}',
    'ObMatJos2AAAB',
  ])
    assert.equal(nonceFeatures(bad), undefined, bad);
  fc.assert(fc.property(fc.string({ maxLength: 40 }), (s) => void nonceFeatures(`obMatJos2${s}`)));
});

test('a password algorithm is MD5 or SHA-256 without parameters, all else is none', () => {
  assert.equal(passwordAlgorithm(new Uint8Array([0, 1, 0, 0])), PasswordAlgorithm.md5);
  assert.equal(passwordAlgorithm(new Uint8Array([0, 2, 0, 0])), PasswordAlgorithm.sha256);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (value) => {
      const known =
        value.length === 4 && value[0] === 0 && value[2] === 0 && value[3] === 0 && [1, 2].includes(value[1]!);
      assert.equal(passwordAlgorithm(value) !== undefined, known);
    }),
  );
});

test('a message has 80 attributes at most, so that no work on one is more than its bytes and a constant', () => {
  const message = (count: number) => {
    const b = new Uint8Array(20 + 4 * count);
    b.set([0, 1, (4 * count) >> 8, (4 * count) & 255, 0x21, 0x12, 0xa4, 0x42]);
    for (let i = 0; i < count; i++) b.set([0x7f, i, 0, 0], 20 + 4 * i);
    return b;
  };
  const full = decodeStun(message(80))!;
  assert.equal([...full.attributes()].length, 80);
  assert.equal(full.unknownRequired(new Set()).length, 80);
  for (const count of [81, 100, 16_000]) assert.equal(decodeStun(message(count)), undefined, `${count}`);
});

test('one changed bit anywhere in front breaks the integrity, and one in FINGERPRINT breaks that', () => {
  for (const wire of [REQUEST, RESPONSE_V4, RESPONSE_V6]) {
    const good = bytes(wire);
    for (let at = 0; at < good.length - 8; at++) {
      const bad = good.slice();
      bad[at]! ^= 1;
      const message = decodeStun(bad);
      if (!message) continue;
      assert.equal(message.verifyFingerprint(), false);
      assert.equal(message.verifyIntegrity(SHORT_KEY, crypto), false, `byte ${at}`);
    }
    const bad = good.slice();
    bad[good.length - 1]! ^= 1;
    assert.equal(decodeStun(bad)!.verifyFingerprint(), false);
    assert.equal(decoded(wire).verifyIntegrity(utf8('wrong'), crypto), false);
  }
});

test('attributes appended behind MESSAGE-INTEGRITY do not exist', () => {
  const buffer = new Uint8Array(200);
  const message = new StunWriter(buffer)
    .start(StunClass.request, StunMethod.refresh, bytes('000102030405060708090a0b'))
    .u32(StunAttribute.lifetime, 600)
    .integrity(SHORT_KEY, crypto)
    .u32(StunAttribute.lifetime, 0)
    .u32(StunAttribute.channelNumber, 0x40000000)
    .integritySha256(SHORT_KEY, crypto)
    .fingerprint()
    .message();
  const read = decodeStun(message)!;
  assert.equal(read.u32(StunAttribute.lifetime), 600);
  assert.equal(read.has(StunAttribute.channelNumber), false);
  assert.equal(read.all(StunAttribute.lifetime).length, 1);
  assert.ok(read.verifyIntegrity(SHORT_KEY, crypto));
  assert.ok(read.verifyIntegritySha256(SHORT_KEY, crypto));
  assert.ok(read.verifyFingerprint());
});

test('what is written is read again, with zeroed padding', () => {
  fc.assert(
    fc.property(
      fc.record({
        cls: fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const),
        method: fc.integer({ min: 0, max: 0xfff }),
        id: fc.uint8Array({ minLength: 12, maxLength: 12 }),
        v4: fc.integer({ min: 0, max: 0xffffffff }),
        v6: fc.uint8Array({ minLength: 16, maxLength: 16 }),
        port: fc.integer({ min: 0, max: 65535 }),
        username: fc.string({ maxLength: 60 }).filter((t) => !t.includes('\0')),
        data: fc.uint8Array({ maxLength: 100 }),
        code: fc.integer({ min: 300, max: 699 }),
      }),
      (m) => {
        const buffer = new Uint8Array(600).fill(0xff);
        const a4 = { address: formatIPv4(m.v4), port: m.port };
        const a6 = { address: formatIPv6(m.v6), port: m.port };
        const wire = new StunWriter(buffer)
          .start(m.cls, m.method, m.id)
          .text(StunAttribute.username, m.username)
          .bytes(StunAttribute.data, m.data)
          .errorCode(m.code, 'why')
          .address(StunAttribute.mappedAddress, a4)
          .xorAddress(StunAttribute.xorMappedAddress, a6)
          .xorAddress(StunAttribute.xorPeerAddress, a4)
          .address(StunAttribute.alternateServer, a6)
          .unknownAttributes([0x7777])
          .flag(StunAttribute.useCandidate)
          .u64(StunAttribute.iceControlling, 0x0102030405060708n)
          .integrity(SHORT_KEY, crypto)
          .fingerprint()
          .message();
        const read = decodeStun(wire)!;
        assert.equal(read.class, m.cls);
        assert.equal(read.method, m.method);
        assert.equal(hex(read.transactionId), hex(m.id));
        assert.equal(read.text(StunAttribute.username), Buffer.from(m.username).toString());
        assert.equal(hex(read.attribute(StunAttribute.data)!), hex(m.data));
        assert.deepEqual(read.errorCode(), { code: m.code, reason: 'why' });
        assert.deepEqual(read.address(StunAttribute.mappedAddress), a4);
        assert.deepEqual(read.xorAddress(StunAttribute.xorMappedAddress), a6);
        assert.deepEqual(read.xorAddress(StunAttribute.xorPeerAddress), a4);
        assert.deepEqual(read.address(StunAttribute.alternateServer), a6);
        assert.equal(hex(read.attribute(StunAttribute.unknownAttributes)!), '7777');
        assert.equal(hex(read.attribute(StunAttribute.iceControlling)!), '0102030405060708');
        assert.ok(read.has(StunAttribute.useCandidate));
        assert.ok(read.verifyIntegrity(SHORT_KEY, crypto));
        assert.ok(read.verifyFingerprint());
        const padding = wire[24 + utf8(m.username).length];
        if (utf8(m.username).length % 4) assert.equal(padding, 0);
      },
    ),
  );
});

test('a message that does not fit its buffer is given up', () => {
  const writer = new StunWriter(new Uint8Array(40)).start(StunClass.request, 1, new Uint8Array(12));
  assert.equal(writer.bytes(StunAttribute.data, new Uint8Array(30)).finish(), 0);
  assert.equal(writer.start(StunClass.request, 1, new Uint8Array(12)).finish(), 20);
  assert.equal(writer.address(StunAttribute.mappedAddress, { address: 'host.example', port: 1 }).finish(), 0);
});

test('wrong cookie, wrong length, truncation and attributes beyond the end are refused', () => {
  const good = bytes(RESPONSE_V4);
  assert.ok(isStun(good, 0, good.length));
  for (let length = 0; length < good.length; length++) assert.equal(decodeStun(good.subarray(0, length)), undefined);
  const twin = (change: (b: Uint8Array) => void) => {
    const copy = good.slice();
    change(copy);
    return decodeStun(copy);
  };
  assert.equal(
    twin((b) => b.set([0x20], 4)),
    undefined,
  );
  assert.equal(
    twin((b) => b.set([0x80], 0)),
    undefined,
  );
  assert.equal(
    twin((b) => b.set([0x00, 0x38], 2)),
    undefined,
  );
  assert.equal(
    twin((b) => b.set([0xff, 0xff], 22)),
    undefined,
  );
  assert.equal(twin((b) => b.set([3], 37))?.xorAddress(StunAttribute.xorMappedAddress), undefined);
  assert.deepEqual(decoded(RESPONSE_V4).unknownRequired(new Set([StunAttribute.messageIntegrity])), [0x0020]);
});

test('any bytes are decoded or refused, never thrown at', () => {
  const exercise = (b: Uint8Array) => {
    const message = decodeStun(b);
    if (!message) return;
    for (const { type } of message.attributes()) {
      message.attribute(type);
      message.text(type);
      message.u32(type);
      message.xorAddress(type);
      message.address(type);
      for (const value of message.all(type)) passwordAlgorithm(value);
      assert.ok(message.allXorAddresses(type).length <= message.all(type).length);
      nonceFeatures(message.text(type) ?? '');
    }
    const code = message.errorCode()?.code ?? 300;
    assert.ok(code >= 300 && code <= 699);
    message.unknownRequired(new Set());
    message.verifyFingerprint();
    message.verifyIntegrity(SHORT_KEY, crypto);
    message.verifyIntegritySha256(SHORT_KEY, crypto);
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), exercise), { numRuns: 500 });
  fc.assert(
    fc.property(
      fc.constantFrom(REQUEST, RESPONSE_V4, RESPONSE_V6, LONG_TERM, SHA256),
      fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
      (wire, changes) => {
        const b = bytes(wire);
        for (const [at, value] of changes) if (at < b.length) b[at] = value;
        exercise(b);
      },
    ),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 25 }).map((b) => b.subarray(0, b.length & ~3)),
      (attributes) => {
        const b = new Uint8Array(20 + attributes.length);
        b.set([0, 1, 0, attributes.length, 0x21, 0x12, 0xa4, 0x42]);
        b.set(attributes, 20);
        exercise(b);
      },
    ),
  );
});

test('ERROR-CODE of any bytes is a code from 300 to 699 or none', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (value) => {
      const writer = new StunWriter(new Uint8Array(100)).start(StunClass.error, 1, new Uint8Array(12));
      const error = decodeStun(writer.bytes(StunAttribute.errorCode, value).message())!.errorCode();
      const isCode = value.length >= 4 && (value[2]! & 7) >= 3 && (value[2]! & 7) <= 6 && value[3]! <= 99;
      assert.equal(error?.code, isCode ? (value[2]! & 7) * 100 + value[3]! : undefined);
    }),
  );
});

test('time-limited TURN credentials are coturn’s', () => {
  const username = turnRestUsername(1700000000.9, 'alice');
  assert.equal(username, '1700000000:alice');
  // printf 1700000000:alice | openssl dgst -sha1 -hmac s3cr3t -binary | base64
  assert.equal(turnRestPassword('s3cr3t', username, crypto), '81mjszbESz91Gv1n2xG/SVLX+uY=');
});

test('ChannelData: number, length, overrun', () => {
  const b = new Uint8Array(12);
  writeChannelHeader(b, 2, 0x4abc, 6);
  assert.ok(isChannelData(b, 2, 10));
  assert.equal(channelNumber(b, 2), 0x4abc);
  assert.equal(channelDataLength(b, 2, 10), 6);
  assert.equal(channelDataLength(b, 2, 9), -1);
  assert.equal(isChannelData(b, 2, 3), false);
  assert.equal(isChannelData(bytes('80000000'), 0, 4), false);
});
