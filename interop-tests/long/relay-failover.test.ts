import { after, before, test } from 'node:test';
import { click, dial, type Phone, recordRemote, settle, signIn, waitForCall } from '../src/browser.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { assertHears, middle } from '../src/proof.ts';
import { Stage } from '../src/stage.ts';
import { killBusyWorker, lengthS, twoWorkers } from '../src/worker-kill.ts';

const skip = lacking(...SPEECH, 'chromium', 'baresip', 'openssl');

let stage: Stage;
let alice: Phone;
let bob: Phone;

before(async () => {
  if (skip) return;
  stage = new Stage();
  [alice, bob] = await Promise.all([stage.chromium(stage.alicesWords), stage.chromium(stage.bobsWords)]);
});

after(() => stage?.close());

test('kill -9 of the media worker of a call between a browser and a SIP phone, whose relay had the keys', {
  skip,
}, async () => {
  await using system = await twoWorkers(stage.folder);
  const { alicesWords, bobsWords } = stage;
  await using desk = await stage.baresip(system, 'desk', { words: bobsWords, codecs: ['pcmu'] });
  await signIn(alice, await system.loginLink('alice'));
  await dial(alice, 'desk');
  await desk.waitFor('CALL_INCOMING');
  await desk.command('accept');
  await waitForCall(alice, 'active');
  await settle(alice);
  await killBusyWorker(system);
  await settle(alice);
  assertHears('alice', await recordRemote(alice, 6), bobsWords, alicesWords);
  await click(alice, 'hangup');
  await desk.waitFor('CALL_CLOSED');
  const toDesk = desk.heard();
  assertHears('desk', middle(toDesk, lengthS(toDesk) - 6, 5), alicesWords, bobsWords);
  await waitForCall(alice, 'idle');
});

test('the same between two browsers, encrypted from end to end', { skip }, async () => {
  await using system = await twoWorkers(stage.folder);
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await dial(alice, 'bob');
  await waitForCall(bob, 'incoming');
  await click(bob, 'answer');
  await waitForCall(alice, 'active');
  await settle(alice);
  await killBusyWorker(system);
  await settle(alice);
  await settle(bob);
  const [toAlice, toBob] = await Promise.all([recordRemote(alice, 6), recordRemote(bob, 6)]);
  assertHears('alice', toAlice, stage.bobsWords, stage.alicesWords);
  assertHears('bob', toBob, stage.alicesWords, stage.bobsWords);
  await click(alice, 'hangup');
  await waitForCall(bob, 'idle');
});
