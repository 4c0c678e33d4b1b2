import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Recent } from './recent.ts';

test('a table of the most recent holds half of its places at least, and all of them at most', () => {
  const forgotten: number[] = [];
  const table = new Recent<number>(10, (value) => forgotten.push(value));
  for (let i = 0; i < 1000; i++) {
    table.set(`k${i}`, i);
    assert.ok(table.size <= 10, `${table.size}`);
    for (let back = 0; back < 5 && back <= i; back++) assert.equal(table.peek(`k${i - back}`), i - back);
  }
  assert.equal(forgotten.length + table.size, 1000, 'what goes is told, once');
});

test('what is touched stays, what is only looked at goes', () => {
  const table = new Recent<string>(10);
  table.set('touched', 'a');
  table.set('seen', 'b');
  for (let i = 0; i < 100; i++) {
    table.set(`k${i}`, 'x');
    assert.equal(table.touch('touched'), 'a');
    table.peek('seen');
  }
  assert.equal(table.peek('seen'), undefined);
  assert.equal(table.touch('seen'), undefined);
});

test('an entry that is set again or taken out is in no generation twice', () => {
  const table = new Recent<number>(10);
  for (let i = 0; i < 5; i++) table.set(`k${i}`, i); // the generation is full: it is the older one now
  table.set('k0', 100);
  assert.deepEqual(
    [...table].filter(([key]) => key === 'k0'),
    [['k0', 100]],
  );
  assert.equal(table.size, 5);
  assert.equal(table.delete('k0'), 100);
  assert.equal(table.delete('k0'), undefined);
  assert.equal(table.peek('k0'), undefined);
  table.age();
  table.age();
  assert.equal(table.size, 0);
});
