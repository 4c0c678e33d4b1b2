import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { EventFeed } from './event-feed.ts';

interface Request {
  readonly headers: Record<string, string>;
  readonly signal: AbortSignal;
  answer(status: number): Promise<void>;
  send(text: string): Promise<void>;
  end(): Promise<void>;
}

class Bench {
  readonly requests: Request[] = [];
  readonly seen: string[] = [];
  session: string | undefined = 's1';
  lastId: string | undefined;
  nowMs = 0;
  readonly feed: EventFeed;
  #timers: { atMs: number; callback: () => void }[] = [];

  constructor() {
    this.feed = new EventFeed({
      fetch: (_path, init) => this.#open(init),
      session: () => this.session,
      lastId: () => this.lastId,
      event: (event, id) => this.seen.push(`${event.kind} ${id}`),
      live: (isLive) => this.seen.push(isLive ? 'live' : 'not live'),
      now: () => this.nowMs,
      random: () => 0.5,
      after: (ms, callback) => {
        const timer = { atMs: this.nowMs + ms, callback };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((t) => t !== timer);
        };
      },
    });
  }

  get request(): Request {
    return this.requests.at(-1)!;
  }

  get timers(): number {
    return this.#timers.length;
  }

  async advance(ms: number): Promise<void> {
    this.nowMs += ms;
    for (const timer of this.#timers.filter((t) => t.atMs <= this.nowMs)) {
      this.#timers = this.#timers.filter((t) => t !== timer);
      timer.callback();
    }
    await setImmediate();
  }

  #open(init: RequestInit): Promise<Response> {
    return new Promise((resolve, reject) => {
      let controller: ReadableStreamDefaultController<Uint8Array>;
      const body = new ReadableStream<Uint8Array>({
        start: (c) => {
          controller = c;
        },
      });
      const { signal } = init;
      signal!.addEventListener('abort', () => {
        reject(signal!.reason);
        controller.error(signal!.reason);
      });
      this.requests.push({
        headers: init.headers as Record<string, string>,
        signal: signal!,
        answer: async (status) => {
          resolve(new Response(status === 200 ? body : null, { status }));
          await setImmediate();
        },
        send: async (text) => {
          controller.enqueue(new TextEncoder().encode(text));
          await setImmediate();
        },
        end: async () => {
          controller.close();
          await setImmediate();
        },
      });
    });
  }
}

test('events are told as they come, and after a loss the feed goes on where it stopped', async () => {
  const bench = new Bench();
  bench.feed.want(true);
  assert.equal(bench.request.headers.authorization, 'Bearer s1');
  assert.equal(bench.request.headers['last-event-id'], undefined);
  await bench.request.answer(200);
  await bench.request.send(': watching\n\nid: n-1-7\nevent: registration\nda');
  await bench.request.send('ta: {}\n\nid: n-1-8\nevent: unknown\ndata: {}\n\n');
  assert.deepEqual(bench.seen, ['live', 'registration n-1-7']);
  await bench.request.end();
  assert.equal(bench.seen.at(-1), 'not live');
  await bench.advance(150);
  assert.equal(bench.requests.length, 2);
  assert.equal(bench.request.headers['last-event-id'], 'n-1-8');
});

test('a new page goes on where the last one stopped, another account does not', async () => {
  const bench = new Bench();
  bench.lastId = 'n-1-3';
  bench.feed.want(true);
  assert.equal(bench.request.headers['last-event-id'], 'n-1-3');
  await bench.request.answer(200);
  await bench.request.send('id: n-1-4\nevent: incomplete\ndata: {}\n\n');
  bench.lastId = undefined;
  bench.feed.reset();
  bench.feed.want(true);
  assert.equal(bench.request.headers['last-event-id'], undefined);
});

test('silence is a loss, a sign of life is not', async () => {
  const bench = new Bench();
  bench.feed.want(true);
  await bench.request.answer(200);
  await bench.advance(30_000);
  await bench.request.send(': alive\n\n');
  await bench.advance(30_000);
  assert.equal(bench.request.signal.aborted, false);
  await bench.advance(10_000);
  assert.equal(bench.request.signal.aborted, true);
  await bench.advance(150);
  assert.equal(bench.requests.length, 2);
});

test('a server that breaks off each time is asked less and less often', async () => {
  const bench = new Bench();
  bench.feed.want(true);
  for (let i = 0; i < 12; i++) {
    await bench.request.answer(i % 2 ? 429 : 200);
    if (i % 2 === 0) await bench.request.end();
    await bench.advance(30_000);
  }
  const asked = bench.requests.length;
  await bench.request.answer(503);
  await bench.advance(15_000);
  assert.equal(bench.requests.length, asked);
  await bench.advance(5_000);
  assert.equal(bench.requests.length, asked + 1);
});

test('an older server, or an ended session, is left alone until asked anew', async () => {
  for (const status of [401, 404]) {
    const bench = new Bench();
    bench.feed.want(true);
    await bench.request.answer(status);
    await bench.advance(600_000);
    bench.feed.want(true);
    assert.equal(bench.requests.length, 1);
    bench.feed.want(false);
    bench.feed.want(true);
    assert.equal(bench.requests.length, 2);
  }
});

test('a page that is hidden lets go, and nothing is left behind', async () => {
  const bench = new Bench();
  bench.feed.want(true);
  await bench.request.answer(200);
  bench.feed.want(false);
  await setImmediate();
  assert.deepEqual([bench.request.signal.aborted, bench.timers, bench.seen.at(-1)], [true, 0, 'not live']);
  bench.feed.want(false);
  await bench.advance(600_000);
  assert.equal(bench.requests.length, 1);
});
