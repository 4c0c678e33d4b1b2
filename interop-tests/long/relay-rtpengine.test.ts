import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { lacking, SPEECH } from '../src/peers.ts';
import { assertHears, middle } from '../src/proof.ts';
import { Rtpengine } from '../src/rtpengine.ts';
import { Stage } from '../src/stage.ts';
import { anyPorts, System } from '../src/system.ts';

const skip = lacking(...SPEECH, 'baresip', 'openssl', 'rtpengine');
const HEARD_S = 5;

let stage: Stage;
let relay: Rtpengine;
let system: System;

before(async () => {
  if (skip) return;
  stage = new Stage();
  const [ports, first] = [stage.freePorts(), stage.freePorts()];
  relay = await Rtpengine.start(stage.folder, { ng: ports, first, last: first + 19 });
  const media = { ...(anyPorts().media as object), relays: [`udp:127.0.0.1:${relay.ngPort}`] };
  system = await System.start({ folder: stage.folder, settings: { media } });
});

after(async () => {
  await system?.stop();
  await relay?.stop();
  await stage?.close();
});

test("our signalling leads a call of two phones through Debian's rtpengine", { skip }, async () => {
  const { alicesWords, bobsWords } = stage;
  await using desk = await stage.baresip(system, 'desk', {
    words: alicesWords,
    codecs: ['pcma'],
  });
  await using hall = await stage.baresip(system, 'hall', { words: bobsWords, codecs: ['pcma'] });
  await desk.command('dial', `sip:hall@${system.domain}`);
  await hall.waitFor('CALL_INCOMING');
  await hall.command('accept');
  await Promise.all([desk, hall].map((phone) => phone.waitFor('CALL_ESTABLISHED')));
  await new Promise((resolve) => setTimeout(resolve, (HEARD_S + 1.5) * 1000));
  await desk.command('hangup');
  await Promise.all([desk, hall].map((phone) => phone.waitFor('CALL_CLOSED')));
  assertHears('desk', middle(desk.heard(), 1, HEARD_S), bobsWords, alicesWords);
  assertHears('hall', middle(hall.heard(), 1, HEARD_S), alicesWords, bobsWords);
  assert.equal((await system.metrics('signaling')).sip_calls, 0);
});
