import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest, parseSip, SipMessage } from '@offhook/core';
import fc from 'fast-check';
import { ANSWER, last, OFFER } from '../call/test-kit.ts';
import type { TrunkConfig } from './config.ts';
import { BY_ADDRESS, good, Provider, REGISTERING, trunkStage } from './test-kit.ts';

function staged(config: TrunkConfig = BY_ADDRESS) {
  const provider = new Provider('192.0.2.1', good);
  const s = trunkStage({ p: { ...config } }, { 'one.example': [provider] });
  s.advance(2000); // its addresses are known
  return { s, provider };
}

const words = (message: SipMessage | undefined) => `${message?.status} ${message?.header('reason') ?? ''}`;
/** Without what belongs to calls that were let in. */
const statuses = (messages: readonly SipMessage[]) => messages.map((m) => m.status || m.method);

test('a call from the trunk’s address reaches the user whom the number leads to, with the caller’s number', () => {
  const { s, provider } = staged();
  const bob = s.phone('bob');
  bob.register();
  const got = s.from(provider.flow, 'INVITE', { from: '"Ann" <sip:040999@provider.example>', sdp: OFFER, callId: 'c' });
  assert.deepEqual(statuses(got), [100]);
  const [invite] = bob.take() as [SipMessage];
  assert.equal(invite.from.uri.user, '+4940999');
  assert.equal(s.status().calls, 1);
  bob.answer(invite, 180);
  bob.answer(invite, 200, ANSWER);
  const ok = last(s.sentOn(provider.flow));
  assert.equal(ok.status, 200);
  bob.take();
  bob.within(invite, 'BYE', { cseq: 7 });
  s.pump();
  s.advance(100_000);
  assert.equal(s.status().calls, 0);
  assert.equal(s.core.calls.size, 0);
  s.stop();
});

const CALLER: readonly (readonly [
  string,
  readonly (readonly [string, string])[],
  string,
  string | undefined,
  boolean,
])[] = [
  ['"Ann" <sip:040999@x>', [], '+4940999', 'Ann', false],
  ['<sip:acct@x>', [['P-Asserted-Identity', '"Ann" <sip:4940999888@x;user=phone>']], '+4940999888', 'Ann', false],
  ['<sip:acct@x>', [['P-Asserted-Identity', '<tel:+4940999;phone-context=x>']], '+4940999', undefined, false],
  ['<sip:acct@x>', [['P-Asserted-Identity', 'sip:x y, <sip:+4940999@x>']], '+4940999', undefined, false],
  ['<sip:+49401;npdi@x>', [], '+49401', undefined, false],
  ['<sip:alice@x>', [], 'alice@provider.example', undefined, false], // not our alice
  [
    '<sip:anonymous@anonymous.invalid>',
    [['P-Asserted-Identity', '"Ann" <sip:+4940999@x>']],
    'anonymous',
    undefined,
    true,
  ],
  ['<sip:+4940999@x>', [['Privacy', 'id; critical']], 'anonymous', undefined, true],
  ['<sip:+4940999@x>', [['Privacy', 'none']], '+4940999', undefined, false],
  ['<sip:unknown@x>', [], 'anonymous', undefined, true],
  ['<sip:x.example>', [], 'anonymous', undefined, true],
];
for (const [from, headers, wanted, name, isPrivate] of CALLER)
  test(`caller: ${from} ${headers.map((h) => h.join(': ')).join(' ')} is ${wanted}`, () => {
    const { s } = staged();
    const request = createRequest({
      method: 'INVITE',
      uri: 'sip:030111@h',
      from: `${from};tag=1`,
      to: '<sip:x@y>',
      callId: 'c',
      cseq: 1,
      headers,
    });
    const arrived = s.core.trunks.arrived(request, 'p')!;
    assert.equal(arrived.from, wanted);
    assert.equal(arrived.displayName, name);
    assert.equal(arrived.isPrivate, isPrivate);
    assert.equal(arrived.to, 'bob');
    assert.equal(arrived.number, '+4930111');
    s.stop();
  });

test('Remote-Party-ID is believed where it is configured', () => {
  const headers = [['Remote-Party-ID', '"Ann" <sip:+4940999@x>;party=calling;privacy=full']] as const;
  const request = createRequest({
    method: 'INVITE',
    uri: 'sip:030111@h',
    from: '<sip:1@x>;tag=1',
    to: '<sip:x@y>',
    callId: 'c',
    cseq: 1,
    headers,
  });
  const { s } = staged({ ...BY_ADDRESS, identity: 'remote-party-id' });
  assert.equal(s.core.trunks.arrived(request, 'p')!.isPrivate, true);
  s.stop();
  const other = staged();
  assert.equal(other.s.core.trunks.arrived(request, 'p')!.isPrivate, false);
  other.s.stop();
});

test('a number that leads nowhere is refused in words', () => {
  const { s, provider } = staged();
  const got = s.from(provider.flow, 'INVITE', { uri: 'sip:030777@example.test', sdp: OFFER });
  assert.equal(
    words(got[0]),
    `404 SIP;cause=404;text="the number +4930777 leads nowhere: no \`dids\` entry of trunk 'p'"`,
  );
  // Nor does a user's name, which is no number of the trunk.
  assert.equal(s.from(provider.flow, 'INVITE', { uri: 'sip:bob@example.test', sdp: OFFER })[0]!.status, 404);
  assert.equal(s.status().calls, 0);
  s.stop();
});

test('a trunk may call and ask, and nothing else', () => {
  const { s, provider } = staged();
  assert.deepEqual(statuses(s.from(provider.flow, 'OPTIONS', { uri: 'sip:nobody@example.test' })), [200]);
  for (const method of ['REGISTER', 'SUBSCRIBE', 'MESSAGE', 'PUBLISH', 'REFER', 'INFO', 'FOO']) {
    const [answer] = s.from(provider.flow, method);
    assert.equal(answer!.status, 405, method);
    assert.equal(answer!.header('allow'), 'INVITE, ACK, CANCEL, BYE, OPTIONS');
  }
  assert.equal(s.from(provider.flow, 'BYE')[0]!.status, 481);
  assert.equal(s.from(provider.flow, 'INFO', { to: '<sip:x@y>;tag=none' })[0]!.status, 481);
  s.stop();
});

test('its requests are looked at like anybody’s: address, hops, extensions, content', () => {
  const { s, provider } = staged();
  const from = (over: Parameters<typeof s.from>[2]) =>
    s.from(provider.flow, 'INVITE', { sdp: OFFER, ...over })[0]!.status;
  assert.equal(from({ uri: 'sip:+4930111@elsewhere.example' }), 404);
  assert.equal(from({ uri: 'tel:+4930111' }), 416);
  assert.equal(from({ headers: [['Require', 'foo']] }), 420);
  assert.equal(from({ headers: [['Content-Encoding', 'gzip']] }), 415);
  const looped = createRequest({
    method: 'INVITE',
    uri: 'sip:+4930111@example.test',
    from: '<sip:1@x>;tag=1',
    to: '<sip:2@x>',
    callId: 'l',
    cseq: 1,
    maxForwards: 0,
  });
  looped.prepend('via', 'SIP/2.0/UDP x;branch=z9hG4bKl');
  s.core.handleMessage(looped, provider.flow, s.clock.now);
  s.settle();
  assert.equal(last(s.sentOn(provider.flow)).status, 483);
  s.stop();
});

test('from other addresses the same INVITE is challenged', () => {
  const { s } = staged();
  for (const address of ['192.0.2.2', '203.0.113.1']) {
    const stranger = new Provider(address, good);
    assert.deepEqual(statuses(s.from(stranger.flow, 'INVITE', { sdp: OFFER })), [401]);
  }
  s.stop();
});

test('sources: networks that are configured, IPv6 too, another port of the target, never a browser', () => {
  const { s, provider } = staged({ ...BY_ADDRESS, inbound: { from: ['198.51.100.0/28', '2001:db8::/32'] } });
  const status = (address: string, over: object = {}) =>
    s.from(new Provider(address, good, over).flow, 'OPTIONS')[0]!.status;
  assert.equal(status('198.51.100.15'), 200);
  assert.equal(status('198.51.100.16'), 401);
  assert.equal(status('x.x.x.1', { remote: { address: '2001:db8::77', port: 9 } }), 200);
  assert.equal(status('x.x.x.2', { remote: { address: '2001:db9::77', port: 9 } }), 401);
  assert.equal(status('x.x.x.3', { remote: { ...provider.flow.remote, port: 40_000 } }), 200);
  assert.equal(status('x.x.x.4', { remote: provider.flow.remote, transport: 'ws' }), 401);
  s.stop();
});

test('on loopback the port has to be the target’s too: every program has that address', () => {
  const provider = new Provider('127.0.0.1', good, { remote: { address: '127.0.0.1', port: 15_060 } });
  const s = trunkStage({ p: BY_ADDRESS }, { 'one.example': [provider] });
  s.advance(2000);
  assert.equal(s.from(provider.flow, 'OPTIONS')[0]!.status, 200);
  const phone = new Provider('127.0.0.1', good, { remote: { address: '127.0.0.1', port: 15_070 } });
  assert.equal(s.from(phone.flow, 'OPTIONS')[0]!.status, 401);
  s.stop();
});

test('a trunk that registers is known by its registrar’s address and our contact together', () => {
  const { s, provider } = staged(REGISTERING);
  const contact = /<([^>]+)>/.exec(provider.of('REGISTER')[0]!.header('contact')!)![1]!;
  const bob = s.phone('bob');
  bob.register();
  const first = (flow = provider.flow, over: Parameters<typeof s.from>[2] = {}) =>
    s.from(flow, 'INVITE', { uri: contact, sdp: OFFER, ...over })[0]!.status;
  // The number stands in To, or where P-Called-Party-ID says.
  assert.equal(first(), 100);
  assert.equal(first(provider.flow, { to: '<sip:030777@x>', headers: [['P-Called-Party-ID', '<sip:030111@x>']] }), 100);
  // Behind a NAT the provider knows us by a host that we don't.
  assert.equal(first(provider.flow, { uri: contact.replace(/@.*/, '@203.0.113.5:1') }), 100);
  assert.equal(first(new Provider('192.0.2.2', good).flow), 401);
  assert.equal(first(provider.flow, { uri: 'sip:+4930111@example.test' }), 401);
  assert.equal(first(provider.flow, { uri: 'sip:0123456789abcdef01234567@example.test' }), 401);
  s.advance(200_000);
  assert.equal(s.status().calls, 0);
  s.stop();
});

test('of two trunks at one address, the one that has the number takes the call', () => {
  const provider = new Provider('192.0.2.1', good);
  const trunks = { p: BY_ADDRESS, q: { ...BY_ADDRESS, dids: { '+4930555': 'bob' } } };
  const s = trunkStage(trunks, { 'one.example': [provider] });
  s.advance(2000);
  const bob = s.phone('bob');
  bob.register();
  for (const [number, p, q] of [
    ['+4930555', 0, 1],
    ['+4930111', 1, 1],
  ] as const) {
    assert.equal(s.from(provider.flow, 'INVITE', { uri: `sip:${number}@example.test`, sdp: OFFER })[0]!.status, 100);
    assert.deepEqual([s.status('p').calls, s.status('q').calls], [p, q]);
  }
  s.advance(200_000);
  s.stop();
});

test('lines: as many calls come in as there are, one more hears 503 with Retry-After', () => {
  const { s, provider } = staged({ ...BY_ADDRESS, maxCalls: 2, maxCallsPerSecond: 100 });
  const bob = s.phone('bob');
  bob.register();
  const call = () => s.from(provider.flow, 'INVITE', { sdp: OFFER })[0]!;
  assert.deepEqual([call().status, call().status], [100, 100]);
  const busy = call();
  assert.equal(words(busy), `503 SIP;cause=503;text="all lines of trunk 'p' are in use"`);
  assert.equal(busy.header('retry-after'), '10');
  // Calls out take of the same lines.
  assert.ok(
    'status' in
      s.core.trunks.dial(
        { trunk: 'p', number: '030123', caller: { user: 'bob', payer: 'bob', isPrivate: false } },
        s.clock.now,
      ),
  );
  s.advance(200_000);
  assert.equal(s.status().calls, 0);
  assert.equal(call().status, 100);
  s.advance(200_000);
  s.stop();
});

test('new calls a second: at the limit and one more', () => {
  const { s, provider } = staged({ ...BY_ADDRESS, maxCallsPerSecond: 3 });
  const statusesOf = [1, 2, 3, 4].map(() => s.from(provider.flow, 'INVITE', { sdp: OFFER }).at(-1)!);
  assert.deepEqual(
    statusesOf.map((m) => m.status),
    [480, 480, 480, 503],
  );
  assert.match(words(statusesOf[3]), /calls come too fast over trunk 'p'/);
  s.stop();
});

test('a flood from a trunk’s address is answered up to a rate', () => {
  const { s, provider } = staged();
  let answers = 0;
  for (let i = 0; i < 500; i++) answers += s.from(provider.flow, 'OPTIONS', { uri: 'sip:example.test' }).length;
  assert.equal(answers, 400);
  s.stop();
});

test('a server that stops takes no calls from trunks either', () => {
  const { s, provider } = staged();
  s.core.drain();
  assert.equal(s.from(provider.flow, 'INVITE', { sdp: OFFER })[0]!.status, 503);
  s.stop();
});

/** Every way in which a call from a trunk can end gives its line back. */
const ENDS: readonly (readonly [string, (on: ReturnType<typeof ringing>) => void])[] = [
  ['busy', ({ bob, invite }) => bob.answer(invite, 486)],
  ['declined', ({ bob, invite }) => bob.answer(invite, 603)],
  ['nobody answers', ({ s }) => s.advance(100_000)],
  ['the answer is unusable', ({ bob, invite }) => bob.answer(invite, 200, 'unusable')],
  ['the answer is never acknowledged', ({ bob, invite }) => bob.answer(invite, 200, ANSWER)],
  [
    'cancelled',
    ({ s, provider, request }) => {
      const cancel = createRequest({
        method: 'CANCEL',
        uri: request.uri,
        from: request.header('from')!,
        to: request.header('to')!,
        callId: request.callId,
        cseq: 1,
      });
      cancel.prepend('via', request.vias[0]!.toString());
      s.core.handleMessage(cancel, provider.flow, s.clock.now);
      s.settle();
    },
  ],
  ['the phone’s connection goes', ({ s, bob }) => s.core.handleFlowClosed(bob.flow, s.clock.now)],
  ['the trunk’s connection goes', ({ s, provider }) => s.core.handleFlowClosed(provider.flow, s.clock.now)],
  ['the server stops', ({ s }) => s.core.hangUpAll('the server is being stopped', s.clock.now)],
];

function ringing() {
  const { s, provider } = staged();
  const bob = s.phone('bob');
  bob.register();
  s.from(provider.flow, 'INVITE', { sdp: OFFER, callId: 'ends', branch: 'ends' });
  const request = createRequest({
    method: 'INVITE',
    uri: 'sip:+4930111@example.test',
    from: '<sip:+4940999@provider.example>;tag=far',
    to: '<sip:+4930111@example.test>',
    callId: 'ends',
    cseq: 1,
  });
  request.prepend('via', 'SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKends');
  const [invite] = bob.take() as [SipMessage];
  bob.answer(invite, 180);
  assert.equal(s.status().calls, 1);
  return { s, provider, bob, invite, request };
}

for (const [what, end] of ENDS)
  test(`the line is free again: ${what}`, () => {
    const on = ringing();
    end(on);
    on.s.settle();
    on.s.pump();
    on.s.advance(200_000);
    assert.equal(on.s.status().calls, 0);
    assert.equal(on.s.core.calls.size, 0);
    on.s.stop();
  });

test('a call to the echo over a trunk takes a line and gives it back', () => {
  const { s, provider } = staged();
  const [, ok] = s.from(provider.flow, 'INVITE', { uri: 'sip:030600@example.test', sdp: OFFER });
  assert.equal(ok!.status, 200);
  assert.equal(s.status().calls, 1);
  s.advance(100_000); // never acknowledged
  assert.equal(s.status().calls, 0);
  s.stop();
});

test('no header of a call that comes in throws', () => {
  const { s, provider } = staged();
  const text = fc.oneof(fc.string(), fc.stringMatching(/^["<sip:tel+0-9;@>, =]{0,40}$/));
  fc.assert(
    fc.property(text, text, text, text, (uri, from, asserted, called) => {
      const clean = (value: string) => value.replace(/[\r\n\0]/g, ' ');
      const headers = [
        ['P-Asserted-Identity', clean(asserted)],
        ['P-Called-Party-ID', clean(called)],
        ['Remote-Party-ID', clean(asserted)],
        ['Privacy', clean(called)],
      ] as const;
      const request = parseSip(
        createRequest({
          method: 'INVITE',
          uri: `sip:${clean(uri).replace(/\s/g, '')}`,
          from: clean(from),
          to: '<sip:x@y>',
          callId: 'c',
          cseq: 1,
          headers,
        })
          .prepend('via', 'SIP/2.0/UDP x;branch=z9hG4bK1')
          .serialize(),
      );
      if (!(request instanceof SipMessage)) return;
      s.core.trunks.trunkOf(request, provider.flow, 0);
      s.core.trunks.arrived(request, 'p');
    }),
  );
  s.stop();
});
