import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SignalingConfig, signalingConfigProblems } from './config.ts';

const good: SignalingConfig = {
  part: 'signaling',
  runDir: '/tmp/x',
  configHash: '',
  dataDir: '/tmp/x',
  domain: 'offhook.local',
  sip: { udp: [{ address: '127.0.0.1', port: 5060 }], tcp: [] },
  http: { addresses: ['127.0.0.1', '::1'], port: 8080, webRoot: '/tmp/x' },
  media: { relays: ['udp:127.0.0.1:2223'], path: 'opaque' },
  turn: { uris: [], secret: '', ttlS: 0 },
  sessionSecret: 's'.repeat(16),
  nonceSecret: 's'.repeat(16),
};

test('a good configuration has no problems, a bad one all of them at once, in words', () => {
  assert.deepEqual(signalingConfigProblems(good), []);
  const bad = {
    ...good,
    dataDir: '',
    domain: 'not a host',
    sip: {
      udp: [{ address: 'localhost', port: 70_000 }],
      tcp: 'no',
      tls: [{ address: 'y', port: 5061 }],
      digest: 'SHA-1',
    },
    http: { addresses: ['x'], port: -1, tlsPort: 70_000, webRoot: '', allowedOrigins: ['https://phone.example.org/'] },
    media: { relays: ['tcp:1'], path: 'direct' },
    turn: { uris: ['turn:x'], secret: '', ttlS: 1 },
    sessionSecret: 'short',
    nonceSecret: undefined,
  } as unknown as SignalingConfig;
  const names = signalingConfigProblems(bad).map((words) => words.split(':', 1)[0]);
  assert.deepEqual(names, [
    ...['dataDir', 'domain', 'sip.udp', 'sip.udp', 'sip.tcp', 'sip.tls', 'sip.digest', 'http', 'http', 'http.tlsPort'],
    ...['tls', 'http.webRoot'],
    ...[
      'http.allowedOrigins',
      'media.relays',
      'media.path',
      'turn.secret',
      'turn.ttlS',
      'sessionSecret',
      'nonceSecret',
    ],
  ]);
  const half = { ...good, tls: { folder: '/tmp/x', cert: 'a.pem' } };
  assert.deepEqual(signalingConfigProblems(half), ['tls.cert and tls.key: both or none']);
  const empty = { part: 'signaling', runDir: '', configHash: '' } as unknown as SignalingConfig;
  assert.ok(signalingConfigProblems(empty).length > 8, 'no key at all is no crash');
});
