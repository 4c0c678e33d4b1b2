import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { readVqReport } from '@offhook/core';
import { FakeConnection, FakeTrack, installFakeMedia } from '../testing/fake-media.ts';
import { FakeSocket, headerOf, message } from '../testing/fake-socket.ts';
import type { CallLeg, IncomingText, LegEvents, Signaling, TextOutcome } from './signaling.ts';
import { createSignaling } from './sipjs.ts';
import './sipjs-reports.ts'; // fetched later otherwise, and then in no time of these tests

installFakeMedia();
mock.timers.enable({ apis: ['setTimeout', 'setInterval'] }); // SIP.js keeps transactions for 32 s

const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n';
const settle = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await setImmediate();
};

class Bench {
  readonly sockets: FakeSocket[] = [];
  readonly connections: FakeConnection[] = [];
  readonly incoming: CallLeg[] = [];
  readonly states: string[] = [];
  readonly texts: IncomingText[] = [];
  nowMs = 0;
  session = 'one';
  readonly signaling: Signaling;
  #timers: { atMs: number; callback: () => void }[] = [];

  constructor() {
    this.signaling = createSignaling({
      user: 'alice',
      displayName: 'Alice',
      domain: 'offhook.local',
      url: 'ws://localhost/sip',
      session: () => this.session,
      identity: { instanceId: '0f8fad5b-d9cb-469f-a165-70867728950e', contact: 'w0f8fad5b' },
      events: {
        link: (state) => this.states.push(state.kind),
        incoming: (leg) => this.incoming.push(leg),
        text: (text) => this.texts.push(text),
      },
      probe: async () => 'ok',
      onTrace: () => {},
      createSocket: (_url, protocols) => {
        const socket = new FakeSocket(protocols);
        this.sockets.push(socket);
        return socket.socket;
      },
      createConnection: (configuration) => {
        const connection = new FakeConnection(configuration);
        this.connections.push(connection);
        return connection.connection;
      },
      now: () => this.nowMs,
      random: () => 0.5,
      after: (ms, callback) => {
        const timer = { atMs: this.nowMs + ms, callback };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((t) => t !== timer);
        };
      },
    });
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  async advance(ms: number): Promise<void> {
    const until = this.nowMs + ms;
    for (;;) {
      const next = this.#timers.filter((t) => t.atMs <= until).sort((a, b) => a.atMs - b.atMs)[0];
      if (!next) break;
      this.nowMs = next.atMs;
      this.#timers = this.#timers.filter((t) => t !== next);
      next.callback();
      await settle();
    }
    this.nowMs = until;
  }

  async register(): Promise<void> {
    this.signaling.start();
    await this.confirm();
  }

  /** Lets the newest socket open and its REGISTER succeed. */
  async confirm(): Promise<void> {
    await settle();
    this.socket.accept();
    await settle();
    const request = this.socket.last('REGISTER');
    this.socket.answer(request, 200, 'OK', { headers: [`Contact: ${headerOf(request, 'Contact')}`] });
    await settle();
  }

  media() {
    return { audio: new FakeTrack('audio').track, configuration: {} };
  }

  watch(leg: CallLeg): string[] {
    const seen: string[] = [];
    const tell = (word: string) => () => seen.push(word);
    leg.events = {
      ringing: tell('ringing'),
      earlyMedia: tell('early media'),
      answered: tell('answered'),
      ended: (end) => {
        const rang = end.rang ? ' after it rang' : '';
        seen.push(`ended ${end.by} ${end.cause} ${end.status ?? ''} ${end.reason ?? ''}`.trim() + rang);
      },
      track: () => {},
      path: () => {},
      negotiated: () => {},
    } satisfies LegEvents;
    return seen;
  }

  /** An established outgoing call. */
  async talk(): Promise<{ leg: CallLeg; seen: string[]; invite: string }> {
    const leg = this.signaling.call('sip:bob@offhook.local', this.media());
    const seen = this.watch(leg);
    await settle();
    const invite = this.socket.last('INVITE');
    this.socket.answer(invite, 100, 'Trying');
    this.socket.answer(invite, 180, 'Ringing', { headers: ['Contact: <sip:server@127.0.0.1:5060>'] });
    this.socket.answer(invite, 200, 'OK', { headers: ['Contact: <sip:server@127.0.0.1:5060>'], body: SDP });
    await settle();
    assert.deepEqual(seen, ['ringing', 'answered']);
    assert.ok(this.socket.has('ACK'));
    return { leg, seen, invite };
  }

  /** A request of the server inside the dialog the INVITE made. */
  inDialog(method: string, invite: string, headers: string[] = [], body = ''): void {
    const to = headerOf(invite, 'To');
    this.socket.receive(
      message(
        `${method} sip:w0f8fad5b@w0f8fad5b.invalid;transport=ws SIP/2.0`,
        [
          `Via: SIP/2.0/WS server.invalid;branch=z9hG4bK${method}${this.nowMs}`,
          'Max-Forwards: 70',
          `From: ${/;tag=/.test(to) ? to : `${to};tag=server`}`,
          `To: ${headerOf(invite, 'From')}`,
          `Call-ID: ${headerOf(invite, 'Call-ID')}`,
          `CSeq: 1 ${method}`,
          ...headers,
        ],
        body,
      ),
    );
  }

  /** RFC 3261 15: the callee's BYE waits for this. */
  acknowledge(ok: string): void {
    this.socket.receive(
      message('ACK sip:w0f8fad5b@w0f8fad5b.invalid;transport=ws SIP/2.0', [
        'Via: SIP/2.0/WS server.invalid;branch=z9hG4bKack',
        'Max-Forwards: 70',
        `From: ${headerOf(ok, 'From')}`,
        `To: ${headerOf(ok, 'To')}`,
        `Call-ID: ${headerOf(ok, 'Call-ID')}`,
        'CSeq: 1 ACK',
      ]),
    );
  }

  /** A text that the server passes on. */
  write(body: string, more: { headers?: string[]; branch?: string } = {}): void {
    this.socket.receive(
      message(
        'MESSAGE sip:w0f8fad5b@w0f8fad5b.invalid;transport=ws SIP/2.0',
        [
          `Via: SIP/2.0/WS server.invalid;branch=z9hG4bK${more.branch ?? 'text'}`,
          'Max-Forwards: 70',
          'From: "Bob Okafor" <sip:bob@offhook.local>;tag=bob',
          'To: <sip:alice@offhook.local>',
          'Call-ID: text-1',
          'CSeq: 7 MESSAGE',
          ...(more.headers ?? ['Content-Type: text/plain;charset=UTF-8', 'Date: Fri, 15 Jan 2027 08:00:00 GMT']),
        ],
        body,
      ),
    );
  }

  /** The outcome of a text that the server answers so. */
  async outcome(status: number, headers: string[] = []): Promise<TextOutcome> {
    const outcome = this.signaling.message({ id: `id-${status}`, uri: 'sip:bob@offhook.local', text: 'hello' });
    await settle();
    this.socket.answer(this.socket.last('MESSAGE'), status, 'Answer', { headers });
    return outcome;
  }

  ring(): void {
    this.socket.receive(
      message(
        'INVITE sip:w0f8fad5b@w0f8fad5b.invalid;transport=ws SIP/2.0',
        [
          'Via: SIP/2.0/WS server.invalid;branch=z9hG4bKring',
          'Max-Forwards: 70',
          'From: "Bob Okafor" <sip:bob@offhook.local>;tag=bob',
          'To: <sip:alice@offhook.local>',
          'Call-ID: ring-1',
          'CSeq: 1 INVITE',
          'Contact: <sip:server@127.0.0.1:5060>',
        ],
        SDP,
      ),
    );
  }
}

test('registers over its own session, one contact with a stable instance', async () => {
  const bench = new Bench();
  await bench.register();
  assert.deepEqual(bench.socket.protocols, ['sip', 'offhook.session.one']);
  const request = bench.socket.last('REGISTER');
  assert.match(request, /^REGISTER sip:offhook\.local SIP\/2\.0/);
  assert.match(
    headerOf(request, 'Contact'),
    /<sip:w0f8fad5b@.*>;\+sip\.instance="<urn:uuid:0f8fad5b-.*>";reg-id=1;expires=600/,
  );
  assert.deepEqual(bench.states, ['connecting', 'registering', 'registered']);
});

test('a renewed session is used for the next socket; Call-ID stays and CSeq grows (RFC 3261 10.2)', async () => {
  const bench = new Bench();
  await bench.register();
  const first = bench.socket.last('REGISTER');
  bench.session = 'two';
  bench.socket.lose();
  await bench.advance(150);
  await bench.confirm();
  const second = bench.socket.last('REGISTER');
  assert.deepEqual(bench.socket.protocols, ['sip', 'offhook.session.two']);
  assert.equal(headerOf(second, 'Call-ID'), headerOf(first, 'Call-ID'));
  assert.equal(headerOf(second, 'Contact'), headerOf(first, 'Contact'));
  assert.ok(Number.parseInt(headerOf(second, 'CSeq'), 10) > Number.parseInt(headerOf(first, 'CSeq'), 10));
  assert.equal(bench.states.at(-1), 'registered');
});

test('an interval too brief is corrected at once (423)', async () => {
  const bench = new Bench();
  bench.signaling.start();
  await settle();
  bench.socket.accept();
  await settle();
  bench.socket.answer(bench.socket.last('REGISTER'), 423, 'Interval Too Brief', { headers: ['Min-Expires: 1800'] });
  await settle();
  assert.match(headerOf(bench.socket.last('REGISTER'), 'Contact'), /expires=1800/);
});

test('a call: ringing, answered, hung up by the other side with its reason', async () => {
  const bench = new Bench();
  await bench.register();
  const { seen, invite } = await bench.talk();
  assert.match(invite, /a=candidate/);
  bench.inDialog('BYE', invite, ['Reason: SIP;cause=200;text="media timeout"']);
  await settle();
  assert.equal(seen.at(-1), 'ended remote hangup  media timeout');
  assert.ok(bench.connections[0]!.closed);
});

test('a rejection arrives with status and the server’s words', async () => {
  const bench = new Bench();
  await bench.register();
  const leg = bench.signaling.call('sip:carol@offhook.local', bench.media());
  const seen = bench.watch(leg);
  await settle();
  bench.socket.answer(bench.socket.last('INVITE'), 480, 'Temporarily Unavailable', {
    headers: ['Reason: SIP;cause=480;text="carol is not registered"'],
  });
  await settle();
  assert.deepEqual(seen, ['ended remote rejected 480 carol is not registered']);
  assert.ok(bench.connections[0]!.closed);
});

test('a rejection after ringing says that it rang', async () => {
  const bench = new Bench();
  await bench.register();
  const leg = bench.signaling.call('sip:carol@offhook.local', bench.media());
  const seen = bench.watch(leg);
  await settle();
  const invite = bench.socket.last('INVITE');
  bench.socket.answer(invite, 180, 'Ringing', { headers: ['Contact: <sip:server@127.0.0.1:5060>'] });
  await settle();
  bench.socket.answer(invite, 480, 'Temporarily Unavailable');
  await settle();
  assert.deepEqual(seen, ['ringing', 'ended remote rejected 480 after it rang']);
});

test('a call outlives its socket, and is hung up over the next one', async () => {
  const bench = new Bench();
  await bench.register();
  const { leg, seen } = await bench.talk();
  bench.socket.lose();
  await bench.advance(150);
  await bench.confirm();
  assert.deepEqual(seen, ['ringing', 'answered']);
  assert.equal(bench.connections[0]!.closed, false);
  leg.end();
  await settle();
  assert.ok(bench.socket.has('BYE'));
  assert.equal(seen.at(-1), 'ended local hangup');
});

test('hung up while the socket is gone: the BYE follows once registered again', async () => {
  const bench = new Bench();
  await bench.register();
  const { leg, seen } = await bench.talk();
  bench.socket.lose();
  leg.end();
  await settle();
  assert.equal(seen.at(-1), 'ended local hangup');
  assert.ok(bench.connections[0]!.closed);
  await bench.advance(150);
  await bench.confirm();
  assert.ok(bench.socket.has('BYE'));
});

test('a refused re-INVITE is rolled back and the call goes on', async () => {
  const bench = new Bench();
  await bench.register();
  const { leg, seen } = await bench.talk();
  await leg.peer!.replaceVideo(new FakeTrack('video').track);
  const outcome = leg.renegotiate('keep-ice');
  await settle();
  const invite = bench.socket.last('INVITE');
  assert.match(invite, /m=video/);
  bench.socket.answer(invite, 488, 'Not Acceptable Here');
  assert.equal(await outcome, 'rejected');
  assert.equal(bench.connections[0]!.connection.signalingState, 'stable');
  const second = leg.renegotiate('restart-ice');
  await settle();
  const restart = bench.socket.last('INVITE');
  bench.socket.answer(restart, 200, 'OK', { headers: ['Contact: <sip:server@127.0.0.1:5060>'], body: SDP });
  assert.equal(await second, 'accepted');
  assert.deepEqual(bench.connections[0]!.restarts, [false, false, true]);
  assert.deepEqual(seen, ['ringing', 'answered']);
});

test('an incoming call rings, is answered with our description, and ends by our BYE', async () => {
  const bench = new Bench();
  await bench.register();
  bench.ring();
  await settle();
  const leg = bench.incoming[0]!;
  assert.deepEqual(leg.remote, {
    user: 'bob',
    uri: 'sip:bob@offhook.local',
    displayName: 'Bob Okafor',
    video: false,
  });
  const seen = bench.watch(leg);
  leg.answer(bench.media());
  await settle();
  const ok = bench.socket.sent.findLast((text) => text.startsWith('SIP/2.0 200'))!;
  assert.match(ok, /m=audio/);
  assert.deepEqual(seen, ['answered']);
  bench.acknowledge(ok);
  await settle();
  leg.end();
  await settle();
  assert.ok(bench.socket.has('BYE'));
});

test('answered on another device is not a missed call', async () => {
  const bench = new Bench();
  await bench.register();
  bench.ring();
  await settle();
  const seen = bench.watch(bench.incoming[0]!);
  bench.socket.receive(
    message('CANCEL sip:w0f8fad5b@w0f8fad5b.invalid;transport=ws SIP/2.0', [
      'Via: SIP/2.0/WS server.invalid;branch=z9hG4bKring',
      'From: "Bob Okafor" <sip:bob@offhook.local>;tag=bob',
      'To: <sip:alice@offhook.local>',
      'Call-ID: ring-1',
      'CSeq: 1 CANCEL',
      'Reason: SIP;cause=200;text="Call completed elsewhere"',
    ]),
  );
  await settle();
  assert.deepEqual(seen, ['ended remote answered-elsewhere']);
});

test('declining says 603, being busy 486', async () => {
  for (const status of [603, 486] as const) {
    const bench = new Bench();
    await bench.register();
    bench.ring();
    await settle();
    bench.incoming[0]!.end(status);
    await settle();
    assert.ok(bench.socket.sent.some((text) => text.startsWith(`SIP/2.0 ${status} `)));
  }
});

test('a call canceled before the answer sends CANCEL and tells so at once', async () => {
  const bench = new Bench();
  await bench.register();
  const leg = bench.signaling.call('sip:bob@offhook.local', bench.media());
  const seen = bench.watch(leg);
  await settle();
  bench.socket.answer(bench.socket.last('INVITE'), 180, 'Ringing', {
    headers: ['Contact: <sip:server@127.0.0.1:5060>'],
  });
  await settle();
  leg.end();
  await settle();
  assert.deepEqual(seen, ['ringing', 'ended local canceled']);
  assert.ok(bench.socket.has('CANCEL'));
  assert.ok(bench.connections[0]!.closed);
});

test('early media is told, and its answer serves the call', async () => {
  const bench = new Bench();
  await bench.register();
  const leg = bench.signaling.call('sip:bob@offhook.local', bench.media());
  const seen = bench.watch(leg);
  await settle();
  const invite = bench.socket.last('INVITE');
  const contact = { headers: ['Contact: <sip:server@127.0.0.1:5060>'], body: SDP };
  bench.socket.answer(invite, 183, 'Session Progress', contact);
  await settle();
  bench.socket.answer(invite, 200, 'OK', contact);
  await settle();
  assert.deepEqual(seen, ['early media', 'answered']);
});

test('signing out ends the call, unregisters and closes', async () => {
  const bench = new Bench();
  await bench.register();
  const { seen } = await bench.talk();
  await bench.signaling.stop();
  assert.equal(seen.at(-1), 'ended local hangup');
  assert.match(headerOf(bench.socket.last('REGISTER'), 'Contact'), /expires=0/);
  assert.ok(bench.socket.closedByPage);
  assert.equal(bench.states.at(-1), 'stopped');
});

test('a text goes out as MESSAGE, and again as the same one', async () => {
  const bench = new Bench();
  await bench.register();
  const text = { id: '11111111-2222-4333-8444-555555555555', uri: 'sip:bob@offhook.local', text: 'Grüße 👋\nbis dann' };
  const first = bench.signaling.message(text);
  await settle();
  const request = bench.socket.last('MESSAGE');
  assert.match(request, /^MESSAGE sip:bob@offhook\.local SIP\/2\.0/);
  assert.match(headerOf(request, 'Content-Type'), /^text\/plain;\s*charset=UTF-8$/i);
  assert.equal(request.split('\r\n\r\n')[1], text.text);
  assert.equal(headerOf(request, 'Content-Length'), String(new TextEncoder().encode(text.text).length));
  bench.socket.lose();
  assert.deepEqual(await first, { kind: 'connection-lost' });
  await bench.advance(150);
  await bench.confirm();
  const second = bench.signaling.message(text);
  await settle();
  const again = bench.socket.last('MESSAGE');
  for (const name of ['Call-ID', 'From', 'CSeq']) assert.equal(headerOf(again, name), headerOf(request, name), name);
  assert.notEqual(headerOf(again, 'Via'), headerOf(request, 'Via'));
  bench.socket.answer(again, 200, 'OK');
  assert.deepEqual(await second, { kind: 'delivered' });
});

test('the answer to a text tells how far it got', async () => {
  const bench = new Bench();
  await bench.register();
  const reason = ['Reason: SIP;cause=404;text="nobody has this name"'];
  assert.deepEqual(await bench.outcome(200), { kind: 'delivered' });
  assert.deepEqual(await bench.outcome(202), { kind: 'stored' });
  assert.deepEqual(await bench.outcome(404, reason), { kind: 'refused', status: 404, reason: 'nobody has this name' });
  assert.deepEqual(await bench.outcome(503), { kind: 'refused', status: 503 });
  for (const status of [408, 504]) assert.deepEqual(await bench.outcome(status), { kind: 'unanswered' });
});

test('a text that nobody answers may have arrived; one without a connection has not left', async () => {
  const bench = new Bench();
  assert.deepEqual(await bench.signaling.message({ id: 'a', uri: 'sip:bob@offhook.local', text: 'x' }), {
    kind: 'connection-lost',
  });
  await bench.register();
  const outcome = bench.signaling.message({ id: 'b', uri: 'sip:bob@offhook.local', text: 'x' });
  await settle();
  mock.timers.tick(32_000);
  assert.deepEqual(await outcome, { kind: 'unanswered' });
  assert.deepEqual(await bench.signaling.message({ id: 'c', uri: 'not an address', text: 'x' }), {
    kind: 'refused',
    status: 484,
  });
});

test('a text that comes in is told with its sender and time, and confirmed', async () => {
  const bench = new Bench();
  await bench.register();
  bench.write('Hello\nthere ✓');
  bench.write('Hello\nthere ✓', { branch: 'again' });
  await settle();
  assert.deepEqual(bench.texts[0], {
    id: 'text-1 bob 7',
    from: { user: 'bob', uri: 'sip:bob@offhook.local', displayName: 'Bob Okafor' },
    text: 'Hello\nthere ✓',
    sentAtMs: Date.UTC(2027, 0, 15, 8),
  });
  assert.equal(bench.texts[1]!.id, bench.texts[0]!.id);
  assert.equal(bench.socket.sent.filter((text) => text.startsWith('SIP/2.0 200')).length, 2);
});

test('what is no text is refused (RFC 3428 7), an empty one is nothing to show', async () => {
  const bench = new Bench();
  await bench.register();
  bench.write('<isComposing/>', { headers: ['Content-Type: application/im-iscomposing+xml'], branch: 'typing' });
  bench.write('  \n', { branch: 'empty' });
  await settle();
  assert.deepEqual(bench.texts, []);
  const refusal = bench.socket.sent.find((text) => text.startsWith('SIP/2.0 415'))!;
  assert.equal(headerOf(refusal, 'Accept'), 'text/plain');
  assert.ok(bench.socket.sent.some((text) => text.startsWith('SIP/2.0 200')));
});

test('a text within a call comes in like any other', async () => {
  const bench = new Bench();
  await bench.register();
  const { invite } = await bench.talk();
  bench.inDialog('MESSAGE', invite, ['Content-Type: text/plain'], 'look at this');
  await settle();
  assert.deepEqual(
    bench.texts.map(({ from, text }) => [from.user, text]),
    [['bob', 'look at this']],
  );
});

const INTERVAL = { kind: 'interval', local: { lossPercent: 1.254, jitterMs: 3.4, codec: 'opus' } } as const;

test('how a call sounds is published under its Call-ID (RFC 6035), also right after it has ended', async () => {
  const bench = new Bench();
  await bench.register();
  const { leg, invite } = await bench.talk();
  bench.signaling.report(leg, { ...INTERVAL, remote: { lossPercent: 2 } });
  await settle();
  const request = bench.socket.last('PUBLISH');
  assert.match(request, /^PUBLISH sip:offhook\.local SIP\/2\.0/);
  for (const [name, value] of [
    ['Event', 'vq-rtcpxr'],
    ['Expires', '0'],
    ['Content-Type', 'application/vq-rtcpxr'],
  ] as const)
    assert.equal(headerOf(request, name), value);
  assert.match(headerOf(request, 'From'), /<sip:alice@offhook\.local>;tag=/);
  const callId = headerOf(invite, 'Call-ID');
  const ids = { callId, localId: '<sip:alice@offhook.local>', remoteId: '<sip:bob@offhook.local>' };
  const read = () => readVqReport(bench.socket.last('PUBLISH').split('\r\n\r\n')[1]!);
  assert.deepEqual(read(), {
    kind: 'interval',
    ...ids,
    originatorId: ids.localId,
    local: { lossPercent: 1.25, jitterMs: 3, codec: 'opus' },
    remote: { lossPercent: 2 },
  });
  leg.end();
  bench.signaling.report(leg, { kind: 'session', isFinal: true, local: {} });
  await settle();
  assert.deepEqual(read(), { kind: 'session', isFinal: true, ...ids, originatorId: ids.localId, local: {} });
  const sent = (method: string) => bench.socket.sent.findLastIndex((text) => text.startsWith(`${method} `));
  assert.ok(sent('BYE') < sent('PUBLISH'), 'hanging up does not wait for it');
});

test('the caller of a call that came in is its originator', async () => {
  const bench = new Bench();
  await bench.register();
  bench.ring();
  await settle();
  const leg = bench.incoming[0]!;
  leg.answer(bench.media());
  await settle();
  bench.signaling.report(leg, INTERVAL);
  await settle();
  const { callId, originatorId } = readVqReport(bench.socket.last('PUBLISH').split('\r\n\r\n')[1]!)!;
  assert.deepEqual([callId, originatorId], ['ring-1', '<sip:bob@offhook.local>']);
});

test('a server that does not know reports is spared them, one that refuses a report is not; without a socket there are none', async () => {
  for (const [status, isAskedAgain] of [
    [489, false],
    [501, false],
    [403, true],
    [503, true],
  ] as const) {
    const bench = new Bench();
    await bench.register();
    const { leg } = await bench.talk();
    bench.signaling.report(leg, INTERVAL);
    await settle();
    bench.socket.answer(bench.socket.last('PUBLISH'), status, 'No');
    await settle();
    bench.signaling.report(leg, INTERVAL);
    await settle();
    const count = () => bench.socket.sent.filter((text) => text.startsWith('PUBLISH ')).length;
    assert.equal(count(), isAskedAgain ? 2 : 1, String(status));
    bench.socket.lose();
    bench.signaling.report(leg, INTERVAL);
    await settle();
    assert.equal(count(), isAskedAgain ? 2 : 1);
  }
});
