import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { DEFAULT_LIMITS } from '@offhook/turn';
import { configProblems, homeOf, loadConfig } from './config.ts';
import { ConfigError } from './config-error.ts';
import { findData } from './find-data.ts';
import { liveSecrets, loadSecrets, rotateTurnSecret } from './secrets.ts';

const folder = mkdtempSync(join(tmpdir(), 'oh-config-'));

/** Limits that nobody has to set. */
const LEFT_ALONE = ['unauthenticatedBurst', 'connectionIdleS'];

after(() => rmSync(folder, { recursive: true, force: true }));

test('without a file every key has its default, and the data folder is ./data', () => {
  assert.deepEqual(loadConfig({}, folder, folder), {
    data: join(folder, 'data'),
    public: false,
    domain: 'offhook.local',
    http: { port: 8080, tlsPort: 8443, allowedOrigins: [] },
    sip: { port: 5060, tlsPort: 5061, edges: [], challenge: 'digest', bans: true },
    tls: { names: [] },
    groups: {},
    trunks: {},
    media: {
      path: 'opaque',
      encryption: 'optional',
      workers: 1,
      muxPort: 20000,
      rtpPorts: { min: 20100, max: 29999 },
      timeoutS: 60,
    },
    demoAccounts: true,
    turn: {
      enabled: true,
      port: 3478,
      tlsPort: 5349,
      tcp: true,
      tls: true,
      workers: 1,
      relayPorts: { min: 49152, max: 65535 },
      peers: 'relay',
      allowedPeers: [],
      deniedPeers: [],
      sha256: true,
      natDiscovery: false,
      strictExpiry: false,
      ipv6Addresses: [],
      limits: Object.fromEntries(Object.entries(DEFAULT_LIMITS).filter(([name]) => !LEFT_ALONE.includes(name))),
      gatherUs: 500,
      credentialTtlS: 43200,
    },
  });
});

const WRONG: readonly [unknown, readonly RegExp[]][] = [
  [{ htp: {} }, [/^unknown key 'htp' \(did you mean 'http'\?\)$/]],
  [{ http: { prot: 1 } }, [/^unknown key 'prot' in http \(did you mean 'port'\?\)$/]],
  [{ colour: 'red' }, [/^unknown key 'colour' \(known are: data, public, domain,/]],
  [{ http: { port: '8080' } }, [/^http\.port has to be a whole number, not "8080"$/]],
  [{ http: { port: 65536 } }, [/^http\.port has to be at most 65535, and is 65536$/]],
  [{ sip: { port: -1 } }, [/^sip\.port has to be at least 0, and is -1$/]],
  [{ sip: { digest: 'SHA-1' } }, [/^sip\.digest has to be "MD5" or "SHA-256" or an object/]],
  [{ sip: { edges: ['edge.example'] } }, [/^sip\.edges: 'edge\.example' is no IP address$/]],
  [{ sip: { challenge: 'bearer' } }, [/^sip\.challenge: bearer needs sip\.bearer\.authzServer/]],
  [
    { sip: { bearer: { issuer: 'i', audience: 'a', jwks: 'k', authzServer: 'http://x' } } },
    [/^sip\.bearer\.authzServer/],
  ],
  [{ sip: { bearer: { issuer: 'i' } } }, [/audience/, /jwks/]],
  [{ sip: 5060 }, [/^sip has to be an object, \{ … \}, not 5060$/]],
  [{ media: { path: 'magic' } }, [/^media\.path has to be one of "opaque", "terminated", "none", not "magic"$/]],
  [{ media: { workers: 'two' } }, [/^media\.workers has to be a whole number from 1 to 64 or "auto", not "two"$/]],
  [{ media: { rtpPorts: { min: 300, max: 200 } } }, [/^media\.rtpPorts: min 300 is above max 200$/]],
  [{ media: { rtpPorts: { min: 0, max: 200 } } }, [/^media\.rtpPorts: min 0 \(any free port\) needs max 0 too$/]],
  [{ media: { workers: 8, rtpPorts: { min: 20000, max: 20009 } } }, [/too few for 8 workers/]],
  [{ media: { relays: ['localhost:2223'] } }, [/^media\.relays\[0\].*udp:192\.0\.2\.7:2223/]],
  [{ media: { workers: 4, ngTcpPort: 65533 } }, [/^media\.ngTcpPort: the last worker's port would be 65536$/]],
  [{ media: { ngWebSocketPort: '2225' } }, [/^media\.ngWebSocketPort has to be a whole number, not "2225"$/]],
  [
    {
      media: {
        rtpInterfaces: [
          { name: 'pub', address: 'host.example' },
          { name: 'priv', address: '10.0.0.1', advertised: '2001:db8::1' },
        ],
      },
    },
    [
      /^media\.rtpInterfaces\[0\]: 'host\.example' is no IP address$/,
      /^media\.rtpInterfaces\[1\]: '2001:db8::1' is no IPv4 address as 10\.0\.0\.1 is$/,
    ],
  ],
  [{ media: { workers: 4, muxPort: 65534 } }, [/^media\.muxPort: the last worker's port would be 65537$/]],
  [
    { hostAddresses: ['nowhere'] },
    [/^hostAddresses\[0\] has to be an IPv4 address like 192\.0\.2\.10, not "nowhere"$/],
  ],
  [{ http: { allowedOrigins: ['https://a.example/x'] } }, [/^http\.allowedOrigins\[0\].*without a path/]],
  [{ listen: ['localhost'] }, [/^listen: 'localhost' is no IP address$/]],
  [{ tls: { cert: 'a.pem' } }, [/^tls\.key is missing: a certificate and its key belong together$/]],
  [{ domain: 'two words' }, [/^domain: "two words" has not the right form/]],
  [
    {
      trunks: {
        'a b': { targets: ['sip:x'], callerId: '1' },
        p: {},
        q: { targets: ['tel:1'], maxcalls: 1, callerId: '1' },
      },
    },
    [
      /^trunks: 'a b' is no name \(letters/,
      /^trunks\.p: 'targets' is missing$/,
      /^trunks\.q\.targets\[0\]: what is there has not the right form \(a SIP URI like/,
      /^unknown key 'maxcalls' in trunks\.q \(did you mean 'maxCalls'\?\)$/,
    ],
  ],
  [
    {
      trunks: {
        p: { targets: ['sip:x'], register: { user: 'u' }, tls: { cert: 'c' } },
        q: { targets: ['sip:x'], optionsS: 2 },
      },
    },
    [
      /^trunks\.p\.register: password or passwordFile, one of both is needed$/,
      /^trunks\.p\.tls: a certificate and its key/,
      /^trunks\.q: callerId is needed/,
      /^trunks\.q\.optionsS has to be at least 5/,
    ],
  ],
  [
    {
      trunks: {
        p: { targets: ['sip:x'], register: { user: 'u', password: 1234567 } },
        q: { targets: ['sip:x'], register: 'hunter2' },
      },
    },
    [
      /^trunks\.p\.register\.password has to be a text in quotes, not what is there$/,
      /^trunks\.q\.register has to be an object, \{ … \}, not what is there$/,
    ],
  ],
  [
    { turn: { allowedPeers: ['10.0.0.1/8'] } },
    [/^turn\.allowedPeers: '10\.0\.0\.1\/8' is no peer: an address, a prefix/],
  ],
  [
    { turn: { allowedPeers: ['8.8.8.8:0', '8.8.8.8:9-5'] } },
    [/'8\.8\.8\.8:0': ports are 1/, /'8\.8\.8\.8:9-5': ports/],
  ],
  [{ turn: { deniedPeers: ['8.8.8.8'] } }, [/^turn\.deniedPeers says nothing with turn\.peers "relay"/]],
  [{ turn: { port: 443, tlsPort: 443 } }, [/^turn\.port and turn\.tlsPort are both 443: TCP and TLS need a port each/]],
  [{ turn: { peers: 'all' } }, [/^turn\.peers has to be one of "relay", "public", not "all"$/]],
  [{ turn: { external: 'turn.example.org' } }, [/^turn\.external: 'turn\.example\.org' is no IPv4 address/]],
  [{ turn: { external: 7 } }, [/^turn\.external has to be a text in quotes or an object/]],
  [
    { hostAddresses: ['10.0.0.5'], turn: { external: { '10.0.0.6': '11.0.0.1', '10.0.0.5': 'x' } } },
    [/10\.0\.0\.6 is none of hostAddresses/, /turn\.external of 10\.0\.0\.5: 'x' is no IPv4/],
  ],
  [{ turn: { alternateServer: '192.0.2.7' } }, [/^turn\.alternateServer: '192\.0\.2\.7' is no address and port/]],
  [{ turn: { natDiscovery: true, port: 0 } }, [/needs public, and two addresses/, /and the port after it/]],
  [{ turn: { workers: 'all' } }, [/^turn\.workers has to be a whole number from 1 to 64 or "auto"/]],
  [
    { turn: { limits: { allocation: 5 } } },
    [/^unknown key 'allocation' in turn\.limits \(did you mean 'allocations'\?\)$/],
  ],
  [{ turn: { limits: { channels: 0 } } }, [/^turn\.limits\.channels has to be at least 1, and is 0$/]],
  [{ public: 'yes' }, [/^public has to be true or false, not "yes"$/]],
  [
    { htp: {}, sip: { port: 'x' }, turn: { port: 70000 } },
    [/unknown key 'htp'/, /sip\.port has to be a whole number/, /turn\.port has to be at most 65535/],
  ],
];

for (const [config, wanted] of WRONG) {
  test(`${JSON.stringify(config)} is refused in words`, () => {
    const problems = configProblems(structuredClone(config));
    assert.equal(problems.length, wanted.length, problems.join('\n'));
    for (const words of wanted)
      assert.ok(
        problems.some((problem) => words.test(problem)),
        problems.join('\n'),
      );
  });
}

test('what a schema can’t say is told together with what it says, and nothing that only follows from that', () => {
  const problems = configProblems({
    public: 'yes',
    http: { port: 'abc' },
    tls: { cert: 'a.pem', key: 7 },
    media: { rtpPorts: { min: 5000, max: 4000 } },
    turn: {
      workerz: 2,
      relayPorts: { min: 50_000, max: 40_000 },
      allowedPeers: ['10.0.0.0/99', 7, 'fd00::7:5000'],
      external: 'not-an-ip',
      ipv6Addresses: ['foo'],
      http: '9641',
    },
  });
  const subjects = problems.map((words) => words.split(/[:\s]/)[0]);
  assert.deepEqual(
    subjects.sort(),
    [
      'http.port',
      'media.rtpPorts',
      'public',
      'tls.key',
      'turn.allowedPeers',
      'turn.allowedPeers[1]',
      'turn.external',
      'turn.http',
      'turn.ipv6Addresses',
      'turn.relayPorts',
      'unknown',
    ].sort(),
    problems.join('\n'),
  );
  for (const config of [7, null, [], 'x']) assert.equal(configProblems(config).length, 1);
});

test('flags win over the file; the file’s data folder is relative to the file, the flag’s to the shell', () => {
  const path = join(folder, 'other.json');
  writeFileSync(
    path,
    JSON.stringify({ data: 'here', http: { port: 1 }, sip: { port: 7 }, tls: { cert: 'c.pem', key: '/k' } }),
  );
  const plain = loadConfig({ config: path }, '/');
  assert.equal(plain.data, join(folder, 'here'));
  assert.deepEqual(plain.tls, { cert: join(folder, 'c.pem'), key: '/k', names: [] });
  const flagged = loadConfig({ config: 'other.json', data: 'there', port: '0', public: true }, folder);
  assert.deepEqual(
    [flagged.data, flagged.http.port, flagged.sip.port, flagged.public],
    [join(folder, 'there'), 0, 7, true],
  );
});

test('routes are those that are named, relative to the file, or routes.ts beside it', () => {
  const home = join(folder, 'routed');
  mkdirSync(home);
  const path = join(home, 'offhook.config.json');
  writeFileSync(path, '{}');
  assert.equal(loadConfig({}, home).routes, undefined);
  writeFileSync(join(home, 'routes.ts'), '');
  assert.equal(loadConfig({}, home).routes, join(home, 'routes.ts'));
  writeFileSync(path, JSON.stringify({ routes: 'ours/plan.mts' }));
  assert.equal(loadConfig({}, home).routes, join(home, 'ours/plan.mts'));
  assert.match(configProblems({ routes: '' }).join(), /routes must not be empty/);
});

test('a file that is not there, not JSON or not an object, and a port that is none', () => {
  const refused = (flags: object, words: RegExp) =>
    assert.throws(
      () => loadConfig(flags, folder),
      (error) => error instanceof ConfigError && words.test(error.message),
    );
  refused({ config: 'missing.json' }, /missing\.json: there is no such file/);
  writeFileSync(join(folder, 'broken.json'), '{ "http": ');
  refused({ config: 'broken.json' }, /broken\.json: this is not JSON/);
  writeFileSync(join(folder, 'list.json'), '[]');
  refused({ config: 'list.json' }, /has to be one object/);
  refused({ port: 'http' }, /--port: 'http' is no port/);
  refused({ port: '65536' }, /--port: '65536' is no port/);
});

test('secrets are random, kept, private, and mended where one is missing', () => {
  const data = join(folder, 'secrets');
  const first = loadSecrets(data);
  const path = join(data, 'secrets.json');
  assert.deepEqual(loadSecrets(data), first);
  assert.equal(new Set(Object.values(first).flat()).size, 4);
  assert.equal(first.turn.length, 1);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  writeFileSync(path, JSON.stringify({ turn: first.turn[0], mine: 'kept' }));
  const mended = loadSecrets(data);
  assert.deepEqual(mended.turn, first.turn);
  assert.ok(mended.session.length >= 32 && mended.session !== first.session);
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), { ...mended, turn: mended.turn[0], mine: 'kept' });
  writeFileSync(path, 'garbage');
  assert.throws(() => loadSecrets(data), /is damaged/);
});

test('a new TURN secret comes first, the one before stays, those before it don’t', () => {
  const data = join(folder, 'rotated');
  const live = liveSecrets(data);
  const [first] = live().turn;
  const second = rotateTurnSecret(data, 0);
  assert.deepEqual(second.turn.slice(1), [first]);
  assert.deepEqual(live(), second);
  const third = rotateTurnSecret(data, 0);
  assert.deepEqual(live(), third);
  assert.deepEqual(third.turn.slice(1), [second.turn[0]]);
  assert.equal(third.turn.length, 2);
  assert.deepEqual([third.session, third.turnNonce], [second.session, second.turnNonce]);
  const path = join(data, 'secrets.json');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  writeFileSync(path, 'garbage');
  assert.deepEqual(live(), third, 'while the file is damaged, the last ones hold');
});

test('a folder with neither settings nor data of Offhook means the project’s own', () => {
  const elsewhere = join(folder, 'elsewhere');
  mkdirSync(join(elsewhere, 'data'), { recursive: true });
  assert.equal(homeOf(elsewhere, '/project'), '/project');
  assert.equal(loadConfig({}, elsewhere, folder).data, join(folder, 'data'));
  mkdirSync(join(elsewhere, 'data/run'));
  assert.equal(homeOf(elsewhere, '/project'), elsewhere);
  const configured = join(folder, 'configured');
  mkdirSync(configured);
  writeFileSync(join(configured, 'offhook.config.json'), '{}');
  assert.equal(homeOf(configured, '/project'), configured);
});

for (const [name, text, flags, data] of [
  ['an unknown key', '{ "data": "./mine", "htp": {} }', {}, 'mine'],
  ['a file that is not JSON', '{ "data": ', {}, 'data'],
  ['data that is no text', '{ "data": 7 }', {}, 'data'],
  ['an unknown key, and --data', '{ "htp": {} }', { data: 'there' }, 'there'],
] as const) {
  test(`the data folder is found in spite of ${name}, and the mistake is told`, () => {
    writeFileSync(join(folder, 'mistaken.json'), text);
    const told: string[] = [];
    const found = findData({ config: 'mistaken.json', ...flags }, folder, (line) => told.push(line));
    assert.equal(found, join(folder, data));
    assert.match(
      told.join('\n'),
      /the configuration has mistakes[\s\S]*mistaken\.json: [\s\S]*Going on with the data folder/,
    );
  });
}

test('a configuration that is named and not there says nothing about the data', () => {
  assert.throws(() => findData({ config: 'missing.json' }, folder, () => {}), ConfigError);
});

test('the files of a trunk are found beside the configuration', () => {
  const at = join(folder, 'trunk.json');
  const trunk = {
    targets: ['sip:sip.provider.example;transport=tls'],
    register: { user: 'u', passwordFile: 'secret' },
    tls: { ca: 'ca.pem', verify: 'authority' },
  };
  writeFileSync(at, JSON.stringify({ trunks: { p: trunk } }));
  assert.deepEqual(loadConfig({ config: at }, folder).trunks.p, {
    ...trunk,
    register: { user: 'u', passwordFile: join(folder, 'secret') },
    tls: { ca: join(folder, 'ca.pem'), verify: 'authority' },
  });
});

test('where NG control and WebRTC media are: every mistake at once, and loopback needs no list of clients', () => {
  assert.deepEqual(
    configProblems({
      media: {
        ngAddress: '0.0.0.0',
        ngAllowedClients: [],
        muxAddresses: [7, { address: '10.0.0.7' }, 'here', { address: '10.0.0.7', advertised: '2001:db8::7' }],
      },
    }),
    [
      'media.muxAddresses[0] has to be a text in quotes or an object, { … }, not 7',
      "media.muxAddresses[1]: 'advertised' is missing",
      'media.ngAddress: whoever reaches 0.0.0.0 could command the media of all calls; name who may, by media.ngAllowedClients',
      "media.muxAddresses[0]: 'here' is no IP address",
      "media.muxAddresses[1]: '2001:db8::7' is no IPv4 address as 10.0.0.7 is",
    ],
  );
  assert.deepEqual(configProblems({ media: { ngAddress: 'relay', ngAllowedClients: ['kamailio'] } }), [
    "media.ngAddress: 'relay' is no IP address",
    "media.ngAllowedClients[0]: 'kamailio' is no IP address",
  ]);
  for (const media of [
    { ngAddress: '127.0.0.3' },
    { ngAddress: '::1' },
    { ngAddress: '10.0.0.7', ngAllowedClients: ['10.0.0.2', '2001:db8::2'], muxAddresses: ['10.0.0.7'] },
  ])
    assert.deepEqual(configProblems({ media }), []);
});

test('the configurations that the page about rtpengine shows are good', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/in-rtpengines-place.md'), 'utf8');
  const shown = [...page.matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(([, text]) => JSON.parse(text!) as unknown);
  assert.equal(shown.length, 2);
  for (const config of shown) assert.deepEqual(configProblems(config), []);
});
