import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isSdpError, parseSdp, parseSip, parseUri, SipMessage, StreamFramer, text, utf8 } from '../index.ts';

/** The 12 messages of RFC 5118; goldens/README.md says what is odd about its archive. */
const folder = new URL('goldens/rfc5118/', import.meta.url);
const golden = (name: string) => new Uint8Array(readFileSync(new URL(`${name}.dat`, folder)));
const tried = new Set<string>();

/** The message that a file means: CRLF at line ends, the empty line, and the length that the body has. */
function meant(bytes: Uint8Array): Uint8Array {
  const [head = '', body = ''] = text(bytes)
    .replace(/\n?$/, '\n')
    .replaceAll('\n', '\r\n')
    .split(/\r\n\r\n|(?<=\n)$/);
  const length = utf8(body).length;
  return utf8(`${head.trimEnd().replace(/(?<=Content-Length: )\d+/, String(length))}\r\n\r\n${body}`);
}

/** `archived`: what the file itself gets, where that is not what the message gets. */
function taken(name: string, check: (m: SipMessage) => void, archived?: string) {
  tried.add(`${name.split(' ')[1]}.dat`);
  test(`RFC 5118 ${name}`, () => {
    const file = golden(name.split(' ')[1]!);
    const bytes = meant(file);
    const m = parseSip(bytes);
    assert.ok(m instanceof SipMessage, JSON.stringify(m));
    check(m);
    assert.deepEqual(m.serialize(), bytes);
    const framer = new StreamFramer();
    framer.push(bytes);
    assert.deepEqual(framer.next(), bytes);
    const asArchived = parseSip(file);
    if (archived === undefined) {
      assert.ok(asArchived instanceof SipMessage, JSON.stringify(asArchived));
      check(asArchived);
      assert.equal(
        text(asArchived.serialize()).split('\r\n\r\n')[0],
        text(bytes)
          .split('\r\n\r\n')[0]
          ?.replace(/(?<=Content-Length: )\d+/, String(asArchived.body.length)),
      );
    } else assert.ok(asArchived.kind === 'error' && asArchived.status === 400 && asArchived.reason === archived);
  });
}
const host = (uri: string) => [parseUri(uri)?.host, parseUri(uri)?.port];
/** Where each stream of the body is sent to. */
function addresses(m: SipMessage) {
  const body = parseSdp(m.bodyText);
  assert.ok(!isSdpError(body));
  return body.media.map((media) => (media.connection ?? body.connection)?.address);
}
const NOT_ENDED = 'The headers are not ended by an empty line';
const TOO_SHORT = 'Content-Length is larger than the message';

taken('4.1 ipv6-good', (m) => {
  assert.deepEqual(host(m.uri), ['2001:db8::10', undefined]);
  assert.equal(m.vias[0]?.host, '2001:db8::9:1');
  assert.equal(m.vias[0]?.sentBy, '[2001:db8::9:1]');
  assert.ok(m.contacts !== '*' && m.contacts?.[0]?.uri.host === '2001:db8::1');
});

test('RFC 5118 4.2 ipv6-bad: an address without brackets in the Request-URI → 400', () => {
  tried.add('ipv6-bad.dat');
  for (const bytes of [golden('ipv6-bad'), meant(golden('ipv6-bad'))]) {
    const error = parseSip(bytes);
    assert.ok(error.kind === 'error' && error.status === 400 && error.request);
    assert.equal(error.reason, 'Malformed Request-URI');
  }
});

taken('4.3 port-ambiguous', (m) => assert.deepEqual(host(m.uri), ['2001:db8::10:5070', undefined]));
taken('4.4 port-unambiguous', (m) => assert.deepEqual(host(m.uri), ['2001:db8::10', 5070]));
taken('4.5 via-received-param-with-delim', (m) => {
  assert.equal(m.vias[0]?.received, '2001:db8::9:255');
  assert.equal(m.vias[0]?.branch, 'z9hG4bKas3-111');
});
taken('4.5 via-received-param-no-delim', (m) => {
  assert.equal(m.vias[0]?.received, '2001:db8::9:255');
  assert.equal(m.vias[0]?.branch, 'z9hG4bKas3');
});
taken('4.6 ipv6-in-sdp', (m) => assert.deepEqual(addresses(m), ['2001:db8::20', '2001:db8::20']), TOO_SHORT);
taken('4.7 mult-ip-in-header', (m) => {
  assert.deepEqual(
    m.vias.map((via) => [via.transport, via.host, via.port, via.received]),
    [
      ['UDP', '2001:db8::9:1', 6050, undefined],
      ['UDP', '192.0.2.1', undefined, undefined],
      ['TCP', '2001:db8::9:255', undefined, '192.0.2.200'],
    ],
  );
});
taken('4.8 mult-ip-in-sdp', (m) => assert.deepEqual(addresses(m), ['192.0.2.1', '2001:db8::1']), TOO_SHORT);
taken('4.9 ipv4-mapped-ipv6', (m) => {
  assert.deepEqual(
    m.vias.map((via) => [via.host, via.port]),
    [
      ['::ffff:192.0.2.10', 19823],
      ['::ffff:192.0.2.2', undefined],
    ],
  );
  assert.ok(m.contacts !== '*' && m.contacts?.[0]?.uri.host === '::ffff:192.0.2.2');
  assert.deepEqual(addresses(m), ['::ffff:192.0.2.2', '::ffff:192.0.2.2']);
});
for (const name of ['4.10 ipv6-bug-abnf-3-colons', '4.10 ipv6-correct-abnf-2-colons'])
  taken(
    name,
    (m) => {
      assert.deepEqual(host(m.uri), ['2001:db8::192.0.2.1', undefined]);
      assert.equal(m.to.uri.host, '2001:db8::192.0.2.1');
    },
    NOT_ENDED,
  );

test('RFC 5118: every message of the archive was tried', () => {
  assert.deepEqual([...tried].sort(), readdirSync(folder).sort());
});
