import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SipMessage } from '@offhook/core';
import { DOMAIN, type Phone, stage } from '../call/test-kit.ts';

const WALL = 1_790_000_000_000;

/** alice, bob and carol with phones that are not registered yet. */
function room(core: Parameters<typeof stage>[0] = {}) {
  const s = stage({ ...core, core: { ...core.core, wallMs: () => WALL + s.clock.now } });
  let cseq = 0;
  const text = (
    from: Phone,
    to: string,
    words: string,
    over: { callId?: string; branch?: string; type?: string; headers?: [string, string][]; cseq?: number } = {},
  ) => {
    cseq++;
    return from.request('MESSAGE', {
      uri: `sip:${to}@${DOMAIN}`,
      to: `<sip:${to}@${DOMAIN}>`,
      callId: over.callId ?? `m${cseq}`,
      branch: over.branch ?? `m${cseq}`,
      cseq: over.cseq ?? 1,
      body: { type: over.type ?? 'text/plain', bytes: words },
      headers: over.headers,
    });
  };
  const statuses = (phone: Phone) =>
    phone
      .take()
      .filter((m) => m.kind === 'response')
      .map((m) => m.status);
  const nothingLeft = () => {
    s.assertNothingLeft();
    assert.equal(s.core.messages.size, 0, 'messages');
    assert.equal(s.core.messages.remnants, 0, 'remnants of messages');
    assert.equal(s.kept.size, 0, 'messages in the journal');
  };
  return { ...s, text, statuses, nothingLeft };
}

/** The one MESSAGE that a phone has got. */
function got(phone: Phone): SipMessage {
  const messages = phone.take().filter((m) => m.method === 'MESSAGE' && m.kind === 'request');
  assert.equal(messages.length, 1, messages.map((m) => m.bodyText).join());
  return messages[0]!;
}

test('a text goes to all phones of a user, and its sender hears 200 when the first has it', () => {
  const { phone, text, statuses, nothingLeft, news } = room();
  const [alice, bob, bob2] = [phone('alice'), phone('bob'), phone('bob')];
  for (const one of [alice, bob, bob2]) one.register();
  text(alice, 'bob', 'hello', { headers: [['Subject', 'greeting']] });
  const [first, second] = [got(bob), got(bob2)];
  assert.deepEqual([first.bodyText, first.contentType, first.header('subject')], ['hello', 'text/plain', 'greeting']);
  assert.deepEqual([first.from.uri.toString(), first.from.displayName], [`sip:alice@${DOMAIN}`, 'ALICE']);
  assert.equal(first.header('date'), new Date(WALL).toUTCString());
  assert.equal(first.header('contact'), undefined, 'RFC 3428 4: no Contact in a MESSAGE');
  assert.equal(first.callId, second.callId);
  assert.deepEqual(statuses(alice), []);
  bob2.answer(second, 200);
  assert.deepEqual(statuses(alice), [200]);
  bob.answer(first, 200);
  assert.deepEqual(
    news.map(({ from, to, state, callId }) => [from, to, state, callId]),
    [['alice', 'bob', 'delivered', 'm1']],
  );
  nothingLeft();
});

test('texts come in order: the next one is offered when the phones have the one before', () => {
  const { phone, text, statuses, nothingLeft } = room();
  const [alice, bob] = [phone('alice'), phone('bob')];
  alice.register();
  bob.register();
  for (const words of ['one', 'two', 'three']) text(alice, 'bob', words);
  for (const words of ['one', 'two', 'three']) {
    const message = got(bob);
    assert.equal(message.bodyText, words);
    bob.answer(message, 200);
    assert.deepEqual(statuses(alice), [200]);
  }
  nothingLeft();
});

test('who is away gets the texts later, in order and once; their sender hears 202, and a receipt if it reads them', () => {
  const { phone, text, statuses, nothingLeft, news, kept, core } = room();
  const [alice, bob] = [phone('alice'), phone('bob')];
  alice.contact += ';type="text/plain,message/imdn+xml"';
  alice.register();
  text(alice, 'bob', 'one', { callId: 'a&b' });
  text(alice, 'bob', 'two');
  assert.deepEqual(statuses(alice), [202, 202]);
  assert.deepEqual([kept.size, core.messages.waiting('bob')], [2, 2]);
  const [first] = bob.register() as [SipMessage];
  assert.equal(first.bodyText, 'one');
  bob.answer(first, 200);
  const receipt = got(alice);
  alice.answer(receipt, 200);
  assert.equal(receipt.contentType, 'message/imdn+xml');
  assert.match(receipt.bodyText, /<message-id>a&#38;b<\/message-id>/);
  assert.match(receipt.bodyText, /<delivery-notification><status><delivered\/><\/status><\/delivery-notification>/);
  assert.equal(receipt.from.uri.user, 'bob');
  const second = got(bob);
  assert.equal(second.bodyText, 'two');
  bob.answer(second, 200);
  alice.answer(got(alice), 200);
  assert.deepEqual(
    news.map(({ state }) => state),
    ['stored', 'stored', 'delivered', 'delivered'],
  );
  assert.deepEqual(bob.register(), [], 'nothing comes twice');
  nothingLeft();
});

test('a receipt goes to no phone that does not say it reads them', () => {
  const { phone, text, statuses, nothingLeft } = room();
  const [alice, bob] = [phone('alice'), phone('bob')];
  alice.register();
  text(alice, 'bob', 'one');
  assert.deepEqual(statuses(alice), [202]);
  bob.answer(bob.register()[0]!, 200);
  assert.deepEqual(alice.take(), []);
  nothingLeft();
});

test('a phone that is silent: the sender hears 202 after 5 s, the text is offered again when the phone is back', () => {
  const { phone, text, statuses, nothingLeft, advance, news } = room();
  const [alice, bob] = [phone('alice'), phone('bob')];
  alice.register();
  bob.register();
  text(alice, 'bob', 'one');
  text(alice, 'bob', 'two');
  const lost = got(bob);
  advance(4900);
  assert.deepEqual(statuses(alice), []);
  advance(200);
  assert.deepEqual(statuses(alice), [202, 202]);
  advance(32_000);
  assert.deepEqual(bob.take(), [], 'a connection carries it once');
  const again = bob.register()[0]!;
  assert.deepEqual(
    [again.bodyText, again.callId, again.from.tag, again.cseq.number],
    ['one', lost.callId, lost.from.tag, lost.cseq.number],
    'the phone can tell that it is the same',
  );
  // It has had it after all, and knows it again: RFC 3261 8.2.2.2.
  bob.answer(again, 482);
  bob.answer(got(bob), 200);
  assert.deepEqual(
    news.map(({ state }) => state),
    ['stored', 'stored', 'delivered', 'delivered'],
  );
  nothingLeft();
});

test('a phone that comes meanwhile is offered what an old connection of it does not take', () => {
  const { phone, text, nothingLeft, core, clock, settle } = room();
  const [alice, bob] = [phone('alice'), phone('bob')];
  alice.register();
  bob.register();
  text(alice, 'bob', 'one');
  got(bob);
  const back = phone('bob');
  const [message] = back.register() as [SipMessage];
  assert.equal(message.bodyText, 'one');
  back.answer(message, 200);
  assert.deepEqual(
    alice.take().map((m) => m.status),
    [200],
  );
  core.handleFlowClosed(bob.flow, clock.now);
  settle();
  nothingLeft();
});

test('a text that a phone refuses fails in its words; one it can’t read waits for another phone, and the next goes on', () => {
  const { phone, text, nothingLeft, news, core } = room();
  const [alice, bob] = [phone('alice'), phone('bob')];
  alice.register();
  bob.register();
  text(alice, 'bob', 'no');
  bob.answer(got(bob), 603, undefined, [['Reason', 'SIP;cause=603;text="not now"']]);
  const [refused] = alice.take() as [SipMessage];
  assert.deepEqual([refused.status, refused.header('reason')], [603, 'SIP;cause=603;text="not now"']);
  text(alice, 'bob', '<p>rich</p>', { type: 'text/html' });
  text(alice, 'bob', 'plain');
  bob.answer(got(bob), 415);
  assert.deepEqual(
    alice.take().map((m) => m.status),
    [202],
  );
  assert.equal(core.messages.waiting('bob'), 1);
  bob.answer(got(bob), 200);
  assert.deepEqual(
    alice.take().map((m) => m.status),
    [200],
  );
  const other = phone('bob');
  const rich = other.register().find((m) => m.kind === 'request')!;
  assert.equal(rich.contentType, 'text/html');
  assert.deepEqual(bob.take(), [], 'the phone that can’t read it is not asked again');
  other.answer(rich, 200);
  assert.deepEqual(
    news.map(({ state }) => state),
    ['failed', 'stored', 'delivered', 'delivered'],
  );
  nothingLeft();
});

test('a text for one phone that is not there holds up no others', () => {
  const { phone, text, statuses, nothingLeft, core, advance } = room();
  const [alice, bob] = [phone('alice'), phone('bob')];
  alice.register();
  bob.register();
  alice.request('MESSAGE', {
    uri: `sip:bob@${DOMAIN};gr=urn:uuid:00000000-0000-0000-0000-000000000000`,
    callId: 'gruu',
    branch: 'gruu',
    headers: [['Expires', '600']],
    body: { type: 'text/plain', bytes: 'for a phone that is gone' },
  });
  assert.deepEqual(statuses(alice), [202]);
  text(alice, 'bob', 'for whoever is there');
  const message = got(bob);
  assert.equal(message.bodyText, 'for whoever is there');
  bob.answer(message, 200);
  assert.deepEqual(statuses(alice), [200]);
  assert.equal(core.messages.waiting('bob'), 1);
  advance(700_000);
  nothingLeft();
});

test('a slow phone’s late answer to one text says nothing of the next', () => {
  const { phone, text, statuses, nothingLeft, advance, news } = room();
  const [alice, fast, slow] = [phone('alice'), phone('bob'), phone('bob')];
  for (const one of [alice, fast, slow]) one.register();
  text(alice, 'bob', 'one');
  text(alice, 'bob', 'two', { headers: [['Expires', '0']] });
  fast.answer(got(fast), 200);
  const late = got(slow);
  assert.deepEqual(statuses(alice), [200]);
  advance(2100);
  const second = got(fast);
  assert.equal(second.bodyText, 'two');
  slow.answer(late, 405);
  assert.deepEqual(statuses(alice), [], 'the second text is still with the fast phone');
  fast.answer(second, 200);
  assert.deepEqual(statuses(alice), [200]);
  slow.answer(got(slow), 405);
  assert.deepEqual(
    news.map(({ state }) => state),
    ['delivered', 'delivered'],
  );
  nothingLeft();
});

test('a dead phone beside one that has an opinion: a refusal is final, what can’t be read lets the next pass', () => {
  const { phone, text, statuses, nothingLeft, advance, news, kept } = room();
  const [alice, live, dead] = [phone('alice'), phone('bob'), phone('bob')];
  for (const one of [alice, live, dead]) one.register();
  text(alice, 'bob', 'unwanted');
  live.answer(got(live), 603);
  got(dead);
  advance(33_000);
  assert.deepEqual(statuses(alice), [202]);
  assert.deepEqual(
    news.map(({ state }) => state),
    ['stored', 'failed'],
  );
  text(alice, 'bob', '<p>rich</p>', { type: 'text/html' });
  text(alice, 'bob', 'plain');
  live.answer(got(live), 415);
  got(dead);
  advance(33_000);
  const plain = got(live);
  assert.equal(plain.bodyText, 'plain');
  live.answer(plain, 200);
  assert.deepEqual(statuses(alice), [202, 202]);
  assert.deepEqual(
    [...kept.values()].map(({ contentType }) => contentType),
    ['text/html'],
  );
  dead.take();
  dead.register();
  advance(2100);
  dead.answer(got(dead), 200);
  nothingLeft();
});

test('a copy of a text is answered like the first and goes nowhere, before and after it was delivered', () => {
  const { phone, text, nothingLeft } = room();
  const [alice, bob] = [phone('alice'), phone('bob')];
  alice.register();
  bob.register();
  text(alice, 'bob', 'one', { callId: 'same', branch: 'a' });
  text(alice, 'bob', 'one', { callId: 'same', branch: 'b' });
  for (const branch of ['e', 'f', 'g']) text(alice, 'bob', 'one', { callId: 'same', branch });
  assert.deepEqual(
    alice.take().map((m) => m.status),
    [503],
    'nothing is promised to a fifth copy that is not in the journal',
  );
  const message = got(bob);
  bob.answer(message, 200);
  assert.deepEqual(
    alice.take().map((m) => m.status),
    [200, 200, 200, 200],
  );
  text(alice, 'bob', 'one', { callId: 'same', branch: 'c' });
  assert.deepEqual(
    alice.take().map((m) => m.status),
    [200],
  );
  text(alice, 'bob', 'two', { callId: 'same', branch: 'd', cseq: 2 });
  const other = got(bob);
  assert.equal(other.bodyText, 'two', 'another CSeq is another text');
  bob.answer(other, 200);
  nothingLeft();
});

test('"is typing" is never kept', () => {
  const { phone, text, statuses, nothingLeft } = room();
  const alice = phone('alice');
  alice.register();
  text(alice, 'bob', '<isComposing/>', { type: 'application/im-iscomposing+xml' });
  text(alice, 'bob', 'now or never', { headers: [['Expires', '0']] });
  assert.deepEqual(statuses(alice), [480, 480]);
  nothingLeft();
});

test('what nobody comes for expires, with a receipt', () => {
  const { phone, text, statuses, nothingLeft, news, advance } = room();
  const alice = phone('alice');
  alice.contact += ';type="message/imdn+xml"';
  alice.register();
  text(alice, 'bob', 'until tonight', { headers: [['Expires', '300']] });
  assert.deepEqual(statuses(alice), [202]);
  advance(299_000);
  assert.equal(news.length, 1);
  advance(2000);
  assert.deepEqual(
    news.map(({ state }) => state),
    ['stored', 'expired'],
  );
  const receipt = got(alice);
  assert.match(receipt.bodyText, /<failed\/>/);
  alice.answer(receipt, 200);
  nothingLeft();
});

test('nothing is promised that can’t be written down', () => {
  const { phone, text, nothingLeft, disk } = room();
  const alice = phone('alice');
  alice.register();
  disk.isFull = true;
  text(alice, 'bob', 'one');
  const [answer] = alice.take() as [SipMessage];
  assert.equal(answer.status, 500);
  assert.match(answer.header('reason') ?? '', /could not be written down/);
  nothingLeft();
});

test('a restart: what was kept is delivered by the next process, and a copy that its sender repeats is known', () => {
  const before = room({ core: { nonceSecret: 'secret' } });
  const alice = before.phone('alice');
  alice.register();
  before.text(alice, 'bob', 'one');
  before.text(alice, 'bob', 'two', { callId: 'again' });
  const after = room({ core: { nonceSecret: 'secret' } });
  for (const message of before.kept.values()) {
    after.core.restoreMessage(message, 0);
    after.kept.set(message.id, message);
  }
  const [alice2, bob] = [after.phone('alice'), after.phone('bob')];
  alice2.register();
  after.text(alice2, 'bob', 'two', { callId: 'again', branch: 'x' });
  assert.deepEqual(after.statuses(alice2), [202]);
  bob.answer(bob.register()[0]!, 200);
  const second = got(bob);
  assert.equal(second.bodyText, 'two');
  bob.answer(second, 200);
  assert.deepEqual(bob.take(), []);
  after.nothingLeft();
});

test('limits: of one sender, of one user; refused in words, and room again when some were delivered', () => {
  const { phone, text, advance, core, kept } = room();
  const alice = phone('alice');
  alice.register();
  const answers = [];
  for (let i = 0; i < 101; i++) {
    advance(1000);
    text(alice, 'bob', `${i}`);
    answers.push(...alice.take());
  }
  assert.deepEqual(
    answers.map((m) => m.status),
    [...Array.from({ length: 100 }, () => 202), 480],
  );
  assert.match(answers.at(-1)?.header('reason') ?? '', /100 messages from alice wait for bob already/);
  core.handleAccountRemoved('bob', 0);
  for (let c = core.poll(); c; c = core.poll())
    if (c.kind === 'message' && c.command.kind === 'forget') kept.delete(c.command.id);
  assert.deepEqual([core.messages.size, kept.size], [0, 0], 'they go with their user');
});

test('who there is no account for, what has no type and what is too long is refused in words', () => {
  const { phone, text } = room();
  const alice = phone('alice');
  alice.register();
  text(alice, 'nobody', 'x');
  text(alice, '600', 'x');
  text(alice, 'bob', 'x', { type: `text/${'x'.repeat(300)}` });
  text(alice, 'bob', 'x'.repeat(20_000));
  const answers = alice.take();
  assert.deepEqual(
    answers.map((m) => m.status),
    [404, 404, 400, 413],
  );
  for (const answer of answers) assert.match(answer.header('reason') ?? '', /text="./);
});

test('who wants to stay unknown does', () => {
  const { phone, text, nothingLeft, news } = room();
  const [alice, bob] = [phone('alice'), phone('bob')];
  alice.register();
  bob.register();
  text(alice, 'bob', 'guess', { headers: [['Privacy', 'id']] });
  const message = got(bob);
  assert.doesNotMatch(message.toString(), /alice/i);
  bob.answer(message, 200);
  assert.equal(news[0]?.isPrivate, true);
  nothingLeft();
});

test('a text to oneself comes to one’s phones', () => {
  const { phone, text, statuses, nothingLeft } = room();
  const alice = phone('alice');
  alice.register();
  text(alice, 'alice', 'note');
  alice.answer(got(alice), 200);
  assert.deepEqual(statuses(alice), [200]);
  nothingLeft();
});
