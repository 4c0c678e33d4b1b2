import { after, before, test } from 'node:test';
import type { Phone } from '../src/browser.ts';
import { followLayers, VP8_LAYERS } from '../src/layers-on-a-line.ts';
import { Namespace, nullSink } from '../src/namespace.ts';
import { lacking, SPEECH } from '../src/peers.ts';
import { Stage } from '../src/stage.ts';

const skip = lacking(...SPEECH, 'chromium');
const skipFirefox =
  skip || lacking('firefox-esr', 'pulseaudio', 'ip') || (process.getuid?.() !== 0 && 'network namespaces need root');

let stage: Stage;

before(() => {
  if (!skip) stage = new Stage();
});

after(() => stage?.close());

/** Browsers of their own for each test: a page stays led to the line that it was led to first. */
async function phones(): Promise<{ alice: Phone; bob: Phone }> {
  const [alice, bob] = await Promise.all([stage.chromium(stage.alicesWords), stage.chromium(stage.bobsWords)]);
  return { alice, bob };
}

test('a receiver gets the highest layer on a good line, a lower one on a narrow one, and the highest again', {
  skip,
}, async (t) => {
  await followLayers({
    ...(await phones()),
    ...VP8_LAYERS,
    say: (words) => t.diagnostic(words),
  });
});

test('so he does of layers of H.264', { skip }, async (t) => {
  await followLayers({
    ...(await phones()),
    codec: 'H264',
    // Of this picture its encoder makes less than VP8's, about 280 kb/s of the highest layer, and no temporal layers.
    layers: [
      { rid: 'l', scaleResolutionDownBy: 4, maxBitrate: 50_000 },
      { rid: 'm', scaleResolutionDownBy: 2, maxBitrate: 120_000 },
      { rid: 'h', scaleResolutionDownBy: 1, maxBitrate: 900_000 },
    ],
    narrowBps: 120_000,
    leastHighBps: 150_000,
    say: (words) => t.diagnostic(words),
  });
});

test('so he does of layers of a Firefox, in a namespace with one address', { skip: skipFirefox }, async (t) => {
  const space = Namespace.create();
  try {
    const sink = await nullSink(stage.folder);
    try {
      const runner = new URL('../src/in-namespace/firefox-layers.ts', import.meta.url);
      const said = (await space.run(runner, [stage.folder, space.address], 300)) as string[];
      for (const words of said) t.diagnostic(words);
    } finally {
      await sink.stop();
    }
  } finally {
    space.remove();
  }
});
