import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { EndpointTable, UdpEndpoint } from './index.ts';

test('the endpoint table agrees with a Map through any sequence of sets and deletes', () => {
  const at = fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 3 }), fc.boolean());
  fc.assert(
    fc.property(fc.integer(), fc.array(fc.tuple(at, fc.option(fc.nat(1000))), { maxLength: 300 }), (seed, steps) => {
      const table = new EndpointTable(seed, 4);
      const model = new Map<string, number>();
      for (const [[host, port, six], value] of steps) {
        const endpoint = UdpEndpoint.from({ address: six ? `2001:db8::${host}` : `10.0.0.${host}`, port })!;
        const key = JSON.stringify(endpoint.toSocketAddress());
        if (value === null) assert.equal(table.delete(endpoint), model.delete(key));
        else {
          table.set(endpoint, value);
          model.set(key, value);
        }
        assert.equal(table.size, model.size);
      }
      for (let host = 0; host <= 40; host++)
        for (let port = 1; port <= 3; port++)
          for (const address of [`2001:db8::${host}`, `10.0.0.${host}`]) {
            const endpoint = UdpEndpoint.from({ address, port })!;
            assert.equal(table.get(endpoint), model.get(JSON.stringify(endpoint.toSocketAddress())) ?? -1);
          }
    }),
  );
});

/** What somebody might send who knows the hash but not the seed, and what comes by itself: the i-th address and port. */
const SOURCES: Readonly<Record<string, (i: number) => UdpEndpoint>> = {
  'of equal a ^ port·constant': (i) => ipv4(Math.imul(i, 0x85ebca6b) ^ 0x0b00_0001, i),
  'of equal a + port·constant': (i) => ipv4(0x0b00_0001 - Math.imul(i, 0x85ebca6b), i),
  'of one subnet': (i) => ipv4(0x0a00_0000 + i, 5060),
  'of one address': (i) => ipv4(0x0a00_0001, 40_000 + i),
  'that differ in the high bits only': (i) => ipv4(i << 20, 5060),
  'of an IPv6 prefix whose words are zero': (i) => new UdpEndpoint(6, [0x2a00_0000, i, 0, 0], 0),
  'of IPv6 whose differences in two words cancel out': (i) =>
    new UdpEndpoint(6, [0x2001_0db8, (i & 1) << 31, ((i & 1) * 0x8004_0000) ^ (i << 3), 1], 5060),
};

function ipv4(address: number, port: number): UdpEndpoint {
  return new UdpEndpoint(4, [address], port);
}

for (const [which, source] of Object.entries(SOURCES)) {
  test(`two thousand endpoints ${which} spread, whatever the seed`, () => {
    const endpoints = Array.from({ length: 2000 }, (_, i) => source(i + 1));
    for (const seed of [0, 1, -1, 12_345, 0x1234_5678, 0x8000_0000, 0xdead_beef, 0x1357_9bdf]) {
      const table = new EndpointTable(seed);
      for (const [i, at] of endpoints.entries()) table.set(at, i);
      assert.equal(table.size, 2000);
      const probes = endpoints.map((at) => table.probes(at));
      const mean = probes.reduce((sum, one) => sum + one) / probes.length;
      // by chance: (1 + 1 / (1 - load)) / 2, which is 1.5
      assert.ok(mean < 2.5 && Math.max(...probes) < 150, `seed ${seed}: ${mean} slots on average`);
    }
  });
}
