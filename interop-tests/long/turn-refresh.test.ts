import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Phone, withPages } from '../src/browser.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { assertEchoByRelay, callEchoByRelay, endCalls } from '../src/relay-only.ts';
import { Stage } from '../src/stage.ts';
import { System } from '../src/system.ts';
import { homeTrusting } from '../src/trust.ts';

const skip = lacking(...SPEECH, 'chromium', 'certutil');

/** Permissions last 300 s (RFC 8656 9), and Chromium refreshes them and its channels a minute before. */
const PERMISSION_MS = 300_000;
const BEYOND_MS = 20_000;

let stage: Stage;
let system: System;

before(async () => {
  if (skip) return;
  stage = new Stage();
  system = await System.start({ folder: stage.folder });
});

after(async () => {
  await system?.stop();
  await stage?.close();
});

interface Watched {
  iceStates?: string[];
}

/** From now on the page writes down every change of its connection's ICE. */
function watchIce({ page }: Phone): Promise<void> {
  return page.evaluate(() => {
    type Handle = { peerConnections(): RTCPeerConnection[] };
    const [pc] = (window as unknown as { offhook: Handle }).offhook.peerConnections();
    const states: string[] = [];
    pc!.addEventListener('iceconnectionstatechange', () => states.push(pc!.iceConnectionState));
    pc!.addEventListener('icegatheringstatechange', () => states.push(pc!.iceGatheringState));
    (window as Watched).iceStates = states;
  });
}

async function dropped(): Promise<number> {
  const metrics = await system.metrics('turn');
  return metrics.offhook_turn_dropped_from_clients_total! + metrics.offhook_turn_dropped_from_peers_total!;
}

test('Chromium hears itself by relay alone after five minutes and twenty seconds: over UDP, over TCP, over TLS', {
  skip,
}, async () => {
  const spoken = { words: stage.alicesWords, others: stage.bobsWords };
  const browser = await stage.chromium(stage.alicesWords, { home: homeTrusting(system.caPath, stage.folder) });
  await withPages([browser, browser, browser], async (pages) => {
    const calls = await callEchoByRelay(system, pages);
    const sinceMs = performance.now();
    await assertEchoByRelay(system, calls, spoken);
    await Promise.all(calls.map(({ phone }) => watchIce(phone)));
    const droppedBefore = await dropped();
    await sleep(sinceMs + PERMISSION_MS + BEYOND_MS - performance.now());
    await assertEchoByRelay(system, calls, spoken);
    for (const { phone, user } of calls)
      assert.deepEqual(await phone.page.evaluate(() => (window as Watched).iceStates), [], user);
    assert.equal(await dropped(), droppedBefore);
    await endCalls(calls);
  });
  await system.assertNothingLeft();
});
