import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readCoturnConf } from './reader.ts';
import { COTURN_VERSIONS, type CoturnSettings, type CoturnVersion } from './settings.ts';
import { writeCoturnConf } from './writer.ts';

const at = (address: string, port: number) => ({ address, port });

const SETTINGS: CoturnSettings = {
  listen: { udp: [at('192.0.2.2', 3478)], tcp: [at('192.0.2.2', 3478)], tls: [at('192.0.2.2', 5349)] },
  tls: { folder: '', cert: '/etc/c.pem', key: '/etc/k.pem' },
  relay: { addresses: [{ address: '192.0.2.2', external: '11.0.0.1' }], portMin: 49_152, portMax: 65_535 },
  realm: 'turn.example.org',
  secrets: ['new', 'previous'],
  peers: { base: 'public', allow: [], deny: [] },
  limits: { allocationsPerUser: 12, allocations: 4000, bytesPerS: 1_000_000 },
};

const linesOf = (settings: CoturnSettings, version: CoturnVersion = '4.6') =>
  writeCoturnConf(settings, version)
    .text.split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

test('for 4.6: hardened, ranges as it compares them, comments on lines of their own', () => {
  const lines = linesOf(SETTINGS);
  for (const line of [
    ...['listening-ip=192.0.2.2', 'listening-port=3478', 'tls-listening-port=5349', 'relay-ip=192.0.2.2'],
    ...['external-ip=11.0.0.1/192.0.2.2', 'min-port=49152', 'max-port=65535', 'realm=turn.example.org'],
    ...['use-auth-secret', 'static-auth-secret=new', 'static-auth-secret=previous', 'stale-nonce=600'],
    ...[
      'cert=/etc/c.pem',
      'pkey=/etc/k.pem',
      'no-tlsv1',
      'no-tlsv1_1',
      'no-dtls',
      'no-tcp-relay',
      'no-multicast-peers',
    ],
    ...[
      'denied-peer-ip=169.254.0.0-169.254.255.255',
      'denied-peer-ip=::1-::ffff:ffff',
      'denied-peer-ip=::100-::ffff:ffff',
    ],
    ...['denied-peer-ip=::1:0-::ffff:ffff', 'denied-peer-ip=::100:0-::ffff:ffff'],
    ...['denied-peer-ip=::ffff:0:0-::ffff:ffff:ffff', 'denied-peer-ip=64:ff9b::-64:ff9b::ffff:ffff'],
    ...['denied-peer-ip=2001::-2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff', 'allowed-peer-ip=192.0.2.2'],
    ...['allowed-peer-ip=11.0.0.1', 'user-quota=12', 'total-quota=4000', 'max-bps=1000000', 'no-rfc5780', 'no-cli'],
    ...['max-allocate-lifetime=3600', 'no-stun-backward-compatibility', 'response-origin-only-with-rfc5780'],
    ...['no-software-attribute', 'syslog'],
  ])
    assert.ok(lines.includes(line), line);
  for (const line of lines) {
    assert.doesNotMatch(line, /#|\/\d+$|=::(?:-|$)|fingerprint|lt-cred-mech|no-auth$/);
    if (line.includes('-peer-ip')) assert.doesNotMatch(line, /\//);
  }
});

test('for 4.17: what is gone is not there, what is new is', () => {
  const lines = linesOf({ ...SETTINGS, nonceSecret: 'of-the-whole-fleet' }, '4.17');
  for (const line of [
    'unauthorized-ratelimit',
    'unauthorized-ratelimit-rps=20',
    'stateless-nonce-secret=of-the-whole-fleet',
  ])
    assert.ok(lines.includes(line), line);
  assert.doesNotMatch(
    lines.join('\n'),
    /no-tlsv1|no-rfc5780|backward|response-origin|software|no-cli|no-dtls|prometheus/,
  );
  assert.ok(lines.includes('denied-peer-ip=::1-::ffff:ffff') && !lines.includes('denied-peer-ip=::100-::ffff:ffff'));
});

test('the base none denies all, and allows what the rules name', () => {
  const peers = {
    base: 'none',
    allow: [{ address: '11.2.0.0/16' }, { address: '127.0.0.1', portMin: 20_000 }],
    deny: [],
  } as const;
  const { text, notes } = writeCoturnConf({ ...SETTINGS, peers }, '4.6');
  const rules = text.split('\n').filter((line) => line.includes('-peer-ip='));
  assert.deepEqual(rules, [
    'allowed-peer-ip=192.0.2.2',
    'allowed-peer-ip=11.0.0.1',
    'allowed-peer-ip=11.2.0.0-11.2.255.255',
    'denied-peer-ip=0.0.0.0-255.255.255.255',
    'denied-peer-ip=::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  ]);
  assert.ok(notes.some((note) => /127\.0\.0\.1 port 20000: coturn lets nobody reach loopback/.test(note)));
});

test('a wide rule opens no more with coturn than with us', () => {
  const allow = [
    { address: '0.0.0.0/0' },
    { address: '64:ff9b::/96' },
    { address: '10.1.0.0/16' },
    { address: '224.0.0.1' },
  ];
  const rules = linesOf({ ...SETTINGS, peers: { base: 'none', allow, deny: [] } }).filter((line) =>
    line.startsWith('allowed'),
  );
  assert.ok(rules.includes('allowed-peer-ip=10.1.0.0-10.1.255.255'));
  assert.ok(
    rules.includes('allowed-peer-ip=1.0.0.0-9.255.255.255') &&
      rules.includes('allowed-peer-ip=11.0.0.0-100.63.255.255'),
  );
  assert.doesNotMatch(rules.join('\n'), /64:ff9b|=224|255\.255\.255\.255|=0\.0\.0\.0/);
});

test('what coturn can’t be told is said, in the text too', () => {
  const { text, notes } = writeCoturnConf(
    {
      ...SETTINGS,
      listen: { udp: [at('192.0.2.2', 0)], tcp: [at('192.0.2.2', 80)], tls: [] },
      relay: { ...SETTINGS.relay, portMin: 0, portMax: 0 },
      usersFile: 'users.json',
      alternateServer: at('192.0.2.9', 3478),
      nonceSecret: 'sixteen letters!',
      secrets: ['a\nno-auth', '=odd'],
    },
    '4.6',
  );
  for (const words of [
    ...[/one port for UDP and TCP/, /has to be a number/, /relayed ports that may be any/, /no long-term users beside/],
    ...[/alternate-server would send all/, /keeps each client’s nonce/, /packetsPerS/, /permissions of an allocation/],
    ...[/control character/],
  ]) {
    assert.ok(
      notes.some((note) => words.test(note)),
      String(words),
    );
    assert.match(text, words);
  }
  assert.doesNotMatch(text, /^no-auth/m);
  assert.match(text, /^static-auth-secret="=odd"$/m);
});

test('long-term users are written where there is no secret', () => {
  const users = [
    { name: 'alice', password: 'p:w' },
    { name: 'bob', key: 'ab'.repeat(16) },
  ];
  const lines = linesOf({ ...SETTINGS, secrets: [], users });
  assert.ok(
    lines.includes('lt-cred-mech') &&
      lines.includes('user=alice:p:w') &&
      lines.includes(`user=bob:0x${'ab'.repeat(16)}`),
  );
  assert.doesNotMatch(linesOf({ ...SETTINGS, users }).join('\n'), /user=|lt-cred-mech/);
  assert.ok(linesOf({ ...SETTINGS, secrets: [] }).includes('lt-cred-mech'), 'never anonymous');
});

const text = fc.string({ minLength: 1, maxLength: 30, unit: fc.constantFrom(...'abcXYZ019 ="#:;/+-_.é') });
const port = fc.integer({ min: 1, max: 65_534 });
const v4 = fc
  .tuple(fc.constantFrom(11, 12, 99), fc.nat(255), fc.nat(255), fc.integer({ min: 1, max: 254 }))
  .map((b) => b.join('.'));
const v6 = fc
  .tuple(fc.nat(0xfff), fc.integer({ min: 1, max: 0xffff }))
  .map(([a, b]) => `2a00:${(a + 1).toString(16)}::${b.toString(16)}`);
/** Rules in the shortest form, outside of what `public` closes anyway. */
const rule = fc.oneof(
  v4,
  v6,
  fc.tuple(fc.nat(255), fc.nat(255)).map(([a, b]) => `13.${a}.${b}.0/24`),
  fc.tuple(fc.nat(255), fc.nat(7)).map(([a, b]) => `14.0.${a}.${b}-14.1.0.9`),
  fc.integer({ min: 1, max: 0xffff }).map((a) => `2a01:${a.toString(16)}::/35`),
);
const rules = fc.uniqueArray(rule, { maxLength: 4 }).map((list) => list.map((address) => ({ address })));

function settings(version: CoturnVersion): fc.Arbitrary<CoturnSettings> {
  return fc
    .record({
      addresses: fc.uniqueArray(fc.oneof(v4, v6), { minLength: 1, maxLength: 3 }),
      udp: fc.boolean(),
      tcp: fc.boolean(),
      tls: fc.boolean(),
      port,
      tlsPort: port,
      relays: fc.uniqueArray(fc.oneof(v4, v6), { minLength: 1, maxLength: 3 }),
      external: fc.option(v4, { nil: undefined }),
      ports: fc.tuple(port, port),
      realm: text,
      secrets: fc.array(text, { maxLength: 3 }),
      users: fc.uniqueArray(
        fc.oneof(
          fc.record({ name: fc.stringMatching(/^[a-z]{1,8}$/), password: fc.stringMatching(/^[a-z1-9:#=]{1,8}$/) }),
          fc.record({ name: fc.stringMatching(/^[a-z]{1,8}$/), key: fc.stringMatching(/^[0-9a-f]{32}$/) }),
        ),
        { minLength: 1, maxLength: 3, selector: ({ name }) => name },
      ),
      base: fc.constantFrom('none', 'public'),
      allow: rules,
      deny: rules,
      limits: fc.record({
        allocationsPerUser: fc.integer({ min: 1, max: 99 }),
        allocations: fc.integer({ min: 1, max: 9999 }),
        bytesPerS: fc.integer({ min: 1, max: 1e9 }),
        ...(version === '4.17' ? { unauthenticatedPerS: fc.integer({ min: 1, max: 99 }) } : {}),
      }),
      workers: fc.option(fc.integer({ min: 1, max: 64 }), { nil: undefined }),
      nonceSecret: fc.option(fc.stringMatching(/^[a-zA-Z0-9]{16,40}$/), { nil: undefined }),
      natDiscovery: fc.boolean(),
    })
    .map((g) => {
      const on = (wanted: boolean, ports: readonly number[]) =>
        wanted ? g.addresses.flatMap((address) => ports.map((number) => at(address, number))) : [];
      const square = g.natDiscovery && g.udp && g.addresses.filter((one) => one.includes(':')).length >= 2;
      const anything = g.udp || g.tcp || g.tls;
      const listen = {
        udp: on(g.udp || !anything, square ? [g.port, g.port + 1] : [g.port]),
        tcp: on(g.tcp, [g.port]),
        // TCP and TLS are never at one port
        tls: on(g.tls, [g.tlsPort === g.port ? g.port + 1 : g.tlsPort]),
      };
      // the port stands in the file for UDP and TCP; with neither it is not told
      const external = (address: string) => (g.external && !address.includes(':') ? { external: g.external } : {});
      return {
        listen,
        ...(g.tls ? { tls: { folder: '', cert: '/etc/c.pem', key: '/etc/k.pem' } } : {}),
        relay: {
          addresses: g.relays.map((address) => ({ address, ...external(address) })),
          portMin: Math.min(...g.ports),
          portMax: Math.max(...g.ports),
        },
        realm: g.realm,
        secrets: g.secrets,
        ...(g.secrets.length > 0 ? {} : { users: g.users }),
        peers: { base: g.base, allow: g.allow, deny: g.base === 'none' ? [] : g.deny },
        limits: g.limits,
        ...(g.workers === undefined ? {} : { workers: g.workers }),
        ...(g.nonceSecret === undefined || version === '4.6' ? {} : { nonceSecret: g.nonceSecret }),
        ...(square ? { natDiscovery: true } : {}),
      } as CoturnSettings;
    });
}

for (const version of COTURN_VERSIONS) {
  test(`what is written for ${version} reads as what it was written from`, () => {
    fc.assert(
      fc.property(settings(version), (config) => {
        const read = readCoturnConf(writeCoturnConf(config, version).text);
        assert.deepEqual(read.problems, []);
        assert.deepEqual(read.unknown, []);
        assert.deepEqual(read.settings, structuredClone(config));
      }),
      { numRuns: 300 },
    );
  });
}

test('reading never throws, and never lets everybody in', () => {
  const line = fc.tuple(
    fc.constantFrom('realm', 'user', 'external-ip', 'denied-peer-ip', 'min-port', 'no-auth', 'x'),
    text,
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(line).map((lines) => lines.map((pair) => pair.join('=')).join('\n')),
      ),
      (file) => {
        const { problems, settings: read } = readCoturnConf(file, { own: ['192.0.2.2'] });
        assert.ok(problems.length > 0 || read.secrets.length + (read.users?.length ?? 0) > 0, file);
      },
    ),
  );
});

const MINIMAL = 'listening-ip=192.0.2.2\nrealm=r\nuse-auth-secret\nstatic-auth-secret=s\n';
const closest = (word: string, known: readonly string[]) => known.find((key) => key.startsWith(word.slice(0, 6)));
const reading = (more: string) => readCoturnConf(`${MINIMAL}${more}\n`, { closest });

for (const [lines, kind, words] of [
  ['no-auth', 'problems', /no-auth is refused: it lets everybody relay/],
  ['allow-loopback-peers', 'problems', /refused: it opens every service of this machine/],
  ['server-relay', 'problems', /refused: it takes packets from peers that nobody has permitted/],
  [
    'redis-userdb="ip=127.0.0.1 dbname=2"',
    'problems',
    /redis-userdb is refused: users and secrets are not read from a database/,
  ],
  ['userdb=/var/db/turndb', 'problems', /userdb is refused/],
  [
    'denied-peer-ip=10.0.0.0-10.255.255.255 # ours',
    'problems',
    /line 5: denied-peer-ip: a comment needs a line of its own/,
  ],
  ['denied-peer-ip=10.0.0.0-9.0.0.0', 'problems', /denied-peer-ip: '10\.0\.0\.0-9\.0\.0\.0' is neither/],
  ['listening-port=70000', 'problems', /listening-port=70000: a whole number is needed, from 1 to 65535/],
  ['external-ip=1.2.3.4/10.9.9.9', 'problems', /external-ip=1\.2\.3\.4\/10\.9\.9\.9: 10\.9\.9\.9 is no relay-ip/],
  ['external-ip=example.org', 'problems', /a public address is needed/],
  ['min-port=60000\nmax-port=50000', 'problems', /min-port 60000 is above max-port 50000/],
  ['cert=/c.pem', 'problems', /pkey is missing/],
  [
    'cert=/c.pem\npkey=/k.pem\nlistening-port=443\ntls-listening-port=443',
    'problems',
    /listening-port and tls-listening-port are both 443: /,
  ],
  ['no-udp\nno-tcp', 'problems', /nothing is left to listen on/],
  ['rest-api-separator=-', 'problems', /parted by ':' here, not '-'/],
  ['user=alice', 'problems', /name:password is needed/],
  ['user=alice:0x12', 'problems', /user alice: a key is MD5/],
  ['alternate-server=turn2.example.org', 'problems', /an address and a port are needed/],
  ['stateless-nonce-secret=short', 'problems', /nonceSecret: at least 16 characters/],
  ['user=1700000000:x', 'problems', /looks like a time-limited user name/],
  ['stale-nonce=3600', 'notes', /stale-nonce=3600 is not supported here: nonces are good for 600 s/],
  ['mobility', 'notes', /mobility is not supported here: a client that changes its address/],
  ['log-file=/var/log/turn.log', 'notes', /log-file is not supported here: no log of clients is written/],
  ['\tverbose', 'notes', /line 5: verbose is not supported here: no log of clients/],
  ['prometheus', 'notes', /prometheus is not supported here: figures are not had with turn serve/],
  ['cli-password=x', 'notes', /cli-password is not supported here: not had with turn serve/],
  ['max-bps=0', 'notes', /without a limit is not supported here/],
  ['', 'notes', /without denied-peer-ip coturn lets clients reach every address/],
  ['denied-peer-ip=10.0.0.0/8', 'notes', /is taken; coturn itself does not read prefixes/],
  ['allowed-peer-ip=0.0.0.0-255.255.255.255', 'notes', /opens nothing of .*10\.0\.0\.0\/8/],
  ['alternate-server=192.0.2.9:3478', 'notes', /while this server drains; coturn sends all/],
  ['user=alice:secret', 'notes', /let in beside static-auth-secret; with coturn they are not/],
  ['listenning-ip=192.0.2.3', 'unknown', /line 5: listenning-ip: nobody knows that key; is 'listening-ip' meant\?/],
] as const) {
  test(`coturn.conf: ${lines.replaceAll('\n', ', ') || 'no peer lists'} — ${kind}`, () => {
    const said = reading(lines)[kind];
    assert.ok(
      said.some((one) => words.test(one)),
      said.join('\n'),
    );
    if (kind !== 'problems') assert.deepEqual(reading(lines).problems, []);
  });
}

test('the files of the certificate are looked into where TLS is had, and the line is told', () => {
  const asked: unknown[] = [];
  const read = (more: string) =>
    readCoturnConf(`${MINIMAL}cert=/old.pem\npkey=/k.pem\ncert=/c.pem\n${more}`, {
      certificateProblem: (files) => {
        asked.push(files);
        return { key: 'cert', words: '/c.pem: there is no such file' };
      },
    }).problems;
  assert.deepEqual(read(''), ['line 7: cert: /c.pem: there is no such file']);
  assert.deepEqual(read('no-tls\n'), []);
  assert.deepEqual(asked, [{ cert: '/c.pem', pkey: '/k.pem' }]);
});

test('a file without any credentials is refused: coturn would let everybody in', () => {
  const { problems } = readCoturnConf('listening-ip=192.0.2.2\nrealm=r\n');
  assert.ok(
    problems.some((words) => /coturn would let everybody/.test(words)),
    problems.join('\n'),
  );
});

test('everything that is wrong is told at once', () => {
  const { problems, unknown, notes } = readCoturnConf('no-auth\nmin-port=x\nlistening-ip=here\nbogus\nmobility\n');
  assert.ok(
    problems.length >= 4 && unknown.length === 1 && notes.length >= 1,
    [...problems, ...unknown, ...notes].join('\n'),
  );
});

test('what is so here anyway is accepted without a word', () => {
  const silent = [
    'no-cli',
    'no-dtls',
    'no-tcp-relay',
    'no-multicast-peers',
    'fingerprint',
    'stale-nonce',
    'stale-nonce=600',
  ];
  const same = ['permission-lifetime=300', 'no-auth=0', 'mobility=no', '# a comment', '\tno-stdout-log', 'no-tlsv1'];
  const denied = 'denied-peer-ip=9.0.0.0-9.255.255.255';
  const { problems, unknown, notes } = reading([...silent, ...same, denied].join('\n'));
  assert.deepEqual([problems, unknown, notes], [[], [], []]);
});

test('without listening-ip all addresses of the machine are taken; external-ip goes to the relay of its family', () => {
  const lines = 'realm=r\nstatic-auth-secret=s\nexternal-ip=11.0.0.1\ncert /c.pem\npkey="/k.pem"\nno-tcp\n';
  const { settings: read, problems } = readCoturnConf(lines, { own: ['192.0.2.2', '2a00::1'] });
  assert.deepEqual(problems, []);
  assert.deepEqual(read.listen, {
    udp: [at('192.0.2.2', 3478), at('2a00::1', 3478)],
    tcp: [],
    tls: [at('192.0.2.2', 5349), at('2a00::1', 5349)],
  });
  assert.deepEqual(read.relay.addresses, [{ address: '192.0.2.2', external: '11.0.0.1' }, { address: '2a00::1' }]);
  assert.deepEqual(read.tls, { folder: '', cert: '/c.pem', key: '/k.pem' });
});
