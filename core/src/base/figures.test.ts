import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Histogram, series } from './index.ts';

test('a value counts in the bucket of its bound, in all above it, and in sum and count', () => {
  const histogram = new Histogram([0.1, 1]);
  for (const value of [0, 0.1, 0.5, 7]) histogram.observe(value);
  assert.equal(histogram.count, 4);
  assert.deepEqual(histogram.figures('x_seconds', { side: 'a' }), {
    'x_seconds_bucket{side="a",le="0.1"}': 2,
    'x_seconds_bucket{side="a",le="1"}': 3,
    'x_seconds_bucket{side="a",le="+Inf"}': 4,
    'x_seconds_sum{side="a"}': 7.6,
    'x_seconds_count{side="a"}': 4,
  });
  assert.deepEqual(Object.values(new Histogram([1]).figures('x')), [0, 0, 0, 0]);
});

test('label values are escaped', () => {
  assert.equal(series('x', { a: 'say "\\"\nend', b: 2 }), 'x{a="say \\"\\\\\\"\\nend",b="2"}');
  assert.equal(series('x'), 'x');
});
