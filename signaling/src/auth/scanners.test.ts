import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest, type SipMessage, seededRandom } from '@offhook/core';
import { scannerOf } from './scanners.ts';

interface Over {
  from?: string;
  agent?: string;
  contact?: string;
}

function request({ from = '<sip:alice@example.test>;tag=a1', agent, contact }: Over): SipMessage {
  return createRequest({
    method: 'OPTIONS',
    uri: 'sip:example.test',
    from,
    to: '<sip:alice@example.test>',
    callId: 'c',
    cseq: 1,
    headers: [
      ['Via', 'SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa'],
      ...(agent === undefined ? [] : [['User-Agent', agent] as const]),
      ...(contact === undefined ? [] : [['Contact', contact] as const]),
    ],
  });
}

const tag = (text: string) => `<sip:alice@example.test>;tag=${Buffer.from(text, 'latin1').toString('hex')}`;

test('a scanner is known by what it calls itself, and by what it has to write into its tag', () => {
  const scans: [Over, string][] = [
    [{ agent: 'friendly-scanner' }, 'friendly-scanner'],
    [{ agent: 'Mozilla/5.0 SIPVicious 0.2' }, 'sipvicious'],
    [{ agent: 'sipcli/v1.8' }, 'sipcli'],
    [{ from: '"sipvicious"<sip:100@192.0.2.1>;tag=1' }, 'sipvicious'],
    [{ from: '"Alice" <sip:100@1.1.1.1>;tag=1' }, 'sipvicious'],
    [{ contact: '<sip:123@1.1.1.1>' }, 'sipvicious'],
    [{ from: '<sip:alice@example.test>;tag=3206210844' }, 'sipvicious'],
    [{ from: tag('7f00000113c4\x014123456789') }, 'sipvicious'],
    [{ from: tag('100\x0198765') }, 'sipvicious'],
    [{ from: tag('alice:p\xe4ss\x01987654321') }, 'sipvicious'],
  ];
  for (const [over, name] of scans) assert.equal(scannerOf(request(over)), name, JSON.stringify(over));
});

test('no phone is taken for one', () => {
  const phones: Over[] = [
    {},
    ...['Linphone/5.0', 'baresip v1.0.0', 'Yealink SIP-T46S 66.86', 'sipsak 0.9.8', 'My smap phone', 'SIP.js/0.21'].map(
      (agent) => ({ agent }),
    ),
    { from: '<sip:100@192.0.2.1>;tag=100' },
    { from: '<sip:bob@1.1.1.1>;tag=1' },
    { contact: '*' },
    { contact: 'no contact at all <' },
    { from: tag('100\x011234') }, // four digits: a phone's tag may be that by chance
    { from: tag('\x0123456789') },
    { from: tag('100\x0112345678901') },
    { from: tag('10\x030\x01987654321') },
    { from: `<sip:a@b>;tag=${'30'.repeat(200)}` },
  ];
  for (const over of phones) assert.equal(scannerOf(request(over)), undefined, JSON.stringify(over));
  const random = seededRandom(7);
  for (let i = 0; i < 20_000; i++) {
    const bytes = Array.from({ length: 4 + Math.floor(random.next() * 12) }, () => Math.floor(random.next() * 256));
    assert.equal(scannerOf(request({ from: tag(String.fromCharCode(...bytes)) })), undefined, String(bytes));
  }
});
