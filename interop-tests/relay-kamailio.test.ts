import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { NgClient } from '@offhook/core/node';
import { startMediaRelay } from '@offhook/media-relay';
import { Baresip } from './src/baresip.ts';
import { Kamailio, MODULES } from './src/kamailio.ts';
import { lacking, SPEECH } from './src/peers.ts';
import { assertHears, middle } from './src/proof.ts';
import { DOMAIN, relayController } from './src/relay-controller.ts';
import { Rtpengine } from './src/rtpengine.ts';
import { Stage } from './src/stage.ts';

/** Words heard of each sentence, seconds: both are longer than that and have their own rhythm. */
const HEARD_S = 5;
const skip =
  lacking(...SPEECH, 'kamailio', 'baresip', 'openssl') ||
  (!existsSync(join(MODULES, 'rtpengine.so')) && "not installed: kamailio's rtpengine");

let stage: Stage;

before(() => {
  if (!skip) stage = new Stage();
});

after(() => stage?.close());

/** A relay that Kamailio can drive, whichever it is. */
interface Relay {
  readonly ngPort: number;
  /** Where Kamailio speaks the same over WebSocket. */
  readonly webSocketPort?: number;
  stop(): Promise<void>;
}

async function phone(user: string, server: number, account: string): Promise<Baresip> {
  const ports = stage.freePorts();
  const words = user.endsWith('alice') ? stage.alicesWords : stage.bobsWords;
  return await Baresip.start({
    folder: join(stage.folder, `${user}-${server}`),
    user,
    password: 'none',
    domain: DOMAIN,
    server: `127.0.0.1:${server}`,
    codecs: ['pcma'],
    speechPath: words.longPath,
    ports: { sip: ports, control: ports + 3, rtpMin: ports + 4, rtpMax: ports + 18 },
    account,
  });
}

/** A call of a phone with SRTP to one with plain RTP through Kamailio and that relay, heard on both sides. */
async function callThrough(relay: Relay): Promise<void> {
  const port = stage.freePorts();
  await using kamailio = await Kamailio.run(
    join(stage.folder, `controller-${port}`),
    relayController(
      relay.webSocketPort === undefined
        ? { port, ngPort: relay.ngPort }
        : { port, ngPort: relay.webSocketPort, ngOver: 'ws' },
    ),
  );
  using ng = await NgClient.open(relay.ngPort);
  const [alice, bob] = await Promise.all([phone('sdes-alice', port, 'mediaenc=srtp-mand'), phone('bob', port, '')]);
  try {
    await alice.command('dial', `sip:bob@${DOMAIN}`);
    await bob.answer();
    await Promise.all([alice, bob].map((one) => one.waitFor('CALL_ESTABLISHED')));
    await kamailio.said(/relay took the answer/);
    const calls = (await ng.ask({ command: 'list' })).calls as string[];
    assert.equal(calls.length, 1);
    await new Promise((resolve) => setTimeout(resolve, (HEARD_S + 1.5) * 1000));
    const told = await ng.ask({ command: 'query', 'call-id': calls[0]! });
    const { packets, errors } = (told.totals as Record<string, Record<string, number>>).RTP!;
    // Fifty a second each way.
    assert.ok(packets! > 2 * 50 * HEARD_S, `${packets} packets were relayed`);
    assert.ok(errors! < 10, `${errors} packets were not: the first ones may come before the other side is known`);
    await alice.command('hangup');
    await Promise.all([alice, bob].map((one) => one.waitFor('CALL_CLOSED')));
    await kamailio.said(/relay told the call[\s\S]*relay ended the call/);
    assertHears('alice', middle(alice.heard(), 1, HEARD_S), stage.bobsWords, stage.alicesWords);
    assertHears('bob', middle(bob.heard(), 1, HEARD_S), stage.alicesWords, stage.bobsWords);
  } catch (error) {
    console.error(kamailio.output.slice(-4000));
    throw error;
  } finally {
    await Promise.all([alice.stop(), bob.stop()]);
  }
}

for (const over of ['UDP', 'WebSocket'] as const) {
  test(`Kamailio leads a call between a phone with SRTP and one without through our relay, by NG over ${over}`, {
    skip: skip || (over === 'WebSocket' && !existsSync(join(MODULES, 'lwsc.so')) && "not installed: kamailio's lwsc"),
  }, async () => {
    const part = await startMediaRelay({
      // Kamailio's lwsc names the relay's host as its origin.
      ng: { address: '127.0.0.1', port: 0, webSocketPort: 0, allowedOrigins: ['http://127.0.0.1'] },
      mux: { addresses: ['127.0.0.1'], port: 0 },
      rtp: { address: '127.0.0.1', portMin: 0, portMax: 0 },
      mediaTimeoutS: 60,
    });
    const { ng, ngWebSocket } = part.ports;
    try {
      const webSocketPort = over === 'WebSocket' ? ngWebSocket! : undefined;
      await callThrough({ ngPort: ng!, webSocketPort, stop: () => part.stop() });
      const m = part.metrics();
      assert.deepEqual(
        [
          m.offhook_media_calls,
          m.offhook_media_transports,
          m.offhook_media_rtp_port_pairs,
          m['offhook_media_ng_total{event="errors"}'],
        ],
        [0, 0, 0, 0],
      );
    } finally {
      await part.stop();
    }
  });
}

test("the same call through Debian's rtpengine, driven by the same script", {
  skip: skip || lacking('rtpengine'),
}, async () => {
  const ports = stage.freePorts();
  const first = stage.freePorts();
  await using relay = await Rtpengine.start(stage.folder, { ng: ports, first, last: first + 19 });
  await callThrough(relay);
});
