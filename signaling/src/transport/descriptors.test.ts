import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFilesLimit } from '@offhook/core/node';
import { limitsFor } from './descriptors.ts';
import { TRANSPORT_LIMITS } from './index.ts';

test('all connections and a reserve fit into the descriptors of the process, however many it has', () => {
  for (const openFiles of [512, 1024, 4096, 20_000, 65_536, 1 << 20]) {
    const { connections, strangers, outgoing, http, connectionsPerLoopbackAddress } = limitsFor(openFiles);
    assert.ok(connections + outgoing + http <= openFiles - 200, String(openFiles));
    assert.ok(strangers < connections / 2 && connectionsPerLoopbackAddress <= connections);
    assert.ok(strangers > 20 && http > 20 && outgoing > 9, String(openFiles));
  }
  assert.deepEqual(limitsFor(1 << 20), TRANSPORT_LIMITS);
  assert.deepEqual(limitsFor(undefined), TRANSPORT_LIMITS);
});

test('the limit is read where Linux tells it; elsewhere, or when it has none, the constants hold', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'limits-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'limits');
  const read = (line: string) => {
    writeFileSync(file, `Limit                     Soft Limit           Hard Limit           Units\n${line}\n`);
    return openFilesLimit(file);
  };
  assert.equal(read('Max open files            1024                 4096                 files     '), 1024);
  assert.equal(read('Max open files            unlimited            unlimited            files     '), undefined);
  assert.equal(openFilesLimit(join(folder, 'none')), undefined);
  if (process.platform === 'linux') assert.ok(openFilesLimit()! > 0);
});
