import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { answer, click, dial, leave, type Phone, signIn, waitForCall, waitForNewFrames } from '../src/browser.ts';
import { writeBusyPicture } from '../src/camera.ts';
import { NarrowLink } from '../src/narrow-link.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { inWords, lastOf, mean, watch } from '../src/sender-stats.ts';
import { Stage } from '../src/stage.ts';
import { System } from '../src/system.ts';
import { warmUpTwoBrowsers } from '../src/two-browsers.ts';

const skip = lacking(...SPEECH, 'chromium');

let stage: Stage;
let alice: Phone;
let bob: Phone;

before(async () => {
  if (skip) return;
  stage = new Stage();
  const cameraPath = join(stage.folder, 'camera.y4m');
  writeBusyPicture(cameraPath);
  [alice, bob] = await Promise.all([
    stage.chromium(stage.alicesWords, { cameraPath }),
    stage.chromium(stage.bobsWords),
  ]);
  await using system = await System.start({ folder: stage.folder });
  await warmUpTwoBrowsers({ stage, alice, bob }, system);
});

after(() => stage?.close());

/** The line that becomes narrow carries that share of what was sent before. */
const NARROW = 0.6;
/** A browser begins with 300 kb/s and looks for more by itself; the picture of this test has use for all that it finds. */
const ENOUGH_BPS = 450_000;
const FREE_S = 40;
/** What even a machine that much else runs on gets through. */
const LEAST_BPS = 250_000;
const NARROW_S = 15;
/** So long the queue of the line may fill and the sender be told. */
const REACTION_S = 4;
const HEALED_S = 20;

test("a browser sends what the other one's line takes, and more again when it heals", { skip }, async (t) => {
  await using system = await System.start({ folder: stage.folder, media: { path: 'terminated' } });
  const link = await NarrowLink.open((await system.udpPorts()).mux!);
  t.after(() => link.close());
  await link.lead(bob);
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await dial(alice, 'bob', 'video');
  await answer(bob, 'video');
  await Promise.all([waitForCall(alice, 'active'), waitForCall(bob, 'active')]);
  await waitForNewFrames(bob);

  const free = await watch(alice, FREE_S, (seconds) => seconds.length > 5 && lastOf(seconds) > ENOUGH_BPS);
  const before = lastOf(free);
  const narrowBps = NARROW * before;
  link.downBps = narrowBps;
  const narrow = await watch(alice, REACTION_S);
  const droppedFirst = link.dropped;
  narrow.push(...(await watch(alice, NARROW_S - REACTION_S)));
  const droppedLater = link.dropped - droppedFirst;
  link.downBps = Number.POSITIVE_INFINITY;
  const healed = await watch(alice, HEALED_S);
  for (const [name, seconds] of Object.entries({ free, narrow, healed }))
    t.diagnostic(`${name}, kb/s sent/available in each second: ${inWords(seconds)}`);
  t.diagnostic(
    `the narrow line carried ${Math.round(narrowBps / 1000)} kb/s; lost on it: ${droppedFirst} in the first ${REACTION_S} s, then ${droppedLater}`,
  );

  assert.ok(before > LEAST_BPS, `before it was narrow ${Math.round(before)} b/s were sent`);
  const settled = narrow.slice(REACTION_S);
  const sent = mean(settled.map((s) => s.sentBps));
  assert.ok(sent < narrowBps && sent > 0.2 * narrowBps, `on the narrow line ${Math.round(sent)} b/s were sent`);
  const allowed = mean(settled.map((s) => s.availableBps));
  assert.ok(allowed < 1.2 * narrowBps, `on the narrow line ${Math.round(allowed)} b/s were allowed`);
  assert.ok(droppedLater < 40, `${droppedLater} packets found no room on the line, though the sender had been told`);
  const back = healed.findIndex((s) => s.sentBps > 0.8 * before);
  assert.ok(back >= 0, `${HEALED_S} s after it healed the rate was not back: ${inWords(healed)}`);
  t.diagnostic(`80 % of ${Math.round(before / 1000)} kb/s were sent again in second ${back + 1}`);

  const metrics = await system.metrics('media-relay-0');
  const count = (event: string) => metrics[`offhook_media_rates_total{event="${event}"}`] ?? 0;
  assert.ok(count('feedback') > 100 && count('feedbackSent') > 100 && count('requestsSent') > 10);
  assert.ok(count('padding') > 10, 'probes were sent as RTX');
  assert.equal(count('badFeedback'), 0);
  await click(alice, 'hangup');
  await Promise.all([waitForCall(alice, 'idle'), waitForCall(bob, 'idle')]);
  await system.assertNothingLeft();
  assert.deepEqual([...alice.errors, ...bob.errors], []);
  await leave(alice, bob);
});
