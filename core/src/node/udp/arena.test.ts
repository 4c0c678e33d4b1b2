import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { PacketArena } from './arena.ts';

/** A hundred thousand turns in which ten ports stage a packet each, with the collections of garbage traced. */
const TURNS = `
  const { PacketArena } = await import(${JSON.stringify(join(import.meta.dirname, 'arena.ts'))});
  const arena = new PacketArena();
  let settled = 0;
  const ports = Array.from({ length: 10 }, () => ({ settle() { settled++; } }));
  const work = () => { for (let i = 0; i < 10; i++) arena.markStaged(ports[i]); };
  for (let turn = 0; turn < 5_000; turn++) arena.turn(work);
  console.log('measured from here');
  for (let turn = 0; turn < 100_000; turn++) arena.turn(work);
  console.log(settled);
`;

test('a million packets are staged without a collection of garbage', () => {
  const flags = ['--trace-gc', '--max-semi-space-size=1', '--min-semi-space-size=1', '--input-type=module'];
  const { stdout, status, stderr } = spawnSync(process.execPath, [...flags, '-e', TURNS], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const [, measured = ''] = stdout.split('measured from here\n');
  assert.match(measured, /^1050000$/m);
  const collections = measured.match(/Scavenge/g)?.length ?? 0;
  // each of them is a megabyte (a whole collection of what has begun the process may come at any time): the time of a turn makes up to five, thirty-two bytes a packet would make thirty more
  assert.ok(collections <= 6, measured);
});

test('what is staged while others are settled is settled too, once', () => {
  const arena = new PacketArena();
  const settled: string[] = [];
  const late = { settle: () => void settled.push('late') };
  const first = {
    settle: () => {
      settled.push('first');
      arena.markStaged(late);
    },
  };
  arena.turn(() => arena.markStaged(first));
  arena.turn(() => {});
  assert.deepEqual(settled, ['first', 'late']);
});
