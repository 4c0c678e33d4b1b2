import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startMediaRelay } from '@offhook/media-relay';
import { Baresip } from '../src/baresip.ts';
import { type Phone, recordRemote, settle } from '../src/browser.ts';
import { Kamailio, MODULES } from '../src/kamailio.ts';
import { LibraryPage } from '../src/library-page.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { assertHears, middle } from '../src/proof.ts';
import { DOMAIN, relayController } from '../src/relay-controller.ts';
import { Rtpengine } from '../src/rtpengine.ts';
import { Stage } from '../src/stage.ts';

const HEARD_S = 5;
const MISSING = ['rtpengine', 'websocket'].filter((name) => !existsSync(join(MODULES, `${name}.so`)));
const skip =
  lacking(...SPEECH, 'kamailio', 'baresip', 'openssl', 'chromium') ||
  (MISSING.length > 0 && `not installed: kamailio's ${MISSING.join(', ')}`);

let stage: Stage;
let page: LibraryPage;
let browser: Phone;

before(async () => {
  if (skip) return;
  stage = new Stage();
  page = await LibraryPage.serve();
  browser = await stage.chromium(stage.alicesWords);
});

after(async () => {
  await stage?.close();
  await page?.close();
});

/** A browser with a phone of another maker calls a plain phone through Kamailio and that relay, heard on both sides. */
async function callThrough(ngPort: number): Promise<void> {
  const { alicesWords, bobsWords } = stage;
  const [port, ports] = [stage.freePorts(), stage.freePorts()];
  await using kamailio = await Kamailio.run(
    join(stage.folder, `controller-${port}`),
    relayController({ port, ngPort, webSocketPort: port + 1 }),
  );
  await using bob = await Baresip.start({
    folder: join(stage.folder, `bob-${port}`),
    user: 'bob',
    password: 'none',
    domain: DOMAIN,
    server: `127.0.0.1:${port}`,
    codecs: ['pcma'],
    speechPath: bobsWords.longPath,
    ports: { sip: ports, control: ports + 3, rtpMin: ports + 4, rtpMax: ports + 18 },
  });
  try {
    const account = { user: 'alice', password: 'none', domain: DOMAIN, url: `ws://127.0.0.1:${port + 1}/` };
    const alice = await page.phone(browser, { library: 'JsSIP', ...account });
    const called = alice.ask('call', 'bob');
    await bob.answer();
    await Promise.all([called, bob.waitFor('CALL_ESTABLISHED')]);
    await recordRemote(alice, 2); // the first recording of a browser is not as the others are
    await settle(alice);
    assertHears('alice', await recordRemote(alice, HEARD_S + 1), bobsWords, alicesWords);
    await alice.ask('hangUp');
    await bob.waitFor('CALL_CLOSED');
    await kamailio.said(/relay ended the call/);
    await alice.close();
    assertHears('bob', middle(bob.heard(), 1, HEARD_S), alicesWords, bobsWords);
  } catch (error) {
    console.error(kamailio.output.slice(-4000));
    throw error;
  }
}

test('Kamailio leads a call of a browser over WebSocket to a plain phone through our relay', { skip }, async () => {
  const part = await startMediaRelay({
    ng: { address: '127.0.0.1', port: 0 },
    mux: { addresses: ['127.0.0.1'], port: 0 },
    rtp: { address: '127.0.0.1', portMin: 0, portMax: 0 },
    mediaTimeoutS: 60,
  });
  try {
    await callThrough(part.ports.ng!);
    const m = part.metrics();
    assert.deepEqual([m.offhook_media_calls, m.offhook_media_transports, m.offhook_media_rtp_port_pairs], [0, 0, 0]);
  } finally {
    await part.stop();
  }
});

test("the same call through Debian's rtpengine", { skip: skip || lacking('rtpengine') }, async () => {
  const [ports, first] = [stage.freePorts(), stage.freePorts()];
  await using relay = await Rtpengine.start(stage.folder, { ng: ports, first, last: first + 19 });
  await callThrough(relay.ngPort);
});
