import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Baresip } from './src/baresip.ts';
import { JsSipInNode } from './src/jssip-in-node.ts';
import { lacking } from './src/peers.ts';
import { PlainPhone } from './src/plain-phone.ts';
import { System, scratchFolder, waitUntil } from './src/system.ts';

const skip = lacking('baresip');
const PASSWORD = 'correct-Horse-7';

const folder = scratchFolder();
let system: System;

before(async () => {
  if (skip) return;
  system = await System.start({ folder: folder.path });
  for (const user of ['ann', 'ben', 'cara']) await system.addUser(user, PASSWORD);
});

after(async () => {
  await system?.stop();
  folder.remove();
});

const phoneOf = (user: string, how: { reads: boolean } = { reads: false }) =>
  JsSipInNode.open({
    ...{ url: `ws://127.0.0.1:${system.ports.http}/sip`, user, password: PASSWORD, domain: system.domain },
    ...how,
  });

/** Which calls a lamp shows (RFC 4235): `initiator confirmed`. */
const lamp = (document: string): string =>
  [...document.matchAll(/direction="(\w+)">\s*<state>(\w+)</g)].map(([, how, state]) => `${how} ${state}`).join();

test('baresip sees who is there, on the phone and gone; JsSIP follows lamps and presence meanwhile', {
  skip,
}, async () => {
  const ports = 9000 + (process.pid % 90) * 10;
  await using ann = await Baresip.start({
    folder: join(folder.path, 'ann'),
    user: 'ann',
    password: PASSWORD,
    domain: system.domain,
    server: `127.0.0.1:${system.ports.udp}`,
    codecs: ['pcma'],
    speechPath: join(folder.path, 'none.wav'),
    ports: { sip: ports, control: ports + 2, rtpMin: ports + 4, rtpMax: ports + 8 },
    watches: ['ben'],
  });
  await using cara = await phoneOf('cara');
  const lamps = cara.watch('ben', 'dialog', 'application/dialog-info+xml');
  const presence = cara.watch('ben', 'presence', 'application/pidf+xml');
  await lamps.until((document) => lamp(document) === '', 'the lamp is off');
  await presence.until((document) => document.includes('<basic>closed</basic>'), 'ben is away');

  const seenByAnn = async (status: string) =>
    waitUntil(
      `baresip shows ben as ${status}`,
      async () => new RegExp(`${status}\\S*\\s.*ben`, 'i').test(await ann.command('contacts')),
      15_000,
      () => ann.output.slice(-3000),
    );
  await seenByAnn('Offline');
  await using ben = await phoneOf('ben');
  await seenByAnn('Online');
  await presence.until((document) => document.includes('<basic>open</basic>'), 'ben is there');
  const desk = await PlainPhone.open(system, { user: 'ben', password: PASSWORD });
  try {
    await desk.call('600');
    await lamps.until((document) => lamp(document) === 'initiator confirmed', 'ben talks');
    await presence.until((document) => document.includes('<rpid:on-the-phone />'), 'ben is on the phone');
    await seenByAnn('Busy');
    await desk.hangUp();
  } finally {
    await desk.close();
  }
  await lamps.until((document) => lamp(document) === '', 'the lamp is off again');
  await seenByAnn('Online');
  await ben.close();
  await seenByAnn('Offline');
  await presence.until((document) => document.includes('<basic>closed</basic>'), 'ben is gone');
});

test('JsSIP counts waiting messages: a phone that takes none leaves them waiting', { skip }, async () => {
  await using cara = await phoneOf('cara');
  const waiting = cara.watch('cara', 'message-summary', 'application/simple-message-summary');
  await waiting.until((document) => document.includes('Text-Message: 0/0'), 'nothing waits');
  await using ben = await phoneOf('ben');
  assert.equal(await ben.send('cara', 'hello'), 202);
  await waiting.until((document) => /Messages-Waiting: yes[\s\S]*Text-Message: 1\/0/.test(document), 'one waits');
  await cara.close();
  await using reading = await phoneOf('cara', { reads: true });
  assert.equal(await reading.received(), 'hello');
  assert.equal(await ben.send('cara', 'again'), 200);
  assert.equal(await reading.received(), 'again');
});

test('kill -9 of signalling: texts that it promised to keep come once and in order, and a lamp lights up again', {
  skip,
}, async () => {
  await using cara = await phoneOf('cara');
  const lamps = cara.watch('ben', 'dialog', 'application/dialog-info+xml');
  await lamps.until((document) => lamp(document) === '', 'the lamp is off');
  for (const text of ['one', 'two', 'three']) assert.equal(await cara.send('ann', text), 202);
  await system.killPart('signaling');
  await system.waitForPart('signaling');
  await using ann = await phoneOf('ann', { reads: true });
  for (const text of ['one', 'two', 'three']) assert.equal(await ann.received(), text);
  const desk = await PlainPhone.open(system, { user: 'ben', password: PASSWORD });
  try {
    await desk.call('600');
    await lamps.until((document) => lamp(document) === 'initiator confirmed', 'the phone that is back sees ben talk');
    await desk.hangUp();
  } finally {
    await desk.close();
  }
  await waitUntil(
    'nothing is left in the mailboxes',
    async () => (await system.metrics('signaling')).sip_messages === 0,
  );
  assert.equal(await cara.send('ann', 'four'), 200);
  assert.equal(await ann.received(), 'four');
});
