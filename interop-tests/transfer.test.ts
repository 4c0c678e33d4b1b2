import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Baresip } from './src/baresip.ts';
import { click, dial, recordRemote, settle, waitForCall } from './src/browser.ts';
import { lacking, SPEECH } from './src/peers.ts';
import { assertHears, middle } from './src/proof.ts';
import { Stage } from './src/stage.ts';
import type { System } from './src/system.ts';

const skip = lacking(...SPEECH, 'chromium', 'baresip', 'openssl');

let stage: Stage;
let system: System;
let boss: Baresip;
let third: Baresip;

before(async () => {
  if (skip) return;
  stage = new Stage();
  system = await stage.system();
  // Who transfers says what nobody else says: nothing of it may be heard afterwards.
  boss = await stage.baresip(system, 'boss', { words: stage.alicesWords, codecs: ['pcmu'] });
  third = await stage.baresip(system, 'third', { words: stage.bobsWords, codecs: ['pcmu'] });
});

after(() => stage?.close());

async function hearsThird(name: string, heard: ReturnType<Baresip['heard']>, own = stage.alicesWords): Promise<void> {
  assertHears(name, heard, stage.bobsWords, own);
}

test('blind transfer between three SIP phones: the two that stay hear each other', { skip }, async () => {
  await using desk = await stage.baresip(system, 'desk', { words: stage.alicesWords, codecs: ['pcmu'] });
  await boss.command('dial', `sip:desk@${system.domain}`);
  await desk.answer();
  await Promise.all([boss.waitFor('CALL_ESTABLISHED'), desk.waitFor('CALL_ESTABLISHED')]);
  const began = performance.now();
  await boss.command('transfer', `sip:third@${system.domain}`);
  await third.answer();
  await third.waitFor('CALL_ESTABLISHED');
  await boss.waitFor('CALL_CLOSED');
  const transferredS = (performance.now() - began) / 1000;
  await new Promise((resolve) => setTimeout(resolve, 7000)); // what is proven is sound that lasts
  assert.equal((await system.metrics('signaling')).sip_call_transferred_total, 1);
  await third.command('hangup');
  await desk.waitFor('CALL_CLOSED');
  await hearsThird('desk', middle(desk.heard(), transferredS + 1.5, 5));
  assertHears('third', middle(third.heard(), 1, 5), stage.alicesWords, stage.bobsWords);
  await system.assertNothingLeft();
});

test('a browser is transferred from one SIP phone to another, encrypted as before on its side', { skip }, async () => {
  const alice = await stage.webPhone(system, 'alice');
  await dial(alice, 'boss');
  await boss.answer();
  await boss.waitFor('CALL_ESTABLISHED');
  await waitForCall(alice, 'active');
  await boss.command('transfer', `sip:third@${system.domain}`);
  await third.answer();
  await third.waitFor('CALL_ESTABLISHED');
  await boss.waitFor('CALL_CLOSED');
  await waitForCall(alice, 'active');
  await settle(alice);
  assertHears('alice', await recordRemote(alice, 6), stage.bobsWords, stage.alicesWords);
  await click(alice, 'hangup');
  await third.waitFor('CALL_CLOSED');
  assertHears('third', middle(third.heard(), 1, 5), stage.alicesWords, stage.bobsWords);
  await waitForCall(alice, 'idle');
  await system.assertNothingLeft();
  assert.deepEqual(alice.errors, []);
});
