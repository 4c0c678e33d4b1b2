import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..', '..');
const TABLE = join(ROOT, 'docs', 'turn-rfc8656.md');

/** The rows: section, rule, what we do, tests. */
const rows = readFileSync(TABLE, 'utf8')
  .split('\n')
  .filter((line) => /^\| *\d/.test(line))
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
const sources = globSync(['turn/src/**/*.test.ts', 'turn/src/testkit/contract-*.ts', 'core/src/stun/*.test.ts'], {
  cwd: ROOT,
})
  .map((path) => readFileSync(join(ROOT, path), 'utf8'))
  .join('\n');

/** Whether a test, or one of a list of cases, has exactly that title. */
function isTest(title: string): boolean {
  const literal = `'${title}'`;
  for (let at = sources.indexOf(literal); at >= 0; at = sources.indexOf(literal, at + 1)) {
    if (/(?:\b(?:test|virtual|within)\(|\[)\s*$/.test(sources.slice(Math.max(0, at - 60), at))) return true;
  }
  return false;
}

test('every rule of RFC 8656 in the table names tests, and these exist', () => {
  assert.ok(rows.length > 60, `${rows.length} rows were read`);
  const wrong: string[] = [];
  for (const [section, rule, deed, tests] of rows) {
    const titles = [...(tests ?? '').matchAll(/`([^`]+)`/g)].map(([, title]) => title!);
    if (!rule || !deed || titles.length === 0) wrong.push(`${section} ${rule}: no test`);
    for (const title of titles) {
      if (!isTest(title)) wrong.push(`${section}: no test is called '${title}'`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('the table speaks of every section that has rules for a server', () => {
  const sections = new Set(rows.map(([section]) => section!.replace(/ .*/, '')));
  for (const section of [
    '5',
    '7.2',
    '8.2',
    '9',
    '10.2',
    '11.2',
    '11.3',
    '11.5',
    '12',
    '12.2',
    '12.4',
    '12.5',
    '12.6',
    '12.7',
  ])
    assert.ok(sections.has(section), section);
});
