import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { Baresip } from '../src/baresip.ts';
import { answer, click, dial, recordRemote, settle, waitForCall } from '../src/browser.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { assertHears, middle } from '../src/proof.ts';
import { Stage } from '../src/stage.ts';
import type { System } from '../src/system.ts';
import type { Sound } from '../src/wav.ts';

const skip = lacking(...SPEECH, 'chromium', 'baresip', 'linphonec', 'openssl');

let stage: Stage;
let system: System;
let desk: Baresip;
let third: Baresip;

before(async () => {
  if (skip) return;
  stage = new Stage();
  system = await stage.system({
    settings: { groups: { office: { members: ['desk', 'third'], ring: 'serial', ringS: 5 } } },
  });
  desk = await stage.baresip(system, 'desk', { words: stage.alicesWords, codecs: ['pcmu'] });
  third = await stage.baresip(system, 'third', { words: stage.bobsWords, codecs: ['pcmu'] });
});

beforeEach(async () => {
  if (!skip) await change('desk', { doNotDisturb: false, forward: { always: null, busy: null, noAnswer: null } });
});

after(() => stage?.close());

const change = (user: string, to: object) => system.verb('signaling', 'users', { op: 'change', user, change: to });
/** What is proven is sound that lasts; baresip names its recordings by the second. */
const listening = (seconds = 7) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** What a phone heard last. */
const lately = (sound: Sound) => middle(sound, sound.samples.length / sound.rate - 6, 5);

/** The two desk phones talked with each other before they hung up. */
function assertTalked(): void {
  assertHears('desk', lately(desk.heard()), stage.bobsWords, stage.alicesWords);
  assertHears('third', lately(third.heard()), stage.alicesWords, stage.bobsWords);
}

test('parking: a boss parks a desk phone, another phone calls the slot, and the two talk', { skip }, async () => {
  await using boss = await stage.baresip(system, 'boss', { words: stage.bobsWords, codecs: ['pcmu'] });
  await boss.command('dial', `sip:desk@${system.domain}`);
  await desk.answer();
  await Promise.all([boss.waitFor('CALL_ESTABLISHED'), desk.waitFor('CALL_ESTABLISHED')]);
  await boss.command('transfer', `sip:611@${system.domain}`);
  await boss.waitFor('CALL_CLOSED');
  await third.command('dial', `sip:611@${system.domain}`);
  await third.waitFor('CALL_ESTABLISHED');
  await listening();
  await third.command('hangup');
  await desk.waitFor('CALL_CLOSED');
  assertTalked();
  await system.assertNothingLeft();
});

test('pick-up: a browser’s call rings at a desk phone, a colleague in the same group takes it', { skip }, async () => {
  const alice = await stage.webPhone(system, 'alice');
  await dial(alice, 'desk');
  await desk.waitFor('CALL_INCOMING');
  await third.command('dial', `sip:**desk@${system.domain}`);
  await third.waitFor('CALL_ESTABLISHED');
  await waitForCall(alice, 'active');
  await desk.waitFor('CALL_CLOSED');
  await settle(alice);
  assertHears('alice', await recordRemote(alice, 6), stage.bobsWords, stage.alicesWords);
  await click(alice, 'hangup');
  await third.waitFor('CALL_CLOSED');
  assertHears('third', middle(third.heard(), 2, 5), stage.alicesWords, stage.bobsWords);
  await waitForCall(alice, 'idle');
  await system.assertNothingLeft();
  assert.deepEqual(alice.errors, []);
});

test('forwarding: busy, nobody answers, at once, and a group in turn lead a browser to the other phone', {
  skip,
}, async () => {
  const alice = await stage.webPhone(system, 'alice');
  const reaches = async (number: string, meanwhile: () => Promise<unknown>) => {
    await dial(alice, number);
    await meanwhile();
    await third.answer();
    await waitForCall(alice, 'active');
    await third.waitFor('CALL_ESTABLISHED');
  };
  const hangUp = async () => {
    await click(alice, 'hangup');
    await third.waitFor('CALL_CLOSED');
    await waitForCall(alice, 'idle');
  };
  await change('desk', { forward: { busy: 'third' } });
  await reaches('desk', async () => {
    await desk.waitFor('CALL_INCOMING');
    await desk.command('hangup');
    await desk.waitFor('CALL_CLOSED');
  });
  await settle(alice);
  assertHears('alice', await recordRemote(alice, 6), stage.bobsWords, stage.alicesWords);
  await hangUp();
  await change('desk', { forward: { busy: null, noAnswer: `sip:third@${system.domain}`, noAnswerS: 5 } });
  await reaches('desk', async () => {
    await desk.waitFor('CALL_INCOMING');
    await desk.waitFor('CALL_CLOSED');
  });
  await hangUp();
  await change('desk', { forward: { always: 'third' } });
  await reaches('desk', async () => {});
  await hangUp();
  await change('desk', { doNotDisturb: true, forward: { always: null, noAnswer: null } });
  await reaches('office', async () => {});
  await hangUp();
  await system.assertNothingLeft();
  assert.deepEqual(alice.errors, []);
});

// baresip 1.0 decodes nothing any more once a call was on hold and comes back, so the one on hold is a browser.
test('attended transfer by linphone: it calls a browser, holds, calls a desk phone, and joins the two', {
  skip,
}, async () => {
  const alice = await stage.webPhone(system, 'alice');
  await using boss = await stage.linphone(system, 'lin', stage.bobsWords);
  const before = (await system.metrics('signaling')).sip_call_transferred_total!;
  boss.type(`call sip:alice@${system.domain}`);
  await answer(alice);
  await boss.says(/Call 1 with .* connected/, 'the first call is answered');
  await waitForCall(alice, 'active');
  boss.type('pause');
  await boss.says(/Call 1 with .* paused/, 'the first call is on hold');
  boss.type(`call sip:third@${system.domain}`);
  await third.answer();
  await boss.says(/Call 2 with .* connected/, 'the second call is answered');
  boss.type('transfer 1 --to-call 2');
  await boss.says(/Call 2 .* ended/, 'both calls are left');
  await waitForCall(alice, 'active');
  await settle(alice);
  assertHears('alice', await recordRemote(alice, 6), stage.bobsWords, stage.alicesWords);
  await click(alice, 'hangup');
  await third.waitFor('CALL_CLOSED');
  assertHears('third', lately(third.heard()), stage.alicesWords, stage.bobsWords);
  assert.equal((await system.metrics('signaling')).sip_call_transferred_total! - before, 1);
  await system.assertNothingLeft();
  assert.deepEqual(alice.errors, []);
});
