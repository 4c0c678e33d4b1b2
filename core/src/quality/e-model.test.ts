import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CodecQuality, codecQuality, rateQuality } from './index.ts';

const LOSSES = [0, 1, 2, 5, 10, 20, 30];
const G711 = codecQuality({ encoding: 'PCMU' })!;
const G711_BARE = codecQuality({ encoding: 'pcma', conceals: false })!;
const OPUS_40 = codecQuality({ encoding: 'opus', bitrateBps: 40_000 })!;

const mos = (codec: CodecQuality, percent: number, burstLength: number, delayMs = 100) =>
  rateQuality({ codec, delayMs, loss: percent / 100, burstLength }).mos;
/** The mean burst that BurstR stands for at that loss. */
const burst = (burstR: number, percent: number) => burstR / (1 - percent / 100);

test('MOS at 100 ms by loss, codec and burstiness', () => {
  const anchors: [string, CodecQuality, number, number[]][] = [
    ['G.711 without concealment', G711_BARE, 1, [4.36, 3.73, 3.13, 2.05, 1.39, 1.08, 1.01]],
    ['G.711 with concealment, independent losses', G711, 1, [4.36, 4.26, 4.16, 3.82, 3.29, 2.51, 2.02]],
    ['G.711 with concealment, BurstR 2', G711, 2, [4.36, 4.26, 4.15, 3.76, 3.06, 1.9, 1.24]],
    ['Opus 40 kbit/s, independent losses', OPUS_40, 1, [4.4, 4.2, 3.98, 3.36, 2.65, 1.96, 1.65]],
    ['Opus 40 kbit/s, bursts', OPUS_40, 2, [4.4, 4.16, 3.88, 3.17, 2.44, 1.8, 1.53]],
  ];
  for (const [name, codec, burstR, expected] of anchors) {
    const got = LOSSES.map((percent) => mos(codec, percent, burst(burstR, percent)));
    for (const [i, value] of got.entries()) {
      assert.ok(Math.abs(value - expected[i]!) <= 0.006, `${name}, ${LOSSES[i]} %: ${value} is not ${expected[i]}`);
    }
  }
});

test('MOS of G.711 by delay alone', () => {
  for (const [delayMs, expected] of [
    [150, 4.33],
    [200, 4.23],
    [250, 3.99],
    [300, 3.71],
    [400, 3.05],
  ] as const) {
    const value = mos(G711, 0, 1, delayMs);
    assert.ok(Math.abs(value - expected) <= 0.006, `${delayMs} ms: ${value} is not ${expected}`);
  }
});

test('each codec is rated by the model of its bandwidth', () => {
  const rated = (encoding: string, bitrateBps?: number, maxPlaybackRate?: number) => {
    const codec = codecQuality({ encoding, bitrateBps, maxPlaybackRate });
    return codec && `${codec.name} ${codec.model} ${codec.ie.toFixed(2)}`;
  };
  assert.equal(rated('G722'), 'G.722 G.107.1 13.00');
  assert.equal(rated('G729'), 'G.729A G.107 11.00');
  assert.equal(rated('opus'), 'Opus super-wideband G.107.2 16.15');
  assert.equal(rated('OPUS', 22_000), 'Opus super-wideband G.107.2 22.01');
  assert.equal(rated('opus', 100_000), 'Opus super-wideband G.107.2 10.67');
  assert.equal(rated('opus', 12_500), 'Opus wideband G.107.1 21.63');
  assert.equal(rated('opus', 32_000, 16_000), 'Opus wideband G.107.1 19.96');
  assert.equal(rated('opus', 4000), 'Opus narrowband G.107 23.00');
  assert.equal(rated('telephone-event'), undefined);
  assert.equal(
    rateQuality({ codec: codecQuality({ encoding: 'G722' })!, delayMs: 50, loss: 0, burstLength: 1 }).r,
    116,
  );
});

test('more loss, longer bursts or more delay never sound better, whatever the numbers', () => {
  const codecs = [G711, G711_BARE, OPUS_40, codecQuality({ encoding: 'G722' })!, codecQuality({ encoding: 'G729' })!];
  const figure = fc.double({ min: -1, max: 1.5, noNaN: true });
  fc.assert(
    fc.property(
      fc.constantFrom(...codecs),
      figure,
      figure,
      fc.nat(5000),
      fc.nat(40),
      (codec, a, b, delayMs, bursts) => {
        const [less, more] = [Math.min(a, b), Math.max(a, b)];
        const rate = (loss: number, delay: number) =>
          rateQuality({ codec, delayMs: delay, loss, burstLength: bursts }).mos;
        assert.ok(rate(less, delayMs) >= 1 && rate(less, delayMs) <= 4.5);
        // A mean burst of a fixed length is less bursty the more is lost, so loss alone is compared for independent ones.
        if (bursts <= 1) assert.ok(rate(more, delayMs) <= rate(less, delayMs) + 1e-9);
        assert.ok(rate(less, delayMs + 50) <= rate(less, delayMs) + 1e-9);
      },
    ),
  );
});
