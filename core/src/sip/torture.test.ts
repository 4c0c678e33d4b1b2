import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  createResponse,
  type NameAddr,
  parseAuthorization,
  parseSip,
  parseUri,
  SipMessage,
  StreamFramer,
  text,
  utf8,
} from '../index.ts';

/** The 49 messages of RFC 4475 by name, byte for byte; goldens/README.md says where they come from. */
const folder = new URL('goldens/', import.meta.url);
const golden = (path: string) => new Uint8Array(readFileSync(new URL(path, folder)));
const tried = new Set<string>();

type OnStream = 'message' | 'waits' | 'closes';
interface Told {
  readonly onStream?: OnStream;
  /** What it is written as when that is not what it was read from. */
  readonly written?: (bytes: Uint8Array) => Uint8Array;
}

/** What a connection makes of the bytes: one message of `length` first, nothing yet, or an error that closes it. */
function checkStream(bytes: Uint8Array, wanted: OnStream, length: number) {
  const framer = new StreamFramer();
  framer.push(bytes);
  const first = framer.next();
  if (wanted === 'waits') assert.ok(first === undefined && framer.pending);
  else if (wanted === 'closes') assert.ok(typeof first === 'object' && 'error' in first);
  else assert.ok(first instanceof Uint8Array && first.length === length);
}

/** Taken by the parser and written again byte for byte, whatever it holds; `check` sees what the RFC points out. */
function taken(name: string, says: string, check: (m: SipMessage, bytes: Uint8Array) => void, told: Told = {}) {
  const file = name.split(' ')[1]!;
  tried.add(`${file}.dat`);
  test(`RFC 4475 ${name}: ${says}`, () => {
    const bytes = golden(`rfc4475/${file}.dat`);
    const written = told.written?.(bytes) ?? bytes;
    const m = parseSip(bytes);
    assert.ok(m instanceof SipMessage, JSON.stringify(m));
    check(m, bytes);
    assert.deepEqual(m.serialize(), written);
    assert.deepEqual(m.clone().serialize(), written);
    checkStream(bytes, told.onStream ?? 'message', written.length);
  });
}

/** Refused with a status, in an answer that repeats what the request has of what an answer repeats. */
function refused(name: string, says: string, status: number, told: Told = {}) {
  const file = name.split(' ')[1]!;
  tried.add(`${file}.dat`);
  test(`RFC 4475 ${name}: ${says} → ${status}`, () => {
    const bytes = golden(`rfc4475/${file}.dat`);
    const error = parseSip(bytes);
    assert.ok(error.kind === 'error', 'accepted');
    assert.equal(error.status, status, error.reason);
    assert.ok(error.request);
    const answer = text(createResponse(error.request, status, undefined, { toTag: 't' }).serialize());
    assert.ok(answer.startsWith(`SIP/2.0 ${status} `));
    for (const field of ['Via', 'CSeq']) assert.ok(answer.includes(`\r\n${field}: ${error.request.header(field)}\r\n`));
    assert.ok(!/\r\n[\w-]+: *\r\n/.test(answer), 'nothing empty is written for what is missing');
    checkStream(bytes, told.onStream ?? 'message', bytes.length);
  });
}

/** A response that can't be understood is discarded (RFC 3261 18.1.2): nobody is there to be told. */
function discarded(name: string, says: string) {
  const file = name.split(' ')[1]!;
  tried.add(`${file}.dat`);
  test(`RFC 4475 ${name}: ${says} → discarded`, () => {
    const error = parseSip(golden(`rfc4475/${file}.dat`));
    assert.ok(error.kind === 'error' && error.status === undefined && error.request === undefined);
  });
}

function contacts(m: SipMessage): readonly NameAddr[] {
  assert.ok(m.contacts !== undefined && m.contacts !== '*');
  return m.contacts;
}

// 3.1.1 valid messages

taken('3.1.1.1 wsinv', 'folds and white space everywhere', (m) => {
  assert.ok(parseUri(m.uri)?.params.has('unknownparam'));
  assert.equal(m.to.tag, '1918181833n');
  assert.equal(m.from.displayName, 'J Rosenberg \\"');
  assert.equal(m.from.tag, '98asjd8');
  assert.equal(m.maxForwards, 68);
  assert.deepEqual(m.cseq, { number: 9, method: 'INVITE' });
  assert.deepEqual(
    m.vias.map((via) => [via.transport, via.sentBy, via.branch]),
    [
      ['UDP', '192.0.2.2', '390skdjuw'],
      ['TCP', 'spindle.example.com', 'z9hG4bK9ikj8'],
      ['UDP', '192.168.255.111', 'z9hG4bK30239'],
    ],
  );
  assert.equal(m.header('subject'), '');
  assert.equal(m.header('NewFangledHeader'), 'newfangled value continued newfangled value');
  assert.equal(m.header('UnknownHeaderWithUnusualValue'), ';;,,;;,;');
  const [contact] = contacts(m);
  assert.equal(contact?.displayName, 'Quoted string ""');
  assert.equal(contact?.params.get('newparam'), 'newvalue');
  assert.equal(contact?.params.get('secondparam'), '');
  assert.equal(contact?.params.get('q'), '0.33');
  assert.equal(m.body.length, 150);
});

taken('3.1.1.2 intmeth', 'a wide range of characters', (m) => {
  assert.equal(m.method, "!interesting-Method0123456789_*+`.%indeed'~");
  const uri = parseUri(m.uri);
  assert.equal(uri?.user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
  assert.equal(uri?.password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)");
  assert.equal(uri?.host, 'example.com');
  assert.equal(m.vias[0]?.branch, "z9hG4bK-.!%66*_+`'~");
  assert.equal(m.to.displayName, 'BEL:\x07 NUL:\0 DEL:\x7f');
  assert.equal(m.from.displayName, "token1~` token2'+_ token3*%!.-");
  assert.equal(m.from.params.get("fromParam''~+*_!.-%"), 'работающий');
  assert.equal(m.from.tag, "_token~1'+`*%!-.");
  assert.equal(m.callId, 'intmeth.word%ZK-!.*_+\'@word`~)(><:\\/"][?}{');
  assert.equal(m.header("extensionHeader-!.%*+_`'~"), '\ufeff大停電');
  assert.equal(m.maxForwards, 255);
});

taken('3.1.1.3 esc01', 'escapes in URIs are undone once', (m) => {
  assert.equal(parseUri(m.uri)?.user, 'sips:user@example.com');
  assert.equal(m.to.uri.user, 'user');
  assert.equal(m.from.uri.user, 'I have spaces');
  assert.equal(contacts(m)[0]?.uri.user, 'caller');
  assert.deepEqual(contacts(m)[0]?.uri.params.entries(), [
    ['%6C%72', undefined],
    ['n%61me', 'v%61lue%25%34%31'],
  ]);
});

taken('3.1.1.4 escnull', 'escaped NUL does not end a user', (m) => {
  assert.equal(m.to.uri.user, 'null-\0-null');
  assert.deepEqual(
    contacts(m).map((c) => c.uri.user),
    ['\0', '\0\0'],
  );
});

taken('3.1.1.5 esc02', '% is no escape outside URIs (501 by admission)', (m) => {
  assert.equal(m.method, 'RE%47IST%45R');
  assert.equal(m.to.displayName, '%Z%45');
  assert.deepEqual(m.values('contact'), ['<sip:alias1@host1.example.com>', '<sip:alias3@host3.example.com>']);
  assert.equal(m.header('C%6Fntact'), '<sip:alias2@host2.example.com>');
});

taken('3.1.1.6 lwsdisp', 'no white space before <', (m) => assert.equal(m.from.displayName, 'caller'));

taken('3.1.1.7 longreq', 'long values and 34 Via', (m) => {
  assert.equal(m.to.displayName, `I have a user name of ${'extreme'.repeat(10)} proportion`);
  assert.equal(m.to.uri.port, 6000);
  assert.equal(m.from.tag, `12${'982'.repeat(50)}424`);
  assert.equal(m.callId, `longreq.one${'really'.repeat(20)}longcallid`);
  assert.equal(m.vias.length, 34);
  assert.equal(m.vias[33]?.received, '192.0.2.5');
});

taken(
  '3.1.1.8 dblreq',
  'octets after the body are noise',
  (m, bytes) => {
    assert.equal(m.method, 'REGISTER');
    assert.equal(m.body.length, 0);
    // On a stream they would be the next message.
    const framer = new StreamFramer();
    framer.push(bytes);
    framer.next();
    const second = framer.next();
    assert.ok(second instanceof Uint8Array && text(second).startsWith('INVITE'));
  },
  { written: (bytes) => bytes.subarray(0, text(bytes).indexOf('\r\n\r\n') + 4) },
);

taken('3.1.1.9 semiuri', 'a semicolon in the user is no parameter', (m) => {
  assert.equal(parseUri(m.uri)?.user, 'user;par=u@example.net');
  assert.equal(parseUri(m.uri)?.params.size, 0);
  assert.equal(m.values('accept').length, 6);
});

taken('3.1.1.10 transports', 'unknown transports', (m) =>
  assert.deepEqual(
    m.vias.map((via) => via.transport),
    ['UDP', 'SCTP', 'TLS', 'UNKNOWN', 'TCP'],
  ),
);

taken('3.1.1.11 mpart01', 'a binary multipart body', (m) => {
  assert.equal(m.contentType, 'multipart/mixed');
  assert.equal(m.body.length, 553);
  assert.ok(m.body.includes(0));
});

taken('3.1.1.12 unreason', 'a reason phrase beyond ASCII', (m) => {
  assert.equal(m.status, 200);
  assert.equal(m.reason, '= 2**3 * 5**2 но сто девяносто девять - простое');
});

taken('3.1.1.13 noreason', 'an empty reason phrase', (m) => {
  assert.equal(m.status, 100);
  assert.equal(m.reason, '');
});

// 3.1.2 invalid messages

refused('3.1.2.1 badinv01', 'separators without what they separate', 400);
refused('3.1.2.2 clerr', 'Content-Length beyond the datagram', 400, { onStream: 'waits' });
refused('3.1.2.3 ncl', 'negative Content-Length', 400, { onStream: 'closes' });
refused('3.1.2.4 scalar02', 'numbers too large', 400);
discarded('3.1.2.5 scalarlg', 'numbers too large in a response');
refused('3.1.2.6 quotbal', 'a quote without its end', 400);
refused('3.1.2.7 ltgtruri', '<> around the Request-URI', 400);
refused('3.1.2.8 lwsruri', 'white space in the Request-URI', 400);
refused('3.1.2.9 lwsstart', 'two spaces in the request line', 400);
refused('3.1.2.10 trws', 'spaces after the request line', 400);
taken('3.1.2.11 escruri', 'headers in the Request-URI "could be ignored"', (m) => {
  assert.equal(parseUri(m.uri)?.headers, 'Route=%3Csip:example.com%3E');
  assert.equal(m.header('route'), undefined);
});
taken('3.1.2.12 baddate', 'a Date that nobody needs "could be ignored"', (m) =>
  assert.equal(m.header('date'), 'Fri, 01 Jan 2010 16:00:00 EST'),
);
taken('3.1.2.13 regbadct', 'Contact lacks its brackets: malformed to who reads it, 400 by the registrar', (m) =>
  assert.equal(m.contacts, undefined),
);
taken('3.1.2.14 badaspec', 'spaces within the brackets "may be ignored"', (m) =>
  assert.equal(m.to.uri.toString(), 'sip:t.watson@example.org'),
);
refused('3.1.2.15 baddn', 'a comma in an unquoted name (and no empty line)', 400, { onStream: 'waits' });
refused('3.1.2.16 badvers', 'SIP/7.0, in Via too', 505);
refused('3.1.2.17 mismatch01', 'CSeq names another method', 400);
refused('3.1.2.18 mismatch02', 'CSeq names another method than the unknown one', 501);
discarded('3.1.2.19 bigcode', 'a status beyond 32 bits');

test('RFC 4475 3.1.2.4, 3.1.2.15: each fault of scalar02 and baddn is one by itself', () => {
  const scalar02 = text(golden('rfc4475/scalar02.dat'));
  const cseq = scalar02.replace(/CSeq: \d+/, 'CSeq: 1');
  const inForwards = parseSip(utf8(cseq));
  assert.ok(inForwards.kind === 'error' && inForwards.reason === 'Malformed Max-Forwards');
  const inExpires = parseSip(utf8(cseq.replace('Max-Forwards: 300', 'Max-Forwards: 30')));
  assert.ok(inExpires instanceof SipMessage);
  assert.equal(inExpires.expires, undefined, 'as if it were absent');
  assert.equal(contacts(inExpires)[0]?.params.get('expires'), '280297596632815', 'the registrar cuts it');
  const baddn = parseSip(utf8(`${text(golden('rfc4475/baddn.dat'))}\r\n`));
  assert.ok(baddn.kind === 'error' && baddn.status === 400 && baddn.reason === 'Malformed From');
});

// 3.2 transaction layer, 3.3 application layer, 3.4 RFC 2543

refused('3.2.1 badbranch', 'a branch of nothing but the cookie', 400);
refused('3.3.1 insuf', 'no Call-ID, From or To', 400);
taken('3.3.2 unkscm', 'an unknown scheme (416 by admission)', (m) => {
  assert.equal(parseUri(m.uri)?.scheme, 'nobodyknowsthisscheme');
  assert.equal(parseUri(m.uri)?.isSip, false);
});
taken('3.3.3 novelsc', 'a known scheme that is not ours (416 by admission)', (m) =>
  assert.equal(parseUri(m.uri)?.scheme, 'soap.beep'),
);
taken('3.3.4 unksm2', 'other schemes in From, To and Contact (400 by the registrar)', (m) => {
  assert.equal(m.to.uri.scheme, 'isbn');
  assert.equal(m.from.uri.scheme, 'http');
  assert.equal(m.from.tag, '3234233');
  assert.equal(contacts(m)[0]?.uri.scheme, 'name');
});
taken('3.3.5 bext01', 'extensions that nobody has (420 by admission)', (m) => {
  assert.deepEqual(m.values('require'), ['nothingSupportsThis', 'nothingSupportsThisEither']);
  assert.deepEqual(m.values('proxy-require'), ['noProxiesSupportThis', 'norDoAnyProxiesSupportThis']);
});
taken('3.3.6 invut', 'an unknown body (415 by admission)', (m) => {
  assert.equal(m.contentType, 'application/unknownformat');
  assert.equal(m.body.length, 40);
});
taken('3.3.7 regaut01', 'an unknown Authorization scheme (as if absent: 401)', (m) =>
  assert.equal(parseAuthorization(m.header('authorization')!), undefined),
);
refused('3.3.8 multi01', 'two of what there is one of', 400);
refused('3.3.9 mcl01', 'two Content-Length', 400, { onStream: 'closes' });
taken('3.3.10 bcast', 'a second Via, to everyone (the transaction layer sends responses nowhere)', (m) =>
  assert.deepEqual(
    m.vias.map((via) => via.host),
    ['192.0.2.198', '255.255.255.255'],
  ),
);
taken('3.3.11 zeromf', 'Max-Forwards 0 (OPTIONS ends here, an INVITE gets 483 by admission)', (m) =>
  assert.equal(m.maxForwards, 0),
);
taken('3.3.12 cparam01', 'without brackets a parameter is the header’s', (m) => {
  const [contact] = contacts(m);
  assert.ok(contact?.params.has('unknownparam') && !contact.uri.params.has('unknownparam'));
});
taken('3.3.13 cparam02', 'within brackets a parameter is the URI’s', (m) => {
  const [contact] = contacts(m);
  assert.ok(contact?.uri.params.has('unknownparam') && !contact.params.has('unknownparam'));
});
taken('3.3.14 regescrt', 'a Contact with headers (the registrar’s policy)', (m) =>
  assert.equal(contacts(m)[0]?.uri.headers, 'Route=%3Csip:sip.example.com%3E'),
);
taken('3.3.15 sdp01', 'an answer of an unknown type is asked for (406 by admission)', (m) =>
  assert.deepEqual(m.values('accept'), ['text/nobodyKnowsThis']),
);
taken(
  '3.4.1 inv2543',
  'no branch, tag, Max-Forwards or Content-Length',
  (m) => {
    assert.equal(m.vias[0]?.branch, '');
    assert.equal(m.from.tag, undefined);
    assert.equal(m.maxForwards, undefined);
    assert.equal(m.to.params.get('user'), 'phone');
    assert.equal(m.body.length, 105, 'all that is left of the datagram');
  },
  // What is sent on says how long it is: a stream could not end it otherwise (RFC 3261 20.14).
  {
    onStream: 'closes',
    written: (bytes) => utf8(text(bytes).replace('\r\n\r\n', '\r\nContent-Length: 105\r\n\r\n')),
  },
);

test('RFC 4475: every message of the archive was tried, and each golden is what it was', () => {
  assert.deepEqual([...tried].sort(), readdirSync(new URL('rfc4475/', folder)).sort());
  assert.equal(tried.size, 49);
  const sums = text(golden('SHA256SUMS')).trim().split('\n');
  assert.equal(sums.length, 49 + 12);
  for (const line of sums) {
    const [sum, path] = line.split('  ');
    assert.equal(createHash('sha256').update(golden(path!)).digest('hex'), sum, path);
  }
});
