import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { lacking, SPEECH } from './src/peers.ts';
import { assertHears, middle } from './src/proof.ts';
import { Stage } from './src/stage.ts';
import { killBusyWorker, lengthS, twoWorkers } from './src/worker-kill.ts';

const skip = lacking(...SPEECH, 'baresip', 'openssl');
/** Without sound: a ping finds the worker dead within a second and a third, and two re-INVITEs take little. */
const MOST_GAP_S = 2.5;

let stage: Stage;

before(() => {
  if (!skip) stage = new Stage();
});

after(() => stage?.close());

test('kill -9 of the media worker of a call between two SIP phones: they go on talking', {
  skip,
}, async () => {
  await using system = await twoWorkers(stage.folder);
  const { alicesWords, bobsWords } = stage;
  await using left = await stage.baresip(system, 'left', { words: alicesWords, codecs: ['pcmu'] });
  await using right = await stage.baresip(system, 'right', { words: bobsWords, codecs: ['pcmu'] });
  await left.command('dial', `sip:right@${system.domain}`);
  await right.answer();
  await Promise.all([left.waitFor('CALL_ESTABLISHED'), right.waitFor('CALL_ESTABLISHED')]);
  const began = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 1500)); // sound before the gap
  await killBusyWorker(system);
  await new Promise((resolve) => setTimeout(resolve, 7000)); // what is proven is sound that lasts
  const tookS = (performance.now() - began) / 1000;
  await left.command('hangup');
  await right.waitFor('CALL_CLOSED');
  const [toLeft, toRight] = [left.heard(), right.heard()];
  // A recording holds what came: what it is shorter than the call is the gap.
  const gapS = tookS - Math.min(lengthS(toLeft), lengthS(toRight));
  console.error(`  ${gapS.toFixed(1)} s without sound`);
  assert.ok(gapS < MOST_GAP_S, `${gapS} s without sound`);
  assertHears('left', middle(toLeft, lengthS(toLeft) - 5.5, 5), bobsWords, alicesWords);
  assertHears('right', middle(toRight, lengthS(toRight) - 5.5, 5), alicesWords, bobsWords);
  await system.assertNothingLeft();
});
