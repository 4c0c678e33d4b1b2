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
