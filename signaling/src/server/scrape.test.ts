import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest, hex, text } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { readExposition } from './testkit/exposition.ts';
import { SDP, startRelay } from './testkit/relay.ts';
import { DOMAIN, PASSWORD, type RunningServer, startServer } from './testkit/running.ts';
import { SipClient } from './testkit/sip-client.ts';

async function signIn(server: RunningServer, user: string): Promise<string> {
  const response = await fetch(`${server.url}/api/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ user, password: PASSWORD }),
  });
  return ((await response.json()) as { session: string }).session;
}

/** The value of every series by name and labels, `part` left out; read more strictly than Prometheus would. */
async function scrape(server: RunningServer): Promise<(key: string) => number | undefined> {
  const response = await fetch(`${server.url}/metrics`, { headers: { connection: 'close' } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const values = new Map<string, number>();
  for (const [family, { samples, help }] of readExposition(await response.text())) {
    assert.ok(help, `${family} has no HELP`);
    for (const { name, labels, value } of samples) {
      const own = Object.entries(labels).filter(([label]) => label !== 'part');
      values.set([name, ...own.map(([label, word]) => `${label}=${word}`)].join(' '), value);
    }
  }
  return (key) => values.get(key);
}

const contact = [['Contact', '<sip:alice@client.invalid;transport=ws>']] as const;

/** ACK and BYE of an answered call; an OPTIONS behind them shows, once answered, that both were read. */
async function hangUp(phone: SipClient, ok: { to: string; callId: string; cseq: number }): Promise<void> {
  for (const [method, cseq] of [
    ['ACK', ok.cseq],
    ['BYE', 99],
  ] as const) {
    const request = createRequest({
      method,
      uri: `sip:${DOMAIN}`,
      from: `<sip:alice@${DOMAIN}>;tag=t`,
      to: ok.to,
      callId: ok.callId,
      cseq,
      headers: [],
    });
    request.prepend('via', `SIP/2.0/WS client.invalid;branch=z9hG4bK${hex(nodeCrypto.randomBytes(8))}`);
    phone.sendRaw(text(request.serialize()));
  }
  assert.equal((await phone.request('OPTIONS', 'alice')).status, 200);
}

test('a scrape after a few calls: what Prometheus reads, with the figures of what was done', async () => {
  await using relay = await startRelay();
  await using server = await startServer({ relay: relay.address });
  await using desk = await SipClient.tcp(server.ports.tcp!); // over UDP a server that is late drops what strangers ask
  assert.equal((await desk.register({ user: 'bob', password: 'wrong', contact: '<sip:bob@127.0.0.1>' })).status, 401);
  assert.equal((await desk.register({ user: 'bob', password: PASSWORD, contact: '*', expires: 5 })).status, 400);
  assert.equal((await desk.register({ user: 'bob', password: PASSWORD })).status, 200);
  const session = await signIn(server, 'alice');
  await using phone = await SipClient.webSocket(`${server.url.replace('http', 'ws')}/sip`, [
    'sip',
    `offhook.session.${session}`,
  ]);
  assert.equal((await phone.request('INVITE', 'alice', contact, `sip:bob@${DOMAIN}`)).status, 480);
  assert.equal((await phone.request('INVITE', 'alice', contact, `sip:nobody@${DOMAIN}`)).status, 404);
  assert.equal((await phone.request('BREW', 'alice')).status, 501);
  const ok = await phone.request('INVITE', 'alice', contact, { uri: `sip:600@${DOMAIN}`, body: SDP });
  assert.equal(ok.status, 200);
  const before = await scrape(server);
  assert.equal(before('sip_calls'), 1);
  assert.equal(before('sip_session_duration_seconds_count side=caller result=completed'), 0);
  await hangUp(phone, { to: ok.header('to')!, callId: ok.callId, cseq: ok.cseq.number });

  const value = await scrape(server);
  const expected: Record<string, number> = {
    sip_calls: 0,
    'sip_session_requests_total side=caller outcome=established': 1,
    'sip_session_requests_total side=caller outcome=effective': 1,
    'sip_session_requests_total side=caller outcome=failed': 1,
    'sip_session_requests_total side=callee outcome=established': 0,
    'sip_session_request_delay_seconds_count side=caller result=success': 1,
    'sip_session_request_delay_seconds_count side=caller result=failure': 2,
    'sip_session_duration_seconds_count side=caller result=completed': 1,
    'sip_session_duration_seconds_bucket side=caller result=completed le=60': 1,
    'sip_session_establishment_ratio side=caller': 1 / 3,
    'sip_session_establishment_effectiveness_ratio side=caller': 2 / 3,
    'sip_session_completion_ratio side=caller': 1 / 3,
    'sip_session_ineffective_ratio side=caller': 0,
    'sip_registrar_attempts_total outcome=registered': 1,
    'sip_registrar_attempts_total outcome=ineffective': 1,
    sip_registrar_ineffective_ratio: 0.5,
    sip_registrar_processing_seconds_count: 6,
    'sip_requests_total direction=received method=REGISTER': 6,
    'sip_requests_total direction=received method=INVITE': 3,
    'sip_requests_total direction=received method=other': 1,
    'sip_responses_total direction=sent class=5xx': 1,
    'sip_transport_messages_total direction=received transport=tcp': 6,
    'sip_transport_messages_total direction=sent transport=tcp': 6,
  };
  const got = Object.fromEntries(Object.keys(expected).map((key) => [key, value(key)]));
  assert.deepEqual(got, expected);
  assert.ok(value('sip_transport_bytes_total direction=received transport=ws')! > 1000);
  assert.ok(value('process_cpu_seconds_total')! > 0);
  assert.ok(value('nodejs_heap_size_used_bytes')! > 1e6);
  assert.ok(value('nodejs_eventloop_lag_seconds_count')! >= 0);
  if (process.platform === 'linux') {
    assert.ok(value('process_open_fds')! > 10 && value('process_max_fds')! >= value('process_open_fds')!);
    assert.ok(value('host_udp_receive_buffer_errors_total ipv4') === undefined);
    assert.ok(value('host_udp_receive_buffer_errors_total family=ipv4')! >= 0);
  }
});
