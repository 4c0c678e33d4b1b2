import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  answer,
  click,
  dial,
  type Phone,
  recordRemote,
  settle,
  signIn,
  waitForCall,
  waitForNewFrames,
} from '../src/browser.ts';
import { LibraryPage } from '../src/library-page.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { assertHears, middle } from '../src/proof.ts';
import { longestSilenceMs, watchSilence } from '../src/silence.ts';
import { Stage } from '../src/stage.ts';
import type { System } from '../src/system.ts';
import { killBusyWorker, lengthS, twoWorkers } from '../src/worker-kill.ts';

const skip = lacking(...SPEECH, 'chromium', 'baresip', 'openssl');
/** Of the worker of one call: sometimes the other one takes it, sometimes the one that follows at the same port. */
const DEATHS = 4;
/** A ping finds the worker dead within a second and a third; two re-INVITEs, ICE and DTLS take little. */
const MOST_SILENT_MS = 2500;
/** A page that keeps its connection says hello to the relay that is gone, and again after 0.05, 0.15 … 1.55 and 3.15 s. */
const MOST_SILENT_ELSEWHERE_MS = 6000;

let stage: Stage;
let alice: Phone;
let bob: Phone;

before(async () => {
  if (skip) return;
  stage = new Stage();
  [alice, bob] = await Promise.all([stage.chromium(stage.alicesWords), stage.chromium(stage.bobsWords)]);
});

after(() => stage?.close());

/** The worker of their call is killed again and again; each time these phones soon hear something again. */
async function outliveWorkers(system: System, phones: Phone[], mostMs = MOST_SILENT_MS): Promise<void> {
  await settle(...phones);
  await Promise.all(phones.map(watchSilence));
  for (let death = 0; death < DEATHS; death++) {
    await Promise.all(phones.map(longestSilenceMs));
    await killBusyWorker(system);
    await settle(...phones);
    const silent = await Promise.all(phones.map(longestSilenceMs));
    console.error(`  ${silent.map((ms) => (ms / 1000).toFixed(2)).join(' and ')} s without sound`);
    for (const ms of silent) assert.ok(ms < mostMs, `${ms} ms without sound`);
  }
}

for (const caller of ['browser', 'SIP phone'] as const) {
  test(`kill -9 of the media worker of a call between a browser and a SIP phone, whose relay had the keys; the ${caller} called`, {
    skip,
  }, async () => {
    await using system = await twoWorkers(stage.folder);
    const { alicesWords, bobsWords } = stage;
    await using desk = await stage.baresip(system, 'desk', { words: bobsWords, codecs: ['pcmu'] });
    await signIn(alice, await system.loginLink('alice'));
    if (caller === 'browser') {
      await dial(alice, 'desk');
      await desk.answer();
    } else {
      await desk.command('dial', `sip:alice@${system.domain}`);
      await answer(alice);
    }
    await waitForCall(alice, 'active');
    await outliveWorkers(system, [alice]);
    assertHears('alice', await recordRemote(alice, 6), bobsWords, alicesWords);
    await click(alice, 'hangup');
    await desk.waitFor('CALL_CLOSED');
    const toDesk = desk.heard();
    assertHears('desk', middle(toDesk, lengthS(toDesk) - 6, 5), alicesWords, bobsWords);
    await waitForCall(alice, 'idle');
  });
}

test('the same between two browsers, encrypted from end to end', { skip }, async () => {
  await using system = await twoWorkers(stage.folder);
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await dial(alice, 'bob');
  await answer(bob);
  await waitForCall(alice, 'active');
  await outliveWorkers(system, [alice, bob]);
  const [toAlice, toBob] = await Promise.all([recordRemote(alice, 6), recordRemote(bob, 6)]);
  assertHears('alice', toAlice, stage.bobsWords, stage.alicesWords);
  assertHears('bob', toBob, stage.alicesWords, stage.bobsWords);
  await click(alice, 'hangup');
  await waitForCall(bob, 'idle');
});

test('the same between two browsers whose sound and pictures the relay decrypts', { skip }, async () => {
  await using system = await twoWorkers(stage.folder, { path: 'terminated' });
  await signIn(alice, await system.loginLink('alice'));
  await signIn(bob, await system.loginLink('bob'));
  await dial(alice, 'bob', 'video');
  await answer(bob, 'video');
  await Promise.all([waitForNewFrames(alice), waitForNewFrames(bob)]);
  await outliveWorkers(system, [alice, bob]);
  await Promise.all([waitForNewFrames(alice), waitForNewFrames(bob)]);
  await click(alice, 'hangup');
  await waitForCall(bob, 'idle');
});

test('the same of a browser that hears itself', { skip }, async () => {
  await using system = await twoWorkers(stage.folder);
  await signIn(alice, await system.loginLink('alice'));
  await dial(alice, '600');
  await waitForCall(alice, 'active');
  await outliveWorkers(system, [alice]);
  assertHears('alice', await recordRemote(alice, 6), stage.alicesWords, stage.bobsWords);
  await click(alice, 'hangup');
  await waitForCall(alice, 'idle');
});

for (const library of ['JsSIP', 'SIP.js'] as const) {
  test(`the same of a page with ${library}, which keeps its connection`, { skip }, async () => {
    const page = await LibraryPage.serve();
    try {
      const settings = { http: { port: 0, tlsPort: 0, allowedOrigins: [page.origin] } };
      await using system = await twoWorkers(stage.folder, { settings });
      await using desk = await stage.baresip(system, 'desk', { words: stage.bobsWords, codecs: ['pcmu'] });
      const account = { user: 'jan', password: 'pw-jan-aA1', domain: system.domain };
      await system.addUser(account.user, account.password);
      const url = `ws://localhost:${system.ports.http}/sip`;
      const jan = await page.phone(alice, { library, url, ...account });
      const called = jan.ask('call', 'desk');
      await desk.answer();
      await called;
      await outliveWorkers(system, [jan], MOST_SILENT_ELSEWHERE_MS);
      assertHears('jan', await recordRemote(jan, 6), stage.bobsWords, stage.alicesWords);
      await jan.ask('hangUp');
      await desk.waitFor('CALL_CLOSED');
      await jan.close();
    } finally {
      await page.close();
    }
  });
}
