import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainAddresses } from './address.ts';

const HERE = { address: '127.0.0.1', isOwn: (a: string) => a === '127.0.0.1' || a === '192.0.2.2' };

test('whose media a plain leg takes, by what its SDP and its signalling say', () => {
  const cases: [string, string, string | undefined, boolean, string | undefined, string[], boolean][] = [
    ['held the old way', '0.0.0.0', '198.51.100.1', false, undefined, [], false],
    ['both the same', '198.51.100.1', '198.51.100.1', false, '198.51.100.1', ['198.51.100.1'], true],
    ['behind NAT', '10.0.0.7', '198.51.100.1', false, '198.51.100.1', ['198.51.100.1'], true],
    ['another server', '203.0.113.9', '198.51.100.1', false, '203.0.113.9', ['203.0.113.9', '198.51.100.1'], false],
    ['trusted', '203.0.113.9', '198.51.100.1', true, '203.0.113.9', ['203.0.113.9'], true],
    [
      'a phone on this host by its outside address',
      '192.0.2.2',
      '192.0.2.2',
      false,
      '192.0.2.2',
      ['192.0.2.2', '127.0.0.1'],
      true,
    ],
    ['a phone on this host by loopback', '127.0.0.1', '127.0.0.1', false, '127.0.0.1', ['127.0.0.1'], true],
    ['not this host', '198.51.100.2', '198.51.100.2', false, '198.51.100.2', ['198.51.100.2'], true],
  ];
  for (const [name, address, receivedFrom, trustAddress, expected, allowed, confirmed] of cases) {
    const got = plainAddresses({ address, port: 4000 }, { receivedFrom, trustAddress }, HERE);
    assert.deepEqual(
      got,
      { expected: expected === undefined ? undefined : { address: expected, port: 4000 }, allowed, confirmed },
      name,
    );
  }
});
