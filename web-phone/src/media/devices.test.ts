import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pictureSize } from './devices.ts';

test('the picture fits the machine: small where two processors do everything, 720 lines where there are more', () => {
  for (const [processors, width, height] of [
    [1, 640, 360],
    [2, 640, 360],
    [4, 960, 540],
    [8, 1280, 720],
  ] as const)
    assert.deepEqual(pictureSize(processors), { width, height });
});
