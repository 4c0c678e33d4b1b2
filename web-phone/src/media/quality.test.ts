import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QualityMeter, type QualitySample, sampleFromStats } from './quality.ts';

const sample = (second: number, change: Partial<QualitySample> = {}): QualitySample => ({
  atMs: second * 1000,
  packetsReceived: second * 50,
  packetsLost: 0,
  packetsSent: second * 50,
  remotePacketsLost: 0,
  codec: 'opus',
  concealedSamples: 0,
  totalSamples: second * 48_000,
  jitterMs: 2,
  roundTripMs: 38,
  remoteLoss: 0,
  microphoneLevel: 0.2,
  speakerLevel: 0.1,
  framesDecoded: 0,
  ...change,
});
const after = (make: (second: number) => QualitySample, muted = false, seconds = 10) => {
  const meter = new QualityMeter();
  for (let s = 1; s <= seconds; s++) meter.add(make(s));
  return meter.quality(muted);
};

test('a good line is said to be good, with its round trip', () => {
  const q = after((s) => sample(s));
  assert.equal(q.grade, 'good');
  assert.equal(q.words, 'Clear line, no loss, round trip 38\u00a0ms');
});

test('loss, delay and jitter are told as what they are and which way', () => {
  const cases: [Partial<QualitySample> | ((s: number) => Partial<QualitySample>), string, RegExp][] = [
    [(s) => ({ packetsLost: s * 5 }), 'poor', /9.1\u00a0% of the sound is lost on the way to you, hidden/],
    [(s) => ({ packetsLost: s * 5, concealedSamples: s * 4_800 }), 'poor', /and you can hear it/],
    [(s) => ({ packetsLost: s }), 'fair', /A little loss on the way to you/],
    [{ remoteLoss: 0.1 }, 'poor', /your sound is lost on the way out/],
    [{ roundTripMs: 500 }, 'poor', /Long delay, round trip 500\u00a0ms/],
    [{ jitterMs: 45 }, 'fair', /jitter 45\u00a0ms/],
    [{ packetsReceived: 50 }, 'none', /Nothing arrives/],
    [{ microphoneLevel: 0 }, 'fair', /microphone is silent/],
  ];
  for (const [change, grade, words] of cases) {
    const q = after((s) => sample(s, typeof change === 'function' ? change(s) : change));
    assert.equal(q.grade, grade, words.source);
    assert.match(q.words, words);
  }
});

test('two seconds in which nothing comes are said at once, one is not, and the first packet ends it', () => {
  const silent = (from: number, until = 11) =>
    after((s) => sample(s, s < until ? { packetsReceived: Math.min(s, from) * 50 } : {})).grade;
  assert.deepEqual([silent(9), silent(8), silent(8, 10)], ['good', 'none', 'good']);
});

test('a muted microphone is not called silent', () => {
  assert.equal(after((s) => sample(s, { microphoneLevel: 0 }), true).grade, 'good');
});

test('old loss is forgotten', () => {
  assert.equal(after((s) => sample(s, { packetsLost: 40 })).grade, 'good');
});

test('another connection, whose counters begin anew, is judged by itself', () => {
  const q = after((s) =>
    sample(s, s < 8 ? { packetsLost: 40 } : { packetsReceived: (s - 7) * 50, totalSamples: (s - 7) * 48_000 }),
  );
  assert.deepEqual([q.grade, q.words], ['good', 'Clear line, no loss, round trip 38\u00a0ms']);
});

test('an empty report gives zeros, never NaN (Chromium leaves entries out before ICE connects)', () => {
  const empty = sampleFromStats([], 5);
  const unknown = ['roundTripMs', 'remotePacketsLost', 'codec'];
  for (const [key, value] of Object.entries(empty))
    if (unknown.includes(key)) assert.equal(value, undefined, key);
    else assert.ok(Number.isFinite(value), key);
  assert.equal(new QualityMeter().quality(false).grade, 'unknown');
});

test('a Chromium report is read', () => {
  const s = sampleFromStats(
    [
      {
        type: 'inbound-rtp',
        kind: 'audio',
        packetsReceived: 100,
        packetsLost: 2,
        jitter: 0.004,
        concealedSamples: 500,
        silentConcealedSamples: 480,
        totalSamplesReceived: 96_000,
        audioLevel: 0.3,
        codecId: 'C',
      },
      { type: 'codec', id: 'C', mimeType: 'audio/opus' },
      { type: 'outbound-rtp', kind: 'audio', packetsSent: 99 },
      { type: 'inbound-rtp', kind: 'video', framesDecoded: 31 },
      { type: 'remote-inbound-rtp', kind: 'audio', fractionLost: 0.02, packetsLost: 3, roundTripTime: 0.05 },
      { type: 'candidate-pair', nominated: true, state: 'succeeded', currentRoundTripTime: 0.021 },
      { type: 'media-source', kind: 'audio', audioLevel: 0.4 },
    ],
    1,
  );
  assert.deepEqual(s, {
    atMs: 1,
    packetsReceived: 100,
    packetsLost: 2,
    packetsSent: 99,
    remotePacketsLost: 3,
    codec: 'opus',
    concealedSamples: 20,
    totalSamples: 96_000,
    jitterMs: 4,
    roundTripMs: 21,
    remoteLoss: 0.02,
    microphoneLevel: 0.4,
    speakerLevel: 0.3,
    framesDecoded: 31,
  });
});
