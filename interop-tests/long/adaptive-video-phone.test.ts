import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { answer, click, leave, type Phone, signIn, waitForCall, waitForNewFrames } from '../src/browser.ts';
import { writeBusyPicture } from '../src/camera.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { PhoneLine } from '../src/phone-line.ts';
import { inWords, lastOf, mean, receivedAgain, watch } from '../src/sender-stats.ts';
import { Stage } from '../src/stage.ts';
import { System } from '../src/system.ts';

const skip = lacking(...SPEECH, 'chromium', 'baresip', 'openssl');

let stage: Stage;
let alice: Phone;

before(async () => {
  if (skip) return;
  stage = new Stage();
  const cameraPath = join(stage.folder, 'camera.y4m');
  writeBusyPicture(cameraPath);
  alice = await stage.chromium(stage.alicesWords, { cameraPath });
});

after(() => stage?.close());

/** The line that becomes narrow carries that share of what was sent before. */
const NARROW = 0.5;
const ENOUGH_BPS = 450_000;
const FREE_S = 40;
const LEAST_BPS = 250_000;
/** baresip reports each five seconds, and each report takes off half of the share that was lost. */
const REACTION_S = 25;
const NARROW_S = 45;
const HEALED_S = 40;

test('a browser sends a phone that reports losses what its line takes, and more again when it heals', {
  skip,
}, async (t) => {
  await using system = await System.start({ folder: stage.folder });
  const line = await PhoneLine.open(system.ports.udp!);
  t.after(() => line.close());
  await signIn(alice, await system.loginLink('alice'));
  await using phone = await stage.baresip(system, 'cam', {
    words: stage.bobsWords,
    codecs: ['pcma'],
    video: true,
    server: `127.0.0.1:${line.port}`,
  });
  await phone.command('dial', `sip:alice@${system.domain}`);
  await answer(alice, 'video');
  await Promise.all([phone.waitFor('CALL_ESTABLISHED'), waitForCall(alice, 'active')]);
  await waitForNewFrames(alice);

  const free = await watch(alice, FREE_S, (seconds) => seconds.length > 5 && lastOf(seconds) > ENOUGH_BPS);
  assert.ok((await receivedAgain(alice)) > 0, 'what the relay repeats for a probe comes as RTX');
  const before = lastOf(free);
  const narrowBps = NARROW * before;
  line.downBps = narrowBps;
  const narrow = await watch(alice, REACTION_S);
  const { dropped, passed } = line;
  narrow.push(...(await watch(alice, NARROW_S - REACTION_S)));
  const lossLater = (line.dropped - dropped) / (line.passed - passed);
  line.downBps = Number.POSITIVE_INFINITY;
  const healed = await watch(alice, HEALED_S);
  for (const [name, seconds] of Object.entries({ free, narrow, healed }))
    t.diagnostic(`${name}, kb/s sent/available in each second: ${inWords(seconds)}`);
  t.diagnostic(
    `the line carried ${Math.round(narrowBps / 1000)} kb/s; lost of ${passed} in the first ${REACTION_S} s ${dropped}, then ${Math.round(1000 * lossLater) / 10} %`,
  );

  assert.ok(before > LEAST_BPS, `before it was narrow ${Math.round(before)} b/s were sent`);
  const sent = mean(narrow.slice(REACTION_S).map((s) => s.sentBps));
  assert.ok(sent < 1.2 * narrowBps && sent > 0.3 * narrowBps, `on the narrow line ${Math.round(sent)} b/s were sent`);
  assert.ok(
    lossLater < 0.15,
    `${lossLater} of the pictures found no room on the line, though the sender had been told`,
  );
  // What it makes of that is the encoder's matter, and the machine's.
  const back = healed.findIndex((s) => s.availableBps > 0.8 * before);
  assert.ok(back >= 0, `${HEALED_S} s after it healed the rate was not back: ${inWords(healed)}`);
  t.diagnostic(`80 % of ${Math.round(before / 1000)} kb/s were allowed again in second ${back + 1}`);
  const metrics = await system.metrics('media-relay-0');
  assert.ok((metrics['offhook_media_rates_total{event="requestsSent"}'] ?? 0) > 5);
  await click(alice, 'hangup');
  await Promise.all([phone.waitFor('CALL_CLOSED'), waitForCall(alice, 'idle')]);
  await phone.stop();
  await system.assertNothingLeft();
  assert.deepEqual(alice.errors, []);
  await leave(alice);
});
