import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CallFacts } from './decision.ts';
import { fromAlice, fromTrunk, RouterStage } from './test-kit.ts';

const DAY = '2026-11-26T14:10:00+01:00';
const NIGHT = '2026-11-26T20:10:00+01:00';
const HOLIDAY = '2026-12-24T14:10:00+01:00';

/** [call, when, what comes of it] */
const CASES: readonly [CallFacts, string, string][] = [
  [fromAlice('112'), NIGHT, 'provider:112 | backup:112'],
  [fromAlice('0900123'), DAY, '403 premium numbers are blocked'],
  [fromAlice('030555'), DAY, 'provider:+4930555 | backup:+4930555'],
  [fromAlice('0043155'), DAY, 'provider:+43155 | backup:+43155'],
  [fromAlice('bob'), DAY, 'bob'],
  [fromAlice('600'), DAY, 'echo'],
  [fromTrunk('+4930123450'), DAY, 'alice 15 | alice+bob 20 | provider:+491511234567'],
  [fromTrunk('+4930123450'), NIGHT, '480 we are there on weekdays from 8 to 18'],
  [fromTrunk('+4930123450'), HOLIDAY, '480 we are closed today'],
  [fromTrunk('+4930123452'), DAY, 'bob 30'],
  [fromTrunk('112'), DAY, "404 nothing says what becomes of a call over the trunk 'provider' to '112'"],
  [fromTrunk('0043155'), DAY, "404 nothing says what becomes of a call over the trunk 'provider' to '0043155'"],
];

test('the example does what its comments say', { timeout: 60_000 }, async () => {
  await using stage = new RouterStage({});
  copyFileSync(join(import.meta.dirname, '../../../routes.example.ts'), stage.path);
  await stage.router.reload();
  assert.deepEqual(stage.router.warnings, []);
  for (const [facts, at, wanted] of CASES) assert.equal(await stage.decides(facts, at), wanted, facts.to);
});
