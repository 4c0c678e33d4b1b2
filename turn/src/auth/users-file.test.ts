import assert from 'node:assert/strict';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { nodeCrypto } from '@offhook/core/node';
import { REALM } from '../testkit/world.ts';
import { longTermUser } from './long-term-users.ts';
import { readUsers, writeUsers } from './users-file.ts';

const DESK = longTermUser('desk', REALM, 'correct horse', nodeCrypto);
/** As coturn's files have it. */
const OLD = { name: 'old', md5: DESK.md5 };

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'offhook-users-'));
  t.after(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

test('users come back as they were written; without a file there are none', (t) => {
  const path = join(folder(t), 'users.json');
  assert.deepEqual(readUsers(path, REALM), []);
  for (const users of [[DESK, OLD], [DESK], []]) {
    writeUsers(path, REALM, users);
    assert.deepEqual(readUsers(path, REALM), users);
  }
});

test('the file is for its owner alone, also where it was a link or open to all, and nothing is left beside it', (t) => {
  const at = folder(t);
  const elsewhere = join(at, 'elsewhere');
  writeFileSync(elsewhere, 'old', { mode: 0o644 });
  const paths = ['new', 'open', 'link', 'linked'].map((name) => join(at, name));
  const [, open, link, linked] = paths as [string, string, string, string];
  writeFileSync(open, '{}', { mode: 0o666 });
  symlinkSync(elsewhere, link);
  linkSync(elsewhere, linked);
  for (const path of paths) {
    // what a process of the same number has left when it was killed
    writeFileSync(`${path}.${process.pid}`, 'left', { mode: 0o666 });
    writeUsers(path, REALM, [DESK]);
    const found = lstatSync(path);
    assert.deepEqual([found.isFile(), found.mode & 0o777], [true, 0o600], path);
    assert.deepEqual(readUsers(path, REALM), [DESK]);
  }
  assert.deepEqual([readFileSync(elsewhere, 'utf8'), statSync(elsewhere).mode & 0o777], ['old', 0o644]);
  assert.deepEqual(readdirSync(at).sort(), ['elsewhere', 'link', 'linked', 'new', 'open']);
});

test('a file that is damaged is told of by its name, and by nothing that stands in it', (t) => {
  const path = join(folder(t), 'users.json');
  const good = JSON.stringify({ realm: REALM, users: [DESK] });
  for (const text of ['', good.slice(0, -5), `x${good}`, '{"realm":hunter2secret}', 'hunter2secret']) {
    writeFileSync(path, text);
    assert.throws(() => readUsers(path, REALM), {
      message: `${path} is damaged (not JSON); mend it, or remove it and add the users again`,
    });
  }
});

test('a file that holds something else is told of', (t) => {
  const path = join(folder(t), 'users.json');
  for (const text of ['null', '[]', '"desk"', '7', '{}', '{"realm":7,"users":[]}']) {
    writeFileSync(path, text);
    assert.throws(() => readUsers(path, REALM), { message: `${path}: no realm is named there` }, text);
  }
});

test('users of another realm are refused: their keys are worth nothing here', (t) => {
  const path = join(folder(t), 'users.json');
  writeUsers(path, 'other.example.org', [DESK]);
  assert.throws(() => readUsers(path, REALM), {
    message: `${path} holds users of the realm 'other.example.org', not of '${REALM}': their keys don't fit`,
  });
});

test('a list with something that is no user is refused as a whole', (t) => {
  const path = join(folder(t), 'users.json');
  const bad: unknown[] = [
    { ...DESK, name: '1700000000:desk' },
    { ...DESK, name: '' },
    { ...DESK, md5: DESK.md5.toUpperCase().replace(/\d/g, 'F') },
    { ...DESK, md5: `${DESK.md5}0` },
    { ...DESK, md5: undefined },
    { ...DESK, sha256: DESK.md5 },
    null,
    'desk',
  ];
  for (const one of bad) {
    writeFileSync(path, JSON.stringify({ realm: REALM, users: [DESK, one] }));
    assert.throws(
      () => readUsers(path, REALM),
      { message: `${path}: a user there can't be read` },
      JSON.stringify(one),
    );
  }
  for (const users of [undefined, { 0: DESK }, 'desk']) {
    writeFileSync(path, JSON.stringify({ realm: REALM, users }));
    assert.throws(() => readUsers(path, REALM), { message: `${path}: a user there can't be read` });
  }
});

test('a file that can’t be read or replaced is told of, and what was there stays', (t) => {
  const at = folder(t);
  const path = join(at, 'users.json');
  mkdirSync(path);
  assert.throws(() => readUsers(path, REALM), { message: /users\.json: EISDIR/ });
  assert.throws(() => writeUsers(path, REALM, [DESK]));
  assert.ok(statSync(path).isDirectory());
  assert.throws(() => writeUsers(join(at, 'missing', 'users.json'), REALM, [DESK]), { code: 'ENOENT' });
});
