import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Namespace, nullSink } from '../src/namespace.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { Stage } from '../src/stage.ts';

const skip =
  lacking(...SPEECH, 'chromium', 'certutil', 'firefox-esr', 'pulseaudio', 'ip') ||
  (process.getuid?.() !== 0 && 'network namespaces need root');

test('Firefox calls by relay alone over UDP, TCP and TLS, and talks with itself and Chromium from relay to relay', {
  skip,
}, async () => {
  await using stage = new Stage();
  const space = Namespace.create();
  const sink = await nullSink(stage.folder);
  try {
    const result = await space.run(new URL('../src/in-namespace/firefox-turn.ts', import.meta.url), [
      stage.folder,
      space.hostName,
    ]);
    assert.deepEqual((result as { done: boolean }).done, true);
  } finally {
    await sink.stop();
    space.remove();
  }
});
