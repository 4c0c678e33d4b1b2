import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_SETTINGS } from '../settings.ts';
import { FakeTrack } from '../testing/fake-media.ts';
import { Equipment } from './equipment.ts';

/** What a call of a phone with these settings is configured with. */
async function configurationOf(relayOnly: boolean): Promise<RTCConfiguration> {
  const { track } = new FakeTrack('audio');
  const mediaDevices = {
    getUserMedia: async () => ({ getAudioTracks: () => [track] }),
    enumerateDevices: async () => [],
  };
  const page = { isSecureContext: true, RTCPeerConnection: Object, navigator: { mediaDevices } };
  const before = Object.getOwnPropertyDescriptors(globalThis);
  for (const [name, value] of Object.entries(page))
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  try {
    const equipment = new Equipment({
      settings: () => ({ ...DEFAULT_SETTINGS, relayOnly }),
      options: { relayOnly: false, processingOff: false, autoAnswer: false },
      turn: async () => ({ urls: 'turn:192.0.2.1' }),
    });
    return (await equipment.open(false)).configuration;
  } finally {
    for (const name of Object.keys(page)) {
      const was = (before as Record<string, PropertyDescriptor>)[name];
      if (was) Object.defineProperty(globalThis, name, was);
      else Reflect.deleteProperty(globalThis, name);
    }
  }
}

test('an answer without BUNDLE, as rtpengine writes it, is taken: with and without TURN', async () => {
  assert.deepEqual(await configurationOf(false), { iceServers: [], bundlePolicy: 'balanced' });
  assert.deepEqual(await configurationOf(true), {
    iceServers: [{ urls: 'turn:192.0.2.1' }],
    iceTransportPolicy: 'relay',
    bundlePolicy: 'balanced',
  });
});
