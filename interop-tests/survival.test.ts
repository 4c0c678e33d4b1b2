import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { click, dial, openChromium, type Phone, recordRemote, settle, signIn, waitForCall } from './src/browser.ts';
import { assertHears } from './src/proof.ts';
import { type Sentence, speak } from './src/speech.ts';
import { System, scratchFolder } from './src/system.ts';

const folder = scratchFolder();
let alicesWords: Sentence;
let bobsWords: Sentence;
let alice: Phone;

before(async () => {
  alicesWords = speak('alice', folder.path);
  bobsWords = speak('bob', folder.path);
  alice = await openChromium(alicesWords.path);
});

after(async () => {
  await alice?.close();
  folder.remove();
});

async function echoWorks(): Promise<void> {
  await dial(alice, '600');
  await waitForCall(alice, 'active');
  await settle(alice);
  assertHears('alice', await recordRemote(alice, 6), alicesWords, bobsWords);
  await click(alice, 'hangup');
  await waitForCall(alice, 'idle');
}

test('kill -9 of signalling leaves the audio of a running call untouched; the phone registers again by itself', async () => {
  await using system = await System.start({ folder: folder.path });
  await signIn(alice, await system.loginLink('alice'));
  await dial(alice, '600');
  await waitForCall(alice, 'active');
  await system.killPart('signaling');
  await settle(alice);
  assertHears('alice', await recordRemote(alice, 6), alicesWords, bobsWords);
  await system.waitForPart('signaling');
  await alice.page
    .getByTestId('registration-state')
    .and(alice.page.locator('[data-state=registered]'))
    .waitFor({ timeout: 30_000 });
  await click(alice, 'hangup');
  await waitForCall(alice, 'idle');
  await echoWorks();
});

test('kill -9 of the media worker and of TURN: both come back and the next call works', async () => {
  await using system = await System.start({ folder: folder.path });
  await signIn(alice, await system.loginLink('alice'));
  for (const part of ['media-relay-0', 'turn']) {
    await system.killPart(part);
    await system.waitForPart(part);
  }
  await echoWorks();
});

test('kill -9 of the supervisor leaves every part working; the next one adopts them', async () => {
  const system = await System.start({ folder: folder.path });
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
