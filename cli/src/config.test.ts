import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError, checkConfig, loadConfig } from './config.ts';

function problemsOf(value: unknown): readonly string[] {
  try {
    checkConfig(value, 'test', '/srv');
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

test('an empty configuration is complete', () => {
  const config = checkConfig({}, 'test', '/srv');
  assert.equal(config.domain, 'offhook.local');
  assert.deepEqual(config.http, { address: 'auto', port: 8080 });
  assert.deepEqual(config.sip, { address: 'auto', udp: 5060, tcp: 5060 });
  assert.equal(config.media.path, 'opaque');
  assert.deepEqual([config.media.rtpMin, config.media.rtpMax], [20100, 29999]);
  assert.equal(config.turn.realm, 'offhook.local');
  assert.equal(config.data, '/srv/data');
  assert.equal(config.demoAccounts, true);
});

test('everything that is wrong is said at once, in words', () => {
  const problems = problemsOf({
    domain: 'no good',
    htp: {},
    http: { prot: 1, port: '80', address: 'localhost' },
    media: { path: 'direct', rtpMin: 30000, rtpMax: 20000 },
    turn: { relayMin: 0 },
    workers: 2,
    public: 'yes',
    sip: 5060,
  });
  assert.deepEqual([...problems].sort(), [
    'domain: has to be a host name of letters, digits, dots and hyphens, not "no good"',
    'htp: unknown key; did you mean "http"?',
    'http.address: has to be an IP address or "auto", not "localhost"',
    'http.port: has to be a whole number from 0 to 65535, not "80"',
    'http.prot: unknown key; did you mean "http.port"?',
    'media.path: has to be "opaque" or "terminated", not "direct"',
    'media.rtpMin: 30000 is above media.rtpMax, 20000',
    'public: has to be true or false, not "yes"',
    'sip: has to be an object in braces, not 5060',
    'turn.relayMin: 0 (any port) needs turn.relayMax 0 too',
    'workers: unknown key; did you mean "media.workers"?',
  ]);
});

test('an unknown key that resembles nothing lists what is known there', () => {
  assert.deepEqual(problemsOf({ sip: { zebra: 1 } }), ['sip.zebra: unknown key; known here: address, udp, tcp']);
});

test('any port may be 0', () => {
  const zero = { ngPort: 0, muxPort: 0, rtpMin: 0, rtpMax: 0 };
  assert.deepEqual(
    problemsOf({
      http: { port: 0 },
      sip: { udp: 0, tcp: 0 },
      media: zero,
      turn: { port: 0, relayMin: 0, relayMax: 0 },
    }),
    [],
  );
});

test('each media worker needs ports', () => {
  assert.match(problemsOf({ media: { workers: 8, rtpMin: 20000, rtpMax: 20015 } })[0], /too small for 8 workers/);
});

test('files: data is relative to the file, the command line wins, broken JSON and missing files are said', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'offhook-config-'));
  t.after(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'offhook.config.json'), '{"data": "here", "http": {"port": 1}}');
  assert.equal(loadConfig(undefined, {}, dir).data, join(dir, 'here'));
  const over = loadConfig(join(dir, 'offhook.config.json'), { data: 'there', port: 0, public: true }, '/srv');
  assert.deepEqual([over.data, over.http.port, over.public], ['/srv/there', 0, true]);
  writeFileSync(join(dir, 'broken.json'), '{"data": ');
  assert.throws(() => loadConfig(join(dir, 'broken.json')), /is not valid JSON/);
  assert.throws(() => loadConfig(join(dir, 'none.json')), /can't be read/);
  assert.throws(() => loadConfig(undefined, { port: 70000 }, '/srv'), /--port/);
});
