import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Way } from './locate.ts';
import { a, aaaa, cname, locating, naptr, srv, type Zone } from './testkit/zone.ts';

const first = (uri: string, zone: Zone = {}, options: Parameters<typeof locating>[1] = {}) => {
  const place = locating(zone, options);
  const { results } = place.look(uri);
  assert.equal(place.locator.waiting, 0);
  return { hop: results[0], asked: place.takeAsked() };
};

const HOST: Zone = { 'sip.example.org': [a('192.0.2.1')] };

test('4.1 and 4.2: what a URI says itself needs no NAPTR and no SRV', () => {
  const table: [uri: string, hop: string, asked: string[]][] = [
    ['sip:bob@192.0.2.9', 'udp 192.0.2.9:5060', []],
    ['sip:bob@192.0.2.9:5070', 'udp 192.0.2.9:5070', []],
    ['sip:bob@192.0.2.9;transport=tcp', 'tcp 192.0.2.9:5060', []],
    ['sip:bob@192.0.2.9;transport=TLS', 'tls 192.0.2.9:5061 192.0.2.9', []],
    ['sips:bob@192.0.2.9', 'tls 192.0.2.9:5061 192.0.2.9', []],
    ['sips:bob@192.0.2.9:5070;transport=tcp', 'tls 192.0.2.9:5070 192.0.2.9', []],
    ['sip:bob@example.org;maddr=192.0.2.7', 'udp 192.0.2.7:5060', []],
    ['sips:bob@example.org;maddr=192.0.2.7', 'tls 192.0.2.7:5061 example.org', []],
    ['sip:bob@example.org:5080;maddr=SIP.example.org.', 'udp 192.0.2.1:5080', ['A sip.example.org']],
    ['sip:bob@sip.example.org:5060', 'udp 192.0.2.1:5060', ['A sip.example.org']],
    ['sip:bob@sip.example.org:5060;transport=tcp', 'tcp 192.0.2.1:5060', ['A sip.example.org']],
    ['sip:bob@sip.example.org:5071;transport=tls', 'tls 192.0.2.1:5071 sip.example.org', ['A sip.example.org']],
    ['sips:bob@sip.example.org:5071', 'tls 192.0.2.1:5071 sip.example.org', ['A sip.example.org']],
  ];
  for (const [uri, hop, asked] of table) {
    assert.deepEqual(first(uri, HOST), { hop, asked }, uri);
  }
});

test('what can’t be sent to is refused in words, without a question', () => {
  const table: [uri: string, words: RegExp][] = [
    ['rubbish', /no URI that can be read/],
    ['tel:+431234', /a SIP address is wanted, not one that begins with tel:/],
    ['sips:bob@example.org;transport=udp', /exclude each other/],
    ['sip:bob@example.org;transport=sctp', /transport=sctp is not one to reach other servers by/],
    ['sip:bob@example.org;transport=ws', /transport=ws is not one/],
    ['sip:bob@example.org:0', /port 0/],
    ['sip:bob@0.0.0.0', /0\.0\.0\.0 is nobody's address/],
    ['sip:bob@239.1.2.3', /nobody's address/],
    ['sip:bob@255.255.255.255', /nobody's address/],
    ['sip:bob@[::]', /nobody's address/],
    ['sip:bob@[ff02::1]', /nobody's address/],
    ['sip:bob@a..b', /'a\.\.b' is neither a name nor an address/],
    ['sip:bob@1.2.3', /neither a name/],
    [`sip:bob@${'a'.repeat(64)}.org`, /neither a name/],
    [`sip:bob@${'a.'.repeat(126)}org`, /neither a name/],
    ['sip:bob@example.org;maddr=%00', /neither a name/],
    ['sip:bob@[2001:db8::1]', /2001:db8::1 can't be reached: this server does not send over UDP to IPv6/],
  ];
  for (const [uri, words] of table) {
    const { hop, asked } = first(uri);
    assert.match(hop!, words, uri);
    assert.deepEqual(asked, [], uri);
  }
});

test('4.1: NAPTR first, by order and preference; services that are not ours, other flags and regular expressions are skipped', () => {
  const place = locating({
    'example.org': [
      naptr('SIP+D2U', '_sip._udp.example.org', 50, 50),
      naptr('SIP+D2T', '_sip._tcp.other.example', 10, 30),
      naptr('SIPS+D2T', '_sips._tcp.example.org', 10, 20),
      naptr('SIP+D2S', '_sip._sctp.example.org', 1),
      naptr('E2U+sip', 'x.example.org', 1),
      { ...naptr('SIP+D2U', 'never.example.org', 2), flags: 'a' } as ReturnType<typeof naptr>,
      { ...naptr('SIP+D2U', 'never.example.org', 3), regexp: '!.*!x!' } as ReturnType<typeof naptr>,
    ],
    '_sips._tcp.example.org': [srv('one.example.org', 5061)],
    '_sip._tcp.other.example': [srv('two.example.org', 5062)],
    '_sip._udp.example.org': [srv('one.example.org', 5063)],
    'one.example.org': [a('192.0.2.1')],
    'two.example.org': [a('192.0.2.2')],
  });
  const ways = ['tls 192.0.2.1:5061 example.org', 'tcp 192.0.2.2:5062', 'udp 192.0.2.1:5063'];
  assert.deepEqual(place.all('sip:bob@example.org').slice(0, -1), ways);
  assert.deepEqual(place.takeAsked(), [
    'NAPTR example.org',
    'SRV _sips._tcp.example.org',
    'SRV _sip._tcp.other.example',
    'SRV _sip._udp.example.org',
    'A one.example.org',
    'A two.example.org',
  ]);
});

test('4.1: sips and transport=tls take SIPS services alone and never fall to what is not encrypted', () => {
  const zone: Zone = {
    'example.org': [
      naptr('SIP+D2U', '_sip._udp.example.org'),
      naptr('SIPS+D2T', '_sips._tcp.example.org', 2),
      a('192.0.2.3'),
    ],
    '_sip._udp.example.org': [srv('one.example.org')],
    '_sip._tcp.example.org': [srv('one.example.org')],
    '_sips._tcp.example.org': [srv('one.example.org', 5061)],
    'one.example.org': [a('192.0.2.1')],
  };
  const tls = 'tls 192.0.2.1:5061 example.org';
  assert.deepEqual(locating(zone).all('sips:bob@example.org').slice(0, -1), [tls]);
  assert.deepEqual(locating(zone).all('sip:bob@example.org;transport=tls').slice(0, -1), [tls]);
  const without: Zone = { ...zone, 'example.org': [naptr('SIP+D2U', '_sip._udp.example.org'), a('192.0.2.3')] };
  assert.deepEqual(locating(without).all('sips:bob@example.org').slice(0, -1), [tls], 'no SIPS service in NAPTR: SRV');
  delete without['_sips._tcp.example.org'];
  assert.deepEqual(locating(without).all('sips:bob@example.org').slice(0, -1), ['tls 192.0.2.3:5061 example.org']);
});

test('4.1: without NAPTR the SRV records of all transports that we have; 4.2: of the transport that the URI names', () => {
  const zone: Zone = {
    'example.org': [a('192.0.2.3')],
    '_sip._udp.example.org': [srv('one.example.org')],
    '_sip._tcp.example.org': [srv('one.example.org')],
    '_sips._tcp.example.org': [srv('one.example.org', 5061)],
    'one.example.org': [a('192.0.2.1')],
  };
  const [udp, tcp, tls] = ['udp 192.0.2.1:5060', 'tcp 192.0.2.1:5060', 'tls 192.0.2.1:5061 example.org'];
  assert.deepEqual(locating(zone).all('sip:bob@example.org').slice(0, -1), [udp, tcp, tls]);
  const tcpOnly = first('sip:bob@example.org;transport=tcp', zone);
  assert.deepEqual(tcpOnly, { hop: tcp, asked: ['SRV _sip._tcp.example.org', 'A one.example.org'] });
  const noUdp = locating(zone, { sends: (transport, family) => transport !== 'udp' && family === 4 });
  assert.deepEqual(noUdp.all('sip:bob@example.org').slice(0, -1), [tcp, tls]);
  assert.ok(!noUdp.takeAsked().includes('SRV _sip._udp.example.org'));
});

test('4.1 and 4.2: without SRV the addresses of the name, over UDP (or TLS) at its own port', () => {
  const asked = ['NAPTR', 'SRV _sip._udp.', 'SRV _sip._tcp.', 'SRV _sips._tcp.', 'A'];
  const names = asked.map((question) =>
    question.endsWith('.') ? `${question}sip.example.org` : `${question} sip.example.org`,
  );
  assert.deepEqual(first('sip:bob@sip.example.org', HOST), { hop: 'udp 192.0.2.1:5060', asked: names });
  assert.equal(first('sip:sip.example.org;transport=tcp', HOST).hop, 'tcp 192.0.2.1:5060');
  assert.equal(first('sips:sip.example.org', HOST).hop, 'tls 192.0.2.1:5061 sip.example.org');
  const noUdp = { sends: (transport: string, family: number) => transport !== 'udp' && family === 4 };
  assert.equal(first('sip:sip.example.org', HOST, noUdp).hop, 'tcp 192.0.2.1:5060');
});

test('name servers that fail for NAPTR and SRV do not hide the addresses', () => {
  const zone: Zone = {
    '_sip._udp.example.org': 'SERVFAIL',
    '_sip._tcp.example.org': 'silent',
    'example.org': [a('192.0.2.3')],
  };
  assert.equal(first('sip:bob@example.org', zone).hop, 'udp 192.0.2.3:5060');
});

test('RFC 2782: a target of "." says that there is no such service', () => {
  const zone: Zone = { 'example.org': [a('192.0.2.3')], '_sip._udp.example.org': [srv('.', 0)] };
  assert.equal(first('sip:bob@example.org', zone).hop, 'example.org says that it has no such SIP service');
});

test('RFC 2782: priorities in order, weights at random, zero now and then', () => {
  const zone: Zone = {
    '_sip._udp.example.org': [
      srv('late.example.org', 5060, 20, 100),
      srv('big.example.org', 5060, 10, 75),
      srv('small.example.org', 5060, 10, 25),
      srv('never.example.org', 5060, 10, 0),
    ],
    'big.example.org': [a('192.0.2.75')],
    'small.example.org': [a('192.0.2.25')],
    'never.example.org': [a('192.0.2.10')],
    'late.example.org': [a('192.0.2.20')],
  };
  const place = locating(zone, { ttlS: 86_400 });
  const counts: Record<string, number> = {};
  for (let i = 0; i < 4000; i++) {
    const hop = place.look('sip:bob@example.org').results[0]!;
    counts[hop] = (counts[hop] ?? 0) + 1;
  }
  const share = (address: string) => (counts[`udp ${address}:5060`] ?? 0) / 4000;
  assert.ok(Math.abs(share('192.0.2.75') - 75 / 101) < 0.03, JSON.stringify(counts));
  assert.ok(Math.abs(share('192.0.2.25') - 25 / 101) < 0.03, JSON.stringify(counts));
  assert.ok(share('192.0.2.10') > 0 && share('192.0.2.10') < 0.03, JSON.stringify(counts));
  assert.equal(share('192.0.2.20'), 0);
  const all = place.all('sip:bob@example.org');
  assert.equal(all[3], 'udp 192.0.2.20:5060', 'the next priority comes after all of this one');
});

test('addresses that come along with SRV records are used for these alone', () => {
  const zone: Zone = { '_sip._udp.example.org': [srv('one.example.org')], 'bank.example': [a('192.0.2.8')] };
  const place = locating(zone, {
    alongTtlS: 10,
    along: { 'one.example.org': [a('192.0.2.1')], 'bank.example': [a('203.0.113.66')] },
  });
  assert.deepEqual(place.look('sip:bob@example.org').results, ['udp 192.0.2.1:5060']);
  assert.ok(!place.takeAsked().includes('A one.example.org'));
  assert.deepEqual(place.look('sip:bob@bank.example:5060').results, ['udp 192.0.2.8:5060']);
  assert.deepEqual(place.takeAsked(), ['A bank.example']);
  place.clock.nowMs = 10_000;
  place.look('sip:bob@example.org');
  assert.deepEqual(place.takeAsked(), ['A one.example.org'], 'theirs was a shorter time');
});

test('IPv4 before IPv6, and IPv6 only where we send to it', () => {
  const zone: Zone = { 'example.org': [aaaa('2001:db8::1'), a('192.0.2.1'), a('192.0.2.2'), a('0.0.0.0')] };
  assert.deepEqual(locating(zone).all('sip:example.org:5060').slice(0, -1), [
    'udp 192.0.2.1:5060',
    'udp 192.0.2.2:5060',
  ]);
  const both = locating(zone, { sends: () => true });
  const expected = ['udp 192.0.2.1:5060', 'udp 192.0.2.2:5060', 'udp 2001:db8::1:5060'];
  assert.deepEqual(both.all('sip:example.org:5060').slice(0, -1), expected);
  assert.equal(first('sip:[2001:db8::1]', {}, { sends: () => true }).hop, 'udp 2001:db8::1:5060');
  assert.equal(
    first('sip:x@v6.example:5060', { 'v6.example': [aaaa('2001:db8::1')] }).hop,
    'v6.example has no IPv4 address',
  );
});

test('aliases are followed, within an answer and beyond it, but not without end', () => {
  const zone: Zone = {
    'example.org': [cname('www.example.net')],
    'www.example.net': [cname('host.example.net')],
    'host.example.net': [a('192.0.2.1')],
    'self.example': [cname('self.example')],
    'x.example': [cname('y.example')],
    'y.example': [cname('x.example')],
  };
  const { hop, asked } = first('sip:example.org:5060', zone);
  assert.equal(hop, 'udp 192.0.2.1:5060');
  assert.deepEqual(asked, ['A example.org', 'A www.example.net', 'A host.example.net']);
  assert.equal(first('sip:self.example:5060', zone).hop, 'self.example is an alias without an end');
  const place = locating(zone);
  place.held.add('y.example');
  place.held.add('x.example');
  const looks = [place.look('sip:x.example:5060'), place.look('sip:y.example:5060')];
  place.release();
  assert.deepEqual(
    looks.map(({ results }) => results),
    [['x.example is an alias without an end'], ['y.example is an alias without an end']],
  );
  assert.equal(place.locator.waiting, 0, 'two that ask for each other do not wait for each other');
});

test('failures are said in words', () => {
  const zone: Zone = {
    'broken.example': 'SERVFAIL',
    'silent.example': 'silent',
    'empty.example': [cname('nothing.example')],
    'nothing.example': [],
    '_sip._udp.srv.example': [srv('gone.example')],
  };
  const table: [uri: string, words: string][] = [
    ['sip:broken.example:5060', 'the name servers have no answer for broken.example, they say SERVFAIL'],
    ['sip:silent.example:5060', 'the name servers do not answer for silent.example'],
    ['sip:missing.example', 'there is no name missing.example in the DNS'],
    ['sip:empty.example:5060', 'empty.example has no IPv4 address'],
    ['sip:srv.example', 'gone.example, which srv.example names as its server, does not exist in the DNS'],
  ];
  for (const [uri, words] of table) assert.equal(first(uri, zone).hop, words, uri);
});

test('4.3: after a failure the next hop; what has failed is tried last by everybody for a minute', () => {
  const zone: Zone = {
    '_sip._tcp.example.org': [srv('one.example.org', 5060, 1), srv('two.example.org', 5060, 2)],
    'one.example.org': [a('192.0.2.1')],
    'two.example.org': [a('192.0.2.2')],
  };
  const place = locating(zone, { ttlS: 3600 });
  const uri = 'sip:bob@example.org;transport=tcp';
  const [one, two] = ['tcp 192.0.2.1:5060', 'tcp 192.0.2.2:5060'];
  const caller = place.look(uri);
  caller.next();
  caller.next();
  const words =
    'one.example.org:5060 (TCP) did not take the request; two.example.org:5060 (TCP) did not take the request';
  assert.deepEqual(caller.results, [one, two, words]);
  assert.deepEqual(place.doubted, ['192.0.2.1', '192.0.2.2']);
  caller.next();
  assert.equal(caller.results.length, 3, 'once it has ended nothing more comes');
  assert.deepEqual(
    place.look(uri).results,
    [one],
    'when all have failed their order is the old one, and a connection is a good sign',
  );
  const other = place.look(uri);
  other.next();
  assert.deepEqual(place.all(uri), [two, one, words.split('; ').reverse().join('; ')]);
  place.clock.nowMs += 60_001;
  assert.deepEqual(place.look(uri).results, [one]);
});

test('a way fails once: who says so again, or late, moves nobody on', () => {
  const place = locating({ 'example.org': [a('192.0.2.1'), a('192.0.2.2'), a('192.0.2.3')] });
  const ways: Way[] = [];
  place.locator.locate('sip:example.org:5060', 0, (result) => ways.push(result as Way));
  place.settle();
  for (let i = 0; i < 3; i++) ways[0]!.next(0);
  place.settle();
  assert.deepEqual(
    ways.map(({ flow }) => flow.remote.address),
    ['192.0.2.1', '192.0.2.2'],
  );
});

test('4.3: a connection that is refused is passed over; when all are, the caller hears why', () => {
  const zone: Zone = {
    'example.org': [a('192.0.2.1'), a('192.0.2.2'), a('192.0.2.3'), a('192.0.2.4'), a('192.0.2.5')],
  };
  const place = locating(zone);
  place.dead.add('192.0.2.1');
  assert.deepEqual(place.look('sip:example.org:5060;transport=tcp').results, ['tcp 192.0.2.2:5060']);
  for (let i = 2; i <= 5; i++) place.dead.add(`192.0.2.${i}`);
  const { results } = place.look('sip:example.org:5060;transport=tcp');
  assert.match(results[0]!, /^192\.0\.2\.2 refuses the connection; .*; and 2 more$/);
});

test('what is known is tried before the rest is: a dead name server of the second holds nobody up', () => {
  const place = locating({
    '_sip._udp.example.org': [srv('one.example.org', 5060, 1), srv('two.example.org', 5060, 2)],
    'one.example.org': [a('192.0.2.1')],
    'two.example.org': [a('192.0.2.2')],
  });
  place.held.add('two.example.org');
  const caller = place.look('sip:bob@example.org');
  assert.deepEqual(caller.results, ['udp 192.0.2.1:5060']);
  caller.next();
  assert.equal(caller.results.length, 1, 'now it is waited for');
  place.release();
  assert.deepEqual(caller.results, ['udp 192.0.2.1:5060', 'udp 192.0.2.2:5060']);
});

test('the second is not tried before the first only because it is known earlier', () => {
  const place = locating({
    '_sip._udp.example.org': [srv('one.example.org', 5060, 1), srv('two.example.org', 5060, 2)],
    'one.example.org': [a('192.0.2.1')],
    'two.example.org': [a('192.0.2.2')],
  });
  place.held.add('one.example.org');
  const caller = place.look('sip:bob@example.org');
  assert.deepEqual(caller.results, []);
  place.release();
  assert.deepEqual(caller.results, ['udp 192.0.2.1:5060']);
});

test('answers are believed as long as they say: 1 s at least, a day at most; that there is nothing, five minutes at most', () => {
  const table: [ttlS: number, name: string, believedMs: number][] = [
    [60, 'example.org', 60_000],
    [0, 'example.org', 1000],
    [1_000_000, 'example.org', 86_400_000],
    [60, 'missing.example', 60_000],
    [86_400, 'missing.example', 300_000],
    [60, 'broken.example', 5000],
  ];
  for (const [ttlS, name, believedMs] of table) {
    const place = locating({ 'example.org': [a('192.0.2.1')], 'broken.example': 'SERVFAIL' }, { ttlS });
    const asks = () => {
      place.look(`sip:${name}:5060`);
      return place.takeAsked().length;
    };
    assert.equal(asks(), 1);
    place.clock.nowMs += believedMs - 1;
    assert.equal(asks(), 0, `${name} ${ttlS}`);
    place.clock.nowMs += 1;
    assert.equal(asks(), 1, `${name} ${ttlS}`);
  }
});

test('many who want one name at a time are answered by one question', () => {
  const place = locating({ 'example.org': [a('192.0.2.1')] });
  place.held.add('example.org');
  const looks = Array.from({ length: 50 }, () => place.look('sip:bob@example.org:5060'));
  assert.deepEqual(place.takeAsked(), ['A example.org']);
  place.release();
  for (const { results } of looks) assert.deepEqual(results, ['udp 192.0.2.1:5060']);
  assert.equal(place.locator.waiting, 0);
});

test('limits: names remembered, questions at a time, NAPTR, SRV and hops', () => {
  const place = locating({});
  for (let i = 0; i < 4100; i++) place.look(`sip:n${i}.example:5060`);
  assert.equal(place.locator.names, 4000);
  const flood = locating({});
  const looks = Array.from({ length: 1001 }, (_, i) => {
    flood.held.add(`n${i}.example`);
    return flood.look(`sip:n${i}.example:5060`);
  });
  assert.deepEqual(looks.at(-1)!.results, ['too many names are asked for']);
  assert.equal(looks.at(-2)!.results.length, 0);
  flood.release();

  const many = (n: number) => Array.from({ length: n }, (_, i) => i + 1);
  const hosts = Object.fromEntries(many(60).map((i) => [`h${i}.example`, [a(`192.0.2.${i}`)]]));
  const srvs = locating({ ...hosts, '_sip._udp.example.org': many(60).map((i) => srv(`h${i}.example`, 5060, i)) });
  assert.equal(srvs.all('sip:example.org').length - 1, 16);
  const hops = locating({ 'example.org': many(60).map((i) => a(`192.0.2.${i}`)) });
  assert.equal(hops.all('sip:example.org:5060').length - 1, 32);
  const services = many(20).map((i) => naptr('SIP+D2U', `_sip._udp.n${i}.example`, i));
  const zone: Zone = { ...hosts, 'example.org': services };
  for (const i of many(20)) zone[`_sip._udp.n${i}.example`] = [srv(`h${i}.example`)];
  assert.equal(locating(zone).all('sip:example.org').length - 1, 8);
});

test('a peer has TLS settings of its own; answers are shared', () => {
  const place = locating({ 'example.org': [a('192.0.2.1')] });
  const tls = { caPath: 'own.pem' };
  const uri = 'sip:example.org:5061;transport=tls';
  assert.deepEqual(place.look(uri, { tls }).results, ['tls 192.0.2.1:5061 example.org ca=own.pem']);
  place.takeAsked();
  assert.deepEqual(place.look(uri).results, ['tls 192.0.2.1:5061 example.org']);
  assert.deepEqual(place.takeAsked(), []);
});
