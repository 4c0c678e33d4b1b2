import assert from 'node:assert/strict';
import { NgClient } from '@offhook/core/node';
import { startMediaRelay } from '@offhook/media-relay';
import type { Phone } from './browser.ts';
import { NarrowLink } from './narrow-link.ts';
import {
  accept,
  answerOne,
  closePage,
  connected,
  type LayerSettings,
  offerLayers,
  type PictureCodec,
  type ShownFrame,
  sentLayers,
  shownFrames,
} from './simulcast-pages.ts';

/** The width of the highest layer. */
const HIGH = 1280;
/** What a sender ramps up in, and what a choice waits before it goes up. */
const FREE_S = 60;
const FALL_S = 10;
const STAY_S = 15;
const RETURN_S = 60;
/** Enough frames of one width in a row that a layer is settled. */
const SETTLED = 20;
/** The queue of the line, 300 ms, a key frame through a narrow line, and what a busy machine adds. */
const LONGEST_FREEZE_MS = 4000;
const LOOPBACK = '127.0.0.1';

export interface Course {
  /** Sends layers of a picture 1,280 pixels wide. */
  readonly alice: Phone;
  /** A Chromium that takes loopback candidates. */
  readonly bob: Phone;
  /** Named l, m and h, from the lowest up. */
  readonly layers: readonly LayerSettings[];
  /** What Alice's browser likes best and sends. */
  readonly codec: PictureCodec;
  /** Where she reaches the relay beside loopback. */
  readonly address?: string;
  /** Room for the second layer or the lowest, and too little for the highest. */
  readonly narrowBps: number;
  /** What she goes on sending of the highest: more than the narrow line carries together with the other layers. */
  readonly leastHighBps: number;
  readonly say: (words: string) => void;
}

/** As any browser sends them. */
export const VP8_LAYERS: Pick<Course, 'codec' | 'layers' | 'narrowBps' | 'leastHighBps'> = {
  codec: 'VP8',
  layers: [
    { rid: 'l', scaleResolutionDownBy: 4, maxBitrate: 120_000 },
    { rid: 'm', scaleResolutionDownBy: 2, maxBitrate: 350_000 },
    { rid: 'h', scaleResolutionDownBy: 1, maxBitrate: 900_000 },
  ],
  narrowBps: 400_000,
  leastHighBps: 400_000,
};

/**
 * Through a relay Bob is shown the highest layer, on a line that becomes narrow a lower one, and the highest again, while Alice
 * goes on sending all of them. Rejects when he isn't, or when his picture stands still.
 */
export async function followLayers(course: Course): Promise<void> {
  const { alice, bob, address } = course;
  const relay = await startMediaRelay({
    ng: { address: LOOPBACK, port: 0 },
    mux: { addresses: address === undefined ? [LOOPBACK] : [LOOPBACK, address], port: 0 },
    rtp: { address: LOOPBACK, portMin: 0, portMax: 0 },
    mediaTimeoutS: 60,
  });
  const link = await NarrowLink.open(relay.ports.mux!);
  try {
    using ng = await NgClient.open(relay.ports.ng!);
    await link.lead(bob);
    await call(course, ng);
    await watchLine(course, link);
    await Promise.all([closePage(alice), closePage(bob)]);
    await ng.ask({ command: 'delete', 'call-id': 'layers' });
    const metrics = relay.metrics();
    assert.deepEqual([metrics.offhook_media_calls, metrics.offhook_media_transports], [0, 0]);
  } finally {
    link.close();
    await relay.stop();
  }
  assert.deepEqual([...alice.errors, ...bob.errors], []);
}

async function call({ alice, bob, layers, codec }: Course, ng: NgClient): Promise<void> {
  const common = { 'call-id': 'layers', 'from-tag': 'a', replace: ['origin'] };
  const webRtc = { 'transport-protocol': 'UDP/TLS/RTP/SAVPF', ICE: 'force' };
  const offer = await offerLayers(alice, layers, codec);
  assert.match(offer, /a=simulcast:send l;m;h/);
  const toBob = await ng.ask({ ...common, ...webRtc, command: 'offer', sdp: offer });
  const answer = await answerOne(bob, String(toBob.sdp));
  const toAlice = await ng.ask({ ...common, command: 'answer', 'to-tag': 'b', sdp: answer });
  assert.match(String(toAlice.sdp), /a=simulcast:recv l;m;h/);
  await accept(alice, String(toAlice.sdp));
  await connected(bob);
}

async function watchLine(course: Course, link: NarrowLink): Promise<void> {
  const { alice, bob, codec, narrowBps, leastHighBps, say } = course;
  const said = (name: string, { frames, settledS }: Watched) =>
    say(
      `${name}: ${settledS === undefined ? 'never settled' : `settled after ${settledS.toFixed(1)} s`}, ` +
        `longest freeze ${Math.round(longestFreeze(frames))} ms: ${inWords(frames)}`,
    );
  const sent = async () => {
    say(`sent: ${(await sentLayers(alice)).map((l) => `${l.rid} ${l.width} ${l.bytes} bytes`).join(', ')}`);
    say(`of ${link.passed} packets ${link.dropped} found no room`);
  };
  const free = await watch(bob, FREE_S, (width) => width === HIGH);
  said('free', free);
  await sent();
  assert.ok(free.settledS !== undefined, 'the highest layer came on the free line');
  for (const layer of await sentLayers(alice)) assert.equal(layer.codec, `video/${codec}`);

  link.downBps = narrowBps;
  const fallen = await watch(bob, FALL_S, (width) => width < HIGH);
  said('narrow', fallen);
  const bytesOfHigh = async () => (await sentLayers(alice)).find(({ rid }) => rid === 'h')!.bytes;
  const before = await bytesOfHigh();
  const stayed = await watch(bob, STAY_S, () => false);
  const highBps = ((await bytesOfHigh()) - before) * (8 / STAY_S);
  said('still narrow', stayed);
  await sent();
  assert.ok(fallen.settledS !== undefined, 'a lower layer came on the narrow line');
  assert.ok(stayed.frames.length > STAY_S * 3, `${stayed.frames.length} frames were shown on the narrow line`);
  assert.ok(stayed.frames.every(({ width }) => width < HIGH));
  assert.ok(highBps > leastHighBps, `the sender's own line was free, and it sent ${highBps} b/s of the highest layer`);

  link.downBps = Number.POSITIVE_INFINITY;
  const healed = await watch(bob, RETURN_S, (width) => width === HIGH);
  said('healed', healed);
  await sent();
  assert.ok(healed.settledS !== undefined, 'the highest layer came back');
  const freezeMs = longestFreeze([...fallen.frames, ...stayed.frames, ...healed.frames]);
  assert.ok(freezeMs < LONGEST_FREEZE_MS, `the picture stood still for ${freezeMs} ms`);
}

interface Watched {
  readonly frames: ShownFrame[];
  /** When the last of so many fitting frames in a row was shown, after so many seconds; undefined = it never was. */
  readonly settledS: number | undefined;
}

async function watch(phone: Phone, seconds: number, fits: (width: number) => boolean): Promise<Watched> {
  const frames: ShownFrame[] = [];
  const beganAtMs = performance.now();
  let inRow = 0;
  for (let tick = 0; tick < seconds * 4; tick++) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    const shown = await shownFrames(phone);
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
