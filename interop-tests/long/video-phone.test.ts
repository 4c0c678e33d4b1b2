import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { click, dial, type Phone, waitForCall, waitForNewFrames } from '../src/browser.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { receivedAgain } from '../src/sender-stats.ts';
import { Stage } from '../src/stage.ts';
import { type System, waitUntil } from '../src/system.ts';

const skip = lacking(...SPEECH, 'chromium', 'baresip', 'openssl');
const FRAMES = 20;

let stage: Stage;
let system: System;
let alice: Phone;

before(async () => {
  if (skip) return;
  stage = new Stage();
  system = await stage.system();
  alice = await stage.webPhone(system, 'alice');
});

after(() => stage?.close());

for (const [security, account] of [
  ['plain RTP', ''],
  ['SDES', 'mediaenc=srtp-mand'],
] as const) {
  test(`a browser and a SIP phone with a camera see each other; the phone has ${security}`, { skip }, async () => {
    const user = `cam${account.length}`;
    {
      await using phone = await stage.baresip(system, user, {
        words: stage.bobsWords,
        codecs: ['pcma'],
        account,
        video: true,
      });
      /** Pictures that it has decoded. */
      const shown = async () => Number(/vidisp: .* frames=(\d+)/.exec(await phone.command('video_debug'))?.[1] ?? 0);
      await dial(alice, user, 'video');
      await phone.answer();
      await Promise.all([phone.waitFor('CALL_ESTABLISHED'), waitForCall(alice, 'active')]);
      await waitForNewFrames(alice, FRAMES);
      const first = await shown();
      await waitUntil('the phone shows pictures', async () => (await shown()) >= first + FRAMES);
      await waitUntil('what the relay repeats for a probe comes as RTX', async () => (await receivedAgain(alice)) > 0);
      await click(alice, 'hangup');
      await phone.waitFor('CALL_CLOSED');
      await waitForCall(alice, 'idle');
    }
    await system.assertNothingLeft();
    assert.deepEqual(alice.errors, []);
  });
}
