import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest, type SipMessage } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import fc from 'fast-check';
import { ANSWER, DOMAIN, established, last, OFFER, type Phone, stage } from '../call/test-kit.ts';
import { Notifier } from './notifier.ts';
import { readXml } from './xml.ts';

const PIDF = 'application/pidf+xml';
const pidf = (basic: string, inner = '') =>
  `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:d="urn:ietf:params:xml:ns:pidf:data-model"
    xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@${DOMAIN}">
    <tuple id="t"><status><basic>${basic}</basic></status></tuple>${inner}</presence>`;

let branches = 0;
const subscribe = (
  phone: Phone,
  to: string,
  event: string,
  over: { expires?: number; headers?: [string, string][]; callId?: string } = {},
) =>
  phone.request('SUBSCRIBE', {
    uri: `sip:${to}@${DOMAIN}`,
    to: `<sip:${to}@${DOMAIN}>`,
    callId: over.callId ?? `s${++branches}`,
    branch: `s${++branches}`,
    headers: [
      ['Event', event],
      ...(over.expires === undefined ? [] : [['Expires', String(over.expires)] as [string, string]]),
      ...(over.headers ?? []),
    ],
  });

const publish = (phone: Phone, body: string | undefined, headers: [string, string][] = []): SipMessage => {
  phone.request('PUBLISH', {
    uri: `sip:${phone.user}@${DOMAIN}`,
    to: `<sip:${phone.user}@${DOMAIN}>`,
    callId: `p${++branches}`,
    branch: `p${branches}`,
    headers: [['Event', 'presence'], ...headers],
    body: body === undefined ? undefined : { type: PIDF, bytes: body },
  });
  const answers = phone.take().filter((m) => m.kind === 'response');
  assert.equal(answers.length, 1);
  return answers[0]!;
};

/** The NOTIFYs that a watcher gets: it answers each, whereupon the next may come. */
function told(phone: Phone, status = 200): SipMessage[] {
  const notifies = phone.take().filter((m) => m.kind === 'request' && m.method === 'NOTIFY');
  for (const notify of notifies) phone.answer(notify, status);
  return notifies.length === 0 ? [] : [...notifies, ...told(phone, status)];
}

const activity = (notify: SipMessage): string => {
  assert.ok(readXml(notify.bodyText), 'well-formed');
  const basic = /<basic>(\w+)<\/basic>/.exec(notify.bodyText)?.[1];
  const what = /<rpid:([\w-]+) \/>/.exec(notify.bodyText)?.[1];
  const note = /<note>(.*)<\/note>/.exec(notify.bodyText)?.[1];
  return [basic, what, note].filter((word) => word !== undefined).join(' ');
};

const lamps = (notify: SipMessage): string[] =>
  [...notify.bodyText.matchAll(/direction="(\w+)">\s*<state>(\w+)</g)].map(
    ([, direction, state]) => `${direction} ${state}`,
  );

function nothingLeft(s: ReturnType<typeof stage>) {
  s.advance(3_700_000);
  s.assertNothingLeft();
  assert.equal(s.core.presence.notifier.size, 0, 'subscriptions');
  assert.equal(s.core.presence.notifier.remnants, 0, 'NOTIFYs');
  assert.equal(s.core.presence.publications.size, 0, 'publications');
  assert.equal(s.watches.size, 0, 'subscriptions in the journal');
}

test('presence: offline, available, on the phone and offline again, each told once', () => {
  const s = stage();
  const [alice, bob, carol] = [s.phone('alice'), s.phone('bob'), s.phone('carol')];
  alice.register();
  carol.register();
  subscribe(alice, 'bob', 'presence');
  const [ok, first] = alice.take() as [SipMessage, SipMessage];
  assert.deepEqual([ok.status, ok.header('expires'), first.method], [200, '3600', 'NOTIFY']);
  assert.equal(first.header('subscription-state'), 'active;expires=3600');
  assert.deepEqual([first.contentType, activity(first)], [PIDF, 'closed']);
  alice.answer(first, 200);
  bob.register();
  assert.deepEqual(told(alice).map(activity), ['open']);
  bob.register();
  assert.deepEqual(told(alice), [], 'a refresh is no news');
  const { ok: answered } = established(carol, bob);
  assert.deepEqual(told(alice).map(activity), ['open on-the-phone']);
  carol.within(answered, 'BYE', { cseq: 2 });
  bob.answer(last(bob.take()), 200);
  assert.deepEqual(told(alice).map(activity), ['open']);
  s.core.handleFlowClosed(bob.flow, s.clock.now);
  s.settle();
  assert.deepEqual(told(alice).map(activity), ['closed']);
  assert.deepEqual(
    s.seen.filter(({ user }) => user === 'bob').map(({ presence }) => presence.status),
    ['available', 'on-the-phone', 'available', 'offline'],
  );
  nothingLeft(s);
});

test('what changes while a NOTIFY waits for its answer is told by one more', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  alice.register();
  subscribe(alice, 'bob', 'presence');
  const [, first] = alice.take() as [SipMessage, SipMessage];
  bob.register();
  s.core.handleFlowClosed(bob.flow, s.clock.now);
  s.settle();
  const again = s.phone('bob');
  again.register();
  assert.deepEqual(alice.take(), []);
  alice.answer(first, 200);
  assert.deepEqual(told(alice).map(activity), ['open']);
  assert.deepEqual(told(alice), []);
  nothingLeft(s);
});

test('a subscription is refreshed, ends by Expires: 0, by time, and by a watcher that does not know it', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.register();
  subscribe(alice, 'bob', 'presence', { expires: 60 });
  const [ok, first] = alice.take() as [SipMessage, SipMessage];
  alice.answer(first, 200);
  s.advance(50_000);
  alice.within(ok, 'SUBSCRIBE', {
    cseq: 2,
    headers: [
      ['Event', 'presence'],
      ['Expires', '60'],
    ],
  });
  assert.deepEqual(
    told(alice).map((m) => m.header('subscription-state')),
    ['active;expires=60'],
  );
  s.advance(59_000);
  assert.deepEqual(told(alice), []);
  s.advance(2000);
  assert.deepEqual(
    told(alice).map((m) => m.header('subscription-state')),
    ['terminated;reason=timeout'],
  );
  alice.within(ok, 'SUBSCRIBE', { cseq: 3, headers: [['Event', 'presence']] });
  assert.deepEqual(alice.seen(), ['481 SUBSCRIBE']);

  subscribe(alice, 'bob', 'presence');
  const second = alice.take();
  alice.answer(second[1]!, 200);
  alice.within(second[0]!, 'SUBSCRIBE', {
    cseq: 2,
    headers: [
      ['Event', 'presence'],
      ['Expires', '0'],
    ],
  });
  assert.deepEqual(
    told(alice).map((m) => m.header('subscription-state')),
    ['terminated;reason=timeout'],
  );

  subscribe(alice, 'bob', 'presence', { expires: 0 });
  assert.deepEqual(
    told(alice).map((m) => m.header('subscription-state')),
    ['terminated;reason=timeout'],
    'asked once',
  );

  subscribe(alice, 'bob', 'presence');
  told(alice, 481);
  assert.equal(s.core.presence.notifier.size, 0);
  nothingLeft(s);
});

test('refusals: unknown packages, users, too short, others’ mail, without Contact, a type that nobody has', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.register();
  const table: [string, Parameters<typeof subscribe>[3] & { to?: string; event?: string }, number][] = [
    ['a package that nobody has', { event: 'conference' }, 489],
    ['no user', { to: 'nobody' }, 404],
    ['an echo', { to: '600' }, 404],
    ['too short', { expires: 30 }, 423],
    ['somebody else’s messages', { event: 'message-summary' }, 403],
    ['somebody else’s phones', { event: 'reg' }, 403],
    ['another type', { headers: [['Accept', 'application/x']] }, 406],
  ];
  for (const [what, { to = 'bob', event = 'presence', ...over }, status] of table) {
    subscribe(alice, to, event, over);
    const [answer, ...more] = alice.take();
    assert.deepEqual([answer?.status, more.length], [status, 0], what);
    assert.match(answer?.header('reason') ?? '', /text="./, what);
  }
  subscribe(alice, 'bob', 'conference');
  assert.equal(alice.take()[0]?.header('allow-events'), 'presence, dialog, message-summary, reg');
  nothingLeft(s);
});

test('lamps: who rings and who talks, for colleagues with the other side’s name, for others without', () => {
  const s = stage({ groups: { sales: { members: ['carol', 'bob'], ring: 'parallel', ringS: 20 } } });
  const [alice, bob, carol, dave] = ['alice', 'bob', 'carol', 'dave'].map((name) => s.phone(name)) as [
    Phone,
    Phone,
    Phone,
    Phone,
  ];
  for (const one of [alice, bob, carol, dave]) one.register();
  subscribe(carol, 'bob', 'dialog');
  subscribe(dave, 'bob', 'dialog');
  assert.deepEqual([...told(carol), ...told(dave)].map(lamps), [[], []]);
  alice.request('INVITE', { sdp: OFFER });
  const [invite] = bob.take() as [SipMessage];
  bob.answer(invite, 180);
  const ringing = told(carol).at(-1)!;
  assert.deepEqual(lamps(ringing), ['recipient early']);
  assert.match(ringing.bodyText, /<remote><identity>sip:alice@example.test<\/identity>/);
  const seenByDave = told(dave).at(-1)!;
  assert.deepEqual(lamps(seenByDave), ['recipient early']);
  assert.doesNotMatch(seenByDave.bodyText, /alice/);
  bob.answer(invite, 486);
  assert.deepEqual(lamps(told(carol).at(-1)!), [], 'the lamp goes out');
  told(dave);
  alice.take();
  const idOf = (notify: SipMessage | undefined) => /<dialog id="(\w+)"/.exec(notify?.bodyText ?? '')?.[1];
  subscribe(carol, 'alice', 'dialog');
  assert.match(told(carol)[0]?.bodyText ?? '', /version="0" state="full"/);
  bob.take();
  alice.request('INVITE', { sdp: OFFER, callId: 'second', branch: 'second' });
  const [second] = bob.take() as [SipMessage];
  bob.answer(second, 200, ANSWER);
  alice.within(last(alice.take()), 'ACK', { cseq: 1 });
  const talks = told(carol);
  assert.ok(talks.some((m) => lamps(m).includes('initiator confirmed')));
  assert.ok(talks.some((m) => lamps(m).includes('recipient confirmed')));
  const names = ['initiator', 'recipient'].map((how) => idOf(talks.findLast((m) => lamps(m)[0]?.startsWith(how))));
  assert.ok(names[0] && names[1] && names[0] !== names[1], 'no name tells that the two talk to each other');
  s.core.hangUpAll('end', s.clock.now);
  s.settle();
  for (const one of [alice, bob]) for (const m of one.take()) if (m.method === 'BYE') one.answer(m, 200);
  told(carol);
  told(dave);
  nothingLeft(s);
});

test('waiting messages are counted for a phone that can’t read them', () => {
  const s = stage({ core: { wallMs: () => 0 } });
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  alice.register();
  bob.register();
  subscribe(bob, 'bob', 'message-summary');
  const [none] = told(bob) as [SipMessage];
  assert.equal(none.contentType, 'application/simple-message-summary');
  assert.match(none.bodyText, /^Messages-Waiting: no\r\n.*\r\nText-Message: 0\/0\r\n$/);
  alice.request('MESSAGE', { branch: 'text', callId: 'text', body: { type: 'text/plain', bytes: 'hi' } });
  bob.answer(bob.take()[0]!, 405);
  assert.deepEqual(alice.seen(), ['202 MESSAGE']);
  assert.match(told(bob)[0]?.bodyText ?? '', /^Messages-Waiting: yes\r\n.*\r\nText-Message: 1\/0\r\n$/);
  const better = s.phone('bob');
  better.answer(better.register().find((m) => m.method === 'MESSAGE')!, 200);
  assert.match(told(bob)[0]?.bodyText ?? '', /^Messages-Waiting: no/);
  bob.answer(bob.take().find((m) => m.method === 'MESSAGE') ?? last([none]), 405);
  nothingLeft(s);
});

test('registrations are told to their own user', () => {
  const s = stage();
  const [bob, bob2] = [s.phone('bob'), s.phone('bob')];
  bob.register();
  subscribe(bob, 'bob', 'reg');
  const [first] = told(bob) as [SipMessage];
  assert.ok(readXml(first.bodyText));
  assert.match(first.bodyText, /<registration aor="sip:bob@example.test" id="bob" state="active">/);
  assert.equal(first.bodyText.match(/<contact /g)?.length, 1);
  bob2.register();
  const [second] = told(bob) as [SipMessage];
  assert.match(second.bodyText, /version="1" state="full"/);
  assert.equal(second.bodyText.match(/<contact /g)?.length, 2);
  nothingLeft(s);
});

test('a phone that comes back on a new connection keeps what it watches, and is told what it missed', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  alice.contact = '<sip:alice@phone.invalid;transport=ws>;+sip.instance="<urn:uuid:1>"';
  alice.register();
  subscribe(alice, 'bob', 'presence');
  told(alice);
  s.core.handleFlowClosed(alice.flow, s.clock.now);
  s.settle();
  bob.register();
  const back = s.phone('alice');
  back.contact = '<sip:other@phone.invalid;transport=ws>;+sip.instance="<urn:uuid:1>"';
  const [notify] = back.register() as [SipMessage];
  assert.deepEqual([notify.method, activity(notify)], ['NOTIFY', 'open']);
  back.answer(notify, 200);
  nothingLeft(s);
});

test('PUBLISH: entity tags, what is said changes what others see, closed hides, and it expires', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  bob.register();
  subscribe(bob, 'alice', 'presence');
  told(bob);
  alice.register();
  assert.deepEqual(told(bob).map(activity), ['open']);
  const first = publish(
    alice,
    pidf(
      'open',
      '<d:person id="p"><r:activities><r:meeting/></r:activities><d:note>room &lt;5&gt;</d:note></d:person>',
    ),
  );
  assert.deepEqual([first.status, first.header('expires')], [200, '3600']);
  const tag = first.header('sip-etag')!;
  assert.deepEqual(told(bob).map(activity), ['open busy room &#60;5&#62;']);
  assert.equal(publish(alice, undefined, [['SIP-If-Match', 'unknown']]).status, 412);
  const second = publish(alice, undefined, [['SIP-If-Match', tag]]);
  assert.equal(second.status, 200);
  assert.notEqual(second.header('sip-etag'), tag);
  assert.deepEqual(told(bob), [], 'a refresh changes nothing');
  assert.equal(publish(alice, undefined, [['SIP-If-Match', tag]]).status, 412, 'each tag is good once');
  const third = publish(alice, pidf('closed'), [['SIP-If-Match', second.header('sip-etag')!]]);
  assert.deepEqual(told(bob).map(activity), ['closed']);
  assert.equal(
    publish(alice, undefined, [
      ['SIP-If-Match', third.header('sip-etag')!],
      ['Expires', '0'],
    ]).status,
    200,
  );
  assert.deepEqual(told(bob).map(activity), ['open']);
  publish(alice, pidf('open', '<d:person id="p"><r:activities><r:away/></r:activities></d:person>'), [
    ['Expires', '60'],
  ]);
  assert.deepEqual(told(bob).map(activity), ['open away']);
  s.advance(61_000);
  assert.deepEqual(told(bob).map(activity), ['open']);
  nothingLeft(s);
});

test('a body that is no presence is given up at its first mistake, however long it is', () => {
  const fill = (piece: string) => piece.repeat(Math.floor(16_000 / piece.length));
  const bodies = ['<a>', '<b:a>', '\u0001', '‹', '&x;', '<a b="', ']]>', '<!--', '<?x '].map(fill);
  const inside = bodies.map((body) => `<presence xmlns="urn:ietf:params:xml:ns:pidf">${body}`);
  const startedMs = performance.now();
  for (let i = 0; i < 20; i++) for (const body of [...bodies, ...inside]) assert.equal(readXml(body), undefined);
  const eachMs = (performance.now() - startedMs) / (20 * bodies.length * 2);
  // Read to its end, each of the worst takes 75 to 250 ms.
  assert.ok(eachMs < 25, `${eachMs} ms each`);
});

test('no bytes make the reader throw', () => {
  const unit = fc.constantFrom(
    '<',
    '>',
    '/',
    '!',
    '-',
    '[',
    ']',
    '?',
    '"',
    '&',
    '#',
    ';',
    'a',
    ' ',
    ':',
    '\u0000',
    '‹',
  );
  fc.assert(
    fc.property(fc.string({ unit }), (text) => {
      for (const document of [text, `<a>${text}</a>`, `<a xmlns:b="c">${text}`]) readXml(document);
    }),
  );
});

test('an id that is no token is refused, and so are two events', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.register();
  subscribe(alice, 'bob', 'presence;id="a;b"');
  assert.deepEqual(alice.seen(), ['489 SUBSCRIBE']);
  subscribe(alice, 'bob', 'presence;id=7');
  const [notify] = told(alice);
  assert.equal(notify?.header('event'), 'presence;id=7');
  s.core.handleAccountRemoved('alice', s.clock.now);
});

test('one watcher of one state five times over: the oldest gives way', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.register();
  for (let i = 0; i < 8; i++) subscribe(alice, 'bob', 'presence');
  told(alice);
  assert.equal(s.core.presence.notifier.size, 5);
  nothingLeft(s);
});

test('PUBLISH: what is wrong with it', () => {
  const s = stage();
  const alice = s.phone('alice');
  alice.register();
  assert.equal(publish(alice, undefined).status, 400);
  assert.equal(publish(alice, 'no xml').status, 400);
  assert.equal(
    publish(alice, '<!DOCTYPE a [<!ENTITY b "c">]><presence xmlns="urn:ietf:params:xml:ns:pidf"/>').status,
    400,
  );
  assert.equal(publish(alice, `${'<a>'.repeat(100)}${'</a>'.repeat(100)}`).status, 400);
  assert.equal(publish(alice, pidf('open'), [['Expires', '5']]).status, 423);
  for (let i = 0; i < 12; i++) assert.equal(publish(alice, pidf('open')).status, 200);
  assert.equal(s.core.presence.publications.size, 10, 'the oldest give way');
  alice.request('PUBLISH', { uri: `sip:bob@${DOMAIN}`, branch: 'x', callId: 'x', headers: [['Event', 'presence']] });
  alice.request('PUBLISH', { uri: `sip:alice@${DOMAIN}`, branch: 'y', callId: 'x', headers: [['Event', 'dialog']] });
  assert.deepEqual(alice.seen(), ['403 PUBLISH', '489 PUBLISH']);
  nothingLeft(s);
});

test('an account that goes ends what it watches and who watches it; a server that stops says so', () => {
  const s = stage();
  const [alice, bob] = [s.phone('alice'), s.phone('bob')];
  alice.register();
  bob.register();
  subscribe(alice, 'bob', 'presence');
  subscribe(bob, 'alice', 'presence');
  told(alice);
  told(bob);
  s.core.handleAccountRemoved('bob', s.clock.now);
  s.settle();
  assert.deepEqual(
    [...told(alice), ...told(bob)].map((m) => m.header('subscription-state')),
    ['terminated;reason=noresource', 'terminated;reason=rejected'],
  );
  subscribe(alice, 'carol', 'presence');
  told(alice);
  s.core.stopPresence(s.clock.now);
  s.settle();
  assert.deepEqual(
    told(alice).map((m) => m.header('subscription-state')),
    ['terminated;reason=deactivated'],
  );
  nothingLeft(s);
});

test('a restart: who watched by datagrams or comes back is told how things stand, in the same dialog', () => {
  const before = stage();
  const alice = before.phone('alice');
  alice.register();
  subscribe(alice, 'bob', 'presence');
  subscribe(alice, 'bob', 'dialog', { expires: 60 });
  const first = told(alice)[0]!;
  assert.equal(before.watches.size, 2);
  const after = stage();
  const [bob, back] = [after.phone('bob'), after.phone('alice')];
  bob.register();
  after.advance(30_000);
  const lost = { ...alice.flow, id: -1 };
  for (const snapshot of before.watches.values()) {
    const kept = JSON.parse(snapshot) as Parameters<typeof after.core.restoreSubscription>[0];
    const isThere = after.core.restoreSubscription(
      kept,
      () => ({ flow: lost, isLost: true }),
      after.clock.now + 40_000,
    );
    assert.equal(isThere, kept.event === 'presence', 'what has expired is forgotten');
  }
  back.contact = alice.contact;
  const [notify] = back.register() as [SipMessage];
  assert.deepEqual([notify.callId, notify.to.tag, notify.from.tag], [first.callId, first.to.tag, first.from.tag]);
  assert.ok(notify.cseq.number > first.cseq.number);
  assert.equal(activity(notify), 'open');
  back.answer(notify, 200);
  nothingLeft(after);
});

test('two restarts: who is reached by datagrams is told 20 s later, and numbers only go up', () => {
  const first = stage();
  const alice = first.phone('alice');
  alice.register();
  subscribe(alice, 'bob', 'dialog');
  told(alice);
  let kept = [...first.watches.values()];
  const seen: { cseq: number; version: number }[] = [];
  for (let restart = 0; restart < 2; restart++) {
    const next = stage();
    const phone = next.phone('alice');
    const snapshot = JSON.parse(kept[0]!) as Parameters<typeof next.core.restoreSubscription>[0];
    assert.ok(next.core.restoreSubscription(snapshot, () => ({ flow: phone.flow, isLost: false }), 0));
    next.settle();
    next.advance(19_000);
    assert.deepEqual(phone.take(), []);
    next.advance(2000);
    const [notify, ...more] = told(phone);
    assert.equal(more.length, 0);
    seen.push({ cseq: notify!.cseq.number, version: Number(/version="(\d+)"/.exec(notify!.bodyText)![1]) });
    kept = [...next.watches.values()];
  }
  assert.ok(seen[1]!.cseq > seen[0]!.cseq && seen[1]!.version > seen[0]!.version, JSON.stringify(seen));
});

test('one watcher has a limit, and so have all of them', () => {
  const statuses: number[] = [];
  let sent = 0;
  const notifier = new Notifier({
    crypto: nodeCrypto,
    transactions: { request: () => `n${++sent}`, respond: (_, { status }) => void statuses.push(status) },
    packages: [{ name: 'presence', type: PIDF, defaultS: 60, write: () => '' }],
    isUser: () => true,
    resolveGruu: () => undefined,
    contact: () => 'sip:here',
    limits: { perWatcher: 3, perState: 5, all: 5, minS: 60, maxS: 3600 },
  });
  const { flow } = stage().phone('alice');
  for (const [account, user] of ['alice a', 'alice b', 'alice c', 'alice d', 'bob a', 'bob b', 'bob c'].map((w) =>
    w.split(' '),
  )) {
    const uri = `sip:${user}@${DOMAIN}`;
    const parties = { from: `<sip:${account}@${DOMAIN}>;tag=1`, to: `<${uri}>`, callId: `${account}${user}`, cseq: 1 };
    const headers = [
      ['Event', 'presence'],
      ['Contact', '<sip:x@phone.invalid>'],
    ] as const;
    const message = createRequest({ method: 'SUBSCRIBE', uri, ...parties, headers });
    notifier.handle({ kind: 'request', id: uri, message, flow, account }, 0);
  }
  assert.deepEqual(statuses, [200, 200, 200, 403, 200, 200, 503]);
});
