import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MODULES } from './src/kamailio.ts';
import { lacking } from './src/peers.ts';

const PAGE = join(import.meta.dirname, '../docs/in-rtpengines-place.md');
const HEAD = ['sl', 'tm', 'rr', 'pv', 'textops'].map((name) => `loadmodule "${name}.so"`).join('\n');
const skip =
  lacking('kamailio') || (!existsSync(join(MODULES, 'rtpengine.so')) && "not installed: kamailio's rtpengine");

/** Kamailio's own check of a configuration. */
function check(text: string): { status: number | null; words: string } {
  const folder = mkdtempSync(join(tmpdir(), 'offhook-page-'));
  try {
    const file = join(folder, 'kamailio.cfg');
    writeFileSync(file, `#!KAMAILIO\nlisten=udp:127.0.0.1:5060\nmpath="${MODULES}"\n${HEAD}\n${text}`);
    const { status, stderr } = spawnSync('kamailio', ['-c', '-E', '-f', file], {
      encoding: 'utf8',
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
    });
    return { status, words: stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("what docs/in-rtpengines-place.md puts into kamailio.cfg, Kamailio's own check takes", { skip }, () => {
  const fences = [...readFileSync(PAGE, 'utf8').matchAll(/^```\w*\n([\s\S]*?)^```$/gm)].map(([, text]) => text!);
  const shown = fences.filter((text) => text.includes('loadmodule "rtpengine.so"'));
  assert.equal(shown.length, 1);
  const { status, words } = check(shown[0]!);
  assert.equal(status, 0, words);
  assert.notEqual(check(shown[0]!.replace('rtpengine_answer', 'rtpengine_reply')).status, 0);
});
