import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  answer,
  click,
  dial,
  leave,
  type Phone,
  recordRemote,
  settle,
  signIn,
  waitForCall,
  waitForNewFrames,
} from './src/browser.ts';
import { EventStream } from './src/event-stream.ts';
import { lacking, SPEECH } from './src/peers.ts';
import { assertFallsSilent, assertHears } from './src/proof.ts';
import type { Stage } from './src/stage.ts';
import { System } from './src/system.ts';
import { openTwoBrowsers, warmUpTwoBrowsers } from './src/two-browsers.ts';

const skip = lacking(...SPEECH, 'chromium');

let stage: Stage;
let system: System;
let alice: Phone;
let bob: Phone;

before(async () => {
  if (skip) return;
  const browsers = await openTwoBrowsers();
  ({ stage, alice, bob } = browsers);
  system = await System.start({ folder: stage.folder });
  await warmUpTwoBrowsers(browsers, system);
});

after(async () => {
  await system?.stop();
  await stage?.close();
});

test('a browser hears itself at 600, reports how, and is told in words who cannot be reached', { skip }, async () => {
  await using events = await EventStream.open(system, 'alice');
  await signIn(alice, await system.loginLink('alice'));
  await dial(alice, '600');
  await waitForCall(alice, 'active');
  await settle(alice);
  const heard = await recordRemote(alice, 6);
  assertHears('alice', heard, stage.alicesWords, stage.bobsWords);
  const { id } = await events.next({ type: 'call', state: 'answered' }, 5000);
  const interval = await events.next({ type: 'quality', report: 'interval', user: 'alice', id }, 15_000);
  assert.equal(interval.codec, 'opus');
  for (const figure of [interval.lossPercent, interval.jitterMs]) assert.ok(Number(figure) >= 0, String(figure));
  await click(alice, 'hangup');
  await waitForCall(alice, 'idle');
  await events.next({ type: 'quality', report: 'session', user: 'alice', id }, 5000);
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
  await system.assertNothingLeft();
  await leave(alice, bob);
});

test('declining, cancelling and being busy reach the other side in words', { skip }, async () => {
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

test('video is added in the middle of an audio call and mute silences it', { skip }, async () => {
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await dial(alice, 'bob');
  await answer(bob);
  await Promise.all([waitForCall(alice, 'active'), waitForCall(bob, 'active')]);
  await click(alice, 'video-toggle');
  await waitForNewFrames(bob);
  await settle(bob);
  assertHears('bob', await recordRemote(bob, 6), stage.alicesWords, stage.bobsWords);
  await click(alice, 'mute');
  assertFallsSilent('bob', await recordRemote(bob, 4), 1);
  await click(bob, 'hangup');
  await waitForCall(alice, 'idle');
  await system.assertNothingLeft();
  await leave(alice, bob);
});
