import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Namespace, nullSink } from '../src/namespace.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { scratchFolder } from '../src/system.ts';

const skip =
  lacking(...SPEECH, 'chromium', 'firefox-esr', 'baresip', 'openssl', 'pulseaudio', 'ip') ||
  (process.getuid?.() !== 0 && 'network namespaces need root');

const folder = scratchFolder();
let space: Namespace;

before(() => {
  if (skip) return;
  space = Namespace.create();
});

after(() => {
  space?.remove();
  folder.remove();
});

for (const path of ['opaque', 'terminated'] as const) {
  test(`Firefox and Chromium hear each other on the ${path} path, in a namespace with one address`, {
    skip,
  }, async () => {
    const sink = await nullSink(folder.path);
    try {
      const result = await space.run(new URL('../src/in-namespace/firefox-call.ts', import.meta.url), [
        folder.path,
        path,
      ]);
      assert.deepEqual((result as { done: boolean }).done, true);
    } finally {
      await sink.stop();
    }
  });
}

test('baresip with ICE and DTLS-SRTP and Chromium hear each other, in a namespace with one address', {
  skip,
}, async () => {
  const result = await space.run(new URL('../src/in-namespace/baresip-ice-call.ts', import.meta.url), [folder.path]);
  assert.deepEqual((result as { done: boolean }).done, true);
});
