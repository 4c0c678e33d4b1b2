import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest } from '@offhook/core';
import { DOMAIN, OFFER, stage } from '../call/test-kit.ts';
import type { Flow, SipTransportName } from '../transaction/index.ts';

const CASES: readonly [SipTransportName, string, number, RegExp, string][] = [
  ['udp', '127.0.0.1', 5060, /^SIP\/2\.0\/UDP 127\.0\.0\.1:5060;branch=\w+;rport$/, '<sip:127.0.0.1:5060>'],
  ['tcp', '::1', 5060, /^SIP\/2\.0\/TCP \[::1\]:5060;branch=\w+$/, '<sip:[::1]:5060;transport=tcp>'],
  ['tls', '127.0.0.1', 5061, /^SIP\/2\.0\/TLS 127\.0\.0\.1:5061;branch=\w+$/, '<sip:127.0.0.1:5061;transport=tls>'],
  ['tls', '2001:db8::7', 5061, /^SIP\/2\.0\/TLS \[2001:db8::7\]:5061;/, '<sip:[2001:db8::7]:5061;transport=tls>'],
  ['ws', '127.0.0.1', 8080, /^SIP\/2\.0\/WS 127\.0\.0\.1:8080;/, `<sip:${DOMAIN};transport=ws>`],
  ['wss', '::1', 8443, /^SIP\/2\.0\/WSS \[::1\]:8443;/, `<sip:${DOMAIN};transport=ws>`],
];

for (const [transport, address, port, via, contact] of CASES) {
  test(`Via and Contact of our requests over ${transport} at ${address} (RFC 3261 18.1.1, RFC 7118 5)`, () => {
    const s = stage();
    const flow: Flow = {
      id: 99,
      transport,
      local: { address, port },
      remote: { address, port: 40_000 },
      account: 'bob',
    };
    const register = createRequest({
      method: 'REGISTER',
      uri: `sip:${DOMAIN}`,
      from: `<sip:bob@${DOMAIN}>;tag=1`,
      to: `<sip:bob@${DOMAIN}>`,
      callId: 'r',
      cseq: 1,
      headers: [['Contact', '<sip:bob@phone.invalid>']],
    }).prepend('via', `SIP/2.0/${transport.toUpperCase()} phone.invalid;branch=z9hG4bKr;rport`);
    s.core.handleMessage(register, flow, s.clock.now);
    s.settle();
    s.phone('alice').request('INVITE', { sdp: OFFER });
    const invite = s.sentOn(flow).find((m) => m.method === 'INVITE' && m.kind === 'request');
    assert.match(invite?.header('via') ?? '', via);
    assert.equal(invite?.header('contact'), contact);
  });
}
