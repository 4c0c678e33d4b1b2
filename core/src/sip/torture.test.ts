import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSip, parseUri, SipMessage, StreamFramer, text, utf8 } from '../index.ts';

/** RFC 4475: messages whose form is the point. Each is given as header lines; the empty line and the body follow. */
const wire = (head: readonly string[], body = '') => utf8(`${head.join('\r\n')}\r\n\r\n${body}`);
const accepted = (bytes: Uint8Array): SipMessage => {
  const m = parseSip(bytes);
  assert.ok(m instanceof SipMessage, JSON.stringify(m));
  const again = parseSip(m.serialize());
  assert.ok(again instanceof SipMessage);
  assert.equal(text(again.serialize()), text(m.serialize()));
  return m;
};

test('3.1.1.3 esc01: escapes in a URI are undone for comparison and kept on the wire', () => {
  const m = accepted(
    wire([
      'INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0',
      'To: sip:%75se%72@example.com',
      'From: <sip:I%20have%20spaces@example.net>;tag=938',
      'Max-Forwards: 87',
      'i: esc01.239409asdfakjkn23onasd0-3234',
      'CSeq: 234234 INVITE',
      'Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw',
      'C: application/sdp',
      'Contact:',
      '  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>',
      'Content-Length: 0',
    ]),
  );
  assert.equal(m.to.uri.user, 'user');
  assert.equal(m.from.uri.user, 'I have spaces');
  assert.equal(m.contentType, 'application/sdp');
  const contacts = m.contacts;
  assert.ok(contacts && contacts !== '*');
  assert.equal(contacts[0]?.uri.user, 'caller');
  assert.ok(text(m.serialize()).includes('n%61me=v%61lue%25%34%31'));
});

test('3.1.1.4 escnull: escaped NUL in a URI', () => {
  const m = accepted(
    wire([
      'REGISTER sip:example.com SIP/2.0',
      'To: sip:null-%00-null@example.com',
      'From: sip:null-%00-null@example.com;tag=839923423',
      'Max-Forwards: 70',
      'Call-ID: escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd',
      'CSeq: 14398234 REGISTER',
      'Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw',
      'Contact: <sip:%00@host5.example.com>',
      'Contact: <sip:%00%00@host5.example.com>',
      'L:0',
    ]),
  );
  const contacts = m.contacts;
  assert.ok(contacts && contacts !== '*');
  assert.deepEqual(
    contacts.map((c) => c.uri.user),
    ['\0', '\0\0'],
  );
});

test('3.1.1.5 esc02: a percent sign in a token is no escape', () => {
  const m = accepted(
    wire([
      'RE%47IST%45R sip:registrar.example.com SIP/2.0',
      'To: "%Z%45" <sip:resource@example.com>',
      'From: "%Z%45" <sip:resource@example.com>;tag=f232jadfj23',
      'Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf',
      'Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234',
      'CSeq: 29344 RE%47IST%45R',
      'Max-Forwards: 70',
      'Contact: <sip:alias1@host1.example.com>',
      'C%6Fntact: <sip:alias2@host2.example.com>',
      'Contact: <sip:alias3@host3.example.com>',
      'l: 0',
    ]),
  );
  assert.equal(m.method, 'RE%47IST%45R');
  assert.equal(m.to.displayName, '%Z%45');
  assert.equal(m.vias[0]?.branch, 'z9hG4bK209%fzsnel234');
  assert.equal(m.values('contact').length, 2);
});

test('3.1.1.7 longreq: long values and 34 Vias', () => {
  const many = (what: string, times: number) => what.repeat(times);
  const m = accepted(
    wire([
      'INVITE sip:user@example.com SIP/2.0',
      `To: "I have a user name of ${many('extreme', 10)} proportion"<sip:user@example.com:6000;unknownparam1=very${many('long', 20)}value;longparam${many('name', 25)}=shortvalue;very${many('long', 25)}ParameterNameWithNoValue>`,
      `F: sip:${many('amazinglylongcallername', 5)}@example.net;tag=12${many('982', 50)}424;unknownheaderparam${many('name', 20)}=unknowheaderparam${many('value', 15)};unknownValueless${many('paramname', 10)}`,
      `Call-ID: longreq.one${many('really', 20)}longcallid`,
      'CSeq: 3882340 INVITE',
      `Unknown-${many('Long', 20)}-Name: unknown-${many('long', 20)}-value; unknown-${many('long', 20)}-parameter-name = unknown-${many('long', 20)}-parameter-value`,
      ...Array.from(
        { length: 33 },
        (_, i) => `${['Via', 'v', 'V', 'ViA', 'VIA'][i % 5]}: SIP/2.0/TCP sip${33 - i}.example.com`,
      ),
      `Via: SIP/2.0/TCP host.example.com;received=192.0.2.5;branch=very${many('long', 50)}branchvalue`,
      'Max-Forwards: 70',
      `Contact: <sip:${many('amazinglylongcallername', 5)}@host5.example.net>`,
      'Content-Length: 0',
    ]),
  );
  assert.equal(m.vias.length, 34);
  assert.equal(m.from.tag, `12${many('982', 50)}424`);
  assert.equal(m.vias[33]?.received, '192.0.2.5');
});

test('3.1.1.8 dblreq: what follows the Content-Length in a datagram is dropped; on a stream it is the next message', () => {
  const one = [
    'REGISTER sip:example.com SIP/2.0',
    'To: sip:j.user@example.com',
    'From: sip:j.user@example.com;tag=43251j3j324',
    'Max-Forwards: 8',
    'I: dblreq.0ha0isndaksdj99sdfafnl3lk233412',
    'Contact: sip:j.user@host.example.com',
    'CSeq: 8 REGISTER',
    'Via: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492',
    'Content-Length: 0',
  ];
  const both = new Uint8Array([...wire(one), ...wire(['INVITE sip:joe@example.com SIP/2.0', ...one.slice(1)])]);
  const m = accepted(both);
  assert.equal(m.method, 'REGISTER');
  assert.equal(m.body.length, 0);
  const framer = new StreamFramer();
  framer.push(both);
  const first = framer.next();
  const second = framer.next();
  assert.ok(first instanceof Uint8Array && second instanceof Uint8Array);
  assert.ok(text(second).startsWith('INVITE'));
});

test('3.1.1.11 mpart01: a multipart body with bytes that are no text passes unchanged', () => {
  const body = new Uint8Array([
    ...utf8('--7a9cbec02ceef655\r\nContent-Type: text/plain\r\n\r\nHello\r\n'),
    0x30,
    0x82,
    0x01,
    0xff,
    0,
    13,
    10,
  ]);
  const head = utf8(
    [
      'MESSAGE sip:kumiko@example.org SIP/2.0',
      'Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport',
      'Max-Forwards: 70',
      'Route: <sip:127.0.0.1:5080>',
      'Identity: r5mwreLuyDRYBi/0TiPwEsY3rEVsk/G2WxhgTV1PF7hHuL',
      'Contact: <sip:fluffy@127.0.0.1:5070>',
      'To: <sip:kumiko@example.org>',
      'From: <sip:fluffy@example.com>;tag=2fb0dcc9',
      'Call-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..',
      'CSeq: 1 MESSAGE',
      'Content-Transfer-Encoding: binary',
      'Content-Type: multipart/mixed;boundary=7a9cbec02ceef655',
      `Content-Length: ${body.length}`,
      '',
      '',
    ].join('\r\n'),
  );
  const m = parseSip(new Uint8Array([...head, ...body]));
  assert.ok(m instanceof SipMessage);
  assert.deepEqual([...m.serialize().subarray(-body.length)], [...body]);
});

const INVITE: Readonly<Record<string, string>> = {
  start: 'INVITE sip:user@example.com SIP/2.0',
  to: 'To: sip:j.user@example.com',
  from: 'From: sip:caller@example.net;tag=134161461246',
  forwards: 'Max-Forwards: 7',
  callId: 'Call-ID: torture.0ha0isndaksdjasdf3234nas',
  cseq: 'CSeq: 8 INVITE',
  via: 'Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw',
  contact: 'Contact: <sip:joe@example.net>',
  length: 'Content-Length: 0',
};
const invite = (over: Readonly<Record<string, string>>) => wire(Object.values({ ...INVITE, ...over }));

const REFUSED: readonly [name: string, over: Record<string, string>, status: number | undefined][] = [
  ['3.1.2.1 badinv01: separators without names in Via', { via: 'Via: SIP/2.0/UDP 192.0.2.15;;,;,,' }, 400],
  ['3.1.2.2 clerr: Content-Length beyond the datagram', { length: 'Content-Length: 9999' }, 400],
  ['3.1.2.3 ncl: negative Content-Length', { length: 'Content-Length: -999' }, 400],
  ['3.1.2.4 scalar02: CSeq beyond 2^31', { cseq: 'CSeq: 36893488147419103232 INVITE' }, 400],
  ['3.1.2.4 scalar02: Max-Forwards beyond 255', { forwards: 'Max-Forwards: 300' }, 400],
  ['3.1.2.6 quotbal: a quote without its end', { to: 'To: "Mr. J. User <sip:j.user@example.com>' }, 400],
  ['3.1.2.7 ltgtruri: brackets around the Request-URI', { start: 'INVITE <sip:user@example.com> SIP/2.0' }, 400],
  ['3.1.2.8 lwsruri: white space in the Request-URI', { start: 'INVITE sip:user@example.com; lr SIP/2.0' }, 400],
  ['3.1.2.9 lwsstart: two spaces in the request line', { start: 'INVITE  sip:user@example.com  SIP/2.0' }, 400],
  ['3.1.2.10 trws: white space after the version', { start: 'INVITE sip:remote-target@example.com SIP/2.0  ' }, 400],
  [
    '3.1.2.15 baddn: a comma in an unquoted name',
    { from: 'From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43' },
    400,
  ],
  ['3.1.2.16 badvers: SIP/7.0', { start: 'INVITE sip:t.watson@example.org SIP/7.0' }, 505],
  ['3.1.2.17 mismatch01: CSeq with another method', { cseq: 'CSeq: 8 OPTIONS' }, 400],
  [
    '3.1.2.18 mismatch02: the same, unknown method',
    { start: 'NEWMETHOD sip:user@example.com SIP/2.0', cseq: 'CSeq: 8 INVITE' },
    400,
  ],
  ['3.3.8 multi01: two From', { more: 'From: sip:other@example.net;tag=1' }, 400],
  ['3.3.8 multi01: two Call-ID', { more: 'i: other' }, 400],
  ['3.3.9 mcl01: two Content-Length', { more: 'Content-Length: 5' }, 400],
  [
    '3.1.2.19 bigcode: a status beyond 32 bits',
    { start: 'SIP/2.0 4294967301 better not break the receiver' },
    undefined,
  ],
  [
    '3.1.2.5 scalarlg: a response with an endless CSeq',
    { start: 'SIP/2.0 503 Service Unavailable', cseq: 'CSeq: 9292394834772304023312 OPTIONS' },
    undefined,
  ],
];
for (const [name, over, status] of REFUSED) {
  test(`${name} → ${status ?? 'dropped'}`, () => {
    const m = parseSip(invite(over));
    assert.ok(m.kind === 'error', 'accepted');
    assert.equal(m.status, status);
    assert.equal(m.request !== undefined, status !== undefined);
  });
}

const TAKEN: readonly [name: string, over: Record<string, string>, (m: SipMessage) => void][] = [
  [
    '3.1.2.11 escruri: headers in the Request-URI are left to the user',
    { start: 'INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0' },
    (m) => assert.equal(parseUri(m.uri)?.headers, 'Route=%3Csip:example.com%3E'),
  ],
  [
    '3.1.2.12 baddate: a Date of another zone is nobody’s concern',
    { more: 'Date: Fri, 01 Jan 2010 16:00:00 EST' },
    (m) => assert.equal(m.header('date'), 'Fri, 01 Jan 2010 16:00:00 EST'),
  ],
  [
    '3.1.2.13 regbadct: a Contact with ? outside brackets is malformed',
    { contact: 'Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E' },
    (m) => assert.equal(m.contacts, undefined),
  ],
  [
    '3.1.2.14 badaspec: spaces within the brackets are trimmed',
    { to: 'To: "Watson, Thomas" < sip:t.watson@example.org >' },
    (m) => assert.equal(m.to.uri.toString(), 'sip:t.watson@example.org'),
  ],
  [
    '3.3.2 unkscm: an unknown scheme in the Request-URI',
    { start: 'INVITE nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0' },
    (m) => assert.equal(parseUri(m.uri)?.isSip, false),
  ],
  [
    '3.3.3 novelsc: a known scheme that is not SIP',
    { start: 'INVITE soap.beep://192.0.2.103:3002 SIP/2.0' },
    (m) => assert.equal(parseUri(m.uri)?.scheme, 'soap.beep'),
  ],
  [
    '3.3.4 unksm2: unknown schemes in To, From and Contact',
    {
      to: 'To: isbn:2983792873',
      from: 'From: <http://www.example.com>;tag=3234233',
      contact: 'Contact: <name:John_Smith>',
    },
    (m) => assert.equal(m.to.uri.scheme, 'isbn'),
  ],
  [
    '3.3.7 invut: an unknown body type',
    { more: 'Content-Type: application/unknownformat' },
    (m) => assert.equal(m.contentType, 'application/unknownformat'),
  ],
  [
    '3.3.11 zeromf: Max-Forwards 0 is understood',
    { forwards: 'Max-Forwards: 0' },
    (m) => assert.equal(m.maxForwards, 0),
  ],
  [
    '3.3.12 cparam01: parameters outside brackets belong to the header',
    { contact: 'Contact: sip:+19725552222@gw1.example.net;unknownparam' },
    (m) => {
      const c = m.contacts;
      assert.ok(c && c !== '*');
      assert.ok(c[0]?.params.has('unknownparam') && !c[0].uri.params.has('unknownparam'));
    },
  ],
  [
    '3.3.13 cparam02: parameters within brackets belong to the URI',
    { contact: 'Contact: <sip:+19725552222@gw1.example.net;unknownparam>' },
    (m) => {
      const c = m.contacts;
      assert.ok(c && c !== '*');
      assert.ok(c[0]?.uri.params.has('unknownparam'));
    },
  ],
  [
    '3.4.1 inv2543: no branch, no tag in From',
    { via: 'Via: SIP/2.0/UDP iftgw.example.com', from: 'From: <sip:+13035551111@ift.client.example.net;user=phone>' },
    (m) => assert.equal(m.vias[0]?.branch, ''),
  ],
];
for (const [name, over, check] of TAKEN) test(name, () => check(accepted(invite(over))));
