/** Run inside a namespace by calls-firefox.test.ts: `firefox-call.ts <scratch folder> <opaque|terminated>`. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import {
  answer,
  click,
  dial,
  letSpeak,
  mediaStats,
  recordRemote,
  settle,
  signIn,
  waitForCall,
  waitForNewFrames,
  warmUp,
} from '../browser.ts';
import { assertHears } from '../proof.ts';
import { Stage } from '../stage.ts';
import { System } from '../system.ts';

const [folder, path] = process.argv.slice(2) as [string, 'opaque' | 'terminated'];
const home = join(folder, 'pulse');
await using stage = new Stage(folder);
const { alicesWords, bobsWords } = stage;
await using system = await System.start({ folder, media: { path } });
const [alice, bob] = await Promise.all([
  stage.chromium(alicesWords, { loopbackCandidates: false }),
  stage.firefox({ ...process.env, HOME: home, XDG_RUNTIME_DIR: home }),
]);
await letSpeak(bob, bobsWords);
await signIn(alice, await system.loginLink('alice'));
await signIn(bob, await system.loginLink('bob'));
await warmUp(alice, bob);
const results: unknown[] = [];
for (const [caller, callee, name] of [
  [alice, bob, 'bob'],
  [bob, alice, 'alice'],
] as const) {
  await dial(caller, name);
  await answer(callee);
  await Promise.all([waitForCall(alice, 'active'), waitForCall(bob, 'active')]);
  await settle(alice, bob);
  // Words first, then pictures: both at once, encoded in software on two cores, would measure the cores.
  const [aliceHeard, bobHeard] = await Promise.all([recordRemote(alice, 6), recordRemote(bob, 6)]);
  results.push(
    assertHears('alice', aliceHeard, bobsWords, alicesWords),
    assertHears('bob', bobHeard, alicesWords, bobsWords),
  );
  const { concealedShare } = await mediaStats(alice);
  assert.ok(concealedShare < 0.01, `alice: ${(concealedShare * 100).toFixed(2)} % of the samples were concealed`);
  await click(caller, 'video-toggle');
  await waitForNewFrames(callee);
  await click(callee, 'video-toggle');
  // Both ways at once: the first picture goes on while the second one comes.
  await Promise.all([waitForNewFrames(caller), waitForNewFrames(callee)]);
  await click(caller, 'hangup');
  await Promise.all([waitForCall(alice, 'idle'), waitForCall(bob, 'idle')]);
}
await system.assertNothingLeft();
console.log(JSON.stringify({ done: true, results }));
