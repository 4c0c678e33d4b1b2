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
  const identity = (sip: object) => signalingConfigProblems({ ...good, sip: { ...good.sip, ...sip } });
  const bearer = { issuer: 'i', audience: 'a', jwks: '/keys.json', authzServer: 'https://login.example.org/' };
  assert.deepEqual(
    identity({ digest: { tls: 'SHA-256' }, edges: ['192.0.2.7', '::1'], bearer, challenge: 'bearer' }),
    [],
  );
  assert.deepEqual(
    identity({
      digest: { tls: 'SHA-1', sctp: 'MD5' },
      edges: ['edge.example.org'],
      challenge: 'bearer',
      bearer: { algorithms: ['HS256'], authzServer: 'http://x' },
    }).map((words) => words.split(':', 1)[0]),
    [
      ...['sip.digest.tls', 'sip.digest.sctp', 'sip.edges'],
      ...['sip.bearer.issuer', 'sip.bearer.audience', 'sip.bearer.jwks', 'sip.bearer.algorithms'],
      'sip.bearer.authzServer',
    ],
  );
  assert.deepEqual(identity({ edges: 'x', challenge: 'bearer' }), [
    'sip.edges: a list of addresses is needed',
    'sip.challenge: bearer needs sip.bearer.authzServer',
  ]);
  const half = { ...good, tls: { folder: '/tmp/x', cert: 'a.pem' } };
  assert.deepEqual(signalingConfigProblems(half), ['tls.cert and tls.key: both or none']);
  const empty = { part: 'signaling', runDir: '', configHash: '' } as unknown as SignalingConfig;
  assert.ok(signalingConfigProblems(empty).length > 8, 'no key at all is no crash');
});
