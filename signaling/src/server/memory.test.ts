import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCrypto } from '@offhook/core/node';
import { flow, register } from '../registrar/testkit.ts';
import type { Entry } from '../store/index.ts';
import { SipCore } from './core.ts';
import { Memory } from './memory.ts';

/** A process whose clock began at that wall-clock time. */
function running(startedAt: number, restored: ReturnType<typeof flow> | undefined) {
  const core = new SipCore({
    crypto: nodeCrypto,
    domain: 'example.test',
    isLocal: () => true,
    account: () => undefined,
    mediaPath: 'opaque',
    relays: 1,
    nowMs: 0,
  });
  const notes: Entry[] = [];
  const note = (entry: Entry) => notes.push(entry);
  const memory = new Memory({ core, note, wallOffsetMs: () => startedAt, udpFlow: () => restored });
  return { core, memory, notes };
}

test('contacts over UDP outlive their process with Path, instance and age; those noted before there was a Path too', () => {
  const edge = flow(1);
  const before = running(1_000_000, undefined);
  const path = ['<sip:token@192.0.2.7;lr;ob>'];
  const contact = '<sip:alice@x.invalid;transport=ws>;+sip.instance="<urn:uuid:1>";reg-id=1';
  before.core.registrar.handleRegister(register([contact], { path, supported: 'path' }), edge, 'alice', 5000);
  for (let e = before.core.registrar.poll(); e; e = before.core.registrar.poll()) before.memory.registration(e);
  const [noted] = before.notes;
  assert.ok(noted?.kind === 'binding');
  const old = JSON.parse(noted.snapshot) as { binding: Record<string, unknown> };
  delete old.binding.path;
  delete old.binding.registeredAtMs;

  const again = flow(2);
  for (const [snapshot, expected] of [
    [noted.snapshot, { path, registeredAtMs: -55_000 }],
    [JSON.stringify(old), { path: [], registeredAtMs: 545_000 }],
  ] as const) {
    const after = running(1_060_000, again);
    assert.equal(
      after.memory.restore({ calls: [], bindings: [snapshot], messages: [], subscriptions: [] }, 0).bindings,
      1,
    );
    const [binding] = after.core.registrar.lookup('alice', 0);
    const { path: kept, registeredAtMs, expiresAtMs, instanceId, regId, flow: on } = binding!;
    assert.deepEqual({ path: kept, registeredAtMs }, expected);
    assert.deepEqual(
      { expiresAtMs, instanceId, regId },
      { expiresAtMs: 545_000, instanceId: '<urn:uuid:1>', regId: '1' },
    );
    assert.equal(on, again);
  }
});
