import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Histogram } from '@offhook/core';
import { prometheus } from './prometheus.ts';
import { readExposition } from './testkit/exposition.ts';

function histogram(...values: number[]): Record<string, number> {
  const one = new Histogram([0.1, 1]);
  for (const value of values) one.observe(value);
  return one.figures('delay_seconds', { side: 'caller' });
}

test('parts are told apart by a label; one family stands together under one TYPE', () => {
  const text = prometheus([
    { part: 'signaling', figures: { sip_calls: 2, 'x_total{a="b"}': 3, ...histogram(0.05, 2) } },
    { part: 'turn', figures: { sip_calls: 0, ...histogram(0.5) } },
  ]);
  const families = readExposition(text);
  assert.deepEqual(
    [...families].map(([name, { type }]) => [name, type]),
    [
      ['sip_calls', 'gauge'],
      ['x_total', 'counter'],
      ['delay_seconds', 'histogram'],
    ],
  );
  assert.deepEqual(
    families.get('x_total')!.samples.map(({ labels, value }) => [labels, value]),
    [[{ part: 'signaling', a: 'b' }, 3]],
  );
  assert.equal(families.get('delay_seconds')!.samples.length, 10);
});

test('the strict reader can fail: what Prometheus would refuse, and what it would misread', () => {
  const fine = prometheus([{ part: 'a', figures: histogram(0.05, 2) }]);
  readExposition(fine);
  const wrong: [string, string, RegExp][] = [
    ['a name with a dash', 'sip-calls 1\n', /no sample/],
    ['no TYPE', 'x 1\n', /without a TYPE/],
    ['TYPE twice', '# TYPE x gauge\nx 1\n# TYPE x gauge\n', /twice/],
    ['a family in two places', '# TYPE x gauge\nx{a="1"} 1\n# TYPE y gauge\ny 1\nx{a="2"} 1\n', /apart/],
    ['a sample twice', '# TYPE x gauge\nx{a="1"} 1\nx{a="1"} 2\n', /twice/],
    ['a quote in a value', '# TYPE x gauge\nx{a="b"c"} 1\n', /no sample/],
    ['a label twice', '# TYPE x gauge\nx{a="1",a="2"} 1\n', /label a twice/],
    ['no number', '# TYPE x gauge\nx undefined\n', /no number/],
    ['no line end', '# TYPE x gauge\nx 1', /line end/],
    ['a negative counter', '# TYPE x_total counter\nx_total -1\n', /negative/],
    ['buckets that fall', fine.replace('le="1"} 1', 'le="1"} 0'), /falls/],
    [
      '+Inf that is not the count',
      fine.replace('_count{part="a",side="caller"} 2', '_count{part="a",side="caller"} 3'),
      /\+Inf/,
    ],
    ['no +Inf', fine.replace(/.*\+Inf.*\n/, ''), /\+Inf/],
    ['no sum', fine.replace(/.*_sum.*\n/, ''), /_sum/],
  ];
  for (const [what, text, words] of wrong) assert.throws(() => readExposition(text), words, what);
});
