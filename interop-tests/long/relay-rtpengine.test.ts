import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  answer,
  click,
  dial,
  type Phone,
  recordRemote,
  settle,
  waitForCall,
  waitForNewFrames,
} from '../src/browser.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { assertHears, middle } from '../src/proof.ts';
import { Rtpengine } from '../src/rtpengine.ts';
import { Stage } from '../src/stage.ts';
import { anyPorts, type System } from '../src/system.ts';
import type { Sound } from '../src/wav.ts';

const skip = lacking(...SPEECH, 'baresip', 'chromium', 'openssl', 'rtpengine');
const HEARD_S = 5;
/** For sound and pictures on both sides, and RTCP beside them. */
const PORTS = 40;

let stage: Stage;
let relay: Rtpengine;
let system: System;

before(async () => {
  if (skip) return;
  stage = new Stage();
  const [ports, first] = [stage.freePorts(), stage.freePorts()];
  stage.freePorts(); // that range is as long as two of a phone's
  relay = await Rtpengine.start(stage.folder, { ng: ports, first, last: first + PORTS - 1 });
  const media = { ...(anyPorts().media as object), relays: [`udp:127.0.0.1:${relay.ngPort}`] };
  system = await stage.system({ settings: { media } });
});

after(async () => {
  await stage?.close();
  await relay?.stop();
});

test("our signalling leads a call of two phones through Debian's rtpengine", { skip }, async () => {
  const { alicesWords, bobsWords } = stage;
  await using desk = await stage.baresip(system, 'desk', {
    words: alicesWords,
    codecs: ['pcma'],
  });
  await using hall = await stage.baresip(system, 'hall', { words: bobsWords, codecs: ['pcma'] });
  await desk.command('dial', `sip:hall@${system.domain}`);
  await hall.answer();
  await Promise.all([desk, hall].map((phone) => phone.waitFor('CALL_ESTABLISHED')));
  await new Promise((resolve) => setTimeout(resolve, (HEARD_S + 1.5) * 1000));
  await desk.command('hangup');
  await Promise.all([desk, hall].map((phone) => phone.waitFor('CALL_CLOSED')));
  assertHears('desk', middle(desk.heard(), 1, HEARD_S), bobsWords, alicesWords);
  assertHears('hall', middle(hall.heard(), 1, HEARD_S), alicesWords, bobsWords);
  assert.equal((await system.metrics('signaling')).sip_calls, 0);
});

/** Recorded after a first recording, which is not as the others are; the echo is our relay's own, so nothing warms a browser up. */
async function listen(...phones: readonly Phone[]): Promise<Sound[]> {
  await Promise.all(phones.map((phone) => recordRemote(phone, 2)));
  await settle(...phones);
  return Promise.all(phones.map((phone) => recordRemote(phone, HEARD_S + 1)));
}

test("a web phone calls a desk phone through Debian's rtpengine, and is called by it", { skip }, async () => {
  const { alicesWords, bobsWords } = stage;
  const alice = await stage.webPhone(system, 'alice');
  await using desk = await stage.baresip(system, 'counter', { words: bobsWords, codecs: ['pcma'] });
  for (const caller of ['web', 'desk'] as const) {
    if (caller === 'web') {
      await dial(alice, 'counter');
      await desk.answer();
    } else {
      await desk.command('dial', `sip:alice@${system.domain}`);
      await answer(alice);
    }
    await Promise.all([waitForCall(alice, 'active'), desk.waitFor('CALL_ESTABLISHED')]);
    const [heard] = await listen(alice);
    assertHears('alice', heard!, bobsWords, alicesWords);
    await click(alice, 'hangup');
    await desk.waitFor('CALL_CLOSED');
    await waitForCall(alice, 'idle');
    assertHears('desk', middle(desk.heard(), 1, HEARD_S), alicesWords, bobsWords);
  }
  assert.equal((await system.metrics('signaling')).sip_calls, 0);
  assert.deepEqual(alice.errors, []);
  await alice.close();
});

test("two web phones hear and see each other through Debian's rtpengine", { skip }, async () => {
  const { alicesWords, bobsWords } = stage;
  const [alice, bob] = await Promise.all([stage.webPhone(system, 'alice'), stage.webPhone(system, 'bob')]);
  await dial(alice, 'bob');
  await answer(bob);
  await Promise.all([alice, bob].map((phone) => waitForCall(phone, 'active')));
  const [toAlice, toBob] = await listen(alice, bob);
  assertHears('alice', toAlice!, bobsWords, alicesWords);
  assertHears('bob', toBob!, alicesWords, bobsWords);
  // Words first, then pictures: both at once would measure the processors.
  await click(alice, 'video-toggle');
  await waitForNewFrames(bob);
  await click(bob, 'video-toggle');
  await Promise.all([alice, bob].map((phone) => waitForNewFrames(phone, 10, 40_000)));
  await click(alice, 'hangup');
  await Promise.all([alice, bob].map((phone) => waitForCall(phone, 'idle')));
  assert.equal((await system.metrics('signaling')).sip_calls, 0);
  assert.deepEqual([...alice.errors, ...bob.errors], []);
});
