import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  answer,
  click,
  dial,
  leave,
  mediaStats,
  type Phone,
  recordRemote,
  settle,
  signIn,
  waitForCall,
  waitForNewFrames,
} from '../src/browser.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { assertHears } from '../src/proof.ts';
import type { Stage } from '../src/stage.ts';
import { System } from '../src/system.ts';
import { openTwoBrowsers, warmUpTwoBrowsers } from '../src/two-browsers.ts';

const skip = lacking(...SPEECH, 'chromium');

let stage: Stage;
let alice: Phone;
let bob: Phone;

before(async () => {
  if (skip) return;
  const browsers = await openTwoBrowsers();
  ({ stage, alice, bob } = browsers);
  await using system = await System.start({ folder: stage.folder });
  await warmUpTwoBrowsers(browsers, system);
});

after(() => stage?.close());

/** One call with everything that makes it a call: ring, answer, the right words both ways, video both ways, hang up, nothing left. */
async function videoCall(system: System, query: string): Promise<void> {
  const { alicesWords, bobsWords } = stage;
  await signIn(alice, await system.loginLink('alice'), query);
  await signIn(bob, await system.loginLink('bob'), query);
  await dial(alice, 'bob', 'video');
  await answer(bob, 'video');
  await Promise.all([waitForCall(alice, 'active'), waitForCall(bob, 'active')]);
  await settle(alice, bob);
  const [aliceHeard, bobHeard] = await Promise.all([recordRemote(alice, 6), recordRemote(bob, 6)]);
  assertHears('alice', aliceHeard, bobsWords, alicesWords);
  assertHears('bob', bobHeard, alicesWords, bobsWords);
  const stats = await Promise.all([mediaStats(alice), mediaStats(bob)]);
  for (const [i, { concealedShare }] of stats.entries()) {
    const who = ['alice', 'bob'][i];
    assert.ok(concealedShare < 0.01, `${who}: ${(concealedShare * 100).toFixed(2)} % of the samples were concealed`);
  }
  await Promise.all([waitForNewFrames(alice), waitForNewFrames(bob)]);
  if (query.includes('ice=relay')) for (const { localCandidate } of stats) assert.equal(localCandidate, 'relay');
  await click(alice, 'hangup');
  await Promise.all([waitForCall(alice, 'idle'), waitForCall(bob, 'idle')]);
  await system.assertNothingLeft();
  assert.deepEqual([...alice.errors, ...bob.errors], []);
  await leave(alice, bob);
}

test('two browsers hear and see each other on the opaque path: encrypted from end to end', { skip }, async () => {
  await using system = await System.start({ folder: stage.folder, media: { path: 'opaque' } });
  await videoCall(system, 'processing=off');
});

test('two browsers hear and see each other on the terminated path', { skip }, async () => {
  await using system = await System.start({ folder: stage.folder, media: { path: 'terminated' } });
  await videoCall(system, 'processing=off');
});

test('two browsers hear and see each other with TURN only', { skip }, async () => {
  await using system = await System.start({ folder: stage.folder, media: { path: 'opaque' } });
  await videoCall(system, 'processing=off&ice=relay');
});
