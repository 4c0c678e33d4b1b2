import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UdpEndpoint } from '@offhook/core/node';
import fc from 'fast-check';
import { PeerPolicy, peerRuleProblem } from './peer-policy.ts';

const at = (address: string, port = 20_000) => UdpEndpoint.from({ address, port })!;

/** Ways to write 127.0.0.1, 10.0.0.1 and 169.254.169.254, and places nobody should be sent to. */
const FORBIDDEN = [
  '127.0.0.1',
  '127.255.255.254',
  '0.0.0.0',
  '10.0.0.1',
  '100.64.0.1',
  '169.254.169.254',
  '172.16.0.1',
  '192.168.1.1',
  '198.18.0.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::127.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:10.0.0.1',
  '::ffff:169.254.169.254',
  '64:ff9b::127.0.0.1',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::10.0.0.1',
  '64:ff9b:1:ffff::127.0.0.1',
  '2002:7f00:1::1',
  '2002:a9fe:a9fe::1',
  '2002:a00:1::',
  '2001:0:4136:e378:8000:63bf:80ff:fffe', // Teredo, 127.0.0.1 inverted
  '2001:0:4136:e378:8000:63bf:f5ff:fffe', // Teredo, 10.0.0.1 inverted
  'fe80::1',
  'fec0::1',
  'fd00::1',
  'ff02::1',
  '100::1',
  '2001:db8::1',
];

test('without rules nobody may be reached', () => {
  const policy = new PeerPolicy({ base: 'none', allow: [], deny: [] });
  for (const address of [...FORBIDDEN, '8.8.8.8', '2001:4860:4860::8888']) {
    assert.equal(policy.allowsEndpoint(at(address)), false, address);
    assert.equal(policy.allowsAddress(at(address)), false, address);
  }
});

test('even the widest rules open no special-purpose address, in none of its encodings', () => {
  const policy = new PeerPolicy({ base: 'none', allow: [{ address: '0.0.0.0/0' }, { address: '::/0' }], deny: [] });
  for (const address of FORBIDDEN) {
    assert.equal(policy.allowsEndpoint(at(address)), false, address);
    assert.equal(policy.allowsAddress(at(address)), false, address);
  }
  for (const address of ['8.8.8.8', '2001:4860:4860::8888']) assert.ok(policy.allowsEndpoint(at(address)), address);
});

test('a rule for one address opens that one only, on its ports, not in another encoding', () => {
  const policy = new PeerPolicy({
    base: 'none',
    allow: [{ address: '127.0.0.1', portMin: 20_000, portMax: 20_001 }],
    deny: [],
  });
  assert.ok(policy.allowsEndpoint(at('127.0.0.1')));
  assert.ok(policy.allowsAddress(at('127.0.0.1')));
  for (const port of [0, 19_999, 20_002]) assert.equal(policy.allowsEndpoint(at('127.0.0.1', port)), false);
  for (const address of FORBIDDEN.slice(1)) assert.equal(policy.allowsEndpoint(at(address)), false, address);
});

test('an encoded address has to be allowed in both readings', () => {
  const onlyOuter = new PeerPolicy({
    base: 'none',
    allow: [{ address: '::ffff:0:0/96' }, { address: '2002::/16' }],
    deny: [],
  });
  assert.equal(onlyOuter.allowsEndpoint(at('::ffff:127.0.0.1')), false);
  assert.equal(onlyOuter.allowsEndpoint(at('2002:7f00:1::1')), false);
  const both = new PeerPolicy({
    base: 'none',
    allow: [{ address: '::ffff:0:0/96' }, { address: '127.0.0.0/8' }],
    deny: [],
  });
  assert.ok(both.allowsEndpoint(at('::ffff:127.0.0.1')));
  assert.equal(both.allowsEndpoint(at('::127.0.0.1')), false);
});

test('a narrow rule opens part of a special range, a wider one doesn’t; some are never opened', () => {
  assert.ok(
    new PeerPolicy({ base: 'none', allow: [{ address: '10.1.0.0/16' }], deny: [] }).allowsEndpoint(at('10.1.2.3')),
  );
  assert.equal(
    new PeerPolicy({ base: 'none', allow: [{ address: '10.1.0.0/16' }], deny: [] }).allowsEndpoint(at('10.2.0.1')),
    false,
  );
  assert.equal(
    new PeerPolicy({ base: 'none', allow: [{ address: '0.0.0.0/4' }], deny: [] }).allowsEndpoint(at('10.1.2.3')),
    false,
  );
  const never = ['0.0.0.0', '224.0.0.1', '255.255.255.255', '::', 'ff02::1'];
  const policy = new PeerPolicy(never.map((address) => ({ address })));
  for (const address of never) assert.equal(policy.allowsEndpoint(at(address)), false, address);
});

test('IPv6 prefixes that end inside a word', () => {
  const policy = new PeerPolicy({ base: 'none', allow: [{ address: '2a00:1450:4000::/37' }], deny: [] });
  assert.ok(policy.allowsEndpoint(at('2a00:1450:47ff:ffff::1')));
  assert.equal(policy.allowsEndpoint(at('2a00:1450:4800::1')), false);
});

test('a rule that can’t be read is said, not skipped', () => {
  for (const address of ['', '10.0.0.0/33', '10.0.0.1/8', '10.0.0', 'example.org', '::/129', '10.0.0.0/8 # comment']) {
    assert.ok(peerRuleProblem({ address }), address);
  }
  assert.ok(peerRuleProblem({ address: '10.0.0.1', portMin: 5, portMax: 4 }));
  assert.ok(peerRuleProblem({ address: '10.0.0.1', portMin: 0 }));
  assert.equal(peerRuleProblem({ address: '10.0.0.0/8', portMin: 5 }), undefined);
});

test('any IPv6 address that embeds a loopback address stays forbidden under an IPv6 rule for everything', () => {
  const policy = new PeerPolicy({
    base: 'none',
    allow: [{ address: '::/0' }, { address: '::/1' }, { address: '2002::/16' }],
    deny: [],
  });
  fc.assert(
    fc.property(fc.nat(0xffffff), fc.constantFrom('::ffff:', '::', '64:ff9b::'), (host, prefix) => {
      const v4 = `127.${host >> 16}.${(host >> 8) & 255}.${host & 255}`;
      assert.equal(policy.allowsEndpoint(at(`${prefix}${v4}`)), false);
    }),
  );
});
