import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Phone, withPages } from '../src/browser.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { assertEchoByRelay, callEchoByRelay, endCalls, gather, uriFor } from '../src/relay-only.ts';
import { connectByRelays } from '../src/relayed-page.ts';
import { Stage } from '../src/stage.ts';
import { System } from '../src/system.ts';
import { homeTrusting } from '../src/trust.ts';
import { turnAccount } from '../src/turn-client.ts';

const skip = lacking(...SPEECH, 'chromium', 'certutil');

let stage: Stage;
let system: System;
/** With our CA among its authorities. */
let browser: Phone;

before(async () => {
  if (skip) return;
  stage = new Stage();
  system = await System.start({ folder: stage.folder });
  browser = await stage.chromium(stage.alicesWords, { home: homeTrusting(system.caPath, stage.folder) });
});

after(async () => {
  await system?.stop();
  await stage?.close();
});

test('Chromium calls by relay alone and hears itself: over UDP, over TCP, over TLS', { skip }, async () => {
  await withPages([browser, browser, browser], async (pages) => {
    const calls = await callEchoByRelay(system, pages);
    await assertEchoByRelay(system, calls, { words: stage.alicesWords, others: stage.bobsWords });
    await endCalls(calls);
  });
  await system.assertNothingLeft();
});

test('pages of Chromium talk from relay to relay: over UDP with TCP, over TLS with UDP', { skip }, async () => {
  await withPages([browser, browser, browser, browser], async ([one, other, third, fourth]) => {
    await Promise.all([
      connectByRelays(system, { phone: one!, way: 'udp' }, { phone: other!, way: 'tcp' }),
      connectByRelays(system, { phone: third!, way: 'tls' }, { phone: fourth!, way: 'udp' }),
    ]);
  });
  await system.assertNothingLeft();
});

test('Chromium gets no address over TLS from a server whose CA it was not told of', { skip }, async () => {
  const stranger = await stage.chromium(stage.alicesWords);
  await system.addUser('stranger', 'pw-stranger-aA1');
  const { uris, username, credential } = await turnAccount(system, 'stranger', 'pw-stranger-aA1');
  const server = (phone: Phone, way: 'tcp' | 'tls') => gather(phone, { urls: uriFor(uris, way), username, credential });
  assert.deepEqual((await server(stranger, 'tcp')).errors, []);
  const refused = await server(stranger, 'tls');
  assert.deepEqual(refused.candidates, []);
  assert.ok(refused.errors.length > 0 && refused.errors.every((code) => code === 701), String(refused.errors));
  assert.ok((await server(browser, 'tls')).candidates.length > 0);
  await stranger.close();
  await system.assertNothingLeft();
});
