import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UdpEndpoint } from '@offhook/core/node';
import fc from 'fast-check';
import { PeerPolicy } from './peer-policy.ts';
import { peerRuleProblem } from './peer-rule.ts';

const at = (address: string, port = 20_000) => UdpEndpoint.from({ address, port })!;

/** Every way to write an IPv4 address inside an IPv6 one that a router, a translator or a kernel may take apart. */
function encodings(address: string): string[] {
  const bytes = address.split('.').map(Number);
  const hex = (values: readonly number[]) =>
    [values.slice(0, 2), values.slice(2)].map(([a, b]) => ((a! << 8) | b!).toString(16)).join(':');
  const inverted = hex(bytes.map((byte) => byte ^ 255));
  return [
    address,
    `::ffff:${address}`,
    `::ffff:${hex(bytes)}`,
    `::ffff:0:${address}`, // IPv4-translated
    `::${address}`,
    `64:ff9b::${address}`,
    `64:ff9b:1::${address}`,
    `64:ff9b:1:ffff::${address}`,
    `2002:${hex(bytes)}::1`,
    `2002:${hex(bytes)}:1:2:3:4:5`,
    `2001:0:4136:e378:8000:63bf:${inverted}`, // Teredo
    `2001:4860:4860::5efe:${address}`, // ISATAP behind a public prefix
    `2001:4860:4860::200:5efe:${address}`,
    `fe80::5efe:${address}`,
    `2002:808:808::5efe:${address}`, // 6to4 of a public address, ISATAP of this one
  ];
}

/** What lies inside: this machine, its network, the cloud's metadata, and places that are nobody's. */
const INSIDE = [
  ...[
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '0.0.0.1',
    '10.0.0.1',
    '10.255.255.255',
    '100.64.0.1',
    '100.127.255.255',
  ],
  ...['169.254.169.254', '172.16.0.1', '172.31.255.255', '192.168.1.1', '192.0.0.1', '192.0.2.1', '192.31.196.1'],
  ...['192.52.193.1', '192.88.99.1', '192.175.48.1', '198.18.0.1', '198.19.255.255', '198.51.100.1', '203.0.113.1'],
  ...['224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255'],
];

/** Places nobody should be sent to, in all their encodings. */
const FORBIDDEN = [
  ...INSIDE.flatMap(encodings),
  ...['::', '::1', '::2', '::ffff:ffff', 'fe80::1', 'febf::1', 'fec0::1', 'feff::1', 'fc00::1', 'fd00::1', 'fdff::1'],
  ...['ff02::1', 'ff0e::1', '100::1', '2001:db8::1', '3fff::1', '3fff:fff::1', '5f00::1', '2001:1ff::1', '2001:2::1'],
  ...['fd00:ec2::254', '2001:10::1', '2001:20::1', '200::1', '4000::1', '8000::1', 'e000::1', '1fff:ffff::1'],
];
const PUBLIC = [
  '8.8.8.8',
  '1.1.1.1',
  '11.0.0.1',
  '172.32.0.1',
  '2001:4860:4860::8888',
  '2a00:1450:4001::1',
  '2001:200::1',
];

const allowing = (...addresses: string[]) =>
  new PeerPolicy({ base: 'none', allow: addresses.map((address) => ({ address })), deny: [] });

test('without rules nobody may be reached', () => {
  const policy = allowing();
  for (const address of [...FORBIDDEN, ...PUBLIC]) {
    assert.equal(policy.allowsEndpoint(at(address)), false, address);
    assert.equal(policy.allowsAddress(at(address)), false, address);
  }
});

for (const [name, policy] of [
  ['the base public', new PeerPolicy({ base: 'public', allow: [], deny: [] })],
  ['the widest rules', allowing('0.0.0.0/0', '::/0')],
  ['the widest ranges', allowing('0.0.0.0-255.255.255.255', '::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff')],
  ['both', new PeerPolicy({ base: 'public', allow: [{ address: '0.0.0.0/0' }, { address: '::/0' }], deny: [] })],
] as const) {
  test(`${name}: no special-purpose address is open, in none of its encodings; public ones are`, () => {
    for (const address of FORBIDDEN) {
      assert.equal(policy.allowsEndpoint(at(address)), false, address);
      assert.equal(policy.allowsAddress(at(address)), false, address);
    }
    for (const address of PUBLIC) {
      assert.ok(policy.allowsEndpoint(at(address)), address);
      assert.ok(policy.allowsAddress(at(address)), address);
      assert.equal(policy.allowsEndpoint(at(address, 0)), false, address);
    }
  });
}

test('a public address in another encoding needs a rule for that encoding', () => {
  const rules = (...allow: string[]) => allow.map((address) => ({ address }));
  const policy = (...allow: string[]) => new PeerPolicy({ base: 'public', allow: rules(...allow), deny: [] });
  for (const [address, range] of [
    ['::ffff:8.8.8.8', '::ffff:0:0/96'],
    ['64:ff9b::8.8.8.8', '64:ff9b::/96'],
    ['2002:808:808::1', '2002::/16'],
  ] as const) {
    assert.equal(policy().allowsEndpoint(at(address)), false, address);
    assert.ok(policy(range).allowsEndpoint(at(address)), address);
    const inner = new PeerPolicy({ base: 'public', allow: rules(range), deny: rules('8.8.8.8') });
    assert.equal(inner.allowsEndpoint(at(address)), false, address);
  }
  assert.ok(policy().allowsEndpoint(at('2001:4860:4860::5efe:8.8.8.8')));
});

test('deny wins over public, allow over both; ports count', () => {
  const policy = new PeerPolicy({
    base: 'public',
    allow: [{ address: '9.9.9.9', portMin: 53 }, { address: '10.1.0.0/16' }],
    deny: [{ address: '9.9.9.0/24' }, { address: '8.8.0.0-8.8.8.8', portMin: 100, portMax: 200 }],
  });
  assert.ok(policy.allowsEndpoint(at('9.9.9.9', 53)));
  assert.equal(policy.allowsEndpoint(at('9.9.9.9', 54)), false);
  assert.ok(policy.allowsAddress(at('9.9.9.9')));
  assert.equal(policy.allowsAddress(at('9.9.9.8')), false);
  assert.equal(policy.allowsEndpoint(at('8.8.4.4', 100)), false);
  assert.ok(policy.allowsEndpoint(at('8.8.4.4', 99)));
  assert.ok(policy.allowsEndpoint(at('8.8.8.9', 100)));
  assert.ok(policy.allowsAddress(at('8.8.4.4')), 'some of its ports are open');
  assert.ok(policy.allowsEndpoint(at('10.1.2.3')));
  assert.equal(policy.allowsEndpoint(at('10.2.2.3')), false);
});

test('this machine’s public addresses are nobody’s peers, unless a rule says so', () => {
  const own = ['11.0.0.1', '2a00:1450:4001::1'];
  const policy = new PeerPolicy({ base: 'public', allow: [], deny: [] }, own);
  for (const address of own) assert.equal(policy.allowsEndpoint(at(address)), false, address);
  assert.ok(policy.allowsEndpoint(at('11.0.0.2')));
  const opened = new PeerPolicy({ base: 'public', allow: [{ address: '11.0.0.1', portMin: 5000 }], deny: [] }, own);
  assert.ok(opened.allowsEndpoint(at('11.0.0.1', 5000)));
  assert.equal(opened.allowsEndpoint(at('11.0.0.1', 22)), false);
});

test('a rule for one address opens that one only, on its ports, not in another encoding', () => {
  const rule = { address: '127.0.0.1', portMin: 20_000, portMax: 20_001 };
  const policy = new PeerPolicy({ base: 'none', allow: [rule], deny: [] });
  assert.ok(policy.allowsEndpoint(at('127.0.0.1')));
  assert.ok(policy.allowsAddress(at('127.0.0.1')));
  for (const port of [0, 19_999, 20_002]) assert.equal(policy.allowsEndpoint(at('127.0.0.1', port)), false);
  for (const address of FORBIDDEN.slice(1)) assert.equal(policy.allowsEndpoint(at(address)), false, address);
});

test('a rule for ::1 opens it: it carries no IPv4 address, unlike all others of ::/96', () => {
  assert.ok(allowing('::1').allowsEndpoint(at('::1')));
  assert.equal(allowing('::/96').allowsEndpoint(at('::1')), false, 'a wider rule doesn’t');
  assert.equal(allowing('::2').allowsEndpoint(at('::2')), false);
});

test('an encoded address has to be allowed in all readings', () => {
  const onlyOuter = allowing('::ffff:0:0/96', '2002::/16');
  assert.equal(onlyOuter.allowsEndpoint(at('::ffff:127.0.0.1')), false);
  assert.equal(onlyOuter.allowsEndpoint(at('2002:7f00:1::1')), false);
  const both = allowing('::ffff:0:0/96', '127.0.0.0/8');
  assert.ok(both.allowsEndpoint(at('::ffff:127.0.0.1')));
  assert.equal(both.allowsEndpoint(at('::127.0.0.1')), false);
  const isatap = '2002:808:808::5efe:10.0.0.1';
  assert.equal(allowing('2002::/16', '8.8.8.8').allowsEndpoint(at(isatap)), false);
  assert.ok(allowing('2002::/16', '8.8.8.8', '10.0.0.1').allowsEndpoint(at(isatap)));
});

test('a narrow rule opens part of a special range, a wider one doesn’t; some are never opened', () => {
  assert.ok(allowing('10.1.0.0/16').allowsEndpoint(at('10.1.2.3')));
  assert.ok(allowing('10.1.0.0-10.1.2.3').allowsEndpoint(at('10.1.2.3')));
  assert.equal(allowing('10.1.0.0/16').allowsEndpoint(at('10.2.0.1')), false);
  assert.equal(allowing('10.1.0.0-10.1.2.3').allowsEndpoint(at('10.1.2.4')), false);
  for (const wide of ['0.0.0.0/4', '9.0.0.0-10.255.255.255'])
    assert.equal(allowing(wide).allowsEndpoint(at('10.1.2.3')), false);
  const never = ['0.0.0.0', '224.0.0.1', '255.255.255.255', '::', 'ff02::1'];
  for (const address of never) assert.equal(allowing(...never).allowsEndpoint(at(address)), false, address);
});

test('IPv6 prefixes and ranges that end inside a word', () => {
  const policy = allowing('2a00:1450:4000::/37', '2a00:1450::1:2-2a00:1450::2:1');
  assert.ok(policy.allowsEndpoint(at('2a00:1450:47ff:ffff::1')));
  assert.equal(policy.allowsEndpoint(at('2a00:1450:4800::1')), false);
  for (const inside of ['2a00:1450::1:2', '2a00:1450::1:ffff', '2a00:1450::2:0', '2a00:1450::2:1'])
    assert.ok(policy.allowsEndpoint(at(inside)), inside);
  for (const outside of ['2a00:1450::1:1', '2a00:1450::2:2'])
    assert.equal(policy.allowsEndpoint(at(outside)), false, outside);
});

test('a question costs no memory', () => {
  const policy = new PeerPolicy({
    base: 'public',
    allow: [{ address: '::ffff:0:0/96' }],
    deny: [{ address: '9.0.0.0/8' }],
  });
  const words = new Uint32Array([0, 0, 0xffff, 0x08080808]);
  const ask = (times: number) => {
    let yes = 0;
    for (let i = 0; i < times; i++) if (policy.allows(6, words, 0, 1 + (i & 1023))) yes++;
    return yes;
  };
  // Until V8 has optimised it, which another thread does when it gets to it, numbers are boxed: the least of many rounds counts.
  let each = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 100; round++) {
    const before = process.memoryUsage().heapUsed;
    assert.equal(ask(20_000), 20_000);
    const bytes = process.memoryUsage().heapUsed - before;
    if (bytes >= 0) each = Math.min(each, bytes / 20_000); // else it was collected meanwhile
  }
  assert.ok(each < 4, `${each} bytes for each question`);
});

const BAD_RANGES = [
  '10.0.0.2-10.0.0.1',
  '10.0.0.1-',
  '-10.0.0.1',
  '10.0.0.1-::1',
  '10.0.0.0/8-10.0.0.1',
  '1.1.1.1-1.1.1.2-1.1.1.3',
];

test('a rule that can’t be read is said, not skipped', () => {
  for (const address of [
    '',
    '10.0.0.0/33',
    '10.0.0.1/8',
    '10.0.0',
    'example.org',
    '::/129',
    '10.0.0.0/8 # comment',
    ...BAD_RANGES,
  ]) {
    assert.ok(peerRuleProblem({ address }), address);
  }
  assert.ok(peerRuleProblem({ address: '10.0.0.1', portMin: 5, portMax: 4 }));
  assert.ok(peerRuleProblem({ address: '10.0.0.1', portMin: 0 }));
  for (const address of ['10.0.0.0/8', '10.0.0.1', '10.0.0.0-10.255.255.255', '::-::ffff', 'fe80::/10'])
    assert.equal(peerRuleProblem({ address, portMin: 5 }), undefined);
});

test('any IPv6 address that embeds a loopback address stays forbidden under an IPv6 rule for everything', () => {
  const policy = allowing('::/0', '::/1', '2002::/16');
  fc.assert(
    fc.property(fc.nat(0xffffff), fc.constantFrom('::ffff:', '::', '64:ff9b::'), (host, prefix) => {
      const v4 = `127.${host >> 16}.${(host >> 8) & 255}.${host & 255}`;
      assert.equal(policy.allowsEndpoint(at(`${prefix}${v4}`)), false);
    }),
  );
});
