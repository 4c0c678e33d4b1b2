import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { withPasswords } from './trunk-passwords.ts';

const folder = mkdtempSync(join(tmpdir(), 'oh-trunk-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const trunk = (passwordFile: string) => ({ p: { targets: ['sip:x'], register: { user: 'u', passwordFile } } });

test('the first line of the file is the password; trunks without a file stay as they are', () => {
  const path = join(folder, 'good');
  writeFileSync(path, 'pass word\r\nmore\n');
  assert.equal(withPasswords(trunk(path)).p!.register!.password, 'pass word');
  const plain = {
    q: { targets: ['sip:x'], callerId: '1' },
    r: { targets: ['sip:x'], register: { user: 'u', password: 'x' } },
  };
  assert.deepEqual(withPasswords(plain), plain);
});

test('a file that is missing or empty is an error in words', () => {
  const path = join(folder, 'empty');
  writeFileSync(path, '\n');
  assert.throws(
    () => withPasswords(trunk(path)),
    /^Error: trunks\.p\.register\.passwordFile: .*empty has no password in its first line$/,
  );
  assert.throws(() => withPasswords(trunk(join(folder, 'none'))), /^Error: trunks\.p\.register\.passwordFile: ENOENT/);
});
