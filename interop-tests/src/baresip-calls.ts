import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answer, click, dial, mediaStats, type Phone, recordRemote, settle, waitForCall, warmUp } from './browser.ts';
import { lacking, SPEECH } from './peers.ts';
import { assertHears, middle } from './proof.ts';
import { Stage } from './stage.ts';
import type { System } from './system.ts';

const skip = lacking(...SPEECH, 'chromium', 'baresip', 'openssl');

export interface BaresipCase {
  /** As baresip writes it. */
  readonly codec: string;
  readonly mime: string;
  readonly transport: 'udp' | 'tcp';
}

/** Tests of a file: Chromium calls baresip, is called by it, and both hear each other; one for each case. */
export function callsWithBaresip(cases: readonly BaresipCase[]): void {
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

  for (const [i, { codec, mime, transport }] of cases.entries()) {
    const name = codec.split('/')[0]!;
    test(`Chromium calls baresip over ${transport.toUpperCase()} with ${name}, and baresip calls Chromium`, {
      skip,
    }, async () => {
      const { alicesWords, bobsWords } = stage;
      const user = `desk${i}`;
      {
        await using phone = await stage.baresip(system, user, { words: bobsWords, codecs: [codec], transport });
        await dial(alice, user);
        await phone.answer();
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
        await answer(alice);
        await phone.waitFor('CALL_ESTABLISHED');
        await waitForCall(alice, 'active');
        await settle(alice);
        assertHears('alice', await recordRemote(alice, 6), bobsWords, alicesWords);
        await phone.command('hangup');
        await waitForCall(alice, 'idle');
        assertHears(user, middle(phone.heard(), 1, 5), alicesWords, bobsWords);
      }
      await system.assertNothingLeft();
      assert.deepEqual(alice.errors, []);
    });
  }
}
