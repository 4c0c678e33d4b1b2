import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeRtpHeader } from '@offhook/core';
import { Router } from './router.ts';
import { TelephoneEvents } from './telephone-events.ts';
import { Transport } from './transport.ts';

function packet(payloadType: number, timestamp: number, payload: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(12 + payload.length);
  writeRtpHeader(bytes, 0, { payloadType, sequence: 1, timestamp, ssrc: 7, marker: false });
  bytes.set(payload, 12);
  return bytes;
}

test('a key counts once, however often its packet comes; other events and cut ones do not', () => {
  const events = new TelephoneEvents();
  const keys: string[] = [];
  events.onKey = (key) => keys.push(key);
  events.setTypes(new Set([101]));
  const see = (bytes: Uint8Array) => events.see(bytes, 0, bytes.length);
  assert.deepEqual([events.has(packet(101, 0, []), 0), events.has(packet(0, 0, []), 0)], [true, false]);
  for (const timestamp of [100, 100, 100, 900, 900])
    see(packet(101, timestamp, [timestamp === 100 ? 1 : 10, 0x8a, 1, 0]));
  see(packet(101, 1700, [16, 0, 0, 0])); // flash: no key
  see(packet(101, 2500, [1, 0, 0]));
  see(packet(101, 3300, [15, 0, 0, 0]));
  assert.deepEqual([keys, events.count], [['1', '*', 'D'], 3]);
});

test('what is blocked is dropped also where it passes unread', () => {
  const router = new Router();
  const near = new Transport(0, undefined);
  const far = new Transport(1, undefined);
  near.opaquePeer = far;
  near.watch(new Set([126]), { media: true, events: false });
  const voice = packet(111, 0, [1, 2]);
  const key = packet(126, 0, [1, 0, 0, 0]);
  const reason = (bytes: Uint8Array, isRtp: boolean) => {
    const before = { ...router.drops };
    router.pass(near, bytes, 0, bytes.length, isRtp);
    return Object.entries(router.drops).find(([name, n]) => n !== before[name as keyof typeof before])?.[0];
  };
  // `unready`: it would have been sent, had the other side an address.
  assert.deepEqual([reason(voice, true), reason(key, true), reason(voice, false)], ['blocked', 'unready', 'unready']);
  near.watch(new Set([126]), { media: false, events: true });
  assert.deepEqual([reason(voice, true), reason(key, true)], ['unready', 'blocked']);
  const other = packet(101, 0, [1, 0, 0, 0]);
  assert.equal(reason(other, true), 'unready');
  near.watch(new Set([126, 101]), { media: false, events: true });
  assert.deepEqual([reason(voice, true), reason(key, true), reason(other, true)], ['unready', 'blocked', 'blocked']);
});
