import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAuthorization, type SipMessage } from '@offhook/core';
import type { Locate } from '../locate/index.ts';
import { REGISTERING } from '../trunk/test-kit.ts';
import { ANSWER, DOMAIN, last, OFFER, type Phone, stage } from './test-kit.ts';

const CHALLENGE = 'Digest realm="provider.example", nonce="n1", qop="auth"';
const DTMF: [string, string][] = [['Content-Type', 'application/dtmf-relay']];

const TRUNK = { ...REGISTERING, register: { user: 'acct', password: 'pw', realm: 'provider.example' } };

/** alice calls over a trunk, which challenges whatever it is asked. */
function calling() {
  const servers: Phone[] = [];
  const locate: Locate = (_uri, nowMs, then) => {
    const server = servers[0];
    if (server) then({ flow: server.flow, next: () => {} }, nowMs);
    else then({ error: 'not yet' }, nowMs);
  };
  const s = stage({ tellsEvents: true, core: { routing: 'asked', locate, trunks: { p: TRUNK } } });
  const provider = s.phone('provider', 'udp');
  servers.push(provider);
  const alice = s.phone('alice');
  const registers = () => {
    for (let i = 0; i < 100; i++) {
      const register = provider.take().findLast((m) => m.method === 'REGISTER');
      if (register) {
        provider.answer(register, 200, undefined, [['Expires', '3600']]);
        return;
      }
      s.advance(1000);
    }
    assert.fail('the trunk registers');
  };
  registers();
  const challenged = (method: string, by: 401 | 407 = 407): SipMessage => {
    const first = provider.take().findLast((m) => m.kind === 'request' && m.method === method);
    assert.ok(first, `${method} has come`);
    assert.equal(proofOf(first), undefined);
    provider.answer(first, by, undefined, [[by === 401 ? 'WWW-Authenticate' : 'Proxy-Authenticate', CHALLENGE]]);
    const again = provider.take().findLast((m) => m.kind === 'request' && m.method === method);
    assert.ok(again, `${method} has come again`);
    assert.equal(again.cseq.number, first.cseq.number + 1);
    assert.equal(parseAuthorization(proofOf(again)!)?.username, 'acct');
    return again;
  };
  alice.request('INVITE', { uri: `sip:9@${DOMAIN}`, to: `<sip:9@${DOMAIN}>`, sdp: OFFER });
  s.decide({ kind: 'ring', steps: [{ targets: [{ kind: 'trunk', trunk: 'p', number: '030123' }] }] });
  const invite = challenged('INVITE', 401);
  return { s, alice, provider, invite, challenged };
}

/** The same, and they talk. */
function overTrunk() {
  const c = calling();
  c.provider.answer(c.invite, 200, ANSWER);
  const ok = last(c.alice.take());
  assert.equal(ok.status, 200);
  c.alice.within(ok, 'ACK', { cseq: 1 });
  return { ...c, ok };
}

function proofOf(message: SipMessage): string | undefined {
  return message.header('authorization') ?? message.header('proxy-authorization');
}

test('within a call a provider’s challenges are answered: re-INVITE, INFO and BYE; ACKs prove what their INVITEs did', () => {
  const { s, alice, provider, invite, ok, challenged } = overTrunk();
  assert.equal(proofOf(last(provider.take())), proofOf(invite), 'RFC 3261 13.2.2.4');
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  const again = challenged('INVITE');
  provider.answer(again, 200, ANSWER);
  const ack = last(provider.take());
  assert.deepEqual([ack.method, ack.cseq.number, proofOf(ack)], ['ACK', again.cseq.number, proofOf(again)]);
  assert.equal(last(alice.take()).status, 200);
  alice.within(ok, 'ACK', { cseq: 2, branch: 'ack2' });
  alice.within(ok, 'INFO', { cseq: 3, headers: DTMF });
  provider.answer(challenged('INFO'), 200);
  assert.deepEqual(alice.seen(), ['200 INFO']);
  alice.within(ok, 'BYE', { cseq: 4 });
  provider.answer(challenged('BYE'), 200);
  alice.take();
  s.assertNothingLeft();
});

test('a password that is refused is not given again; the phone is told in words, not asked for one', () => {
  const { s, alice, provider, ok, challenged } = overTrunk();
  provider.take();
  alice.within(ok, 'INVITE', { cseq: 2, sdp: OFFER });
  provider.answer(challenged('INVITE'), 407, undefined, [['Proxy-Authenticate', CHALLENGE]]);
  assert.equal(provider.take().filter((m) => m.method === 'INVITE').length, 0);
  const refused = last(alice.take());
  assert.deepEqual([refused.status, refused.cseq.number], [403, 2]);
  assert.match(refused.header('reason') ?? '', /refused/);
  alice.within(ok, 'ACK', { cseq: 2, branch: 'aliceINVITE2in' });
  alice.within(ok, 'INFO', { cseq: 3, headers: DTMF });
  provider.answer(challenged('INFO'), 407, undefined, [['Proxy-Authenticate', CHALLENGE]]);
  assert.deepEqual(alice.seen(), ['403 INFO']);
  alice.within(ok, 'BYE', { cseq: 4 });
  provider.take();
  s.assertNothingLeft();
});

test('a refresh of ours is challenged too', () => {
  const { s, alice, provider, ok, challenged } = overTrunk();
  provider.take();
  s.advance(900_100);
  alice.answer(last(alice.take()), 200, OFFER); // her own refresh was first
  s.advance(5000);
  provider.answer(challenged('INVITE'), 200, ANSWER);
  assert.equal(last(provider.take()).method, 'ACK');
  alice.take();
  alice.within(ok, 'BYE', { cseq: 4 });
  provider.answer(challenged('BYE'), 200);
  s.assertNothingLeft();
});

test('so is an INFO of ours that asks for a picture, and it is asked once more only', () => {
  const { s, alice, provider, ok, challenged } = overTrunk();
  provider.take();
  const [callId, legs] = [...s.relayLegs][0]!;
  const wish = () => {
    s.advance(1000);
    s.wishKeyFrame(callId, [...legs.keys()][1]!);
  };
  wish();
  const info = challenged('INFO');
  assert.match(info.bodyText, /picture_fast_update/);
  provider.answer(info, 200);
  wish();
  provider.answer(challenged('INFO'), 407, undefined, [['Proxy-Authenticate', CHALLENGE]]);
  wish();
  assert.deepEqual(provider.take(), []);
  alice.within(ok, 'BYE', { cseq: 4 });
  provider.answer(challenged('BYE'), 200);
  alice.take();
  s.assertNothingLeft();
});

test('so is a PRACK, while it rings', () => {
  const { s, alice, provider, invite, challenged } = calling();
  provider.answer(invite, 183, undefined, [
    ['Require', '100rel'],
    ['RSeq', '1'],
  ]);
  const prack = challenged('PRACK');
  assert.equal(prack.header('rack'), `1 ${invite.cseq.number} INVITE`);
  provider.answer(prack, 200);
  provider.answer(invite, 200, ANSWER);
  const ok = last(alice.take());
  alice.within(ok, 'ACK', { cseq: 1 });
  assert.equal(last(provider.take()).method, 'ACK');
  alice.within(ok, 'BYE', { cseq: 2 });
  provider.answer(challenged('BYE'), 200);
  s.assertNothingLeft();
});
