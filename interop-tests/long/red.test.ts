import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answer, click, dial, type Phone, settle, waitForCall, warmUp } from '../src/browser.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { assertHears, middle } from '../src/proof.ts';
import { Stage } from '../src/stage.ts';
import { type System, waitUntil } from '../src/system.ts';

const skip = lacking(...SPEECH, 'chromium', 'baresip', 'openssl');

let stage: Stage;
let alice: Phone;
let system: System;

before(async () => {
  if (skip) return;
  stage = new Stage();
  system = await stage.system();
  alice = await stage.webPhone(system, 'alice');
  await warmUp(alice);
});

after(() => stage?.close());

/** RED packets that the relay, its one worker, took from browsers. */
async function redReceived(): Promise<number> {
  const metrics = await system.metrics('media-relay-0');
  const counts = Object.entries(metrics).filter(([name]) => /^offhook_media_red_total\{.*event="received"/.test(name));
  assert.ok(counts.length > 0, Object.keys(metrics).join(' '));
  return counts.reduce((sum, [, count]) => sum + count, 0);
}

/** RTP packets of sound that the browser sent in all its calls, and whether its description says RED first. */
function sending(): Promise<{ packets: number; formats: string }> {
  return alice.page.evaluate(async () => {
    type Handle = { peerConnections(): RTCPeerConnection[] };
    let packets = 0;
    let formats = '';
    for (const pc of (window as unknown as { offhook: Handle }).offhook.peerConnections()) {
      if (pc.connectionState === 'closed') continue;
      formats = /m=audio .*/.exec(pc.remoteDescription?.sdp ?? '')?.[0] ?? '';
      (await pc.getStats()).forEach((s) => {
        if (s.type === 'outbound-rtp' && s.kind === 'audio') packets += s.packetsSent;
      });
    }
    return { packets, formats };
  });
}

for (const caller of ['Chromium', 'baresip'] as const) {
  test(`${caller} calls: Chromium sends RED, baresip hears Opus`, { skip }, async () => {
    const { alicesWords, bobsWords } = stage;
    const user = `red-${caller.toLowerCase()}`;
    {
      await using phone = await stage.baresip(system, user, { words: bobsWords, codecs: ['opus/48000/1'] });
      if (caller === 'Chromium') {
        await dial(alice, user);
        await phone.answer();
      } else {
        await phone.command('dial', `sip:alice@${system.domain}`);
        await answer(alice);
      }
      await phone.waitFor('CALL_ESTABLISHED');
      await waitForCall(alice, 'active');
      await settle(alice);
      const redBefore = await redReceived();
      const { packets: packetsBefore, formats } = await sending();
      let sent = 0;
      await waitUntil('Chromium has spoken for six seconds', async () => {
        sent = (await sending()).packets - packetsBefore;
        return sent >= 300;
      });
      const red = (await redReceived()) - redBefore;
      process.stdout.write(`  ${red} RED packets of ${sent} sent; ${formats}\n`);
      assert.ok(red > sent * 0.9, `${red} of ${sent}`);
      await click(alice, 'hangup');
      await phone.waitFor('CALL_CLOSED');
      assertHears(user, middle(phone.heard(), 1, 5), alicesWords, bobsWords);
      await waitForCall(alice, 'idle');
    }
    await system.assertNothingLeft();
    assert.deepEqual(alice.errors, []);
  });
}
