import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  type Crypto,
  createRequest,
  createResponse,
  parseSip,
  SipMessage,
  seededBytes,
  seededRandom,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { type Admission, type Flow, type TransactionCommand, TransactionLayer } from './index.ts';

const flowOf = (transport: Flow['transport']): Flow => ({
  id: 1,
  transport,
  local: { address: '192.0.2.1', port: 5060 },
  remote: { address: '192.0.2.2', port: 5062 },
});
const UDP = flowOf('udp');
const TCP = flowOf('tcp');

function bench(admit: (m: SipMessage) => Admission = () => ({ accept: {} }), maxTransactions?: number) {
  const random = seededRandom(1);
  const crypto: Crypto = { ...nodeCrypto, randomBytes: (n) => seededBytes(random, n) };
  const layer = new TransactionLayer({ crypto, sentBy: () => '192.0.2.1:5060', admit, maxTransactions });
  const drain = () => {
    const out: TransactionCommand[] = [];
    for (let c = layer.poll(); c; c = layer.poll()) out.push(c);
    return out;
  };
  /** Runs every deadline up to `untilMs` and answers `[time, what]` of each command. */
  const run = (untilMs: number) => {
    const log: [number, string][] = [];
    for (let at = layer.nextTimeout(); at !== undefined && at <= untilMs; at = layer.nextTimeout()) {
      layer.handleTimeout(at);
      for (const c of drain()) log.push([at, c.kind === 'send' ? firstLine(c.bytes) : c.kind]);
    }
    return log;
  };
  return { layer, drain, run };
}

const firstLine = (bytes: Uint8Array) => {
  const m = parseSip(bytes);
  assert.ok(m instanceof SipMessage, JSON.stringify(m));
  return m.kind === 'request' ? m.method : String(m.status);
};
const parsed = (bytes: Uint8Array) => {
  const m = parseSip(bytes);
  assert.ok(m instanceof SipMessage);
  return m;
};
const kinds = (commands: readonly TransactionCommand[]) =>
  commands.map((c) => (c.kind === 'send' ? firstLine(c.bytes) : c.kind));
const outgoing = (method: string) =>
  createRequest({
    method,
    uri: 'sip:bob@192.0.2.2',
    from: '<sip:alice@a>;tag=1',
    to: '<sip:bob@b>',
    callId: 'call',
    cseq: 7,
    headers: [['Route', '<sip:p;lr>']],
  });
const incoming = (method: string, branch = 'z9hG4bKin') =>
  parsed(
    createRequest({
      method,
      uri: 'sip:bob@192.0.2.1',
      from: '<sip:alice@a>;tag=1',
      to: '<sip:bob@b>',
      callId: 'call',
      cseq: 7,
    })
      .prepend('via', `SIP/2.0/UDP 192.0.2.2:5062;branch=${branch}`)
      .serialize(),
  );
const sentRequest = (commands: readonly TransactionCommand[]) => {
  const send = commands.find((c) => c.kind === 'send');
  assert.ok(send?.kind === 'send');
  return parsed(send.bytes);
};

test('INVITE client: timer A doubles, timer B ends it after 64*T1 (RFC 3261 17.1.1.2)', () => {
  const { layer, drain, run } = bench();
  layer.request(outgoing('INVITE'), UDP, 0);
  assert.deepEqual(kinds(drain()), ['INVITE']);
  assert.deepEqual(run(60_000), [
    ...[500, 1500, 3500, 7500, 15_500, 31_500].map((at) => [at, 'INVITE'] as [number, string]),
    [32_000, 'timeout'],
    [32_000, 'terminated'],
  ]);
  assert.equal(layer.size, 0);
  assert.equal(layer.nextTimeout(), undefined);
});

test('INVITE client over TCP: nothing is repeated, timer B still rules', () => {
  const { layer, drain, run } = bench();
  layer.request(outgoing('INVITE'), TCP, 0);
  drain();
  assert.deepEqual(run(60_000), [
    [32_000, 'timeout'],
    [32_000, 'terminated'],
  ]);
});

test('INVITE client: a provisional response stops A and B; a failure is acknowledged each time it comes; D ends it', () => {
  const { layer, drain, run } = bench();
  layer.request(outgoing('INVITE'), UDP, 0);
  const invite = sentRequest(drain());
  layer.handleMessage(createResponse(invite, 180, undefined, { toTag: 'x' }), UDP, 100);
  assert.deepEqual(kinds(drain()), ['response']);
  assert.deepEqual(run(200_000), []);
  const busy = createResponse(invite, 486, undefined, { toTag: 'x' });
  layer.handleMessage(busy, UDP, 200_000);
  const commands = drain();
  assert.deepEqual(kinds(commands), ['ACK', 'response']);
  const ack = sentRequest(commands);
  assert.equal(ack.vias[0]?.toString(), invite.vias[0]?.toString());
  assert.equal(ack.uri, invite.uri);
  assert.equal(ack.to.tag, 'x');
  assert.deepEqual(ack.headers('route'), ['<sip:p;lr>']);
  layer.handleMessage(busy, UDP, 201_000);
  assert.deepEqual(kinds(drain()), ['ACK'], 'a repeated failure is acknowledged again, and not passed up');
  assert.deepEqual(run(300_000), [[232_000, 'terminated']]);
});

test('INVITE client: every 2xx is passed up until timer M (RFC 6026 7.2)', () => {
  const { layer, drain, run } = bench();
  layer.request(outgoing('INVITE'), UDP, 0);
  const ok = createResponse(sentRequest(drain()), 200, undefined, { toTag: 'x' });
  layer.handleMessage(ok, UDP, 100);
  layer.handleMessage(ok, UDP, 600);
  assert.deepEqual(kinds(drain()), ['response', 'response']);
  assert.deepEqual(run(100_000), [[32_100, 'terminated']]);
});

test('non-INVITE client: timer E doubles up to T2, F ends it, K keeps it for repeated responses (17.1.2.2)', () => {
  const { layer, drain, run } = bench();
  layer.request(outgoing('BYE'), UDP, 0);
  drain();
  assert.deepEqual(run(60_000), [
    ...[500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500].map(
      (at) => [at, 'BYE'] as [number, string],
    ),
    [32_000, 'timeout'],
    [32_000, 'terminated'],
  ]);
  layer.request(outgoing('OPTIONS'), UDP, 0);
  const options = sentRequest(drain());
  layer.handleMessage(createResponse(options, 100), UDP, 100);
  assert.deepEqual(kinds(drain()), ['response']);
  assert.deepEqual(
    run(9000),
    [
      [500, 'OPTIONS'],
      [4500, 'OPTIONS'],
      [8500, 'OPTIONS'],
    ],
    'after a provisional the interval is T2',
  );
  layer.handleMessage(createResponse(options, 200), UDP, 9000);
  layer.handleMessage(createResponse(options, 200), UDP, 9001);
  assert.deepEqual(kinds(drain()), ['response']);
  assert.deepEqual(run(60_000), [[14_000, 'terminated']]);
});

test('INVITE server: a repeated INVITE gets the last answer; G repeats a failure, H gives up, and the ACK leads to I (17.2.1)', () => {
  const { layer, drain, run } = bench();
  const invite = incoming('INVITE');
  layer.handleMessage(invite, UDP, 0);
  const [request] = drain();
  assert.ok(request?.kind === 'request');
  layer.respond(request.id, createResponse(invite, 180, undefined, { toTag: 'x' }), 0);
  assert.deepEqual(kinds(drain()), ['180']);
  layer.handleMessage(incoming('INVITE'), UDP, 500);
  assert.deepEqual(kinds(drain()), ['180']);
  layer.respond(request.id, createResponse(invite, 486, undefined, { toTag: 'x' }), 1000);
  assert.deepEqual(kinds(drain()), ['486']);
  assert.deepEqual(run(100_000), [
    ...[500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500].map(
      (at) => [1000 + at, '486'] as [number, string],
    ),
    [33_000, 'timeout'],
    [33_000, 'terminated'],
  ]);
  layer.handleMessage(incoming('INVITE', 'z9hG4bKtwo'), UDP, 0);
  const [second] = drain();
  assert.ok(second?.kind === 'request');
  layer.respond(second.id, createResponse(second.message, 404, undefined, { toTag: 'y' }), 0);
  layer.handleMessage(incoming('ACK', 'z9hG4bKtwo'), UDP, 100);
  assert.deepEqual(kinds(drain()), ['404'], 'the ACK of a failure is not passed up');
  layer.handleMessage(incoming('INVITE', 'z9hG4bKtwo'), UDP, 200);
  assert.deepEqual(drain(), [], 'in Confirmed a late INVITE is absorbed');
  assert.deepEqual(run(100_000), [[5100, 'terminated']]);
});

test('INVITE server: after a 2xx the dialog repeats it, ACKs go up, repeated INVITEs are absorbed until timer L (RFC 6026 7.1)', () => {
  const { layer, drain, run } = bench();
  const invite = incoming('INVITE');
  layer.handleMessage(invite, UDP, 0);
  const [request] = drain();
  assert.ok(request?.kind === 'request');
  const ok = createResponse(invite, 200, undefined, { toTag: 'x' });
  layer.respond(request.id, ok, 0);
  layer.respond(request.id, ok, 500);
  layer.handleMessage(incoming('INVITE'), UDP, 600);
  layer.handleMessage(incoming('ACK', 'z9hG4bKin'), UDP, 700);
  layer.handleMessage(incoming('ACK', 'z9hG4bKother'), UDP, 700);
  assert.deepEqual(kinds(drain()), ['200', '200', 'ack', 'ack']);
  assert.deepEqual(run(100_000), [[32_000, 'terminated']]);
});

test('non-INVITE server: the final answer is repeated on request until timer J; over TCP it is forgotten at once (17.2.2)', () => {
  const { layer, drain, run } = bench();
  const bye = incoming('BYE');
  layer.handleMessage(bye, UDP, 0);
  layer.handleMessage(bye, UDP, 10);
  const [request, ...none] = drain();
  assert.ok(request?.kind === 'request');
  assert.deepEqual(none, [], 'in Trying a retransmission is discarded');
  layer.respond(request.id, createResponse(bye, 200), 20);
  layer.handleMessage(bye, UDP, 30);
  assert.deepEqual(kinds(drain()), ['200', '200']);
  assert.deepEqual(run(100_000), [[32_020, 'terminated']]);
  layer.handleMessage(incoming('BYE', 'z9hG4bKtcp'), TCP, 0);
  const [overTcp] = drain();
  assert.ok(overTcp?.kind === 'request');
  layer.respond(overTcp.id, createResponse(overTcp.message, 200), 0);
  assert.deepEqual(kinds(drain()), ['200', 'terminated']);
  assert.equal(layer.size, 0);
});

test('CANCEL of ours waits for a provisional response and carries the branch of its INVITE (9.1)', () => {
  const { layer, drain, run } = bench();
  const id = layer.request(outgoing('INVITE'), UDP, 0);
  const invite = sentRequest(drain());
  layer.cancel(id, 100, [['Reason', 'SIP;cause=200;text="Call completed elsewhere"']]);
  assert.deepEqual(drain(), []);
  layer.handleMessage(createResponse(invite, 100), UDP, 200);
  const commands = drain();
  assert.deepEqual(kinds(commands), ['response', 'CANCEL']);
  const cancel = sentRequest(commands);
  assert.equal(cancel.vias[0]?.branch, invite.vias[0]?.branch);
  assert.deepEqual(cancel.cseq, { number: 7, method: 'CANCEL' });
  assert.equal(cancel.header('reason'), 'SIP;cause=200;text="Call completed elsewhere"');
  assert.deepEqual(cancel.headers('route'), ['<sip:p;lr>']);
  layer.handleMessage(createResponse(cancel, 200), UDP, 300);
  layer.handleMessage(createResponse(invite, 487, undefined, { toTag: 'x' }), UDP, 310);
  assert.deepEqual(kinds(drain()), ['ACK', 'response'], 'the 200 to CANCEL is nobody’s business');
  run(100_000);
  assert.equal(layer.size, 0);
});

test('an INVITE that was cancelled and never ends counts as timed out after 64*T1', () => {
  const { layer, drain, run } = bench();
  const id = layer.request(outgoing('INVITE'), TCP, 0);
  const invite = sentRequest(drain());
  layer.handleMessage(createResponse(invite, 180, undefined, { toTag: 'x' }), TCP, 10);
  layer.cancel(id, 1000);
  assert.deepEqual(kinds(drain()), ['response', 'CANCEL']);
  assert.deepEqual(run(100_000), [
    [33_000, 'timeout'],
    [33_000, 'terminated'],
  ]);
});

test('CANCEL of theirs is answered and passed up once; without its INVITE it gets 481; after the answer it changes nothing', () => {
  const { layer, drain } = bench();
  layer.handleMessage(incoming('CANCEL'), UDP, 0);
  assert.deepEqual(kinds(drain()), ['481']);
  const invite = incoming('INVITE');
  layer.handleMessage(invite, UDP, 0);
  layer.handleMessage(incoming('CANCEL'), UDP, 10);
  layer.handleMessage(incoming('CANCEL'), UDP, 20);
  assert.deepEqual(kinds(drain()), ['request', '200', 'cancel', '200']);
  const other = incoming('INVITE', 'z9hG4bKb');
  layer.handleMessage(other, UDP, 0);
  const [request] = drain();
  assert.ok(request?.kind === 'request');
  layer.respond(request.id, createResponse(other, 200, undefined, { toTag: 'x' }), 5);
  layer.handleMessage(incoming('CANCEL', 'z9hG4bKb'), UDP, 10);
  assert.deepEqual(kinds(drain()), ['200', '200']);
});

test('a refused request leaves no state, however often it comes', () => {
  const { layer, drain } = bench((m) => ({ reject: createResponse(m, 401, undefined, { toTag: 'n' }) }));
  for (let i = 0; i < 100; i++) layer.handleMessage(incoming('INVITE', `z9hG4bK${i}`), UDP, 0);
  assert.equal(drain().length, 100);
  assert.equal(layer.size, 0);
  assert.equal(layer.nextTimeout(), undefined);
});

test('beyond the limit new requests get 503 with Retry-After', () => {
  const { layer, drain } = bench(undefined, 2);
  for (let i = 0; i < 3; i++) layer.handleMessage(incoming('INVITE', `z9hG4bK${i}`), UDP, 0);
  const commands = drain();
  assert.deepEqual(kinds(commands), ['request', 'request', '503']);
  assert.ok(sentRequest(commands).header('retry-after'));
});

test('at the limit what has ended makes room, the oldest first, when it has absorbed repeats for T4', () => {
  const { layer, drain } = bench(undefined, 3);
  const come = (i: number, atMs: number) => layer.handleMessage(incoming('INFO', `z9hG4bK${i}`), UDP, atMs);
  const end = (atMs: number) => {
    for (const c of drain())
      if (c.kind === 'request') layer.respond(c.id, createResponse(c.message, 200, undefined, { toTag: 'x' }), atMs);
  };
  for (let i = 0; i < 3; i++) {
    come(i, i);
    if (i < 2) end(i);
  }
  drain();
  come(3, 4999);
  assert.deepEqual(kinds(drain()), ['503'], 'a repeat of the first may still come');
  come(3, 5000);
  assert.deepEqual(kinds(drain()), ['terminated', 'request']);
  assert.equal(layer.size, 3);
  come(1, 5000);
  assert.deepEqual(kinds(drain()), ['200'], 'the second still answers its repeats');
  come(4, 5001);
  assert.deepEqual(kinds(drain()), ['terminated', 'request']);
  come(5, 60_000);
  assert.deepEqual(kinds(drain()), ['503'], 'nothing gives way that has no answer yet');
  assert.equal(layer.counters.cutShort, 2);
});

test('requests of ours may go beyond the limit: what comes then is heard all the same, as much as it takes gives way', () => {
  const { layer, drain } = bench(undefined, 3);
  for (let i = 0; i < 3; i++) {
    layer.handleMessage(incoming('INFO', `z9hG4bK${i}`), UDP, 0);
    for (const c of drain())
      if (c.kind === 'request') layer.respond(c.id, createResponse(c.message, 200, undefined, { toTag: 'x' }), 0);
  }
  for (let i = 0; i < 2; i++) layer.request(outgoing('INVITE'), UDP, 5000);
  assert.equal(layer.size, 5);
  drain();
  layer.handleMessage(incoming('INFO', 'z9hG4bKnext'), UDP, 5000);
  assert.deepEqual(kinds(drain()), ['terminated', 'terminated', 'terminated', 'request']);
  assert.equal(layer.size, 3);
});

test('beyond the limit calls still end, up to a tenth more; nothing else gets through', () => {
  const { layer, drain } = bench(undefined, 10);
  const inDialog = (method: string, i: number) => incoming(method, `z9hG4bKb${i}`).set('to', '<sip:bob@b>;tag=2');
  for (let i = 0; i < 12; i++) layer.handleMessage(incoming('INVITE', `z9hG4bK${i}`), UDP, 0);
  assert.deepEqual(kinds(drain()).slice(10), ['503', '503']);
  layer.handleMessage(inDialog('INFO', 1), UDP, 0);
  for (let i = 0; i < 2; i++) layer.handleMessage(inDialog('BYE', i), UDP, 0);
  assert.deepEqual(kinds(drain()), ['503', 'request', '503']);
});

test('one account, or one network without, has its share of the transactions; it still hangs up, and others go on', () => {
  const account = (m: SipMessage) => ({ accept: { account: m.callId === 'call' ? 'alice' : undefined } });
  const { layer, drain, run } = bench(account);
  const of = (i: number, o: { method?: string; callId?: string } = {}) =>
    incoming(o.method ?? 'INFO', `z9hG4bK${o.method}${o.callId}${i}`).set('call-id', o.callId ?? 'call');
  for (let i = 0; i < 1001; i++) layer.handleMessage(of(i), { ...UDP, id: i }, 0);
  assert.deepEqual(kinds(drain().slice(999)), ['request', '503'], 'whatever port they come from');
  layer.handleMessage(of(1, { method: 'BYE' }), UDP, 0);
  for (let i = 0; i < 1001; i++) layer.handleMessage(of(i, { callId: 'other' }), UDP, 0);
  assert.deepEqual(kinds(drain()).slice(1000), ['request', '503']);
  const elsewhere = { ...UDP, remote: { address: '198.51.100.1', port: 1 } };
  const loopback = { ...UDP, remote: { address: '127.0.0.1', port: 1 } };
  layer.handleMessage(of(1, { callId: 'third' }), elsewhere, 0);
  for (let i = 0; i < 1001; i++) layer.handleMessage(of(i, { callId: 'load' }), loopback, 0);
  const commands = drain();
  assert.ok(commands.every((c) => c.kind === 'request'));
  layer.handleFlowClosed(elsewhere);
  layer.handleFlowClosed(loopback);
  layer.handleFlowClosed(UDP);
  drain();
  layer.handleMessage(of(1, { callId: 'fourth' }), { ...UDP }, 0);
  assert.deepEqual(kinds(drain()), ['request'], 'what has ended makes room');
  assert.deepEqual(run(1e6), []);
});

test('while it waits for repeats a transaction holds nothing of what it was: no body of theirs, no bytes of ours', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const { layer, drain } = bench();
  const body = { type: 'text/plain', bytes: 'x'.repeat(10_000) };
  const refs: [string, WeakRef<object>][] = [];
  const remember = (what: string, bytes: object) => refs.push([what, new WeakRef(bytes)]);
  const theirs = (method: string, answer: number) => {
    const raw = createRequest({
      method,
      uri: 'sip:b@b',
      from: '<sip:a@a>;tag=1',
      to: '<sip:b@b>',
      callId: method,
      cseq: 1,
      body,
    });
    const message = parsed(raw.prepend('via', `SIP/2.0/UDP 192.0.2.2:5062;branch=z9hG4bK${method}`).serialize());
    remember(`${method} of theirs`, message);
    layer.handleMessage(message, UDP, 0);
    for (const c of drain())
      if (c.kind === 'request') layer.respond(c.id, createResponse(message, answer, undefined, { toTag: 't' }), 0);
    for (const c of drain())
      if (c.kind === 'send' && answer === 200 && method === 'INVITE') remember('200 to INVITE', c.bytes);
  };
  const ours = (method: string, status: number) => {
    layer.request(outgoing(method), UDP, 0);
    const send = drain().find((c) => c.kind === 'send');
    assert.ok(send?.kind === 'send');
    remember(`${method} of ours`, send.bytes);
    layer.handleMessage(createResponse(parsed(send.bytes), status, undefined, { toTag: 't' }), UDP, 0);
    drain();
  };
  theirs('INVITE', 200);
  theirs('INFO', 200);
  theirs('MESSAGE', 404);
  ours('INVITE', 180);
  ours('INVITE', 200);
  ours('INVITE', 486);
  ours('INFO', 200);
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  assert.deepEqual(
    refs.filter(([, ref]) => ref.deref() !== undefined).map(([what]) => what),
    [],
  );
  assert.equal(layer.size, 7, 'all of them are still there');
});

test('a request for a connection that is gone fails at once, and its CANCEL with it', () => {
  const { layer, drain } = bench();
  layer.handleFlowClosed(TCP);
  const id = layer.request(outgoing('INVITE'), TCP, 0);
  layer.cancel(id, 0);
  assert.deepEqual(kinds(drain()), ['transport-error', 'terminated']);
  assert.equal(layer.isOpen(id), false);
  assert.equal(layer.nextTimeout(), undefined);
});

test('a closed connection fails what was asked on it and frees everything', () => {
  const { layer, drain } = bench();
  layer.request(outgoing('INVITE'), TCP, 0);
  layer.request(outgoing('BYE'), TCP, 0);
  layer.handleMessage(incoming('INVITE'), TCP, 0);
  layer.request(outgoing('OPTIONS'), UDP, 0);
  drain();
  layer.handleFlowClosed(TCP);
  assert.deepEqual(kinds(drain()), ['transport-error', 'terminated', 'transport-error', 'terminated', 'terminated']);
  assert.equal(layer.size, 1);
});

test('branches without the cookie are matched as RFC 2543 did', () => {
  const { layer, drain } = bench();
  const old = (method: string) => incoming(method, '1');
  layer.handleMessage(old('INVITE'), UDP, 0);
  layer.handleMessage(old('INVITE'), UDP, 10);
  layer.handleMessage(old('CANCEL'), UDP, 20);
  assert.deepEqual(kinds(drain()), ['request', '200', 'cancel']);
});

test('the Via of a request names host and port of its flow, IPv6 in one pair of brackets', () => {
  for (const [sentBy, host, port] of [
    ['[2001:db8::1]:5060', '2001:db8::1', 5060],
    ['192.0.2.1:5060', '192.0.2.1', 5060],
    ['offhook.local', 'offhook.local', undefined],
  ] as const) {
    const layer = new TransactionLayer({ crypto: nodeCrypto, sentBy: () => sentBy, admit: () => 'drop' });
    layer.request(outgoing('OPTIONS'), TCP, 0);
    const sent = layer.poll();
    assert.ok(sent?.kind === 'send');
    const via = parsed(sent.bytes).vias[0];
    assert.deepEqual([via?.host, via?.port, via?.sentBy], [host, port, sentBy]);
    layer.handleFlowClosed(TCP);
    assert.equal(layer.size, 0);
  }
});
