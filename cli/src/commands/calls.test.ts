import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { serveAdmin } from '@offhook/core/node';
import type { LegStatistics } from '@offhook/media-relay';
import { inWords, type LiveCall } from './calls.ts';

const CALL: LiveCall = {
  id: 'c1',
  from: 'alice',
  to: 'desk',
  state: 'answered',
  media: 'terminated',
  startedSecondsAgo: 40,
  answeredSecondsAgo: 35,
};
const LEG: LegStatistics = {
  tag: 't1',
  packetsIn: 1750,
  packetsOut: 1749,
  bytesIn: 1,
  bytesOut: 1,
  roundTripMs: 12.4,
  media: [
    {
      index: 0,
      type: 'audio',
      received: { ssrc: 1, codec: 'opus', lossPercent: 0.5, jitterMs: 3.21, mos: 4.37, model: 'G.107.2' as never },
      sent: { ssrc: 2, lossPercent: 0, jitterMs: 1 },
    },
  ],
};

test('a call in words: how long, what was given up for it, and how each phone sounds', () => {
  const note = 'desk’s phone refused SRTP (488): its side of the call was not encrypted';
  assert.deepEqual(inWords([{ ...CALL, note, phones: [{ ...LEG, party: 'alice' }] }]), [
    'alice → desk  talking for 35 s',
    `  ${note}`,
    '  alice          1750 packets in, 1749 out, round trip 12 ms',
    '    from it: audio opus, 0.5 % lost, jitter 3.2 ms, MOS 4.4',
    '    to it:   audio, 0.0 % lost, jitter 1.0 ms',
  ]);
  const ringing = { ...CALL, state: 'ringing', media: 'opaque', answeredSecondsAgo: undefined };
  assert.deepEqual(inWords([ringing]), ['alice → desk  ringing for 40 s, encrypted from end to end']);
  assert.deepEqual(inWords([]), ['nobody is calling']);
});

test('a call that another program leads: its call-id and tags, which strangers choose, do a terminal no harm', () => {
  const led = { id: 'x\u001b[2J@10.0.0.2', ledBy: 'another program', relay: 'media-relay-1' } as const;
  assert.deepEqual(inWords([{ ...led, phones: [{ ...LEG, tag: 'a\u0007' }] }]).slice(0, 2), [
    'x?[2J@10.0.0.2  led by another program, at media-relay-1',
    '  a?             1750 packets in, 1749 out, round trip 12 ms',
  ]);
});

test('each second, by the relay that has the call: --watch --json', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'oh-calls-'));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  mkdirSync(join(data, 'run'));
  const status = (name: string) => () => ({ name, pid: process.pid, ports: {} });
  const asked: unknown[] = [];
  const admins = [
    await serveAdmin(join(data, 'run', 'signaling.sock'), {
      status: status('signaling'),
      calls: () => [CALL],
      relayed: () => [
        {
          id: 'c1',
          relayed: 'c1-0',
          tags: [
            { tag: 't1', party: 'alice' },
            { tag: 't2', party: 'desk' },
          ],
        },
      ],
    }),
    await serveAdmin(join(data, 'run', 'media-relay-0.sock'), {
      status: status('media-relay-0'),
      statistics: ({ calls }) => {
        asked.push(calls);
        return [];
      },
      calls: () => [],
    }),
    await serveAdmin(join(data, 'run', 'media-relay-1.sock'), {
      status: status('media-relay-1'),
      // what is asked for is told of; `gone` has ended since it was listed
      statistics: ({ calls }) =>
        (calls as string[]).flatMap((id) => (id === 'gone' ? [] : [{ id, legs: [LEG, { ...LEG, tag: 't2' }] }])),
      // a branch that only rings is signalling's too
      calls: ({ from }) => (from === 0 ? ['c1-0', 'c1-7', 'gone', 'k1'] : []),
    }),
  ];
  t.after(() => Promise.all(admins.map((admin) => admin.close())));
  const bin = join(import.meta.dirname, '../../bin/offhook.mjs');
  const child = spawn(process.execPath, [bin, 'calls', '--watch', '--json', '--data', data], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const times: number[] = [];
  for await (const line of createInterface(child.stdout)) {
    const { at, calls } = JSON.parse(line) as { at: number; calls: LiveCall[] };
    assert.deepEqual(
      calls.slice(1).map((one) => ({ ...one, phones: one.phones?.map(({ tag }) => tag) })),
      [{ id: 'k1', ledBy: 'another program', relay: 'media-relay-1', phones: ['t1', 't2'] }],
    );
    assert.deepEqual(
      calls[0]?.phones?.map(({ party, tag }) => [party, tag]),
      [
        ['alice', 't1'],
        ['desk', 't2'],
      ],
    );
    if (times.push(at) === 2) break;
  }
  child.kill();
  assert.ok(times[1]! - times[0]! >= 1000, `${times[1]! - times[0]!} ms between two`);
  assert.deepEqual(asked[0], ['c1-0']);
});

test('of a thousand calls each is asked for, and a relay that ends meanwhile is named while the rest is told', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'oh-calls-'));
  t.after(() => rmSync(data, { recursive: true, force: true }));
  mkdirSync(join(data, 'run'));
  const ids = Array.from({ length: 1001 }, (_, i) => `c${i}`);
  const tags = [{ tag: 't1', party: 'alice' }];
  const chunks: number[] = [];
  const status = (name: string) => () => ({ name, pid: process.pid, ports: {} });
  let isGone = false;
  const serve = (name: string, verbs: Parameters<typeof serveAdmin>[1]) =>
    serveAdmin(join(data, 'run', `${name}.sock`), { status: status(name), ...verbs });
  const ending = await serve('media-relay-0', {
    statistics: () => {
      isGone = true;
      void ending.close();
      return new Promise(() => {});
    },
  });
  const admins = [
    await serve('signaling', {
      calls: () => ids.map((id) => ({ ...CALL, id })),
      relayed: () => ids.map((id) => ({ id, relayed: `${id}-0`, tags })),
    }),
    await serve('media-relay-1', {
      statistics: ({ calls }) => {
        const asked = calls as string[];
        chunks.push(asked.length);
        if (asked.length > 100) throw new Error('no more than 100 calls at once');
        return asked.map((id) => ({ id, legs: [LEG] }));
      },
    }),
  ];
  t.after(() => Promise.all(admins.map((admin) => admin.close())));
  const bin = join(import.meta.dirname, '../../bin/offhook.mjs');
  const child = spawn(process.execPath, [bin, 'calls', '--json', '--data', data], { stdio: 'pipe' });
  const [said, warned, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.once('exit', resolve)),
  ]);
  assert.equal(code, 0, warned);
  assert.ok(isGone);
  assert.match(warned, /^media-relay-0 does not say how its calls sound: /);
  const told = JSON.parse(said) as LiveCall[];
  assert.equal(told.length, ids.length);
  assert.deepEqual(
    told.filter(({ phones }) => phones?.length !== 1),
    [],
  );
  assert.deepEqual(chunks, [...Array(10).fill(100), 1]);
});
