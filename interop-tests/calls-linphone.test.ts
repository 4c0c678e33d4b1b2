import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { lacking, SPEECH } from './src/peers.ts';
import { assertHears, middle } from './src/proof.ts';
import { Stage } from './src/stage.ts';
import type { System } from './src/system.ts';

const skip = lacking(...SPEECH, 'linphonec');

let stage: Stage;
let system: System;

before(async () => {
  if (skip) return;
  stage = new Stage();
  system = await stage.system();
});

after(() => stage?.close());

test('linphonec registers with digest over UDP, hears itself at 600, and hangs up', { skip }, async () => {
  const { alicesWords, bobsWords } = stage;
  {
    await using phone = await stage.linphone(system, 'lin', alicesWords);
    phone.type(`call sip:600@${system.domain}`);
    await phone.says(/Call .* connected/, 'the call is answered');
    const calls = await system.metrics('signaling');
    assert.equal(calls.sip_calls, 1);
    await phone.heardFor(8);
    phone.type('terminate');
    await phone.says(/Call .* ended/, 'the call has ended');
    assertHears('linphonec', middle(phone.heard(), 1.5, 5), alicesWords, bobsWords);
  }
  await system.assertNothingLeft();
});
