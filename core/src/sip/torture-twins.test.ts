import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createResponse, parseSip, parseUri, SipMessage, StreamFramer, text, utf8 } from '../index.ts';

/** Twins of the torture messages of RFC 4475 and RFC 5118: each cut short and each with bits turned over. */
const folder = new URL('goldens/', import.meta.url);
const goldens = ['rfc4475', 'rfc5118'].flatMap((rfc) =>
  readdirSync(new URL(rfc, folder)).map((file) => ({
    name: file.replace('.dat', ''),
    bytes: new Uint8Array(readFileSync(new URL(`${rfc}/${file}`, folder))),
  })),
);

/**
 * Reads everything that can be read. Nothing may throw; what is accepted is written and read again as the same; what is
 * refused with a status can be answered.
 */
function readAll(bytes: Uint8Array): SipMessage | undefined {
  const parsed = parseSip(bytes);
  if (parsed.kind === 'error') {
    if (parsed.request && parsed.status !== undefined) createResponse(parsed.request, parsed.status).serialize();
    return undefined;
  }
  for (const name of parsed.names()) {
    parsed.header(name);
    parsed.values(name);
  }
  void [parsed.contacts, parsed.vias, parsed.from.tag, parsed.to.uri.toString(), parsed.cseq, parsed.callId];
  void [parsed.expires, parsed.maxForwards, parsed.contentType, parsed.bodyText];
  if (parsed.kind === 'request') assert.ok(parseUri(parsed.uri));
  const written = parsed.serialize();
  const again = parseSip(written);
  assert.ok(again instanceof SipMessage, `${text(written)} — ${JSON.stringify(again)}`);
  assert.deepEqual(again.serialize(), written);
  return parsed;
}

/** What a stream makes of it: never an endless answer, and never a message that was not all there. */
function frame(bytes: Uint8Array): number {
  const framer = new StreamFramer();
  framer.push(bytes);
  let framed = 0;
  for (let rounds = 0; ; rounds++) {
    assert.ok(rounds <= bytes.length);
    const next = framer.next();
    if (next === undefined) return framed;
    if (next instanceof Uint8Array) framed += next.length;
  }
}

test('cut short after any of its headers no message is accepted: its end is missing', () => {
  for (const { name, bytes } of goldens) {
    const end = text(bytes).search(/\r?\n\r?\n/);
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1))
      for (const cut of [at, at + 1]) {
        const whole = readAll(bytes.subarray(0, cut));
        if (end < 0 || cut <= end + 1) assert.equal(whole, undefined, `${name} cut at ${cut}`);
      }
  }
});

test('cut short after any byte nothing throws; a stream hands out no more than it has', () => {
  for (const { bytes } of goldens)
    for (let cut = 0; cut < bytes.length; cut += bytes.length > 1500 ? 7 : 1) {
      readAll(bytes.subarray(0, cut));
      assert.ok(frame(bytes.subarray(0, cut)) <= cut);
    }
});

test('a body cut short is refused in a datagram, and waited for on a stream', () => {
  for (const { name, bytes } of goldens) {
    const m = parseSip(bytes);
    if (!(m instanceof SipMessage) || m.body.length === 0 || m.header('content-length') === undefined) continue;
    const cut = bytes.subarray(0, bytes.length - 1);
    const error = parseSip(cut);
    assert.ok(error.kind === 'error', name);
    assert.equal(error.status, m.kind === 'request' ? 400 : undefined, name);
    assert.equal(frame(cut), 0, name);
  }
});

test('as an ACK what is refused is dropped: an ACK is never answered (RFC 3261 17)', () => {
  let dropped = 0;
  for (const { name, bytes } of goldens) {
    const error = parseSip(bytes);
    if (error.kind !== 'error' || error.request?.method !== 'INVITE') continue;
    const ack = parseSip(utf8(text(bytes).replaceAll('INVITE', 'ACK')));
    assert.ok(ack.kind === 'error' && ack.status === undefined && ack.request === undefined, name);
    dropped++;
  }
  assert.ok(dropped >= 8);
});

test('with any one bit of its head turned over nothing throws', () => {
  for (const [index, { bytes }] of goldens.entries()) {
    const twin = bytes.slice();
    for (let at = index % 2; at < twin.length; at += twin.length > 1500 ? 5 : 2) {
      const bit = 1 << ((at + index) % 8);
      twin[at]! ^= bit;
      readAll(twin);
      frame(twin);
      twin[at]! ^= bit;
    }
  }
});

/** Where the first message ends: as a datagram, and on a stream. */
function ends(bytes: Uint8Array): (number | undefined)[] {
  const parsed = parseSip(bytes);
  const head = /\n\r?\n/.exec(Buffer.from(bytes).toString('latin1'));
  const framer = new StreamFramer();
  framer.push(bytes);
  const framed = framer.next();
  return [
    parsed instanceof SipMessage ? (head ? head.index + head[0].length : bytes.length) + parsed.body.length : undefined,
    framed instanceof Uint8Array ? framed.byteOffset + framed.length : undefined,
  ];
}

test('framer and parser agree on where a message ends, or one of them refuses it: nothing is smuggled between them', () => {
  const framed = (head: string) => ends(utf8(`${head}\r\n\r\n0123456789`));
  for (const { bytes } of goldens) {
    const twin = bytes.slice();
    const declared = text(bytes).search(/^(Content-Length|l)\s*:/im);
    if (declared < 0) continue;
    const from = utf8(text(bytes).slice(0, declared)).length;
    for (let at = from; at < Math.min(from + 24, twin.length); at++)
      for (let bit = 0; bit < 8; bit++) {
        twin[at]! ^= 1 << bit;
        const [parsed, cut] = ends(twin);
        if (parsed !== undefined && cut !== undefined) assert.equal(cut, parsed, `${at} ${bit} ${text(twin)}`);
        twin[at]! ^= 1 << bit;
      }
  }
  const request = text(goldens.find(({ name }) => name === 'zeromf')!.bytes).replace(/\r\nContent-Length.*$/s, '');
  const whole = framed(`${request}\r\nContent-Length: 5`)[1]!;
  for (const folded of ['Content-Length:\r\n 5', 'l :\r\n\t\r\n 05', 'CONTENT-LENGTH\t: 5\r\n '])
    for (const end of framed(`${request}\r\n${folded}`)) assert.equal(end, whole + folded.length - 17, folded);
  for (const two of ['Content-Length: 5\r\n 1', 'Content-Length: 5 1', 'l: 5\r\nX: 1\r\n l: 3\r\nl: 7'])
    assert.deepEqual(framed(`${request}\r\n${two}`), [undefined, undefined], two);
});

test('a bit turned over in a field that nobody reads is passed on as it is', () => {
  const { bytes } = goldens.find(({ name }) => name === 'wsinv')!;
  const at = text(bytes).indexOf(';;,,;;,;');
  for (let bit = 0; bit < 8; bit++) {
    const twin = bytes.slice();
    twin[at]! ^= 1 << bit;
    assert.deepEqual(readAll(twin)?.serialize(), twin);
  }
});

test('byte by byte a stream finds the same messages', () => {
  for (const { name, bytes } of goldens) {
    const framer = new StreamFramer();
    let framed = 0;
    for (let at = 0; at < bytes.length; at++) {
      framer.push(bytes.subarray(at, at + 1));
      for (let next = framer.next(); next !== undefined; next = framer.next())
        if (next instanceof Uint8Array) framed += next.length;
    }
    assert.equal(framed, frame(bytes), name);
  }
});

/** Ways to make a message longer, each with what a quadratic reader would stumble over. */
const LONGER: readonly [name: string, grow: (n: number) => string][] = [
  ['folds', (n) => `X-Fold: a${'\r\n b'.repeat(n)}\r\n`],
  ['white space before the colon', (n) => `X-Space${' '.repeat(n)}: a\r\n`],
  ['folds in the length', (n) => `X: 1\r\nX-Length:${'\r\n '.repeat(n)}\r\n`],
  ['commas', (n) => `Accept: ${','.repeat(n)}\r\n`],
  ['open quotes', (n) => `Accept: ${'"\\'.repeat(n)}\r\n`],
  ['semicolons', (n) => `Contact: <sip:a@b>${';'.repeat(n)}\r\n`],
  ['open brackets', (n) => `Contact: ${'<'.repeat(n)}\r\n`],
  ['carriage returns', (n) => `X-Return: ${'\r'.repeat(n)}\r\n`],
];

test('what is four times as long takes no more than about four times as long', () => {
  const request = text(goldens.find(({ name }) => name === 'zeromf')!.bytes);
  const lowest = (bytes: Uint8Array): number => {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 25; i++) {
      const from = process.hrtime.bigint();
      readAll(bytes);
      frame(bytes);
      best = Math.min(best, Number(process.hrtime.bigint() - from));
    }
    return best;
  };
  for (const [name, grow] of LONGER) {
    const longer = (n: number) => {
      // As many lines as the line limit wants, so that the message is long and not only refused for its longest line.
      const one = grow(n);
      return utf8(request.replace('\r\n\r\n', `\r\n${one.repeat(4)}\r\n`));
    };
    const [short, long] = [longer(500), longer(2000)].map(lowest);
    assert.ok(long! < 12 * short! + 200_000, `${name}: ${short} ns and ${long} ns`);
  }
});
