import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest, parseSip, SipMessage, utf8 } from '@offhook/core';
import { DOMAIN, ON_THE_PHONE, PASSWORD } from './testing/scripted-server.ts';
import { EPOCH_MS, Stage } from './testing/stage.ts';

test('registers with digest MD5 or SHA-256, names itself and what it takes, and refreshes in time', () => {
  for (const algorithm of ['MD5', 'SHA-256'] as const) {
    const stage = new Stage();
    stage.server.algorithm = algorithm;
    const alice = stage.terminal('alice');
    stage.run(1000);
    assert.deepEqual(alice.said(), ['registered']);
    const contact = stage.server.contacts.get('alice')!.contact;
    assert.match(contact, /^<sip:alice@192\.0\.2\.1:40001>;\+sip\.instance="<urn:uuid:alice-\d+>";reg-id=1;/);
    assert.match(contact, /;type="text\/plain,message\/imdn\+xml";methods="MESSAGE,NOTIFY,OPTIONS"/);
    stage.run(600_000);
    const registers = stage.server.of('REGISTER');
    assert.ok(registers.length >= 3);
    assert.deepEqual(new Set(registers.map(({ callId }) => callId)).size, 1);
    assert.deepEqual(
      registers.map(({ cseq }) => cseq.number),
      registers.map((_, i) => i + 1),
    );
    assert.ok(registers.slice(1).every((one) => one.header('authorization') !== undefined));
    assert.deepEqual(alice.said(), []);
  }
});

test('a wrong password is said once, and asked for no more than every few minutes', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice', { password: 'wrong' });
  stage.run(1000);
  assert.deepEqual(alice.said(), ['not registered: the server refuses the password']);
  assert.equal(stage.server.of('REGISTER').length, 2);
  stage.run(200_000);
  assert.equal(stage.server.of('REGISTER').length, 2);
});

test('a connection that breaks is made anew with a growing wait; presence and texts go on there', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice', { transport: 'tcp' });
  const bob = stage.terminal('bob');
  stage.run(1000);
  alice.watch('bob');
  stage.run(1000);
  alice.said();
  alice.isReachable = false;
  alice.cut();
  alice.send('bob', 'while away');
  stage.run(100_000);
  assert.ok(alice.connects >= 6 && alice.connects <= 10, `${alice.connects}`);
  const words = alice.said();
  assert.equal(words[0], 'not registered: the wire is cut');
  assert.equal(words[1], 'while away waiting');
  alice.isReachable = true;
  stage.run(61_000);
  assert.ok(bob.said().includes('alice: while away'));
  const after = alice.said().filter((line) => !line.startsWith('not registered'));
  assert.deepEqual(after, ['registered', 'while away sending', 'while away delivered']);
  const subscribes = stage.server.of('SUBSCRIBE');
  assert.match(subscribes.at(-1)!.header('contact')!, new RegExp(`:${40_000 + alice.connects};transport=tcp`));
  assert.equal(subscribes.at(-1)!.callId, subscribes[0]!.callId);
});

test('a text is delivered, with the sender’s Date; the answer names its state', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  const bob = stage.terminal('bob');
  stage.run(1000);
  alice.said();
  bob.said();
  alice.send('bob', 'hello\n<&> ☎');
  stage.run(1000);
  assert.deepEqual(alice.said(), ['hello\n<&> ☎ waiting', 'hello\n<&> ☎ sending', 'hello\n<&> ☎ delivered']);
  const [event] = bob.events.splice(0);
  assert.ok(event?.kind === 'text');
  assert.equal(event.received.text, 'hello\n<&> ☎');
  assert.equal(event.received.sentAtMs, EPOCH_MS + 1000);
  assert.equal(event.received.from.name, 'alice');
});

test('a text for somebody who is away is stored; the receipt says later that it has arrived', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  stage.run(1000);
  alice.said();
  alice.send('bob', 'for later');
  stage.run(5000);
  assert.deepEqual(alice.said(), ['for later waiting', 'for later sending', 'for later stored']);
  const bob = stage.terminal('bob');
  stage.run(1000);
  assert.deepEqual(bob.said(), ['registered', 'alice: for later']);
  assert.deepEqual(alice.said(), ['for later delivered']);
});

test('a refusal is told in the words of its Reason header, else by status and phrase', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  stage.run(1000);
  alice.said();
  stage.server.answers.set('MESSAGE', {
    status: 404,
    headers: [['Reason', 'SIP;cause=404;text="nobody has that name"']],
  });
  alice.send('nobody', 'x');
  stage.run(1000);
  stage.server.answers.set('MESSAGE', { status: 404 });
  alice.send('nobody', 'y');
  stage.run(1000);
  const failed = alice.said().filter((line) => line.includes('failed'));
  assert.deepEqual(failed, ['x failed nobody has that name', 'y failed 404 Not Found']);
});

test('without an answer the text is sent again, the same to the server, a few times; then it has failed', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  stage.run(1000);
  alice.said();
  const seen: string[] = [];
  stage.server.loses = (message) => {
    if (message.method !== 'MESSAGE') return false;
    const { cseq, from, callId } = message;
    seen.push(`${callId} ${cseq.number} ${from.tag}`);
    return true;
  };
  alice.send('bob', 'lost');
  stage.run(200_000);
  assert.deepEqual(alice.said(), ['lost waiting', 'lost sending', 'lost failed the server does not answer']);
  assert.equal(new Set(seen).size, 1);
  assert.equal(alice.agent.openTexts, 0);
  assert.equal(seen.length, 33); // three transactions of eleven datagrams (RFC 3261 17.1.2.2)
});

test('when only the answer was lost, the copy is known there, even with new credentials: one text arrives', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  const bob = stage.terminal('bob');
  stage.run(1000);
  alice.send('bob', 'first');
  stage.run(1000);
  alice.said();
  bob.said();
  const { server } = stage;
  const receive = alice.receive.bind(alice);
  let isDeaf = true;
  alice.receive = (bytes, flow) => {
    const message = parseSip(bytes);
    if (!(isDeaf && message instanceof SipMessage && message.method === 'MESSAGE')) receive(bytes, flow);
  };
  alice.send('bob', 'once');
  stage.run(33_000); // the first transaction is given up, its copy is on the way
  server.renewNonce();
  isDeaf = false;
  stage.run(10_000);
  assert.deepEqual(alice.said(), ['once waiting', 'once sending', 'once delivered']);
  assert.deepEqual(bob.said(), ['alice: once']);
});

test('one text at a time to each person, in the order of writing (RFC 3428 8)', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  const bob = stage.terminal('bob');
  stage.run(1000);
  for (let i = 0; i < 20; i++) alice.send('bob', `${i}`);
  stage.run(5000);
  const texts = bob.said().filter((line) => line.startsWith('alice'));
  assert.deepEqual(
    texts,
    Array.from({ length: 20 }, (_, i) => `alice: ${i}`),
  );
});

test('a text that is too long for a datagram fails in words and goes over TCP', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  const carol = stage.terminal('carol', { transport: 'tcp' });
  const bob = stage.terminal('bob');
  stage.run(1000);
  alice.said();
  const long = 'x'.repeat(1200);
  alice.send('bob', long);
  carol.send('bob', long);
  stage.run(1000);
  assert.match(alice.said().at(-1)!, /failed too long for UDP by \d+ bytes \(RFC 3428 8\); --transport tcp/);
  assert.deepEqual(bob.said().slice(1), [`carol: ${long}`]);
});

test('presence: published and refreshed by entity tag, modified, begun anew after 412, withdrawn at the end', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  stage.run(1000);
  assert.match(stage.server.published.get('alice')!.document, /<basic>open<\/basic>/);
  stage.run(400_000);
  const refresh = stage.server.of('PUBLISH').at(-1)!;
  assert.ok(refresh.header('sip-if-match') !== undefined);
  assert.equal(refresh.body.length, 0);
  alice.status('away', 'back at <5>');
  stage.run(1000);
  assert.match(stage.server.published.get('alice')!.document, /<rpid:away\/>.*<dm:note>back at &#60;5&#62;<\/dm:note>/);
  stage.server.forgetPresence();
  stage.run(600_000);
  assert.match(stage.server.published.get('alice')!.document, /<rpid:away\/>/);
  alice.stop();
  stage.run(1000);
  assert.equal(stage.server.published.size, 0);
  assert.equal(stage.server.contacts.size, 0);
  assert.ok(alice.isEnded);
  assert.equal(stage.clock.pending, 0, 'no timer is left');
});

test('presence of others: asked for, told when it changes, refreshed, begun anew after 481', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  alice.watch('bob');
  stage.run(1000);
  assert.match(alice.said().join('\n'), /^registered\nbob {"isThere":false/);
  const bob = stage.terminal('bob');
  stage.run(1000);
  assert.match(alice.said().join('\n'), /^bob {"isThere":true,"activities":\[\],"note":""}$/);
  bob.status('busy', 'in the cellar');
  stage.run(1000);
  assert.match(alice.said().join('\n'), /^bob {"isThere":true,"activities":\["busy"\],"note":"in the cellar"}$/);
  stage.server.notifyAll('bob', ON_THE_PHONE);
  stage.server.notifyAll('bob', ON_THE_PHONE);
  stage.run(1000);
  assert.match(alice.said().join('\n'), /^bob .*"on-the-phone"\],"note":""}$/, 'told once');
  assert.ok(stage.server.responses.every(({ status }) => status === 200));
  const before = stage.server.of('SUBSCRIBE').length;
  stage.run(400_000);
  const refresh = stage.server.of('SUBSCRIBE').slice(before);
  assert.ok(refresh.length >= 1 && refresh[0]!.to.tag !== undefined);
  stage.server.forgetPresence();
  stage.run(400_000);
  const anew = stage.server.of('SUBSCRIBE').at(-1)!;
  assert.notEqual(anew.callId, refresh[0]!.callId);
  assert.equal(stage.server.of('SUBSCRIBE').filter(({ callId, to }) => callId === anew.callId && !to.tag).length, 1);
});

test('a subscription that the server ends is begun anew or not, as its reason says (RFC 6665 4.1.3)', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  alice.watch('bob');
  alice.watch('carol');
  stage.run(1000);
  alice.said();
  const count = () => stage.server.of('SUBSCRIBE').filter(({ to }) => !to.tag).length;
  const before = count();
  stage.server.endSubscriptions('bob', 'terminated;reason=deactivated');
  stage.server.endSubscriptions('carol', 'terminated;reason=rejected');
  stage.run(5000);
  assert.equal(count(), before + 1);
  assert.ok(alice.said().includes('carol not for us to see'));
});

test('a server without presence is asked once, and the texts go on', () => {
  const stage = new Stage();
  for (const method of ['PUBLISH', 'SUBSCRIBE']) stage.server.answers.set(method, { status: 405 });
  const alice = stage.terminal('alice');
  alice.watch('bob');
  const bob = stage.terminal('bob');
  stage.run(300_000);
  const note = 'the server takes no presence (405 Method Not Allowed): others can’t see whether you are there';
  assert.deepEqual(alice.said().sort(), ['bob 405 Method Not Allowed', 'registered', note]);
  assert.equal(stage.server.of('SUBSCRIBE').length, 1);
  alice.send('bob', 'still here');
  stage.run(1000);
  assert.ok(bob.said().includes('alice: still here'));
});

test('a copy of a text is answered 200 and shown once; other types are refused by what is taken', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  stage.run(1000);
  alice.said();
  const { server } = stage;
  const body = { type: 'text/plain', bytes: 'twice' };
  for (let i = 0; i < 2; i++) server.request('alice', 'MESSAGE', { callId: 'same', cseq: 7, body });
  server.request('alice', 'MESSAGE', { callId: 'same', cseq: 8, body: { ...body, bytes: 'another' } });
  server.request('alice', 'MESSAGE', { body: { type: 'application/im-iscomposing+xml', bytes: '<x/>' } });
  server.request('alice', 'MESSAGE', { headers: [['Content-Encoding', 'gzip']], body });
  stage.run(1000);
  assert.deepEqual(alice.said(), ['server: twice', 'server: another']);
  assert.deepEqual(
    server.responses.slice(-5).map(({ status }) => status),
    [200, 200, 200, 415, 415],
  );
  assert.equal(server.responses.at(-2)!.header('accept'), 'text/plain, message/imdn+xml');
});

test('all other requests are answered properly: OPTIONS, INVITE, what is known and what is not', () => {
  const stage = new Stage();
  stage.terminal('alice');
  stage.run(1000);
  const { server } = stage;
  const answers = (method: string, headers: readonly (readonly [string, string])[] = []) => {
    server.request('alice', method, { headers });
    stage.run(100);
    return server.responses.at(-1)!;
  };
  assert.equal(answers('OPTIONS').status, 200);
  assert.equal(answers('OPTIONS').header('allow'), 'MESSAGE, NOTIFY, OPTIONS');
  const invite = answers('INVITE');
  assert.equal(invite.status, 488);
  assert.match(invite.header('warning')!, /399 .* "A chat terminal takes texts, not calls"/);
  assert.ok(invite.to.tag !== undefined);
  assert.equal(answers('BYE').status, 405);
  assert.equal(answers('DANCE').status, 501);
  assert.equal(answers('MESSAGE', [['Require', 'gruu']]).status, 420);
  assert.equal(
    answers('NOTIFY', [
      ['Event', 'presence'],
      ['Subscription-State', 'active'],
    ]).status,
    481,
  );
  assert.equal(answers('NOTIFY', [['Event', 'dialog']]).status, 489);
});

test('a stranger is answered 403 and never shown, and not more often than ten times a second', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  stage.run(1000);
  alice.said();
  const answers: SipMessage[] = [];
  const flow = { ...alice.flow!, id: 99, remote: { address: '198.51.100.1', port: 5060 } };
  const agent = alice.agent;
  for (let i = 0; i < 20; i++) {
    const request = createRequest({
      method: 'MESSAGE',
      uri: `sip:alice@${DOMAIN}`,
      from: `<sip:bob@${DOMAIN}>;tag=1`,
      to: `<sip:alice@${DOMAIN}>`,
      callId: `stranger-${i}`,
      cseq: 1,
      headers: [['Via', `SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK${i}`]],
      body: { type: 'text/plain', bytes: 'I am bob, send me your password' },
    });
    agent.handleReceived(request.serialize(), flow, stage.clock.nowMs, EPOCH_MS);
    for (let command = agent.poll(); command; command = agent.poll()) {
      assert.ok(command.kind === 'send' && command.flow === flow, command.kind);
      answers.push(parseSip(command.bytes) as SipMessage);
    }
  }
  assert.deepEqual(
    answers.map(({ status }) => status),
    new Array(10).fill(403),
  );
  assert.deepEqual(alice.said(), []);
});

test('bytes that are no SIP change nothing', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  stage.run(1000);
  alice.said();
  for (const bytes of ['', '\r\n\r\n', 'hello', 'MESSAGE sip:alice SIP/2.0\r\n\r\n', 'SIP/2.0 200 OK\r\n\r\n'])
    alice.receive(utf8(bytes));
  assert.deepEqual(alice.said(), []);
});

test('the password answers nobody but the registrar’s realm', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  stage.run(1000);
  alice.said();
  const challenge = 'Digest realm="elsewhere", nonce="n", algorithm=MD5, qop="auth"';
  stage.server.answers.set('MESSAGE', { status: 407, headers: [['Proxy-Authenticate', challenge]] });
  alice.send('bob', 'x');
  stage.run(1000);
  assert.match(alice.said().at(-1)!, /failed the password is for the realm '.*', and was asked for by '.*': not given/);
  assert.equal(stage.server.of('MESSAGE').length, 1);
  assert.ok(!stage.server.requests.some((one) => one.toString().includes(PASSWORD)));
});

test('a server that is silent at the farewell is not waited for longer than two seconds', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  alice.watch('bob');
  stage.run(1000);
  stage.server.loses = () => true;
  alice.stop();
  stage.run(1900);
  assert.ok(!alice.isEnded);
  stage.run(200);
  assert.ok(alice.isEnded);
  assert.equal(stage.clock.pending, 0);
});

for (const lateMs of [20, 200, 450])
  test(`whoever ends before the answers, ${lateMs} ms late, have come leaves nothing behind`, () => {
    const stage = new Stage();
    const { server } = stage;
    const alice = stage.terminal('alice');
    const receive = alice.receive.bind(alice);
    const isLate = (bytes: Uint8Array) => {
      const message = parseSip(bytes);
      return message instanceof SipMessage && message.kind === 'response' && message.cseq.method !== 'REGISTER';
    };
    alice.receive = (bytes, flow) => {
      if (isLate(bytes)) stage.clock.at(stage.clock.nowMs + lateMs, () => receive(bytes, flow));
      else receive(bytes, flow);
    };
    alice.watch('bob');
    for (let i = 0; i < 1000 && !alice.agent.isRegistered; i++) stage.run(1);
    stage.run(5);
    assert.equal(server.published.size, 0);
    alice.stop();
    stage.run(2100);
    assert.ok(alice.isEnded);
    assert.equal(server.of('PUBLISH').at(-1)!.expires, 0);
    assert.equal(server.of('SUBSCRIBE').at(-1)!.expires, 0);
    assert.equal(server.published.size, 0);
    assert.equal(server.contacts.size, 0);
    assert.equal(stage.clock.pending, 0);
  });

test('whoever ends while the first REGISTER is on its way is not registered afterwards', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  for (let i = 0; i < 1000 && stage.server.of('REGISTER').length < 2; i++) stage.run(1);
  assert.equal(stage.server.contacts.size, 1);
  assert.ok(!alice.agent.isRegistered);
  alice.stop();
  stage.run(2100);
  assert.ok(alice.isEnded);
  assert.equal(stage.server.contacts.size, 0);
  assert.equal(stage.clock.pending, 0);
});

test('a connection that is lost at the farewell ends it', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice', { transport: 'tcp' });
  alice.watch('bob');
  for (let i = 0; i < 1000 && !alice.agent.isRegistered; i++) stage.run(1);
  alice.stop();
  alice.cut();
  stage.run(1);
  assert.ok(alice.isEnded);
  stage.run(100);
  assert.equal(stage.clock.pending, 0);
});

test('somebody whom the server does not know is told as such, and again when asked for again', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  stage.run(1000);
  const reason = 'SIP;cause=404;text="there is no user \'bobb\'"';
  for (const method of ['SUBSCRIBE', 'MESSAGE'])
    stage.server.answers.set(method, { status: 404, headers: [['Reason', reason]] });
  for (let i = 0; i < 2; i++) {
    alice.said();
    alice.watch('bobb');
    stage.run(1000);
    const [event] = alice.events.splice(0);
    assert.ok(event?.kind === 'presence' && event.isNobody);
    assert.equal(event.words, "there is no user 'bobb'");
  }
  alice.send('bobb', 'x');
  stage.run(1000);
  const failed = alice.events.at(-1)!;
  assert.ok(failed.kind === 'delivery' && failed.sent.isNobody);
  stage.server.answers.clear();
  alice.said();
  alice.watch('bobb');
  stage.run(1000);
  assert.match(alice.said().join(), /^bobb {"isThere":false/);
  alice.agent.unwatch(alice.person('bobb'), stage.clock.nowMs);
  assert.equal(alice.agent.watches.length, 0);
  alice.stop();
  stage.run(1000);
  assert.equal(stage.server.of('SUBSCRIBE').at(-1)!.expires, 0);
});

test('a server that is silent for minutes is tried, and said to be silent, each minute at least', () => {
  const stage = new Stage();
  const alice = stage.terminal('alice');
  stage.run(1000);
  alice.said();
  stage.server.loses = () => true;
  let last = stage.clock.nowMs + 400_000; // when the refresh is due, and given up
  let tries = 0;
  for (let i = 0; i < 1200; i++) {
    stage.run(1000);
    if (alice.said().length === 0) continue;
    const now = stage.clock.nowMs;
    assert.ok(now - last <= 66_000, `${now - last} ms of silence`);
    last = now;
    tries++;
  }
  assert.ok(tries >= 14 && tries < 40, `${tries}`);
  stage.server.loses = () => false;
  stage.run(65_000);
  assert.deepEqual(alice.said(), ['registered']);
});
