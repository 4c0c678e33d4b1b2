import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dtmfFrequencies } from './sounds.ts';

test('keys sound as ITU-T Q.23 says', () => {
  assert.deepEqual(dtmfFrequencies('1'), [697, 1209]);
  assert.deepEqual(dtmfFrequencies('6'), [770, 1477]);
  assert.deepEqual(dtmfFrequencies('*'), [941, 1209]);
  assert.deepEqual(dtmfFrequencies('0'), [941, 1336]);
  assert.deepEqual(dtmfFrequencies('#'), [941, 1477]);
  for (const bad of ['', 'a', '12', '+']) assert.equal(dtmfFrequencies(bad), undefined);
});
