import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  answerChallenge,
  createRequest,
  createResponse,
  digestResponse,
  ha1,
  parseAuthorization,
  parseChallenge,
  parseNameAddr,
  parseSip,
  parseUri,
  parseVia,
  SipMessage,
  StreamFramer,
  text,
  utf8,
} from '../index.ts';
import { nodeCrypto } from '../node/index.ts';

const lines = (...l: string[]) => utf8(`${l.join('\r\n')}\r\n\r\n`);
const valid = (bytes: Uint8Array): SipMessage => {
  const m = parseSip(bytes);
  assert.ok(m instanceof SipMessage, JSON.stringify(m));
  return m;
};
const refused = (bytes: Uint8Array) => {
  const m = parseSip(bytes);
  assert.ok(!(m instanceof SipMessage), 'accepted');
  return m;
};

const BASIC = [
  'INVITE sip:bob@biloxi.example.com SIP/2.0',
  'Via: SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74bf9',
  'Max-Forwards: 70',
  'From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl',
  'To: Bob <sip:bob@biloxi.example.com>',
  'Call-ID: 3848276298220188511@atlanta.example.com',
  'CSeq: 1 INVITE',
  'Contact: <sip:alice@client.atlanta.example.com;transport=tcp>',
  'Content-Length: 0',
];
const change = (name: string, line: string | undefined, ...more: string[]) =>
  lines(...BASIC.flatMap((l) => (l.startsWith(name) ? (line === undefined ? [] : [line]) : [l])), ...more);

test('a basic INVITE (RFC 3665 3.1) is read field by field', () => {
  const m = valid(lines(...BASIC));
  assert.equal(m.method, 'INVITE');
  assert.equal(m.uri, 'sip:bob@biloxi.example.com');
  assert.equal(m.vias[0]?.branch, 'z9hG4bK74bf9');
  assert.equal(m.from.displayName, 'Alice');
  assert.equal(m.from.tag, '9fxced76sl');
  assert.equal(m.to.uri.user, 'bob');
  assert.deepEqual(m.cseq, { number: 1, method: 'INVITE' });
  assert.equal(m.maxForwards, 70);
  const contacts = m.contacts;
  assert.ok(contacts && contacts !== '*');
  assert.equal(contacts[0]?.uri.params.get('transport'), 'tcp');
});

test('a short tortuous INVITE (RFC 4475 3.1.1.1, wsinv) is understood and goes on byte for byte', () => {
  const raw = utf8(
    [
      'INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0',
      'TO :',
      ' sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n',
      'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>',
      '  ;',
      '  tag = 98asjd8',
      'MaX-fOrWaRdS: 0068',
      'Call-ID: wsinv.ndaksdj@192.0.2.1',
      'Content-Length   : 6',
      'cseq: 0009',
      '  INVITE',
      'Via  : SIP  /   2.0',
      ' /UDP',
      '    192.0.2.2;branch=390skdjuw',
      's :',
      'NewFangledHeader:   newfangled value',
      ' continued newfangled value',
      'UnknownHeaderWithUnusualValue: ;;,,;;,;',
      'Content-Type: application/sdp',
      'Route:',
      ' <sip:services.example.com;lr;unknownwith=value;unknown-no-value>',
      'v:  SIP  / 2.0  / TCP     spindle.example.com   ;',
      '  branch  =   z9hG4bK9ikj8  ,',
      ' SIP  /    2.0   / UDP  192.168.255.111   ; branch=',
      ' z9hG4bK30239',
      'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =',
      '      newvalue ;',
      '  secondparam ; q = 0.33',
      '',
      'v=0\r\n\r\nrest',
    ].join('\r\n'),
  );
  const m = valid(raw);
  assert.equal(m.vias.length, 3);
  assert.equal(m.vias[1]?.branch, 'z9hG4bK9ikj8');
  assert.equal(m.vias[2]?.branch, 'z9hG4bK30239');
  assert.equal(m.to.tag, '1918181833n');
  assert.equal(m.from.displayName, 'J Rosenberg \\"');
  assert.deepEqual(m.cseq, { number: 9, method: 'INVITE' });
  assert.equal(m.maxForwards, 68);
  const contacts = m.contacts;
  assert.ok(contacts && contacts !== '*');
  assert.equal(contacts[0]?.params.get('q'), '0.33');
  assert.equal(m.body.length, 6);
  const out = text(m.serialize());
  assert.ok(out.includes('NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n'));
  assert.ok(out.includes('UnknownHeaderWithUnusualValue: ;;,,;;,;\r\n'));
});

test('valid but unusual messages of RFC 4475 are accepted', () => {
  const method = "!interesting-Method0123456789_*+`.%indeed'~";
  const uri =
    "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com";
  const intmeth = valid(
    lines(`${method} ${uri} SIP/2.0`, ...BASIC.slice(1).map((l) => l.replace('1 INVITE', `1 ${method}`))),
  );
  assert.equal(intmeth.method, method);
  assert.equal(parseUri(intmeth.uri)?.host, 'example.com');
  const esc01 = valid(change('INVITE', 'INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0'));
  assert.equal(parseUri(esc01.uri)?.user, 'sips:user@example.com');
  const escnull = valid(change('To', 'To: sip:null-%00-null@example.com'));
  assert.equal(escnull.to.uri.user, 'null-\0-null');
  const lwsdisp = valid(change('From', 'From: caller<sip:caller@example.com>;tag=323'));
  assert.equal(lwsdisp.from.displayName, 'caller');
  const semiuri = valid(change('INVITE', 'INVITE sip:user;par=u%40example.net@example.com SIP/2.0'));
  assert.equal(parseUri(semiuri.uri)?.user, 'user;par=u@example.net');
  const transports = valid(
    lines(
      ...BASIC.map((l) =>
        l.startsWith('Via')
          ? 'Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw, SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf'
          : l,
      ),
      'Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en',
    ),
  );
  assert.deepEqual(
    transports.vias.map((v) => v.transport),
    ['UDP', 'SCTP', 'UNKNOWN'],
  );
  const noreason = valid(lines('SIP/2.0 100 ', ...BASIC.slice(1)));
  assert.equal(noreason.status, 100);
  assert.equal(noreason.reason, '');
  const unreason = valid(
    utf8(`SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое\r\n${BASIC.slice(1).join('\r\n')}\r\n\r\n`),
  );
  assert.match(unreason.reason, /простое/);
  assert.ok(text(unreason.serialize()).includes('простое'));
  const dblreq = valid(utf8(`${BASIC.join('\r\n')}\r\n\r\nINVITE sip:joe@example.com SIP/2.0\r\n`));
  assert.equal(dblreq.body.length, 0, 'bytes after the Content-Length are dropped');
});

test('invalid messages of RFC 4475 are refused with its answer', () => {
  const answer = (bytes: Uint8Array) => refused(bytes).status;
  assert.equal(answer(change('Content-Length', 'Content-Length: 9999')), 400, 'clerr');
  assert.equal(answer(change('Content-Length', 'Content-Length: -999')), 400, 'ncl');
  assert.equal(answer(change('CSeq', 'CSeq: 36893488147419103232 INVITE')), 400, 'scalar02');
  assert.equal(answer(change('Max-Forwards', 'Max-Forwards: 300')), 400, 'scalar02');
  assert.equal(answer(change('To', 'To: "Mr. J. User <sip:j.user@example.com>')), 400, 'quotbal');
  assert.equal(answer(change('INVITE', 'INVITE <sip:user@example.com> SIP/2.0')), 400, 'ltgtruri');
  assert.equal(answer(change('INVITE', 'INVITE sip:user@example.com; lr SIP/2.0')), 400, 'lwsruri');
  assert.equal(answer(change('INVITE', 'INVITE sip:user@example.com  SIP/2.0')), 400, 'lwsstart');
  assert.equal(answer(change('INVITE', 'INVITE sip:user@example.com SIP/7.0')), 505, 'badvers');
  assert.equal(answer(change('CSeq', 'CSeq: 8 OPTIONS')), 400, 'mismatch01');
  assert.equal(answer(change('INVITE', 'NEWMETHOD sip:user@example.com SIP/2.0')), 501, 'mismatch02');
  assert.equal(answer(change('From', 'From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43')), 400, 'baddn');
  assert.equal(answer(lines(...BASIC, 'From: Someone <sip:someone@example.com>;tag=3413415')), 400, 'multi01');
  assert.equal(
    answer(lines(...BASIC, 'f: Someone <sip:someone@example.com>;tag=3413415')),
    400,
    'multi01 in compact form',
  );
  assert.equal(answer(lines(...BASIC, 'l: 5')), 400, 'mcl01');
  assert.equal(
    refused(lines('SIP/2.0 4294967301 better not break the receiver', ...BASIC.slice(1))).status,
    undefined,
    'bigcode',
  );
  assert.equal(answer(change('Call-ID', undefined)), 400, 'insuf');
  assert.equal(answer(change('CSeq', undefined)), undefined, 'nobody would know what the answer is to');
  assert.equal(answer(change('Via', 'Via: SIP/2.0/UDP 192.0.2.15;;,;,,')), 400, 'badinv01');
});

test('nothing is kept of the bytes that are parsed: they may be used anew', () => {
  for (const head of ['Subject: plain', 'Subject: größer']) {
    const whole = utf8(
      `MESSAGE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n${head}\r\nContent-Length: 5\r\n\r\nhello`,
    );
    const bytes = whole.slice();
    const message = parseSip(bytes);
    bytes.fill(0);
    assert.ok(message instanceof SipMessage);
    assert.deepEqual(message.serialize(), whole);
    assert.equal(message.bodyText, 'hello');
  }
});

test('a header with white space before its colon is the same header: nothing can be smuggled past a removal', () => {
  const m = valid(lines(...BASIC, 'X-Secret : 1', 'x-SECRET\t: 2'));
  assert.equal(text(m.remove('X-Secret').serialize()).toLowerCase().includes('secret'), false);
});

test('changes rewrite only what they change', () => {
  const m = valid(lines(...BASIC, 'X-Odd:   keep  this'));
  m.removeFirstValue('via')
    .prepend('via', 'SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKnew')
    .set('Max-Forwards', 69)
    .add('Supported', 'path')
    .setBody('text/plain', 'hi');
  assert.equal(
    text(m.serialize()),
    [
      'INVITE sip:bob@biloxi.example.com SIP/2.0',
      'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKnew',
      'Max-Forwards: 69',
      ...BASIC.slice(3, 8),
      'X-Odd:   keep  this',
      'Supported: path',
      'Content-Type: text/plain',
      'Content-Length: 2',
      '',
      'hi',
    ].join('\r\n'),
  );
});

test('a value with line ends cannot become a second header', () => {
  const m = createRequest({
    method: 'OPTIONS',
    uri: 'sip:a@b',
    from: '<sip:a@b>;tag=1',
    to: '<sip:b@b>',
    callId: 'c',
    cseq: 1,
    headers: [['Subject', 'x\r\nX-Evil: 1']],
  });
  assert.ok(!text(m.serialize()).includes('\r\nX-Evil'));
});

test('responses copy what RFC 3261 8.2.6 says', () => {
  const request = valid(lines(...BASIC, 'Record-Route: <sip:p1;lr>'));
  const ok = createResponse(request, 180, undefined, { toTag: 'abc' });
  assert.equal(
    text(ok.serialize()),
    [
      'SIP/2.0 180 Ringing',
      BASIC[1],
      'Record-Route: <sip:p1;lr>',
      BASIC[3],
      `${BASIC[4]};tag=abc`,
      BASIC[5],
      BASIC[6],
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n'),
  );
});

test('the answer to a request of another version repeats its Via; what a request lacks its answer lacks', () => {
  const newer = lines(...BASIC.map((l) => l.replace('SIP/2.0', 'SIP/3.0')));
  const error = refused(newer);
  assert.equal(error.status, 505);
  assert.equal(error.request?.vias[0]?.toString(), BASIC[1]?.replace('Via: SIP/2.0', 'SIP/3.0'));
  assert.equal(
    refused(change('Via', 'Via: SIP/3.0/TCP a;branch=z9hG4bKx')).status,
    400,
    'a Via of another version only',
  );
  const { request } = refused(change('From', undefined));
  assert.equal(
    text(createResponse(request!, 400, undefined, { toTag: 'abc' }).serialize()),
    ['SIP/2.0 400 Bad Request', BASIC[1], `${BASIC[4]};tag=abc`, BASIC[5], BASIC[6], 'Content-Length: 0', '', ''].join(
      '\r\n',
    ),
  );
});

test('a Content-Length that is still right stays where it was, another is written anew', () => {
  const written = (m: SipMessage) => text(m.serialize());
  const early = utf8(['INVITE sip:b@c SIP/2.0', 'l  : 002', ...BASIC.slice(1, 8), '', 'hi'].join('\r\n'));
  assert.equal(written(valid(early)), text(early));
  assert.equal(
    written(valid(early).setBody('text/plain', 'ho')),
    text(early).replace('\r\n\r\nhi', '\r\nContent-Type: text/plain\r\n\r\nho'),
  );
  const longer = written(valid(early).setBody('text/plain', 'hello'));
  assert.ok(
    longer.endsWith('\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello') && !longer.includes('002'),
  );
});

test('URIs round trip; malformed ones are refused', () => {
  for (const uri of [
    'sip:alice@atlanta.com',
    'sip:alice:secretword@atlanta.com;transport=tcp',
    'sips:alice@atlanta.com?subject=project%20x&priority=urgent',
    'sip:+1-212-555-1212:1234@gateway.com;user=phone',
    'sip:[2001:db8::1]:5060;lr',
    'tel:+358-555-1234567',
    'sip:alice@[::1]',
    'sip:a%20b@c',
  ])
    assert.equal(parseUri(uri)?.toString(), uri);
  for (const uri of [
    '',
    'sip',
    'sip:',
    'sip:@x',
    'sip:a@',
    'sip:a@b:99999',
    'sip:a@b c',
    'sip:a%zz@b',
    'sip:a@[::1',
    ':a',
    'sip:a@b:',
    `sip:${'a'.repeat(2000)}@b`,
  ])
    assert.equal(parseUri(uri), undefined, uri);
  assert.equal(parseVia('SIP/2.0/WSS [2001:db8::9:1]:5061;branch=z9hG4bKx;rport')?.rport, true);
  assert.equal(
    parseNameAddr('"A \\"quoted\\" name" <sip:a@b;lr>;tag=1')?.toString(),
    '"A \\"quoted\\" name" <sip:a@b;lr>;tag=1',
  );
});

test('digest: the vectors of RFC 2617 3.5 and RFC 7616 3.9.1', () => {
  const input = { method: 'GET', uri: '/dir/index.html', qop: 'auth', nc: '00000001' };
  const md5 = ha1('MD5', 'Mufasa', 'testrealm@host.com', 'Circle Of Life', nodeCrypto);
  assert.equal(
    digestResponse(
      { ...input, algorithm: 'MD5', ha1: md5, nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093', cnonce: '0a4f113b' },
      nodeCrypto,
    ),
    '6629fae49393a05397450978507c4ef1',
  );
  const newer = {
    ...input,
    nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
    cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
  };
  assert.equal(
    digestResponse(
      { ...newer, algorithm: 'MD5', ha1: ha1('MD5', 'Mufasa', 'http-auth@example.org', 'Circle of Life', nodeCrypto) },
      nodeCrypto,
    ),
    '8ca523f5e9506fed4657c9700eebdbec',
  );
  assert.equal(
    digestResponse(
      {
        ...newer,
        algorithm: 'SHA-256',
        ha1: ha1('SHA-256', 'Mufasa', 'http-auth@example.org', 'Circle of Life', nodeCrypto),
      },
      nodeCrypto,
    ),
    '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
  );
});

test('digest headers are read strictly', () => {
  const challenge = parseChallenge('Digest realm="a, b", nonce="n", qop="auth,auth-int", algorithm=MD5, stale=TRUE');
  assert.deepEqual(challenge, {
    realm: 'a, b',
    nonce: 'n',
    opaque: undefined,
    algorithm: 'MD5',
    qop: ['auth', 'auth-int'],
    stale: true,
  });
  const answer = answerChallenge(
    { challenge: challenge!, username: 'al"ice', password: 'p', method: 'REGISTER', uri: 'sip:x' },
    nodeCrypto,
  )!;
  const back = parseAuthorization(answer)!;
  assert.equal(back.username, 'al"ice');
  assert.equal(back.nc, '00000001');
  for (const bad of [
    '',
    'Basic abc',
    'Digest',
    'Digest username="a", username="b", realm="", nonce="n", uri="u", response="r"',
    'Digest username="a", realm="r", nonce="n", uri="u", response="r", qop=auth, nc=1, cnonce="c"',
  ])
    assert.equal(parseAuthorization(bad), undefined, bad);
});

test('a stream is cut into messages wherever the chunks end', () => {
  const body = 'hello';
  const one = utf8(`${BASIC.slice(0, -1).join('\r\n')}\r\nl: ${body.length}\r\n\r\n${body}`);
  const stream = new Uint8Array([...utf8('\r\n\r\n'), ...one, ...lines(...BASIC), ...utf8('\r\n\r\n')]);
  for (const size of [1, 2, 3, 7, 50, 1000]) {
    const framer = new StreamFramer();
    const out: string[] = [];
    for (let at = 0; at < stream.length; at += size) {
      framer.push(stream.subarray(at, at + size));
      for (let next = framer.next(); next !== undefined; next = framer.next())
        out.push(next instanceof Uint8Array ? text(next).slice(0, 6) : String(next));
    }
    assert.deepEqual(out, ['keepalive', 'INVITE', 'INVITE', 'keepalive'], `chunks of ${size}`);
    assert.equal(framer.pending, false);
  }
  for (const bad of [
    'A sip:b SIP/2.0\r\n\r\n',
    'A sip:b SIP/2.0\r\nContent-Length: x\r\n\r\n',
    'A sip:b SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n',
    'A sip:b SIP/2.0\r\nContent-Length: 70000\r\n\r\n',
    'x'.repeat(70_000),
  ]) {
    const framer = new StreamFramer();
    framer.push(utf8(bad));
    assert.ok(typeof framer.next() === 'object', bad.slice(0, 40));
    assert.equal(framer.next(), undefined);
  }
});

test('a stream of line ends or of single bytes costs neither stack nor time beyond its length', () => {
  const framer = new StreamFramer();
  framer.push(new Uint8Array(200_000).fill(10));
  assert.equal(framer.next(), undefined);
  assert.equal(framer.pending, false);
  const body = new Uint8Array(60_000).fill(0x61);
  const one = new Uint8Array([...utf8(`${BASIC.slice(0, -1).join('\r\n')}\r\nl: ${body.length}\r\n\r\n`), ...body]);
  const out: unknown[] = [];
  for (let at = 0; at < one.length; at++) {
    framer.push(one.subarray(at, at + 1));
    const next = framer.next();
    if (next !== undefined) out.push(next);
  }
  assert.equal(out.length, 1);
  assert.deepEqual(out[0], one);
});

test('limits: one less is fine, one more is refused', () => {
  const headers = (n: number) => lines(...BASIC, ...Array.from({ length: n }, (_, i) => `X-${i}: y`));
  valid(headers(128 - 8));
  assert.equal(refused(headers(129 - 8)).status, 400);
  const tag = (n: number) => change('From', `From: <sip:a@b>;tag=${'t'.repeat(n)}`);
  valid(tag(256));
  assert.equal(refused(tag(257)).status, 400);
  const callId = (n: number) => change('Call-ID', `Call-ID: ${'c'.repeat(n)}`);
  valid(callId(256));
  assert.equal(refused(callId(257)).status, 400);
  const branch = (n: number) => change('Via', `Via: SIP/2.0/UDP a;branch=${'b'.repeat(n)}`);
  valid(branch(256));
  assert.equal(refused(branch(257)).status, undefined, 'its answer could not carry the branch');
  const display = (n: number) => change('From', `From: "${'d'.repeat(n)}" <sip:a@b>;tag=1`);
  valid(display(256));
  assert.equal(refused(display(257)).status, 400);
  const uri = (n: number) => change('INVITE', `INVITE sip:${'u'.repeat(n - 6)}@b SIP/2.0`);
  valid(uri(1024));
  assert.equal(refused(uri(1025)).status, 414);
  const line = (n: number) => lines(...BASIC, `X: ${'x'.repeat(n - 3)}`);
  valid(line(8192));
  assert.equal(refused(line(8193)).status, 400);
  const routes = (n: number) => lines(...BASIC, ...Array.from({ length: n }, () => 'Route: <sip:p;lr>'));
  valid(routes(32));
  assert.equal(refused(routes(33)).status, 400);
  const vias = (n: number) =>
    lines(...BASIC, ...Array.from({ length: n - 1 }, () => 'v: SIP/2.0/UDP a;branch=z9hG4bKb'));
  valid(vias(70));
  refused(vias(71));
  assert.equal(refused(new Uint8Array(64 * 1024 + 1)).status, 513);
});

test('no bytes make the parser or a reader throw; what is accepted is stable when written and read again', () => {
  const words = [
    'INVITE sip:a@b SIP/2.0\r\n',
    'SIP/2.0 200 OK\r\n',
    ...BASIC.map((l) => `${l}\r\n`),
    '\r\n',
    '\r\n ',
    ': ',
    '"',
    '<',
    '>',
    ';',
    ',',
    'l: 3\r\n',
    'Contact: *\r\n',
    'm: <sip:x>;q=1, "\r\n',
    '\0',
    '%',
    'é',
    '\n',
    'Content-Length: 1',
  ];
  const soup = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.array(fc.constantFrom(...words), { maxLength: 30 }).map((w) => utf8(w.join(''))),
    fc
      .tuple(fc.array(fc.constantFrom(...words), { maxLength: 8 }))
      .map(([w]) => utf8(`${BASIC.join('\r\n')}\r\n${w.join('')}\r\n\r\n`)),
  );
  fc.assert(
    fc.property(soup, (bytes) => {
      const m = parseSip(bytes);
      if (!(m instanceof SipMessage)) return;
      for (const name of ['via', 'contact', 'route', 'x']) m.values(name);
      void m.contacts;
      void m.expires;
      void m.contentType;
      const once = m.serialize();
      const again = parseSip(once);
      assert.ok(again instanceof SipMessage, `${text(once)} — ${JSON.stringify(again)}`);
      assert.equal(text(again.serialize()), text(once));
      const framer = new StreamFramer();
      framer.push(bytes);
      for (let i = 0; i < 100 && framer.next() !== undefined; i++);
    }),
    { numRuns: 5000 },
  );
});
