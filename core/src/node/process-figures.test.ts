import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { processFigures, udpReceiveBufferErrors } from './process-figures.ts';

const onLinux = process.platform === 'linux' ? {} : { skip: 'only Linux tells' };

test('the figures of a process are there, and go on', () => {
  const before = processFigures();
  for (const end = performance.now() + 30; performance.now() < end; );
  const after = processFigures();
  assert.ok(after.process_cpu_seconds_total! > before.process_cpu_seconds_total!);
  assert.ok(Math.abs(after.process_start_time_seconds! + process.uptime() - Date.now() / 1000) < 1);
  assert.ok(after.nodejs_heap_size_used_bytes! > 1e6);
});

test('an open file counts', onLinux, () => {
  const before = processFigures();
  const file = openSync('/dev/null', 'r');
  assert.equal(processFigures().process_open_fds, before.process_open_fds! + 1);
  closeSync(file);
  assert.ok(before.process_max_fds! >= before.process_open_fds!);
});

test('the errors of receive buffers are numbers', onLinux, () => {
  const { ipv4, ipv6 } = udpReceiveBufferErrors();
  assert.ok(Number.isInteger(ipv4));
  assert.ok(ipv6 === undefined || Number.isInteger(ipv6));
});
