import assert from 'node:assert/strict';
import { createRequest, createResponse, ha1, parseSip, SipMessage, seededCrypto } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import type { MessageNews, PagerMessage } from '../messaging/index.ts';
import type { PresenceNews } from '../presence/index.ts';
import type { QualityNews } from '../quality/index.ts';
import type { Decision, RingGroup, RouteCommand } from '../routing/index.ts';
import { SipCore } from '../server/core.ts';
import type { SipCoreCommand, SipCoreOptions } from '../server/core-seam.ts';
import { type Account, DEFAULT_SETTINGS, type UserSettings } from '../store/index.ts';
import type { Flow } from '../transaction/index.ts';
import { CALL_LIMITS, type CallLimits } from './context.ts';
import { type RelayOptions, StageRelay } from './relay-kit.ts';

export const DOMAIN = 'example.test';
const account = (user: string): Account => ({
  user,
  displayName: user.toUpperCase(),
  ha1Md5: ha1('MD5', user, DOMAIN, 'pw', nodeCrypto),
  ha1Sha256: '',
  createdAt: '',
});
const USERS = ['alice', 'bob', 'carol', 'dave'];
export const OFFER =
  'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
export const ANSWER = OFFER.replaceAll('192.0.2.1', '192.0.2.2');
export const VIDEO = `${OFFER}m=video 4002 RTP/AVP 96\r\n`;

/** The real server machine with WebSocket phones (authenticated by their session) and a relay that marks what passes it. */
export function stage(
  options: RelayOptions & {
    limits?: Partial<CallLimits>;
    seed?: number;
    settings?: Readonly<Record<string, Partial<UserSettings>>>;
    groups?: Readonly<Record<string, RingGroup>>;
    core?: Partial<SipCoreOptions>;
  } = {},
) {
  const core = new SipCore({
    crypto: seededCrypto(options.seed ?? 7, nodeCrypto),
    domain: DOMAIN,
    isLocal: (host) => host === DOMAIN,
    account: (u) => (USERS.includes(u) ? account(u) : undefined),
    settings: (user) => ({ ...DEFAULT_SETTINGS, ...options.settings?.[user] }),
    groups: options.groups,
    mediaPath: 'opaque',
    relays: 1,
    nowMs: 0,
    callLimits: { ...CALL_LIMITS, ...options.limits },
    ...options.core,
  });
  const outbox: { flow: Flow; message: SipMessage }[] = [];
  const ended: string[] = [];
  /** Calls that wait for a decision (`core: { routing: 'asked' }`). */
  const asked: RouteCommand[] = [];
  /** What a journal would hold. */
  const snapshots = new Map<string, string>();
  /** What a journal would hold of messages, whether it works, and what watchers were told. */
  const kept = new Map<string, PagerMessage>();
  const watches = new Map<string, string>();
  const disk = { isFull: false };
  const news: MessageNews[] = [];
  const seen: PresenceNews[] = [];
  const heard: QualityNews[] = [];
  const journal = (command: Extract<SipCoreCommand, { kind: 'message' }>['command']) => {
    if (command.kind === 'news') news.push(command.news);
    else if (command.kind === 'forget') kept.delete(command.id);
    else {
      const { message } = command;
      if (!disk.isFull) kept.set(message.id, message);
      core.handleStored(message.id, !disk.isFull, clock.now);
    }
  };
  const clock = { now: 0 };
  const relay = new StageRelay(core, clock, options);
  const settle = () => {
    for (let c = core.poll(); c; c = core.poll()) {
      if (c.kind === 'send') {
        const message = parseSip(c.bytes);
        assert.ok(message instanceof SipMessage, JSON.stringify(message));
        outbox.push({ flow: c.flow, message });
      } else if (c.kind === 'relay') relay.handleDatagram(c);
      else if (c.kind === 'relay-stream') relay.handleStream(c.relay, c.command);
      else if (c.kind === 'route') asked.push(c);
      else if (c.kind === 'message') journal(c.command);
      else if (c.kind === 'presence') seen.push(c.news);
      else if (c.kind === 'quality') heard.push(c.news);
      else if (c.kind === 'subscription') {
        if (c.command.kind === 'forget') watches.delete(c.command.tag);
        else watches.set(c.command.subscription.localTag, JSON.stringify(c.command.subscription));
      } else if (c.kind === 'call-ended') {
        ended.push(`${c.call.status} ${c.call.reason}`);
        snapshots.delete(c.call.id);
      } else if (c.kind === 'remember') snapshots.set(c.call.id, JSON.stringify(c.call));
    }
  };
  let flows = 0;
  const phone = (user: string, over: 'ws' | 'udp' = 'ws') => {
    const n = ++flows;
    const flow: Flow = {
      id: n,
      transport: over,
      local: { address: '127.0.0.1', port: over === 'ws' ? 8080 : 5060 },
      remote: { address: '127.0.0.1', port: 50_000 + n },
      account: over === 'ws' ? user : undefined,
    };
    const contact = over === 'ws' ? `<sip:${user}${n}@phone.invalid;transport=ws>` : `<sip:${user}@192.0.2.${n}>`;
    const self = {
      flow,
      user,
      contact,
      /** Takes what was sent to this phone since it last looked. */
      take: () => {
        const mine = outbox.filter((o) => o.flow === flow).map((o) => o.message);
        for (let i = outbox.length - 1; i >= 0; i--) if (outbox[i]!.flow === flow) outbox.splice(i, 1);
        return mine;
      },
      seen: () => self.take().map((m) => (m.kind === 'request' ? m.method : `${m.status} ${m.cseq.method}`)),
      send: (message: SipMessage) => {
        const bytes = message.serialize();
        const parsed = parseSip(bytes);
        assert.ok(parsed instanceof SipMessage, JSON.stringify(parsed));
        core.handleMessage(parsed, flow, clock.now);
        settle();
        return parsed;
      },
      request: (
        method: string,
        over: {
          uri?: string;
          to?: string;
          callId?: string;
          cseq?: number;
          branch?: string;
          tag?: string;
          sdp?: string;
          body?: { type: string; bytes: string };
          headers?: [string, string][];
        } = {},
      ) =>
        self.send(
          createRequest({
            method,
            uri: over.uri ?? `sip:bob@${DOMAIN}`,
            from: `<sip:${user}@${DOMAIN}>;tag=${over.tag ?? `tag-${user}`}`,
            to: over.to ?? `<sip:bob@${DOMAIN}>`,
            callId: over.callId ?? `call-of-${user}`,
            cseq: over.cseq ?? 1,
            headers: [['Contact', self.contact], ...(over.headers ?? [])],
            body: over.sdp === undefined ? over.body : { type: 'application/sdp', bytes: over.sdp },
          }).prepend(
            'via',
            `SIP/2.0/${flow.transport.toUpperCase()} x.invalid;branch=z9hG4bK${over.branch ?? `${user}${over.cseq ?? 1}${method}`}`,
          ),
        ),
      /** Registers; answers what else comes over the new connection at once. */
      register: (how: { q?: string } = {}): SipMessage[] => {
        if (how.q !== undefined) self.contact = `${contact};q=${how.q}`;
        self.request('REGISTER', {
          uri: `sip:${DOMAIN}`,
          to: `<sip:${user}@${DOMAIN}>`,
          callId: `reg-${flows}`,
          cseq: ++cseqs,
        });
        const got = self.take();
        const mine = got.findIndex((m) => m.kind === 'response' && m.method === 'REGISTER');
        assert.equal(got[mine]?.status, 200);
        return got.filter((_, i) => i !== mine);
      },
      answer: (
        request: SipMessage,
        status: number,
        sdp?: string,
        headers: readonly (readonly [string, string])[] = [],
      ) =>
        self.send(
          createResponse(request, status, undefined, {
            toTag: `tag-${user}-${flow.id}`,
            headers: [['Contact', self.contact], ...headers],
            body: sdp === undefined ? undefined : { type: 'application/sdp', bytes: sdp },
          }),
        ),
      /** A request of this phone within the dialog that the response or request `of` belongs to. */
      within: (
        of: SipMessage,
        method: string,
        over: {
          cseq: number;
          sdp?: string;
          body?: { type: string; bytes: string };
          branch?: string;
          tag?: string;
          headers?: [string, string][];
        },
      ) => {
        const mine = of.kind === 'response';
        return self.send(
          createRequest({
            method,
            uri: 'sip:offhook',
            from: mine ? of.header('from')! : `${of.header('to')};tag=${over.tag ?? `tag-${user}-${flow.id}`}`,
            to: mine ? of.header('to')! : of.header('from')!,
            callId: of.callId,
            cseq: over.cseq,
            headers: [['Contact', self.contact], ...(over.headers ?? [])],
            body: over.sdp === undefined ? over.body : { type: 'application/sdp', bytes: over.sdp },
          })
            .set('max-forwards', 70)
            .prepend(
              'via',
              `SIP/2.0/${flow.transport.toUpperCase()} x.invalid;branch=z9hG4bK${over.branch ?? `${user}${method}${over.cseq}in`}`,
            ),
        );
      },
    };
    return self;
  };
  let cseqs = 0;
  const advance = (ms: number) => {
    const until = clock.now + ms;
    for (let at = core.nextTimeout(); at !== undefined && at <= until; at = core.nextTimeout()) {
      clock.now = Math.max(at, clock.now);
      core.handleTimeout(clock.now);
      settle();
    }
    clock.now = until;
  };
  core.handleTimeout(0);
  settle();
  /** After everything has had time to end, nothing may be left. */
  const assertNothingLeft = () => {
    advance(100_000);
    assert.equal(core.calls.size, 0, 'calls');
    assert.equal(core.calls.dialogs, 0, 'dialogs');
    assert.equal(core.calls.remnants, 0, 'remnants of calls');
    assert.equal(core.transactions.size, 0, 'transactions');
    assert.equal(core.calls.nextTimeout(), undefined, 'timers');
    assert.deepEqual([...relay.alive], [], 'calls at the relay');
    assert.equal(core.media.calls, 0, 'calls of the media client');
  };
  return {
    core,
    phone,
    ng: relay.ng,
    alive: relay.alive,
    relayLegs: relay.legs,
    ended,
    asked,
    /** Decides what becomes of the call that has waited for longest. */
    decide: (decision: Decision) => {
      core.handleRouted(asked.shift()!.id, { decision, steps: [] }, clock.now);
      settle();
    },
    snapshots,
    kept,
    watches,
    disk,
    news,
    seen,
    heard,
    sentOn: (flow: Flow) => outbox.filter((o) => o.flow === flow).map((o) => o.message),
    clock,
    advance,
    settle,
    assertNothingLeft,
    /** The relay dies; `returns` starts another one, which knows nothing. */
    killRelay: (which = 0) => {
      relay.die(which);
      advance(300); // a ping that stays without an answer proves it
    },
    relayReturns: (afterMs = 1500) => {
      relay.restart();
      advance(afterMs);
    },
    /** It dies and another process follows it, before anybody notices. */
    restartRelay: () => relay.restart(),
    /** The relay needs a key frame of that phone, as it has named its leg (`relayLegs`). */
    wishKeyFrame: (callId: string, tag: string) => {
      relay.push({ event: 'key-frame', 'call-id': callId, tag });
      settle();
    },
    /** The relay thinks until `release`: over everything, or over one of its verbs. */
    hold: (command?: string) => relay.hold(command),
    release: () => {
      for (const answer of relay.takeHeld()) {
        answer();
        settle();
      }
    },
  };
}

export type Stage = ReturnType<typeof stage>;
export type Phone = ReturnType<Stage['phone']>;
export const last = <T>(list: readonly T[]): T => list[list.length - 1]!;

/** What makes a provisional response reliable, and says that its phone knows UPDATE. */
export function reliably(rseq: number): [string, string][] {
  return [
    ['Require', '100rel'],
    ['RSeq', String(rseq)],
    ['Allow', 'INVITE, ACK, CANCEL, BYE, PRACK, UPDATE'],
  ];
}

/** The RAck that acknowledges a reliable provisional response. */
export function rackFor(response: SipMessage): [string, string][] {
  return [['RAck', `${response.header('rseq')} ${response.cseq.number} ${response.cseq.method}`]];
}

/** alice calls bob and bob answers; both have acknowledged. */
export function established(
  alice: Phone,
  bob: Phone,
  how: { headers?: [string, string][]; answers?: [string, string][] } = {},
) {
  alice.request('INVITE', { sdp: OFFER, headers: how.headers });
  const [invite] = bob.take() as [SipMessage];
  bob.answer(invite, 180);
  bob.answer(invite, 200, ANSWER, how.answers);
  assert.deepEqual(bob.seen(), ['ACK']);
  const answers = alice.take();
  assert.deepEqual(
    answers.map((m) => m.status),
    [100, 180, 200],
  );
  const ok = last(answers);
  alice.within(ok, 'ACK', { cseq: 1 });
  return { invite, ok };
}
