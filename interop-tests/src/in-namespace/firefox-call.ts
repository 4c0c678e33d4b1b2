/** Run inside a namespace by calls-firefox.test.ts: `firefox-call.ts <scratch folder> <opaque|terminated>`. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import {
  click,
  dial,
  mediaStats,
  openChromium,
  openFirefox,
  recordRemote,
  settle,
  signIn,
  waitForCall,
  warmUp,
} from '../browser.ts';
import { assertHears } from '../proof.ts';
import { speak } from '../speech.ts';
import { System, waitUntil } from '../system.ts';

const [folder, path] = process.argv.slice(2) as [string, 'opaque' | 'terminated'];
const home = join(folder, 'pulse');
const alicesWords = speak('alice', folder);
const bobsWords = speak('bob', folder);
await using system = await System.start({ folder, media: { path } });
const [alice, bob] = await Promise.all([
  openChromium(alicesWords.path, { loopbackCandidates: false }),
  openFirefox({ ...process.env, HOME: home, XDG_RUNTIME_DIR: home }),
]);
try {
  // Firefox's fake microphone can only beep, so its page speaks bob's sentence through WebAudio instead.
  await bob.page.addInitScript(
    (wav) => {
      const original = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (wanted) => {
        const stream = await original(wanted);
        if (!wanted?.audio) return stream;
        const context = new AudioContext();
        await context.resume();
        const bytes = Uint8Array.from(atob(wav), (c) => c.charCodeAt(0));
        const source = context.createBufferSource();
        source.buffer = await context.decodeAudioData(bytes.buffer);
        source.loop = true;
        const out = context.createMediaStreamDestination();
        source.connect(out);
        source.start();
        return new MediaStream([...out.stream.getAudioTracks(), ...stream.getVideoTracks()]);
      };
    },
    (await import('node:fs')).readFileSync(bobsWords.path).toString('base64'),
  );
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await warmUp(alice, bob);
  const results: unknown[] = [];
  for (const [caller, callee, name] of [
    [alice, bob, 'bob'],
    [bob, alice, 'alice'],
  ] as const) {
    await dial(caller, name);
    await waitForCall(callee, 'incoming');
    await click(callee, 'answer');
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
    await waitUntil('the callee sees the caller', async () => (await mediaStats(callee)).framesDecoded > 10);
    await click(callee, 'video-toggle');
    await waitUntil('the caller sees the callee', async () => (await mediaStats(caller)).framesDecoded > 10);
    const first = await Promise.all([mediaStats(alice), mediaStats(bob)]);
    await alice.page.waitForTimeout(1500);
    const second = await Promise.all([mediaStats(alice), mediaStats(bob)]);
    assert.ok(
      second[0].framesDecoded > first[0].framesDecoded && second[1].framesDecoded > first[1].framesDecoded,
      'video stands still',
    );
    await click(caller, 'hangup');
    await Promise.all([waitForCall(alice, 'idle'), waitForCall(bob, 'idle')]);
  }
  await system.assertNothingLeft();
  console.log(JSON.stringify({ done: true, results }));
} finally {
  await Promise.allSettled([alice.close(), bob.close()]);
}
