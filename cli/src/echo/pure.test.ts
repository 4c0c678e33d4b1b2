import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Admissions, ByteAllowance, SourceAllowances } from './allowance.ts';
import { listenPlan } from './listen-at.ts';
import { EchoStream, messageText, numberOf, shownText, speakerOf } from './payload.ts';
import { EchoTally, reportLines } from './tally.ts';
import { parseEchoUrl, urlOf } from './url.ts';
import { closeWords, isFingerprint, nameTroubleWords, openTrouble, upgradeTrouble } from './words.ts';

const GOOD: readonly [string, string, number, string, string][] = [
  ['udp://host:7', 'host', 7, '', 'udp://host:7'],
  ['TCP://192.0.2.1:65535/', '192.0.2.1', 65535, '', 'tcp://192.0.2.1:65535'],
  ['tls://[2001:db8::1]:1', '2001:db8::1', 1, '', 'tls://[2001:db8::1]:1'],
  ['udp://[fe80::1%25eth0]:7', 'fe80::1%eth0', 7, '', 'udp://[fe80::1%eth0]:7'],
  ['ws://example.org', 'example.org', 80, '/', 'ws://example.org:80'],
  ['wss://example.org/a?b=c#d', 'example.org', 443, '/a?b=c', 'wss://example.org:443/a?b=c'],
  ['ws://h?x', 'h', 80, '/?x', 'ws://h:80/?x'],
  ['tcp://bücher.example:7', 'xn--bcher-kva.example', 7, '', 'tcp://xn--bcher-kva.example:7'],
];

for (const [text, host, port, path, again] of GOOD)
  test(`${text} is understood`, () => {
    const target = parseEchoUrl(text);
    assert.ok(typeof target !== 'string', String(target));
    assert.deepEqual([target.host, target.port, target.path, urlOf(target)], [host, port, path, again]);
  });

const BAD: readonly [string, RegExp][] = [
  ['localhost:7007', /does not say over what: one of udp:\/\/ .* as in udp:\/\/localhost:7007$/],
  ['', /does not say over what/],
  ['http://x', /http:\/\/ is not one of .*; did you mean ws:\/\/\?/],
  ['icmp://x', /icmp:\/\/ is not one of udp:\/\/ tcp:\/\/ tls:\/\/ ws:\/\/ wss:\/\/$/],
  ['udp://host', /lacks the port: udp:\/\/host:7007 is that of 'offhook echo listen', 7 that of RFC 862/],
  ['tcp://host:0', /'0' is no port \(1–65535\)/],
  ['tcp://host:65536', /'65536' is no port/],
  ['tcp://host:7x', /'7x' is no port/],
  ['tcp://:7', /names no host/],
  ['tcp://::1:7', /an IPv6 address stands in brackets/],
  ['tcp://[1.2.3.4]:7', /'1\.2\.3\.4' is no IPv6 address/],
  ['tcp://1.2.3:7', /'1\.2\.3' is no IPv4 address/],
  ['tcp://a b:7', /'a b' is no host name/],
  ['tcp://u:p@h:7', /needs no user name/],
  ['udp://h:7/path', /udp:\/\/ has no path/],
  ['ws://h/a b', /written as %20/],
  [`ws://h/${'a'.repeat(2048)}`, /too long/],
];

for (const [text, words] of BAD)
  test(`'${text.slice(0, 30)}' is refused in words`, () => assert.match(String(parseEchoUrl(text)), words));

test('no text makes the reading of URLs throw, and what it writes it reads', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.webUrl().map((url) => url.replace(/^https?/, 'ws')),
      ),
      (text) => {
        const target = parseEchoUrl(text);
        if (typeof target !== 'string') assert.deepEqual(parseEchoUrl(urlOf(target)), target);
      },
    ),
  );
});

test('without a wish all five are opened at their usual ports; with wishes only those', () => {
  const hosts = ['127.0.0.1', '::1'];
  const all = listenPlan({}, hosts);
  assert.ok(typeof all !== 'string');
  assert.deepEqual(
    all.map(({ scheme, port, isExact }) => `${scheme} ${port} ${isExact}`),
    ['udp 7007 false', 'tcp 7007 false', 'tls 7008 false', 'ws 7080 false', 'wss 7443 false'],
  );
  assert.deepEqual(
    listenPlan({ udp: '7,[2001:db8::1]:8', ws: 'any', tcp: '192.0.2.1', tls: 'localhost:9', wss: '[::]:any' }, hosts),
    [
      { scheme: 'udp', addresses: hosts, port: 7, isExact: true },
      { scheme: 'udp', addresses: ['2001:db8::1'], port: 8, isExact: true },
      { scheme: 'tcp', addresses: ['192.0.2.1'], port: 7007, isExact: false },
      { scheme: 'tls', addresses: ['127.0.0.1'], port: 9, isExact: true },
      { scheme: 'ws', addresses: hosts, port: 0, isExact: false },
      { scheme: 'wss', addresses: ['::'], port: 0, isExact: false },
    ],
  );
  assert.match(String(listenPlan({ tcp: '7', wss: '7' }, hosts)), /^--wss: port 7 is asked for twice/);
  assert.ok(typeof listenPlan({ udp: '7', tcp: '7,192.0.2.1:7' }, hosts) !== 'string');
  const words = (wish: string) => String(listenPlan({ tcp: wish }, hosts));
  assert.match(words('65536'), /^--tcp: '65536' is no port/);
  assert.match(words('example.org:7'), /'example\.org' is a name; name an address of this machine/);
  assert.match(words('7x'), /'7x' is neither a port nor an address; name an address of this machine/);
  assert.match(words('1:2:3'), /stands in brackets/);
  assert.match(words(''), /names no host; written as 7007/);
  assert.match(words(new Array(65).fill('0').join(',')), /65 ports are too many/);
});

test('the first message is the plain greeting, later ones are numbered, all are told apart', () => {
  assert.equal(messageText(1), 'Hello, Server!');
  assert.equal(messageText(12), 'Hello, Server! 12');
  assert.equal(messageText(100_000, 24).length, 24);
  for (const size of [undefined, 24, 100]) {
    for (const n of [1, 2, 99, 100_000]) {
      const text = messageText(n, size);
      assert.equal(numberOf(text, size), n);
      assert.equal(shownText(text), messageText(n));
      assert.equal(numberOf(text.slice(0, -1), size) === n, false, 'cut');
      assert.equal(numberOf(`${text}x`, size), undefined, 'longer');
    }
  }
  assert.equal(numberOf('Hello, Client!'), undefined);
});

test('a stream’s echo is found however it is cut, and what comes before it is told apart', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 60 }), (cuts) => {
      const lines = [1, 2, 3].map((n) => messageText(n));
      const stream = new EchoStream();
      for (const line of lines) stream.expect(line);
      let rest = Buffer.from(`220 Hello, hi\n${lines.map((line) => `${line}\n`).join('')}`);
      const found: string[] = [];
      let others = 0;
      for (const cut of [...cuts, rest.length]) {
        const { messages, other } = stream.handleBytes(rest.subarray(0, cut));
        found.push(...messages);
        if (other) others++;
        rest = rest.subarray(cut);
      }
      assert.deepEqual(found, lines);
      assert.ok(others > 0);
    }),
  );
  const stream = new EchoStream();
  stream.expect('Hello, Server!');
  assert.deepEqual(stream.handleBytes(Buffer.from('HELLO, SERVER!\n')).messages, []);
  assert.equal(String(stream.handleBytes(Buffer.from('Hello, Server?\n')).other), 'Hello, Server?\n');
});

test('whoever else listens there is known by its first bytes', () => {
  assert.match(speakerOf(Uint8Array.of(0x15, 3, 3, 0, 2))!, /TLS/);
  assert.match(speakerOf(Buffer.from('HTTP/1.1 400 Bad Request'))!, /ws:\/\/ is meant/);
  assert.match(speakerOf(Buffer.from('SSH-2.0-x'))!, /SSH/);
  assert.match(speakerOf(Buffer.from('220 mail ESMTP'))!, /mail/);
  assert.equal(speakerOf(Buffer.from('Hello')), undefined);
  assert.equal(speakerOf(new Uint8Array()), undefined);
});

test('lost, doubled and overtaken ones are counted; the times are ranks of what came', () => {
  const tally = new EchoTally();
  for (let n = 1; n <= 5; n++) tally.handleSent(n, n * 10);
  assert.deepEqual(tally.handleEcho(2, 25), { kind: 'first', rttMs: 5, isReordered: false });
  assert.deepEqual(tally.handleEcho(1, 27), { kind: 'first', rttMs: 17, isReordered: true });
  assert.deepEqual(tally.handleEcho(1, 28), { kind: 'again' });
  assert.deepEqual(tally.handleEcho(9, 28), { kind: 'foreign' });
  tally.handleEcho(3, 31);
  tally.handleEcho(5, 53);
  assert.equal(tally.isComplete, false);
  const report = tally.report();
  assert.deepEqual(report, {
    sent: 5,
    received: 4,
    lost: 1,
    lostPercent: 20,
    duplicates: 1,
    reordered: 1,
    rttMs: { min: 1, median: 4, p95: 17, max: 17 },
  });
  assert.deepEqual(reportLines(report, 'unordered'), [
    '5 sent, 4 came back, 20 % lost, 1 twice, 1 out of order',
    'round trip: min 1.00, median 4.00, 95th percentile 17.0, max 17.0 ms',
  ]);
  assert.deepEqual(tally.pendingSince(39), [4]);
  assert.deepEqual(tally.pendingSince(40), []);
  tally.handleUnsent(4);
  assert.ok(tally.isComplete);
  assert.equal(tally.report().sent, 4);
});

test('of twenty the 95th percentile is the nineteenth; of nothing there is none', () => {
  const tally = new EchoTally();
  assert.equal(tally.report().rttMs, undefined);
  assert.deepEqual(reportLines(tally.report(), 'ordered'), ['0 sent, 0 came back, 0 % lost']);
  for (let n = 1; n <= 20; n++) {
    tally.handleSent(n, 0);
    tally.handleEcho(n, n);
  }
  assert.deepEqual(tally.report().rttMs, { min: 1, median: 10.5, p95: 19, max: 20 });
});

test('an allowance gives one second’s worth at once and refills; a debt is waited for', () => {
  const allowance = new ByteAllowance(1000, 0);
  assert.ok(allowance.take(1000, 0), 'at the limit');
  assert.ok(!allowance.take(1, 0), 'above');
  assert.ok(allowance.take(500, 500));
  assert.equal(allowance.spend(250, 500), 250);
  assert.equal(allowance.spend(0, 750), 0);
  assert.ok(!allowance.isFull(1749));
  assert.ok(allowance.isFull(1750));
});

test('each network has its own datagrams, small ones cost too, and the table has an end', () => {
  const sources = new SourceAllowances(640, 2);
  for (let i = 0; i < 10; i++) assert.ok(sources.take('192.0.2.1', 1, 0));
  assert.ok(!sources.take('192.0.2.1', 1, 0), 'above the rate');
  assert.ok(sources.take('2001:db8::1', 640, 0));
  assert.ok(!sources.take('2001:db8::2', 1, 0), 'one /64 is one source');
  assert.ok(!sources.take('192.0.2.3', 1, 0), 'no room');
  assert.ok(sources.take('192.0.2.3', 1, 1000), 'those that are owed nothing are forgotten');
  assert.equal(sources.size, 1);
});

test('connections: as many as allowed, in all and of one network, and one is released once', () => {
  const admissions = new Admissions(3, 2);
  const first = admissions.admit('192.0.2.1')!;
  assert.ok(admissions.admit('::ffff:192.0.2.1'));
  assert.equal(admissions.admit('192.0.2.1'), undefined, 'above one address');
  assert.ok(admissions.admit('192.0.2.2'));
  assert.equal(admissions.admit('192.0.2.3'), undefined, 'above all');
  first();
  first();
  assert.equal(admissions.total, 2);
  assert.ok(admissions.admit('192.0.2.3'));
});

test('troubles are said in words', () => {
  const trouble = (scheme: 'udp' | 'tcp', code: string) => openTrouble(scheme, '192.0.2.1:7', { code }, 3000);
  assert.match(trouble('tcp', 'ECONNREFUSED'), /refuses the connection: .* nobody listens/);
  assert.match(trouble('udp', 'ECONNREFUSED'), /nobody listens on that UDP port/);
  assert.match(trouble('tcp', 'ETIMEDOUT'), /does not answer within 3 s: .*firewall drops TCP/);
  assert.match(trouble('tcp', 'ENETUNREACH'), /no route/);
  assert.match(trouble('tcp', 'EHOSTUNREACH'), /no machine has that address/);
  assert.match(trouble('udp', 'EMSGSIZE'), /smaller --size/);
  assert.equal(trouble('tcp', 'EWHAT'), '192.0.2.1:7: EWHAT');
  assert.match(nameTroubleWords('x.invalid', { code: 'ENOTFOUND' }), /x\.invalid is not known/);
  assert.match(nameTroubleWords('x.invalid', { code: 'EAI_AGAIN' }), /no DNS server answers/);
  const target = { scheme: 'ws', host: 'h', port: 80, path: '/x' } as const;
  assert.match(upgradeTrouble('h:80', 404, undefined, target), /HTTP 404\): it has nothing at the path \/x/);
  assert.match(upgradeTrouble('h:80', 301, 'https://h/', target), /sends us elsewhere \(HTTP 301\): https:\/\/h\//);
  assert.equal(upgradeTrouble('h:80', 418, undefined, target), 'h:80 does not open a WebSocket (HTTP 418)');
  const sip = { ...target, path: '/sip' };
  assert.match(upgradeTrouble('h:80', 400, undefined, sip), /that of SIP phones.*and no echo\. The way there is open/);
  assert.match(upgradeTrouble('h:80', 426, undefined, target), /another upgrade, or a subprotocol/);
  assert.doesNotMatch(upgradeTrouble('h:443', 400, undefined, { ...target, scheme: 'wss' }), /TLS/);
  assert.match(closeWords('h:80', 1009, ''), /too big/);
  assert.equal(closeWords('h:80', 4000, 'why\n'), 'h:80 closed the WebSocket with 4000: why·');
  assert.ok(isFingerprint(`${'AB:'.repeat(31)}cd`) && isFingerprint('ab'.repeat(32)) && !isFingerprint('ab'));
});
