import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest, createResponse, type SipMessage } from '@offhook/core';
import { Traffic } from './traffic.ts';

function request(method: string): SipMessage {
  const message = createRequest({
    method,
    uri: 'sip:x@example.test',
    from: '<sip:a@example.test>;tag=1',
    to: '<sip:b@example.test>',
    callId: 'c',
    cseq: 1,
    headers: [],
  });
  return message.prepend('via', 'SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1');
}

/** Figures that are not 0. */
const some = (traffic: Traffic) => Object.fromEntries(Object.entries(traffic.figures()).filter(([, n]) => n !== 0));

test('messages count by method, class and transport; methods that nobody knows have one name together', () => {
  const traffic = new Traffic();
  traffic.received(request('INVITE'), 'udp', 500);
  for (const method of ['BREW', 'invite', 'X'.repeat(300)]) traffic.received(request(method), 'udp', 100);
  traffic.received(createResponse(request('BYE'), 486, undefined, {}), 'tls', 70);
  assert.deepEqual(some(traffic), {
    'sip_requests_total{direction="received",method="INVITE"}': 1,
    'sip_requests_total{direction="received",method="other"}': 3,
    'sip_transport_messages_total{direction="received",transport="udp"}': 4,
    'sip_transport_bytes_total{direction="received",transport="udp"}': 800,
    'sip_responses_total{direction="received",class="4xx"}': 1,
    'sip_transport_messages_total{direction="received",transport="tls"}': 1,
    'sip_transport_bytes_total{direction="received",transport="tls"}': 70,
  });
});

test('what is sent is told by its bytes, whatever they are', () => {
  const traffic = new Traffic();
  const bytes = request('SUBSCRIBE').serialize();
  traffic.sent(bytes, 'ws');
  traffic.sent(createResponse(request('BYE'), 200, undefined, {}).serialize(), 'ws');
  traffic.sent(request('BREW').serialize(), 'ws');
  for (const odd of [[], [65], [0x53, 0x49, 0x50, 0x2f], new Array(40).fill(65)])
    traffic.sent(Uint8Array.from(odd), 'tcp');
  const figures = some(traffic);
  assert.equal(figures['sip_requests_total{direction="sent",method="SUBSCRIBE"}'], 1);
  assert.equal(figures['sip_responses_total{direction="sent",class="2xx"}'], 1);
  assert.equal(figures['sip_requests_total{direction="sent",method="other"}'], 4);
  assert.equal(figures['sip_transport_messages_total{direction="sent",transport="tcp"}'], 4);
  const all = Object.keys(new Traffic().figures()).length;
  assert.equal(Object.keys(traffic.figures()).length, all, 'nobody can add a name');
});
