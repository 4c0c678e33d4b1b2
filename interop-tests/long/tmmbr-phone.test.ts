import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answer, click, leave, type Phone, signIn, waitForCall } from '../src/browser.ts';
import { NarrowLink } from '../src/narrow-link.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { Stage } from '../src/stage.ts';
import { System, waitUntil } from '../src/system.ts';

const skip = lacking(...SPEECH, 'chromium', 'linphonec');

let stage: Stage;
let alice: Phone;

before(async () => {
  if (skip) return;
  stage = new Stage();
  alice = await stage.chromium(stage.alicesWords);
});

after(() => stage?.close());

/** Little more than the sound: pictures of a phone that shows one still image each second need no more than this. */
const NARROW_BPS = 90_000;

test('linphone, with RTP/AVPF, encodes at the rate of each TMMBR that it is sent, and confirms it', {
  skip,
}, async (t) => {
  await using system = await System.start({ folder: stage.folder });
  const link = await NarrowLink.open((await system.udpPorts()).mux!);
  t.after(() => link.close());
  await link.lead(alice);
  await signIn(alice, await system.loginLink('alice'));
  await using phone = await stage.linphone(system, 'lin', stage.bobsWords, { video: true });
  phone.type(`call sip:alice@${system.domain}`);
  await answer(alice, 'video');
  await waitForCall(alice, 'active');
  /** kb/s that it was told, and that its encoder was set to then. */
  const told = () => [...phone.log().matchAll(/received a TMMBR for bitrate (\d+) kbits/g)].map((m) => Number(m[1]));
  const encodes = (kbps: number) => phone.log().includes(`Limiting bitrate of video encoder to ${kbps}000 bits/s`);

  await waitUntil('linphone is told a rate', async () => told().length > 0);
  await waitUntil('it encodes at that', async () => encodes(told().at(-1)!));
  const confirmed = async () =>
    (await system.metrics('media-relay-0'))['offhook_media_rates_total{event="confirmations"}'] ?? 0;
  await waitUntil('its TMMBN has come', async () => (await confirmed()) > 0);
  const free = told().at(-1)!;
  link.downBps = NARROW_BPS;
  await waitUntil('linphone is told a lower one', async () => told().at(-1)! < free / 2, 30_000);
  await waitUntil('it encodes at that', async () => told().slice(-3).some(encodes));
  t.diagnostic(`told, kb/s: ${told().join(' ')}; ${await confirmed()} confirmed`);
  assert.ok(told().every((kbps) => kbps < 4000));

  await click(alice, 'hangup');
  await waitForCall(alice, 'idle');
  await phone.stop();
  await system.assertNothingLeft();
  assert.deepEqual(alice.errors, []);
  await leave(alice);
});
