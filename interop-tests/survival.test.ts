import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { click, dial, type Phone, recordRemote, settle, signIn, waitForCall } from './src/browser.ts';
import { lacking, SPEECH } from './src/peers.ts';
import { assertHears, middle } from './src/proof.ts';
import { Stage } from './src/stage.ts';
import { System, waitUntil } from './src/system.ts';

const skip = lacking(...SPEECH, 'chromium', 'baresip', 'openssl');

let stage: Stage;
let alice: Phone;

before(async () => {
  if (skip) return;
  stage = new Stage();
  alice = await stage.chromium(stage.alicesWords);
});

after(() => stage?.close());

async function echoWorks(): Promise<void> {
  await dial(alice, '600');
  await waitForCall(alice, 'active');
  await settle(alice);
  assertHears('alice', await recordRemote(alice, 6), stage.alicesWords, stage.bobsWords);
  await click(alice, 'hangup');
  await waitForCall(alice, 'idle');
}

test('kill -9 of signalling leaves the audio of a running call untouched; the phone registers again by itself', {
  skip,
}, async () => {
  await using system = await System.start({ folder: stage.folder });
  await signIn(alice, await system.loginLink('alice'));
  await dial(alice, '600');
  await waitForCall(alice, 'active');
  await system.killPart('signaling');
  await settle(alice);
  assertHears('alice', await recordRemote(alice, 6), stage.alicesWords, stage.bobsWords);
  await system.waitForPart('signaling');
  await alice.page
    .getByTestId('registration-state')
    .and(alice.page.locator('[data-state=registered]'))
    .waitFor({ timeout: 30_000 });
  await click(alice, 'hangup');
  await waitForCall(alice, 'idle');
  await echoWorks();
});

test('kill -9 of signalling during a call between two SIP phones: both still hear each other, and what they leave at the relay ends', {
  skip,
}, async () => {
  await using system = await System.start({ folder: stage.folder, media: { timeoutS: 5 } });
  const { alicesWords, bobsWords } = stage;
  await using left = await stage.baresip(system, 'left', { words: alicesWords, codecs: ['pcmu'] });
  await using right = await stage.baresip(system, 'right', { words: bobsWords, codecs: ['pcmu'] });
  await left.command('dial', `sip:right@${system.domain}`);
  await right.answer();
  await Promise.all([left.waitFor('CALL_ESTABLISHED'), right.waitFor('CALL_ESTABLISHED')]);
  const began = performance.now();
  await waitUntil('the relay forwards', async () => (await forwarded(system)) > 100);
  await system.killPart('signaling');
  const killedS = (performance.now() - began) / 1000;
  const before = await forwarded(system);
  // Six and a half seconds of 50 packets a second, both ways; the phones' own clocks record them.
  await waitUntil('the relay goes on forwarding', async () => (await forwarded(system)) > before + 650);
  await system.waitForPart('signaling');
  await Promise.all([left.stop(), right.stop()]);
  assertHears('left', middle(left.heard(), killedS + 0.5, 5), bobsWords, alicesWords);
  assertHears('right', middle(right.heard(), killedS + 0.5, 5), alicesWords, bobsWords);
  await system.assertNothingLeft();
});

async function forwarded(system: System): Promise<number> {
  return (await system.metrics('media-relay-0')).offhook_media_packets_forwarded_total!;
}

test('kill -9 of the media worker and of TURN: both come back and the next call works', { skip }, async () => {
  await using system = await System.start({ folder: stage.folder });
  await signIn(alice, await system.loginLink('alice'));
  for (const part of ['media-relay-0', 'turn']) {
    await system.killPart(part);
    await system.waitForPart(part);
  }
  await echoWorks();
});

test('kill -9 of the supervisor leaves every part working; the next one adopts them', { skip }, async () => {
  const system = await System.start({ folder: stage.folder });
  try {
    await signIn(alice, await system.loginLink('alice'));
    const before = await system.pids();
    await system.killSupervisor();
    await echoWorks();
    await system.startSupervisor();
    assert.deepEqual(await system.pids(), before, 'the parts were adopted, not started anew');
    await system.killPart('turn');
    await system.waitForPart('turn');
  } finally {
    await system.stop();
  }
  for (const [part, pid] of Object.entries(system.lastPids)) assert.ok(!isAlive(pid), `${part} is still running`);
});

/** A process that has ended may stay a zombie until process 1 takes note. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch {
    return false;
  }
}
