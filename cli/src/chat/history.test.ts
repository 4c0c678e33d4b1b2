import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { History, type Remembered } from './history.ts';
import { takeInstance } from './instance.ts';

const folder = mkdtempSync(join(tmpdir(), 'oh-hist-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function text(id: string, more: Partial<Remembered> = {}): Remembered {
  return { id, at: '2026-11-26T20:18:00.000Z', with: 'bob', own: true, text: `text ${id}`, ...more };
}

test('what was written is there at the next start, each text once and as it is now, for nobody else to read', () => {
  const path = join(folder, 'deep/er/history');
  const history = new History(path);
  history.note(text('1', { state: 'stored' }));
  history.note(text('2', { with: 'carol', own: false }));
  history.note(text('1', { state: 'delivered' }));
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  const again = new History(path);
  assert.deepEqual(again.texts(), [text('1', { state: 'delivered' }), text('2', { with: 'carol', own: false })]);
  assert.deepEqual(
    again.texts('carol').map(({ id }) => id),
    ['2'],
  );
  assert.deepEqual(again.people(), ['carol', 'bob']);
  assert.equal(readFileSync(path, 'utf8').trim().split('\n').length, 2, 'written anew without what is old');
});

test('it is bounded, and lines of another terminal are not lost when it is written anew', () => {
  const path = join(folder, 'bounded');
  const history = new History(path);
  const other = new History(path);
  for (let i = 0; i < 1999; i++) history.note(text(`${i}`));
  other.note(text('other'));
  for (let i = 1999; i < 2100; i++) history.note(text(`${i}`));
  assert.equal(history.texts().length, 1000);
  assert.ok(readFileSync(path, 'utf8').split('\n').length < 2002);
  assert.ok(new History(path).find('other'));
  assert.equal(new History(path).texts().at(-1)!.id, '2099');
});

test('damaged lines are passed over; a folder that can’t be written to is said', () => {
  const path = join(folder, 'damaged');
  writeFileSync(
    path,
    `${JSON.stringify(text('1'))}\n{"id":"2","at":\n[]\nnull\n{"id":"3","at":"never","with":"x","own":true,"text":"y"}\n`,
  );
  appendFileSync(path, `${JSON.stringify(text('4'))}\n`);
  assert.deepEqual(
    new History(path).texts().map(({ id }) => id),
    ['1', '4'],
  );
  const none = new History(join(path, 'below-a-file', 'history'));
  assert.match(none.trouble!, /what is written here is not kept: /);
  none.note(text('5'));
  assert.equal(none.texts().length, 1);
});

test('a terminal is the same phone at each start, and a second one beside it another', () => {
  const own = join(folder, 'instances');
  const first = takeInstance(own);
  const second = takeInstance(own);
  assert.match(first.urn, /^urn:uuid:/);
  assert.notEqual(first.urn, second.urn);
  second.release();
  assert.notEqual(takeInstance(own).urn, first.urn, 'the first one is there still');
  first.release();
  const again = takeInstance(own);
  assert.equal(again.urn, first.urn);
  again.release();
});

test('whom the server does not know is none of the people, also at the next start, until a text comes or arrives', () => {
  const path = join(folder, 'gone');
  const history = new History(path);
  history.noteGone('never-written-to');
  history.note(text('1'));
  history.note(text('2', { with: 'bobb', state: 'failed' }));
  history.noteGone('bobb');
  assert.deepEqual(history.people(), ['bob']);
  for (let start = 0; start < 3; start++) assert.deepEqual(new History(path).people(), ['bob']);
  assert.equal(new History(path).texts('bobb').length, 1);
  const again = new History(path);
  again.note(text('3', { with: 'bobb', state: 'failed' }));
  assert.deepEqual(again.people(), ['bob']);
  again.note(text('4', { with: 'bobb', own: false }));
  assert.deepEqual(new History(path).people(), ['bobb', 'bob']);
});

test('who is forgotten leaves no text in the file, others stay, those of another terminal too', () => {
  const path = join(folder, 'forget');
  const history = new History(path);
  const other = new History(path);
  history.note(text('1', { with: 'carol' }));
  history.note(text('2'));
  other.note(text('3', { with: 'carol' }));
  other.note(text('4'));
  assert.equal(history.forget('carol'), 2);
  assert.equal(history.forget('carol'), 0);
  assert.doesNotMatch(readFileSync(path, 'utf8'), /carol/);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(
    new History(path).texts().map(({ id }) => id),
    ['2', '4'],
  );
});
