import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bench, plainAnswer } from '../session/test-bench.ts';
import { EventHub, MAX_QUEUED, MEDIA_EVENT_KINDS, type MediaEvent, type Subscription } from './event-hub.ts';
import { EventWatch, LOST_MS, WATCH_MS } from './event-watch.ts';
import { NameCounts } from './name-counts.ts';

const ended = (callId: string): MediaEvent => ({ kind: 'ended', callId, reason: 'timeout' });
const all = { kinds: new Set(MEDIA_EVENT_KINDS), callIds: undefined, digits: false };
const drain = (subscription: Subscription): MediaEvent[] => {
  const out: MediaEvent[] = [];
  for (let event = subscription.poll(); event; event = subscription.poll()) out.push(event);
  return out;
};

test('each subscriber gets what it asks for', () => {
  const hub = new EventHub();
  let woken = 0;
  const every = hub.subscribe(all, () => woken++);
  const one = hub.subscribe({ ...all, callIds: new Set(['x']) }, () => {});
  const keys = hub.subscribe({ ...all, kinds: new Set(['dtmf']), digits: true }, () => {});
  hub.publish(ended('x'));
  hub.publish(ended('y'));
  hub.publish({ kind: 'dtmf', callId: 'x', tag: 'a', count: 1, digit: '5' });
  assert.deepEqual(
    drain(every).map((e) => [e.kind, e.callId]),
    [
      ['ended', 'x'],
      ['ended', 'y'],
      ['dtmf', 'x'],
    ],
  );
  assert.equal(woken, 3);
  assert.deepEqual(
    drain(one).map((e) => e.kind),
    ['ended', 'dtmf'],
  );
  assert.deepEqual(drain(keys), [{ kind: 'dtmf', callId: 'x', tag: 'a', count: 1, digit: '5' }]);
  hub.publish({ kind: 'dtmf', callId: 'z', tag: 'a', count: 1, digit: '7' });
  const [press] = drain(every);
  assert.equal(press?.kind === 'dtmf' && press.digit, '', 'which key is told only to who asks for it');
});

test('a slow subscriber loses the oldest, which is counted, and no other subscriber notices', () => {
  const hub = new EventHub();
  const slow = hub.subscribe(all, () => {});
  const quick = hub.subscribe(all, () => drain(quick));
  for (let i = 0; i < MAX_QUEUED + 3; i++) hub.publish(ended(String(i)));
  assert.deepEqual([slow.dropped, slow.queued, slow.poll()?.callId], [3, MAX_QUEUED, '3']);
  assert.deepEqual([quick.dropped, hub.counters.dropped, hub.counters.published], [0, 3, MAX_QUEUED + 3]);
  slow.close();
  quick.close();
  assert.deepEqual([hub.size, hub.wants('ended'), slow.queued], [0, false, 0]);
});

test('media lost and returned, and statistics once a second, only while somebody asks', () => {
  const bench = new Bench();
  bench.offer('a', plainAnswer(4000));
  bench.answer('a', 'b', plainAnswer(5000));
  const hub = new EventHub();
  const watch = new EventWatch({ hub, book: bench.book, statisticsOf: (call) => ({ legs: call.legs.length }) });
  let nowMs = 10_000;
  watch.handleSubscribers(nowMs);
  assert.equal(watch.nextTimeout(), undefined);
  const subscription = hub.subscribe(all, () => {});
  watch.handleSubscribers(nowMs);
  assert.equal(watch.nextTimeout(), nowMs + WATCH_MS);
  const second = () => {
    nowMs += WATCH_MS;
    watch.handleTimeout(nowMs);
  };
  const step = () => {
    second();
    return drain(subscription).filter((e) => e.kind !== 'statistics');
  };
  second();
  assert.deepEqual(drain(subscription), [{ kind: 'statistics', callId: 'call', statistics: { legs: 2 } }]);
  const [a, b] = bench.book.find('call')!.legs.map((leg) => leg.transports()[0]!);
  a!.lastInMs = nowMs;
  for (let i = 1; i < LOST_MS / WATCH_MS; i++) assert.deepEqual(step(), []);
  assert.deepEqual(step(), [{ kind: 'media-lost', callId: 'call', tag: 'a', silentMs: LOST_MS }]);
  assert.deepEqual(step(), [], 'said once; the peer that never spoke has lost nothing');
  b!.lastInMs = nowMs;
  a!.lastInMs = nowMs;
  assert.deepEqual(step(), [{ kind: 'media-returned', callId: 'call', tag: 'a' }]);
  // Whoever holds is silent on purpose.
  bench.offer('a', plainAnswer(4000).replace('a=sendrecv', 'a=inactive'), { toTag: 'b' });
  for (let i = 0; i < 8; i++) assert.deepEqual(step(), []);
  subscription.close();
  watch.handleSubscribers(nowMs);
  assert.equal(watch.nextTimeout(), undefined);
  bench.end();
});

test('many calls are told of in turns, each once a second', () => {
  const bench = new Bench({ maxCalls: 100 });
  const ids = Array.from({ length: 50 }, (_, i) => `c${i}`);
  for (const callId of ids) bench.offer('a', plainAnswer(4000), { callId });
  const hub = new EventHub();
  const watch = new EventWatch({ hub, book: bench.book, statisticsOf: () => ({}) });
  const told: { readonly callId: string; readonly atMs: number }[] = [];
  let nowMs = 0;
  const subscription = hub.subscribe({ ...all, kinds: new Set(['statistics']) }, () => {
    for (const { callId } of drain(subscription)) told.push({ callId, atMs: nowMs });
  });
  watch.handleSubscribers(0);
  for (let turns = 0; turns < 2; ) {
    nowMs = watch.nextTimeout()!;
    const before = told.length;
    watch.handleTimeout(nowMs);
    assert.ok(told.length - before <= 3, 'a few at a time');
    if (nowMs >= 2000) turns++;
    if (nowMs === 1100) assert.ok(bench.book.delete('c49', undefined)); // its turn doesn't come
  }
  const first = told.filter(({ atMs }) => atMs < 2000).map(({ callId }) => callId);
  assert.deepEqual(first, ids.slice(0, 49));
  assert.equal(told.find(({ atMs }) => atMs >= 2000)?.callId, 'c0');
  bench.end(...ids.slice(0, 49));
});

test('names from outside are counted within bounds', () => {
  const names = new NameCounts();
  for (let i = 0; i < 200; i++) names.add(`name-${i}`);
  names.add('name-3');
  names.add('x'.repeat(500));
  const counts = names.toObject();
  assert.deepEqual([Object.keys(counts).length, counts['name-3'], counts['(others)']], [65, 2, 137]);
});
