import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UdpEndpoint } from '@offhook/core/node';
import fc from 'fast-check';
import { EndpointList } from './endpoint-list.ts';
import { LookupKey } from './lookup-key.ts';

interface Item {
  readonly endpoint: UdpEndpoint;
}

/** Forty endpoints that differ in one thing each: address, port, family. */
const ENDPOINTS = Array.from({ length: 40 }, (_, i) => {
  const address = i % 2 === 0 ? `10.0.0.${i >> 2}` : `2001:db8::${i >> 2}`;
  return UdpEndpoint.from({ address, port: 1000 + ((i >> 1) % 2) })!;
});
const NOTHING = new Uint8Array(0);
const key = new LookupKey();

/** A list that is compared with a Map after each step. */
class Compared {
  readonly list: EndpointList<Item>;
  readonly model = new Map<number, Item>();

  constructor(seed: number) {
    this.list = new EndpointList(seed);
  }

  /** Adds it, or deletes it when it is there. */
  toggle(which: number): void {
    const known = this.model.get(which);
    if (known) {
      this.list.delete(known);
      this.model.delete(which);
    } else {
      const item = { endpoint: ENDPOINTS[which]! };
      this.list.add(item);
      this.model.set(which, item);
    }
    this.check();
  }

  check(): void {
    assert.equal(this.list.size, this.model.size);
    assert.deepEqual(new Set(this.list.items), new Set(this.model.values()));
    for (const [i, endpoint] of ENDPOINTS.entries()) {
      assert.equal(this.list.get(endpoint), this.model.get(i));
      assert.equal(this.list.find(key.fill(endpoint, NOTHING, 0, 0), 0), this.model.get(i));
    }
  }
}

test('a list of endpoints agrees with a Map through any sequence of adding and deleting, few or many', () => {
  const which = fc.nat(ENDPOINTS.length - 1);
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: ENDPOINTS.length }),
      fc.array(which, { maxLength: 150, size: 'max' }),
      (seed, n, steps) => {
        const compared = new Compared(seed);
        for (const step of steps) compared.toggle(step % n);
      },
    ),
    { numRuns: 60 },
  );
});

test('the list is the same while it grows past what is looked through one by one, shrinks, and grows again', () => {
  const compared = new Compared(1);
  const toggle = (from: number, to: number) => {
    for (let i = from; i < to; i++) compared.toggle(i);
  };
  toggle(0, 9); // a table is made
  toggle(0, 3);
  toggle(0, 3); // it stays
  toggle(0, 5); // it goes
  toggle(9, 40);
  toggle(5, 40);
  assert.equal(compared.list.size, 0);
});

test('to delete what isn’t in the list changes nothing, even where something else has that endpoint', () => {
  for (const count of [1, 20]) {
    const compared = new Compared(1);
    for (let i = 0; i < count; i++) compared.toggle(i);
    compared.list.delete({ endpoint: ENDPOINTS[0]! });
    compared.list.delete({ endpoint: ENDPOINTS[30]! });
    compared.check();
  }
});
