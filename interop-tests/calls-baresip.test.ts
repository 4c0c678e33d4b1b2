import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Baresip } from './src/baresip.ts';
import {
  click,
  dial,
  mediaStats,
  openChromium,
  type Phone,
  recordRemote,
  settle,
  signIn,
  waitForCall,
  warmUp,
} from './src/browser.ts';
import { assertHears, middle } from './src/proof.ts';
import { type Sentence, speak } from './src/speech.ts';
import { System, scratchFolder } from './src/system.ts';

const folder = scratchFolder();
let alicesWords: Sentence;
let bobsWords: Sentence;
let alice: Phone;
let system: System;
let ports = 35_000;

before(async () => {
  alicesWords = speak('alice', folder.path);
  bobsWords = speak('bob', folder.path);
  alice = await openChromium(alicesWords.path);
  system = await System.start({ folder: folder.path });
  await signIn(alice, await system.loginLink('alice'));
  await warmUp(alice);
});

after(async () => {
  await Promise.allSettled([alice?.close(), system?.stop()]);
  folder.remove();
});

async function desk(user: string, codecs: readonly string[], transport: 'udp' | 'tcp'): Promise<Baresip> {
  const password = `pw-${Math.random().toString(36).slice(2)}aA1`;
  await system.addUser(user, password);
  ports += 20;
  return Baresip.start({
    folder: join(folder.path, user),
    user,
    password,
    domain: system.domain,
    server: `127.0.0.1:${transport === 'udp' ? system.ports.udp : system.ports.tcp}`,
    transport,
    codecs,
    speechPath: bobsWords.longPath,
    ports: { sip: ports, control: ports + 3, rtpMin: ports + 4, rtpMax: ports + 18 },
  });
}

const CASES = [
  { codec: 'pcmu', mime: 'audio/PCMU', transport: 'udp' },
  { codec: 'pcma', mime: 'audio/PCMA', transport: 'udp' },
  { codec: 'opus/48000/1', mime: 'audio/opus', transport: 'udp' },
  { codec: 'pcmu', mime: 'audio/PCMU', transport: 'tcp' },
] as const;

for (const [i, { codec, mime, transport }] of CASES.entries()) {
  const name = codec.split('/')[0]!;
  test(`Chromium calls baresip over ${transport.toUpperCase()} with ${name}, and baresip calls Chromium`, async () => {
    const user = `desk${i}`;
    const phone = await desk(user, [codec], transport);
    try {
      await dial(alice, user);
      await phone.waitFor('CALL_INCOMING');
      await phone.command('accept');
      await phone.waitFor('CALL_ESTABLISHED');
      await waitForCall(alice, 'active');
      await settle(alice);
      assertHears('alice', await recordRemote(alice, 6), bobsWords, alicesWords);
      assert.deepEqual((await mediaStats(alice)).codecs, [mime]);
      await click(alice, 'hangup');
      await phone.waitFor('CALL_CLOSED');
      assertHears(user, middle(phone.heard(), 1, 5), alicesWords, bobsWords);
      await waitForCall(alice, 'idle');

      await phone.command('dial', `sip:alice@${system.domain}`);
      await waitForCall(alice, 'incoming');
      await click(alice, 'answer');
      await phone.waitFor('CALL_ESTABLISHED');
      await waitForCall(alice, 'active');
      await settle(alice);
      assertHears('alice', await recordRemote(alice, 6), bobsWords, alicesWords);
      await phone.command('hangup');
      await waitForCall(alice, 'idle');
      assertHears(user, middle(phone.heard(), 1, 5), alicesWords, bobsWords);
    } finally {
      await phone.stop();
    }
    await system.assertNothingLeft();
    assert.deepEqual(alice.errors, []);
  });
}
