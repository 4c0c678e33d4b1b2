import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCrypto } from '@offhook/core/node';
import type { SrvRecord } from './dns.ts';
import { orderSrv } from './srv.ts';

const record = (target: string, priority: number, weight: number): SrvRecord => ({
  type: 'SRV',
  target,
  priority,
  weight,
  port: 5060,
});
/** The example of docs/transport.md. */
const EXAMPLE = [record('big', 10, 60), record('small', 10, 20), record('spare', 10, 0), record('backup', 20, 0)];

/** The order for numbers drawn out of as many as there are. */
function ordered(records: readonly SrvRecord[], draws: readonly (readonly [drawn: number, of: number])[]): string {
  const left = [...draws];
  const randomBytes = (length: number) => {
    assert.equal(length, 4);
    const [drawn, of] = left.shift() ?? [0, 1];
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, Math.ceil((drawn / of) * 0x1_0000_0000));
    return bytes;
  };
  return orderSrv(records, { ...nodeCrypto, randomBytes })
    .map(({ target }) => target)
    .join(' ');
}

test('RFC 2782: the worked example, at every border between its records', () => {
  const table: [draws: [number, number][], order: string][] = [
    [
      [
        [37, 81],
        [5, 21],
      ],
      'big small spare backup',
    ],
    [
      [
        [0, 81],
        [0, 81],
      ],
      'spare big small backup',
    ],
    [
      [
        [1, 81],
        [0, 21],
      ],
      'big spare small backup',
    ],
    [
      [
        [60, 81],
        [1, 21],
      ],
      'big small spare backup',
    ],
    [
      [
        [61, 81],
        [0, 61],
      ],
      'small spare big backup',
    ],
    [
      [
        [80, 81],
        [60, 61],
      ],
      'small big spare backup',
    ],
  ];
  for (const [draws, order] of table) assert.equal(ordered(EXAMPLE, draws), order, JSON.stringify(draws));
});

test('of many records the last priorities are left out', () => {
  const many = Array.from({ length: 40 }, (_, i) => record(String(39 - i), 39 - i, 0));
  assert.equal(ordered(many, []), Array.from({ length: 16 }, (_, i) => i).join(' '));
  assert.equal(ordered([], []), '');
});
