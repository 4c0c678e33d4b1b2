import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Peer, plainSdp } from '../test-kit.ts';
import { TestRelay } from '../test-relay.ts';
import { WarningLog } from './warning-log.ts';

test('a warning is logged once per text and hour, no more than twenty a minute, without control characters', () => {
  const lines: string[] = [];
  const log = new WarningLog((line) => lines.push(line));
  const add = (words: string, nowMs: number) => log.add({ about: 'direction', words }, nowMs);
  add('a\nforged line', 0);
  add('a\nforged line', 1);
  assert.deepEqual(lines, ['answered with a warning: a?forged line']);
  for (let i = 0; i < 1000; i++) add(`name ${i}`, 2);
  assert.equal(lines.length, 20);
  add('name 999', 60_000);
  assert.deepEqual([lines.length, lines.at(-1)], [21, 'answered with a warning: name 999']);
  for (let minute = 2; minute < 59; minute++) for (let i = 0; i < 100; i++) add(`${minute} ${i}`, minute * 60_000);
  assert.equal(lines.length, 256);
  add('a\nforged line', 3_600_000);
  assert.equal(lines.length, 257);
  assert.equal(log.counts.direction, 2 + 1000 + 1 + 5700 + 1);
  assert.equal(log.counts['record-call'], 0);
});

test('what is asked for and not done is in the log, the metrics and statistics, whoever reads the answer', async () => {
  const lines: string[] = [];
  const relay = await TestRelay.start(
    { rtp: { interfaces: [{ name: 'inside', address: '127.0.0.1' }], portMin: 0, portMax: 0 } },
    (line) => lines.push(line),
  );
  const { ng } = relay;
  const phone = await Peer.open();
  for (const id of ['x', 'y']) {
    const answer = await ng.call({
      command: 'offer',
      'call-id': id,
      'from-tag': 'a',
      sdp: plainSdp(phone),
      'record call': 'on',
      direction: ['inside', 'lan'],
    });
    assert.match(String(answer.warning), /^there is no interface 'lan'; 'inside' is used; record-call: /);
    await ng.call({ command: 'delete', 'call-id': id });
  }
  assert.deepEqual(lines, [
    "answered with a warning: there is no interface 'lan'; 'inside' is used",
    'answered with a warning: record-call: the call is not recorded, this relay cannot record yet',
  ]);
  const metrics = relay.metrics();
  assert.equal(metrics['offhook_media_ng_warnings_total{about="record-call"}'], 2);
  assert.equal(metrics['offhook_media_ng_warnings_total{about="direction"}'], 2);
  assert.equal(metrics['offhook_media_ng_warnings_total{about="ptime"}'], 0);
  const { statistics } = await ng.call({ command: 'statistics' });
  const { warnings } = statistics as { warnings: Record<string, number> };
  assert.deepEqual([warnings['record-call'], warnings.direction, warnings.ptime], [2, 2, 0]);
  await phone.close();
  await relay.stop();
});
