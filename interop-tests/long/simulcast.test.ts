import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startMediaRelay } from '@offhook/media-relay';
import type { Phone } from '../src/browser.ts';
import { NarrowLink } from '../src/narrow-link.ts';
import { NgClient } from '../src/ng-client.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import {
  accept,
  answerOne,
  closePage,
  connected,
  offerLayers,
  type ShownFrame,
  sentLayers,
  shownFrames,
} from '../src/simulcast-pages.ts';
import { Stage } from '../src/stage.ts';

const skip = lacking(...SPEECH, 'chromium');

/** Widths: 320, 640, 1280. */
const LAYERS = [
  { rid: 'l', scaleResolutionDownBy: 4, maxBitrate: 120_000 },
  { rid: 'm', scaleResolutionDownBy: 2, maxBitrate: 350_000 },
  { rid: 'h', scaleResolutionDownBy: 1, maxBitrate: 900_000 },
];
const HIGH = 1280;
/** Room for the second layer or the lowest, and far too little for the highest. */
const NARROW_BPS = 400_000;
/** What a sender ramps up in, and what a choice waits before it goes up. */
const FREE_S = 60;
const FALL_S = 10;
const STAY_S = 15;
const RETURN_S = 60;
/** Much more than the narrow line carries together with the other layers. */
const LEAST_HIGH_BPS = 400_000;
/** Enough frames of one width in a row that a layer is settled. */
const SETTLED = 20;
/** The queue of the line, 300 ms, a key frame through a narrow line, and what a busy machine adds. */
const LONGEST_FREEZE_MS = 4000;

let stage: Stage;
let alice: Phone;
let bob: Phone;

before(async () => {
  if (skip) return;
  stage = new Stage();
  [alice, bob] = await Promise.all([stage.chromium(stage.alicesWords), stage.chromium(stage.bobsWords)]);
});

after(() => stage?.close());

interface Watched {
  readonly frames: ShownFrame[];
  /** When the last of so many fitting frames in a row was shown, after so many seconds; undefined = it never was. */
  readonly settledS: number | undefined;
}

async function watch(seconds: number, fits: (width: number) => boolean): Promise<Watched> {
  const frames: ShownFrame[] = [];
  const beganAtMs = performance.now();
  let inRow = 0;
  for (let tick = 0; tick < seconds * 4; tick++) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    const shown = await shownFrames(bob);
    for (const { width } of shown) inRow = fits(width) ? inRow + 1 : 0;
    frames.push(...shown);
    if (inRow >= SETTLED) return { frames, settledS: (performance.now() - beganAtMs) / 1000 };
  }
  return { frames, settledS: undefined };
}

/** Widths in the order in which they were shown, with how many frames of each. */
function inWords(frames: readonly ShownFrame[]): string {
  const runs: { width: number; count: number }[] = [];
  for (const { width } of frames) {
    if (runs.at(-1)?.width === width) runs.at(-1)!.count++;
    else runs.push({ width, count: 1 });
  }
  return runs.map(({ width, count }) => `${width} × ${count}`).join(', ');
}

function longestFreeze(frames: readonly ShownFrame[]): number {
  return frames.slice(1).reduce((longest, { atMs }, i) => Math.max(longest, atMs - frames[i]!.atMs), 0);
}

test('a receiver gets the highest layer on a good line, a lower one on a narrow one, and the highest again', {
  skip,
}, async (t) => {
  const relay = await startMediaRelay({
    ng: { address: '127.0.0.1', port: 0 },
    mux: { addresses: ['127.0.0.1'], port: 0 },
    rtp: { address: '127.0.0.1', portMin: 0, portMax: 0 },
    mediaTimeoutS: 60,
  });
  t.after(() => relay.stop());
  using ng = await NgClient.open(relay.ports.ng!);
  const link = await NarrowLink.open(relay.ports.mux!);
  t.after(() => link.close());
  await link.lead(bob);
  const common = { 'call-id': 'layers', 'from-tag': 'a', replace: ['origin'] };
  const webRtc = { 'transport-protocol': 'UDP/TLS/RTP/SAVPF', ICE: 'force' };
  const offer = await offerLayers(alice, LAYERS);
  assert.match(offer, /a=simulcast:send l;m;h/);
  const toBob = await ng.ask({ ...common, ...webRtc, command: 'offer', sdp: offer });
  const answer = await answerOne(bob, String(toBob.sdp));
  const toAlice = await ng.ask({ ...common, command: 'answer', 'to-tag': 'b', sdp: answer });
  assert.match(String(toAlice.sdp), /a=simulcast:recv l;m;h/);
  await accept(alice, String(toAlice.sdp));
  await connected(bob);

  const said = (name: string, { frames, settledS }: Watched) =>
    t.diagnostic(
      `${name}: ${settledS === undefined ? 'never settled' : `settled after ${settledS.toFixed(1)} s`}, ` +
        `longest freeze ${Math.round(longestFreeze(frames))} ms: ${inWords(frames)}`,
    );
  const sent = async () =>
    t.diagnostic(`sent: ${(await sentLayers(alice)).map((l) => `${l.rid} ${l.width} ${l.bytes} bytes`).join(', ')}`);
  const free = await watch(FREE_S, (width) => width === HIGH);
  said('free', free);
  await sent();
  assert.ok(free.settledS !== undefined, 'the highest layer came on the free line');

  link.downBps = NARROW_BPS;
  const fallen = await watch(FALL_S, (width) => width < HIGH);
  said('narrow', fallen);
  const bytesOfHigh = async () => (await sentLayers(alice)).find(({ rid }) => rid === 'h')!.bytes;
  const before = await bytesOfHigh();
  const stayed = await watch(STAY_S, () => false);
  const highBps = ((await bytesOfHigh()) - before) * (8 / STAY_S);
  said('still narrow', stayed);
  await sent();
  assert.ok(fallen.settledS !== undefined, 'a lower layer came on the narrow line');
  assert.ok(stayed.frames.length > STAY_S * 3, `${stayed.frames.length} frames were shown on the narrow line`);
  assert.ok(stayed.frames.every(({ width }) => width < HIGH));
  assert.ok(
    highBps > LEAST_HIGH_BPS,
    `the sender's own line was free, and it sent ${highBps} b/s of the highest layer`,
  );

  link.downBps = Number.POSITIVE_INFINITY;
  const healed = await watch(RETURN_S, (width) => width === HIGH);
  said('healed', healed);
  await sent();
  assert.ok(healed.settledS !== undefined, 'the highest layer came back');
  const freezeMs = Math.max(longestFreeze([...fallen.frames, ...stayed.frames, ...healed.frames]));
  assert.ok(freezeMs < LONGEST_FREEZE_MS, `the picture stood still for ${freezeMs} ms`);

  await Promise.all([closePage(alice), closePage(bob)]);
  await ng.ask({ command: 'delete', 'call-id': 'layers' });
  const metrics = relay.metrics();
  assert.deepEqual([metrics.offhook_media_calls, metrics.offhook_media_transports], [0, 0]);
  assert.deepEqual([...alice.errors, ...bob.errors], []);
});
