import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ha1, parseSip, SipMessage, seededCrypto, seededRandom, utf8 } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import type { Flow } from '../transaction/index.ts';
import { SipCore } from './core.ts';

const DOMAIN = 'example.test';
const SDP = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
const head = (method: string, uri: string, i: number) =>
  `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/WS 192.0.2.1;branch=z9hG4bK${i};rport\r\nMax-Forwards: 70\r\n` +
  `From: <sip:alice@${DOMAIN}>;tag=f${i}\r\nTo: <sip:alice@${DOMAIN}>\r\nCall-ID: c${i}\r\nCSeq: ${i + 1} ${method}\r\n`;

const SEEDS: readonly ((i: number) => string)[] = [
  (i) => `${head('REGISTER', `sip:${DOMAIN}`, i)}Contact: <sip:a${i % 5}@x.invalid>;expires=60\r\n\r\n`,
  (i) => `${head('REGISTER', `sip:${DOMAIN}`, i)}Contact: *\r\nExpires: 0\r\n\r\n`,
  (i) => `${head('OPTIONS', `sip:600@${DOMAIN}`, i)}Require: x\r\n\r\n`,
  (i) =>
    `${head('INVITE', `sip:alice@${DOMAIN}`, i)}Contact: <sip:a@x.invalid>\r\nContent-Type: application/sdp\r\nContent-Length: ${SDP.length}\r\n\r\n${SDP}`,
  (i) => `${head('INVITE', `sip:600@${DOMAIN}`, i)}Contact: <sip:a@x.invalid>\r\n\r\n`,
  (i) => `${head('CANCEL', `sip:alice@${DOMAIN}`, i - 1)}\r\n`,
  (i) => `${head('BYE', `sip:alice@${DOMAIN}`, i)}\r\n`,
  (i) => `${head('MESSAGE', `sip:alice@${DOMAIN}`, i)}Authorization: Digest username="a", realm="${DOMAIN}"\r\n\r\n`,
];
const WORDS = [
  '\r\n',
  ';',
  ',',
  '"',
  '<',
  '>',
  '*',
  '@',
  '%00',
  '\0',
  '4294967296',
  '-1',
  'sip:',
  'tag=',
  ': ',
  '\t',
  'é',
];

test('20,000 spoilt messages: nothing is thrown, and when all timers have run nothing is left', () => {
  const random = seededRandom(20_261_124);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.next() * list.length)]!;
  const account = {
    user: 'alice',
    displayName: 'Alice',
    ha1Md5: ha1('MD5', 'alice', DOMAIN, 'pw', nodeCrypto),
    ha1Sha256: '',
    createdAt: '',
  };
  const core = new SipCore({
    crypto: seededCrypto(1, nodeCrypto),
    domain: DOMAIN,
    isLocal: (host) => host === DOMAIN,
    account: (user) => (user === 'alice' ? account : undefined),
    mediaPath: 'opaque',
    relays: 1,
    nowMs: 0,
  });
  const flow = (id: number, signedIn?: string): Flow => ({
    id,
    transport: signedIn === undefined ? 'udp' : 'ws',
    local: { address: '127.0.0.1', port: 5060 },
    remote: { address: `192.0.2.${id}`, port: 5070 },
    account: signedIn,
  });
  const flows = [flow(1, 'alice'), flow(2, 'alice'), flow(3)];
  let now = 0;
  const drain = () => {
    let sent = 0;
    for (let c = core.poll(); c; c = core.poll()) {
      if (c.kind === 'send') sent++;
      else if (c.kind === 'message' && c.command.kind === 'store') core.handleStored(c.command.message.id, true, now);
    }
    return sent;
  };
  let handled = 0;
  let answered = 0;
  for (let i = 0; i < 20_000; i++) {
    let message = pick(SEEDS)(i);
    for (let n = Math.floor(random.next() * 4); n > 0; n--) {
      const at = Math.floor(random.next() * message.length);
      const cut = random.next() < 0.5 ? Math.floor(random.next() * 12) : 0;
      message = message.slice(0, at) + pick(WORDS) + message.slice(at + cut);
    }
    const parsed = parseSip(utf8(message));
    now += 20;
    if (parsed instanceof SipMessage) {
      handled++;
      core.handleMessage(parsed, pick(flows), now);
    }
    core.handleTimeout(now);
    answered += drain();
  }
  assert.ok(handled > 5000 && answered > 5000, `${handled} handled, ${answered} answered`);
  // Timers alone must clear everything; the connections stay.
  for (let n = 0; n < 5000; n++) {
    now += 1000;
    core.handleTimeout(now);
    drain();
  }
  assert.deepEqual(
    {
      transactions: core.transactions.size,
      calls: core.calls.size,
      dialogs: core.calls.dialogs,
      bindings: core.registrar.size,
    },
    { transactions: 0, calls: 0, dialogs: 0, bindings: 0 },
  );
});
