import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { NgClient } from '@offhook/core/node';
import { click, dial, type Phone, waitForCall, waitForNewFrames } from '../src/browser.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { Stage } from '../src/stage.ts';
import { type System, waitUntil } from '../src/system.ts';
import { WithoutFeedback } from '../src/without-feedback.ts';

const skip = lacking(...SPEECH, 'chromium', 'baresip', 'openssl');
const ROUNDS = 3;
const WORKERS = 2;
/** The relay tells of a wish no sooner after the last one. */
const TELL_MS = 3000;
/** From the INFO to the key frame: the next of 30 pictures a second, and what a busy machine takes. */
const SOON_MS = 500;

let stage: Stage;
let system: System;
let alice: Phone;

before(async () => {
  if (skip) return;
  stage = new Stage();
  system = await stage.system({ media: { workers: WORKERS } });
  alice = await stage.webPhone(system, 'alice');
});

interface Relayed {
  readonly relayed: string;
  readonly tags: readonly { readonly tag: string; readonly party: string }[];
}

/** NG port of the media worker that has the call. */
async function workerOf(call: string): Promise<number> {
  for (let i = 0; i < WORKERS; i++) {
    const part = `media-relay-${i}`;
    if (((await system.verb(part, 'calls')) as string[]).includes(call)) return (await system.status(part)).ports.ng!;
  }
  return assert.fail('no worker has the call');
}

after(() => stage?.close());

test('a SIP phone that names no RTCP feedback is asked for key frames by INFO, answers 200 and sends them', {
  skip,
}, async (t) => {
  await using between = await WithoutFeedback.open(stage.freePorts(), system.ports.udp!);
  await using phone = await stage.baresip(system, 'cam', {
    words: stage.bobsWords,
    codecs: ['pcma'],
    video: true,
    server: between.server,
  });
  await dial(alice, 'cam', 'video');
  await phone.answer();
  await Promise.all([phone.waitFor('CALL_ESTABLISHED'), waitForCall(alice, 'active')]);
  await waitForNewFrames(alice, 20);

  const [call] = (await system.verb('signaling', 'relayed')) as [Relayed];
  const { tag } = call.tags.find(({ party }) => party === 'cam')!;
  using ng = await NgClient.open(await workerOf(call.relayed));

  // Left alone it sends one now and then; each one that is asked for puts the next of these off.
  const frames = between.keyFramesMs;
  const seen = frames.length;
  await waitUntil('two key frames of its own', async () => frames.length >= seen + 2);
  const ownMs = frames[seen + 1]! - frames[seen]!;
  assert.ok(ownMs > TELL_MS + 2 * SOON_MS, `of its own it sends one each ${Math.round(ownMs)} ms`);
  for (let round = 1; round <= ROUNDS; round++) {
    await waitUntil('time for the next wish', async () => performance.now() - frames.at(-1)! > TELL_MS);
    const [askedMs, before] = [performance.now(), frames.length];
    await ng.ask({ command: 'key-frame', 'call-id': call.relayed, 'from-tag': tag });
    await waitUntil('a key frame', async () => frames.length > before);
    const info = between.sip.findLast(({ to, text }) => to === 'phone' && text.startsWith('INFO '));
    assert.ok(info && info.atMs > askedMs, 'the phone got an INFO');
    assert.match(info.text, /^content-type: application\/media_control\+xml\r$/im);
    assert.match(info.text, /<picture_fast_update\/>/);
    const cseq = /^CSeq: .*$/m.exec(info.text)![0];
    const answer = between.sip.find(({ to, text }) => to === 'server' && text.includes(cseq));
    assert.match(answer?.text ?? '', /^SIP\/2\.0 200 /, 'and answered it');
    const afterMs = frames[before]! - info.atMs;
    assert.ok(afterMs >= 0 && afterMs < SOON_MS, `its key frame came ${afterMs} ms after the INFO`);
    t.diagnostic(`key frame ${Math.round(afterMs)} ms after the INFO; of its own each ${Math.round(ownMs)} ms`);
  }
  assert.ok(between.plis >= ROUNDS, 'the PLIs beside it, which such a phone may know, were kept from this one');
  await waitForNewFrames(alice, 20);
  await click(alice, 'hangup');
  await phone.waitFor('CALL_CLOSED');
  await waitForCall(alice, 'idle');
  await system.assertNothingLeft();
  assert.deepEqual(alice.errors, []);
});

test('signalling hears every worker, and the one that follows a worker that died', { skip }, async () => {
  const subscribers = async (part: string) => {
    using ng = await NgClient.open((await system.status(part)).ports.ng!);
    const { statistics } = await ng.ask({ command: 'statistics' });
    return (statistics as { events: { subscribers: number } }).events.subscribers;
  };
  for (let i = 0; i < WORKERS; i++) assert.equal(await subscribers(`media-relay-${i}`), 1, `worker ${i}`);
  await system.killPart('media-relay-1');
  await system.waitForPart('media-relay-1');
  await waitUntil('it is heard', async () => (await subscribers('media-relay-1')) === 1);
});
