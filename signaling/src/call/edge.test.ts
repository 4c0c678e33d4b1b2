import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerChallenge, createRequest, createResponse, parseChallenge, parseSip, SipMessage } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import type { Flow } from '../transaction/index.ts';
import { ANSWER, DOMAIN, OFFER, type Stage, stage } from './test-kit.ts';

/** A phone that comes back goes on counting. */
let cseq = 0;

type Headers = readonly (readonly [string, string])[];

/** An edge proxy over UDP: one flow for all phones behind it, each known to it by the token of its Path. */
function edge(s: Stage, address = '192.0.2.7') {
  const flow: Flow = {
    id: 1000 + Number(address.split('.')[3]),
    transport: 'udp',
    local: { address: '192.0.2.1', port: 5060 },
    remote: { address, port: 5060 },
  };
  let branch = 0;
  let read = 0;
  /** What has come to the edge since it last looked. */
  const take = () => {
    const all = s.sentOn(flow);
    const news = all.slice(read);
    read = all.length;
    return news;
  };
  const send = (message: SipMessage) => {
    const parsed = parseSip(message.serialize());
    assert.ok(parsed instanceof SipMessage);
    s.core.handleMessage(parsed, flow, s.clock.now);
    s.settle();
  };
  const route = (token: string) => `<sip:${token}@${address};lr;ob>`;
  const phone = (user: string, instance: string) => {
    const contact = `sip:${user}@${instance}.invalid;transport=ws`;
    const request = (method: string, uri: string, callId: string, headers: Headers, sdp?: string) => {
      branch++;
      const message = createRequest({
        method,
        uri,
        from: `<sip:${user}@${DOMAIN}>;tag=${instance}`,
        to: method === 'REGISTER' ? `<sip:${user}@${DOMAIN}>` : `<${uri}>`,
        callId,
        cseq: ++cseq,
        headers,
        body: sdp === undefined ? undefined : { type: 'application/sdp', bytes: sdp },
      });
      message.prepend('via', `SIP/2.0/WS x.invalid;branch=z9hG4bKp${branch}`);
      return message.prepend('via', `SIP/2.0/UDP ${address};branch=z9hG4bKe${branch}`);
    };
    /** Asks, is challenged, and asks again with a password; what came back then. */
    const ask = (make: (authorization: Headers) => SipMessage, password = 'pw') => {
      const first = make([]);
      send(first);
      const challenge = parseChallenge(take().at(-1)?.header('www-authenticate') ?? '');
      assert.ok(challenge);
      const { method, uri } = first;
      const authorization = answerChallenge({ challenge, username: user, password, method, uri }, nodeCrypto);
      send(make([['Authorization', authorization!]]));
      return take();
    };
    const self = {
      route,
      register: (token: string, over: { password?: string; instance?: string; expires?: number } = {}) =>
        ask(
          (headers) =>
            request('REGISTER', `sip:${DOMAIN}`, `reg-${instance}`, [
              ['Path', route(token)],
              ['Supported', 'path, outbound, gruu'],
              [
                'Contact',
                `<${contact}>;+sip.instance="<urn:${over.instance ?? instance}>";reg-id=1;expires=${over.expires ?? 600}`,
              ],
              ...headers,
            ]),
          over.password,
        ),
      call: (uri: string) =>
        ask((headers) =>
          request(
            'INVITE',
            uri,
            `call-of-${instance}`,
            [
              ['Record-Route', `<sip:${address};lr;x=caller>`],
              ['Contact', `<${contact}>;+sip.instance="<urn:${instance}>"`],
              ...headers,
            ],
            OFFER,
          ),
        ),
      answer: (invite: SipMessage, status: number, headers: Headers = []) =>
        send(
          createResponse(invite, status, undefined, {
            toTag: `to-${instance}`,
            headers: [['Contact', `<${contact}>`], ...headers],
            body: status === 200 ? { type: 'application/sdp', bytes: ANSWER } : undefined,
          }),
        ),
      /** A request of this phone in the dialog that an INVITE of ours began. */
      within: (invite: SipMessage, method: string) => {
        branch++;
        const message = createRequest({
          method,
          uri: 'sip:offhook',
          from: `${invite.header('to')};tag=to-${instance}`,
          to: invite.header('from')!,
          callId: invite.callId,
          cseq: ++cseq,
        });
        send(message.prepend('via', `SIP/2.0/UDP ${address};branch=z9hG4bKe${branch}`));
      },
    };
    return self;
  };
  return { flow, phone, take, route, send };
}

const routesOf = (message: SipMessage | undefined) => message?.values('route');
const names = (messages: readonly SipMessage[]) =>
  messages.map((m) => (m.kind === 'request' ? m.method : `${m.status} ${m.method}`));

/** alice calls bob, who is behind an edge and stays in its way by Record-Route. */
function calledBehindEdge(s: Stage) {
  const e = edge(s);
  const bob = e.phone('bob', 'uuid-b');
  bob.register('token1');
  const alice = s.phone('alice');
  alice.register();
  alice.request('INVITE', { sdp: OFFER });
  const [invite] = e.take() as [SipMessage];
  bob.answer(invite, 200, [['Record-Route', `<sip:${e.flow.remote.address};lr;x=bob>`]]);
  const [ack] = e.take();
  const ok = alice.take().at(-1)!;
  alice.within(ok, 'ACK', { cseq: 1 });
  return { e, bob, alice, invite, ack, ok };
}

test('an INVITE goes down the flow of the REGISTER with its Path as Route, CANCEL too (RFC 3327 5.4)', () => {
  const s = stage();
  const e = edge(s);
  const [ok] = e.phone('bob', 'uuid-b').register('token1');
  assert.equal(ok?.status, 200);
  assert.equal(ok.header('require'), 'outbound');
  assert.equal(ok.header('path'), e.route('token1'));
  const alice = s.phone('alice');
  alice.request('INVITE', { sdp: OFFER });
  const [invite] = e.take();
  assert.equal(invite?.uri, 'sip:bob@uuid-b.invalid;transport=ws');
  assert.deepEqual(routesOf(invite), [e.route('token1')]);
  e.phone('bob', 'uuid-b').answer(invite!, 180);
  alice.request('CANCEL', { branch: 'alice1INVITE' });
  const [cancel] = e.take();
  assert.deepEqual([cancel?.method, routesOf(cancel)], ['CANCEL', [e.route('token1')]]);
  e.phone('bob', 'uuid-b').answer(invite!, 487);
  const [ack] = e.take();
  assert.deepEqual([ack?.method, routesOf(ack)], ['ACK', [e.route('token1')]]);
  s.assertNothingLeft();
});

test('the Record-Route of the answer replaces the Path; BYE finds its way both ways', () => {
  for (const by of ['alice', 'bob'] as const) {
    const s = stage();
    const { e, bob, alice, invite, ack, ok } = calledBehindEdge(s);
    assert.deepEqual(routesOf(ack), ['<sip:192.0.2.7;lr;x=bob>']);
    if (by === 'alice') {
      alice.within(ok, 'BYE', { cseq: 2 });
      const [bye] = e.take();
      assert.deepEqual([bye?.method, routesOf(bye)], ['BYE', ['<sip:192.0.2.7;lr;x=bob>']]);
      bob.answer(bye!, 200);
    } else {
      bob.within(invite, 'BYE');
      assert.deepEqual(names(e.take()), ['200 BYE']);
      const [bye] = alice.take();
      assert.equal(bye?.method, 'BYE');
      alice.answer(bye!, 200);
    }
    s.assertNothingLeft();
  }
});

test('two phones behind one edge call each other over its one flow, also two of the same user', () => {
  for (const [callee, own] of [
    ['bob', false],
    ['alice', true],
  ] as const) {
    const s = stage();
    const e = edge(s);
    const alice = e.phone('alice', 'uuid-a');
    alice.register('from');
    e.phone(callee, 'uuid-other').register('to');
    const got = alice.call(`sip:${callee}@${DOMAIN}`);
    assert.deepEqual(names(got), ['100 INVITE', 'INVITE'], own ? 'not the phone that calls' : '');
    assert.deepEqual(routesOf(got[1]), [e.route('to')]);
    e.phone(callee, 'uuid-other').answer(got[1]!, 486);
    const [, busy] = e.take();
    assert.equal(busy?.status, 486);
    s.advance(100_000);
    assert.equal(s.core.calls.size + s.core.transactions.size, 0);
  }
});

test('a phone that comes back through its edge takes its call along: the new Path replaces the old routes', () => {
  const s = stage();
  const { e, bob, alice, ok } = calledBehindEdge(s);
  bob.register('token1');
  const refreshed = s.core.calls.counters.flowsReplaced;
  bob.register('token2');
  assert.equal(s.core.calls.counters.flowsReplaced, refreshed + 1);
  alice.within(ok, 'BYE', { cseq: 2 });
  const [bye] = e.take();
  assert.deepEqual([bye?.method, routesOf(bye)], ['BYE', [e.route('token2')]]);
  bob.answer(bye!, 200);
  s.advance(100_000);
});

test('the same when it comes back through another edge', () => {
  const s = stage();
  const { e, alice, ok } = calledBehindEdge(s);
  const other = edge(s, '192.0.2.8');
  other.phone('bob', 'uuid-b').register('token9');
  alice.within(ok, 'BYE', { cseq: 2 });
  assert.deepEqual(e.take(), []);
  const [bye] = other.take();
  assert.deepEqual([bye?.method, routesOf(bye)], ['BYE', [other.route('token9')]]);
  other.phone('bob', 'uuid-b').answer(bye!, 200);
  s.advance(100_000);
});

test('a browser behind an edge is one to the relay, as who calls and as who is called', () => {
  const s = stage();
  const e = edge(s);
  const alice = e.phone('alice', 'uuid-a');
  alice.register('from');
  e.phone('bob', 'uuid-b').register('to');
  const [, invite] = alice.call(`sip:bob@${DOMAIN}`);
  e.phone('bob', 'uuid-b').answer(invite!, 200);
  const offer = s.ng.find((command) => command.command === 'offer');
  assert.deepEqual(offer?.flags, ['opaque']);
  assert.equal(offer['transport-protocol'], 'UDP/TLS/RTP/SAVPF');
  assert.equal(s.core.calls.calls()[0]?.media, 'opaque');
  const legs = JSON.parse([...s.snapshots.values()][0]!) as { a: { isWeb: boolean }; b: { isWeb: boolean } };
  assert.deepEqual([legs.a.isWeb, legs.b.isWeb], [true, true], 'also for the next process');
});

test('nobody else takes a call along: not without a password, not as another account, not as another phone', () => {
  const s = stage();
  const { e, bob, alice, ok } = calledBehindEdge(s);
  assert.equal(bob.register('thief', { password: 'wrong' })[0]?.status, 401);
  assert.equal(e.phone('carol', 'uuid-b').register('thief')[0]?.status, 200);
  assert.equal(e.phone('bob', 'uuid-x').register('thief')[0]?.status, 200);
  assert.equal(bob.register('thief', { instance: 'uuid-y' })[0]?.status, 200);
  alice.within(ok, 'BYE', { cseq: 2 });
  const [bye] = e.take();
  assert.deepEqual([bye?.method, routesOf(bye)], ['BYE', ['<sip:192.0.2.7;lr;x=bob>']]);
  bob.answer(bye!, 200);
  s.advance(100_000);
});

test('a second flow of a phone does not take a call from the first, which works; the loss of the first does', () => {
  const s = stage();
  const alice = s.phone('alice');
  const first = s.phone('bob');
  const second = s.phone('bob');
  const register = (phone: typeof first, regId: number, cseq: number) => {
    phone.contact = `<sip:bob@x.invalid;ob>;+sip.instance="<urn:uuid:b>";reg-id=${regId}`;
    const over = { uri: `sip:${DOMAIN}`, to: `<sip:bob@${DOMAIN}>`, callId: `reg-${regId}`, cseq };
    phone.request('REGISTER', { ...over, headers: [['Supported', 'outbound']] });
    assert.equal(phone.take().at(-1)?.status, 200);
  };
  register(first, 1, 1);
  alice.request('INVITE', { sdp: OFFER });
  const [invite] = first.take();
  first.answer(invite!, 200, ANSWER);
  const ok = alice.take().at(-1)!;
  alice.within(ok, 'ACK', { cseq: 1 });
  first.take();
  register(second, 2, 1);
  assert.equal(s.core.calls.counters.flowsReplaced, 0);
  s.core.handleFlowClosed(first.flow, s.clock.now);
  s.settle();
  register(second, 2, 2);
  assert.equal(s.core.calls.counters.flowsReplaced, 1);
  alice.within(ok, 'BYE', { cseq: 2 });
  const [bye] = second.take();
  assert.equal(bye?.method, 'BYE');
  second.answer(bye!, 200);
  s.assertNothingLeft();
});

test('a GRUU rings exactly that phone; a temporary one does not tell whose it is (RFC 5627 3.2)', () => {
  const s = stage();
  const e = edge(s);
  const [desk] = e.phone('bob', 'uuid-desk').register('desk');
  e.phone('bob', 'uuid-mobile').register('mobile');
  const contact = desk?.contacts === '*' ? undefined : desk?.contacts?.[0];
  const alice = s.phone('alice');
  const call = (uri: string, i: number) => {
    alice.request('INVITE', { uri, to: `<${uri}>`, callId: `call-${i}`, branch: `b${i}`, sdp: OFFER });
    return { rung: e.take(), said: alice.take() };
  };
  assert.equal(call(`sip:bob@${DOMAIN}`, 0).rung.length, 2);
  for (const [i, name] of ['pub-gruu', 'temp-gruu'].entries()) {
    const { rung, said } = call(contact!.params.get(name)!, i + 1);
    assert.deepEqual(rung.map(routesOf), [[e.route('desk')]], name);
    e.phone('bob', 'uuid-desk').answer(rung[0]!, 486);
    const busy = alice.take().at(-1)!;
    assert.equal(busy.status, 486);
    if (name === 'temp-gruu') assert.doesNotMatch(said.concat(busy).join('\n'), /bob/);
    e.take();
  }
  const refused = (uri: string, i: number) => {
    const { rung, said } = call(uri, i);
    assert.deepEqual(rung, []);
    return said.at(-1)?.status;
  };
  assert.equal(refused(`sip:bob@${DOMAIN};gr=urn:uuid:nowhere`, 10), 480);
  assert.equal(refused(`sip:nobody@${DOMAIN};gr=urn:uuid:desk`, 11), 404);
  assert.equal(refused(`sip:tgruu.unknown@${DOMAIN};gr`, 12), 404);
  e.phone('bob', 'uuid-desk').register('desk', { expires: 0 });
  assert.equal(refused(contact!.params.get('pub-gruu')!, 13), 480);
  assert.equal(refused(contact!.params.get('temp-gruu')!, 14), 404);
  s.advance(100_000);
});
