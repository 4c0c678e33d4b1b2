import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  base64,
  base64url,
  Deadlines,
  formatIPv4,
  formatIPv6,
  fromBase64,
  fromHex,
  hex,
  ipFamily,
  isLoopback,
  isUnicast,
  networkOf,
  parseIPv4,
  parseIPv6,
  seededRandom,
  unmapped,
} from '../index.ts';

test('IPv4 text is read strictly', () => {
  assert.equal(parseIPv4('192.0.2.1'), 0xc0000201);
  for (const bad of ['', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.256', '1..2.3', '1.2.3.4 ', 'a.b.c.d'])
    assert.equal(parseIPv4(bad), undefined, bad);
  fc.assert(fc.property(fc.integer({ min: 0, max: 0xffffffff }), (v) => parseIPv4(formatIPv4(v)) === v));
});

test('IPv6 text is read and written canonically (RFC 5952)', () => {
  const canon = (t: string) => formatIPv6(parseIPv6(t)!);
  assert.equal(canon('2001:0db8:0:0:0:0:0:0001'), '2001:db8::1');
  assert.equal(canon('::ffff:192.0.2.1'), '::ffff:c000:201');
  assert.equal(canon('::'), '::');
  for (const bad of [
    '',
    ':',
    ':::',
    '1::2::3',
    '12345::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    'fe80::1%eth0',
    '1:2:3:4:5:6:7::8',
  ])
    assert.equal(ipFamily(bad), undefined, bad);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (b) => hex(parseIPv6(formatIPv6(b))!) === hex(b)),
  );
});

test('hexadecimal and base64 round trip', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (b) => {
      assert.equal(hex(fromHex(hex(b))!), hex(b));
      assert.equal(base64(b), Buffer.from(b).toString('base64'));
      assert.equal(hex(fromBase64(base64(b))!), hex(b));
      assert.equal(hex(fromBase64(base64url(b))!), hex(b));
    }),
  );
  assert.equal(fromBase64('a'), undefined);
  assert.equal(fromBase64('a*bc'), undefined);
  assert.equal(fromHex('abc'), undefined);
});

test('deadlines expire in order, moved and deleted ones included', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.option(fc.integer({ min: 0, max: 1000 })))),
      (steps) => {
        const heap = new Deadlines<number>();
        const model = new Map<number, number>();
        for (const [key, at] of steps) {
          if (at === null) {
            heap.delete(key);
            model.delete(key);
          } else {
            heap.set(key, at);
            model.set(key, at);
          }
          assert.equal(heap.next(), model.size ? Math.min(...model.values()) : undefined);
        }
        let last = -1;
        for (;;) {
          const key = heap.expire(2000);
          if (key === undefined) break;
          assert.ok(model.get(key)! >= last);
          last = model.get(key)!;
          model.delete(key);
        }
        assert.equal(model.size, 0);
        assert.equal(heap.size, 0);
      },
    ),
  );
});

test('a seed gives the same numbers each time', () => {
  const take = (seed: number) => {
    const r = seededRandom(seed);
    return [r.next(), r.next(), r.next()];
  };
  assert.deepEqual(take(7), take(7));
  assert.notDeepEqual(take(7), take(8));
});

test('one host can be reached at unicast addresses only', () => {
  for (const yes of ['192.0.2.1', '10.0.0.1', '127.0.0.1', '223.255.255.255', '2001:db8::1', '::1', '::ffff:192.0.2.1'])
    assert.ok(isUnicast(yes), yes);
  for (const no of [
    '0.0.0.0',
    '0.1.2.3',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    'ff02::1',
    '::ffff:239.1.1.1',
    'host',
    '',
  ])
    assert.equal(isUnicast(no), false, no);
});

test('loopback is an address, never a name that looks like one', () => {
  for (const yes of ['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1']) assert.ok(isLoopback(yes), yes);
  for (const no of ['127.0.0.1.evil.example', '127.evil.example', '128.0.0.1', '::2', '', '::ffff:10.0.0.1'])
    assert.equal(isLoopback(no), false, no);
  assert.equal(unmapped('::ffff:192.0.2.1'), '192.0.2.1');
  assert.equal(unmapped('2001:db8::1'), '2001:db8::1');
});

test('limits count an IPv6 /64 as one, an IPv4 address by itself, however it is written', () => {
  assert.equal(networkOf('192.0.2.1'), '192.0.2.1');
  assert.equal(networkOf('::ffff:192.0.2.1'), '192.0.2.1');
  assert.equal(networkOf('2001:db8:1:2:3:4:5:6'), networkOf('2001:0db8:1:2::'));
  assert.notEqual(networkOf('2001:db8:1:2::1'), networkOf('2001:db8:1:3::1'));
  assert.equal(networkOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  assert.equal(networkOf('fe80::1%eth0'), 'fe80::1%eth0');
});
