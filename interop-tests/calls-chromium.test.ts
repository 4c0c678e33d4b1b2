import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  click,
  dial,
  leave,
  mediaStats,
  openChromium,
  type Phone,
  recordRemote,
  settle,
  signIn,
  waitForCall,
  warmUp,
} from './src/browser.ts';
import { assertHears } from './src/proof.ts';
import { type Sentence, speak } from './src/speech.ts';
import { System, scratchFolder } from './src/system.ts';

const folder = scratchFolder();
let alicesWords: Sentence;
let bobsWords: Sentence;
let alice: Phone;
let bob: Phone;

before(async () => {
  alicesWords = speak('alice', folder.path);
  bobsWords = speak('bob', folder.path);
  [alice, bob] = await Promise.all([openChromium(alicesWords.path), openChromium(bobsWords.path)]);
  await using system = await System.start({ folder: folder.path });
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await warmUp(alice, bob);
  await leave(alice, bob);
});

after(async () => {
  await Promise.allSettled([alice?.close(), bob?.close()]);
  folder.remove();
});

/** One call with everything that makes it a call: ring, answer, the right words both ways, video both ways, hang up, nothing left. */
async function videoCall(system: System, query: string): Promise<void> {
  await signIn(alice, await system.loginLink('alice'), query);
  await signIn(bob, await system.loginLink('bob'), query);
  await dial(alice, 'bob', 'video');
  await waitForCall(bob, 'incoming');
  await click(bob, 'answer-video');
  await Promise.all([waitForCall(alice, 'active'), waitForCall(bob, 'active')]);
  await settle(alice, bob);
  const [aliceHeard, bobHeard] = await Promise.all([recordRemote(alice, 6), recordRemote(bob, 6)]);
  const first = await Promise.all([mediaStats(alice), mediaStats(bob)]);
  assertHears('alice', aliceHeard, bobsWords, alicesWords);
  assertHears('bob', bobHeard, alicesWords, bobsWords);
  await alice.page.waitForTimeout(1500);
  const second = await Promise.all([mediaStats(alice), mediaStats(bob)]);
  for (const [i, who] of ['alice', 'bob'].entries()) {
    assert.ok(
      second[i]!.concealedShare < 0.01,
      `${who}: ${(second[i]!.concealedShare * 100).toFixed(2)} % of the samples were concealed`,
    );
    assert.ok(
      second[i]!.framesDecoded > first[i]!.framesDecoded,
      `${who}'s video stands still at ${second[i]!.framesDecoded} frames`,
    );
  }
  if (query.includes('ice=relay')) for (const stats of second) assert.equal(stats.localCandidate, 'relay');
  await click(alice, 'hangup');
  await Promise.all([waitForCall(alice, 'idle'), waitForCall(bob, 'idle')]);
  await system.assertNothingLeft();
  assert.deepEqual([...alice.errors, ...bob.errors], []);
  await leave(alice, bob);
}

test('two browsers hear and see each other on the opaque path: encrypted from end to end', async () => {
  await using system = await System.start({ folder: folder.path, media: { path: 'opaque' } });
  await videoCall(system, 'processing=off');
});

test('two browsers hear and see each other on the terminated path', async () => {
  await using system = await System.start({ folder: folder.path, media: { path: 'terminated' } });
  await videoCall(system, 'processing=off');
});

test('two browsers hear and see each other with TURN only', async () => {
  await using system = await System.start({ folder: folder.path, media: { path: 'opaque' } });
  await videoCall(system, 'processing=off&ice=relay');
});

test('a browser hears itself at 600 and is told in words who cannot be reached', async () => {
  await using system = await System.start({ folder: folder.path });
  await signIn(alice, await system.loginLink('alice'));
  await dial(alice, '600');
  await waitForCall(alice, 'active');
  await settle(alice);
  const heard = await recordRemote(alice, 6);
  assertHears('alice', heard, alicesWords, bobsWords);
  await click(alice, 'hangup');
  await waitForCall(alice, 'idle');
  await dial(alice, 'bob');
  await alice.page
    .getByTestId('message')
    .filter({ hasText: /not (reachable|registered|signed in)|nobody/i })
    .waitFor();
  await dial(alice, 'nobody-of-that-name');
  await alice.page
    .getByTestId('message')
    .filter({ hasText: /nobody|no such|does not exist|unknown/i })
    .waitFor();
  await system.assertNothingLingers();
  await leave(alice, bob);
});

test('declining, cancelling and being busy reach the other side in words', async () => {
  await using system = await System.start({ folder: folder.path });
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await dial(alice, 'bob');
  await waitForCall(bob, 'incoming');
  await click(bob, 'decline');
  await alice.page
    .getByTestId('message')
    .filter({ hasText: /declined|busy/i })
    .waitFor();
  await waitForCall(bob, 'idle');
  await waitForCall(alice, 'idle');
  await dial(alice, 'bob');
  await waitForCall(bob, 'incoming');
  await click(alice, 'hangup');
  await Promise.all([waitForCall(bob, 'idle'), waitForCall(alice, 'idle')]);
  await system.assertNothingLeft();
  await leave(alice, bob);
});

test('video is added in the middle of an audio call and mute silences it', async () => {
  await using system = await System.start({ folder: folder.path });
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await dial(alice, 'bob');
  await waitForCall(bob, 'incoming');
  await click(bob, 'answer');
  await Promise.all([waitForCall(alice, 'active'), waitForCall(bob, 'active')]);
  await click(alice, 'video-toggle');
  await bob.page.waitForFunction(async () => {
    type Handle = { peerConnections(): RTCPeerConnection[] };
    for (const pc of (window as unknown as { offhook: Handle }).offhook.peerConnections()) {
      const stats = await pc.getStats();
      for (const s of stats.values())
        if (s.type === 'inbound-rtp' && s.kind === 'video' && s.framesDecoded > 10) return true;
    }
    return false;
  });
  await settle(bob);
  assertHears('bob', await recordRemote(bob, 6), alicesWords, bobsWords);
  await click(alice, 'mute');
  await bob.page.waitForTimeout(500);
  const silence = await recordRemote(bob, 3);
  assert.ok(
    silence.samples.every((v) => Math.abs(v) < 0.01),
    'bob still hears alice',
  );
  await click(bob, 'hangup');
  await waitForCall(alice, 'idle');
  await system.assertNothingLeft();
  await leave(alice, bob);
});
