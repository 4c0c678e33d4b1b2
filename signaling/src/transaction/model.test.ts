import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Crypto,
  createRequest,
  createResponse,
  parseSip,
  SipMessage,
  seededBytes,
  seededRandom,
  text,
} from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import fc from 'fast-check';
import { type Flow, TransactionLayer } from './index.ts';

// The four transaction machines of RFC 3261 17 with RFC 6026, once more and in another way: a table of what each state does
// with each event, and a list of the timers that run. Random histories are played to both; they must say the same.

/** Histories in `npm test`; a longer study sets the variable. */
const RUNS = Number(process.env.TRANSACTION_MODEL_RUNS ?? 10_000);
const T1 = 500;
const T2 = 4000;
const T4 = 5000;

type Kind = 'client-invite' | 'client' | 'server-invite' | 'server';
type TimerName = 'A' | 'B' | 'D' | 'E' | 'F' | 'G' | 'H' | 'I' | 'J' | 'K' | 'L' | 'M' | 'cancelled';

/** One transaction as the RFCs' figures draw it. */
class Machine {
  state = '';
  readonly timers = new Map<TimerName, number>();
  readonly kind: Kind;
  readonly reliable: boolean;
  /** Names it in the log. */
  readonly name: string;
  readonly method: string;
  readonly log: string[];
  /** Our CANCEL: nobody hears of its fate. */
  readonly silent: boolean;
  interval = 0;
  /** What a retransmission sends. */
  last = '';
  wantsCancel = false;
  cancelSent = false;

  constructor(parts: { kind: Kind; reliable: boolean; name: string; method: string; log: string[]; silent?: boolean }) {
    this.kind = parts.kind;
    this.reliable = parts.reliable;
    this.name = parts.name;
    this.method = parts.method;
    this.log = parts.log;
    this.silent = parts.silent ?? false;
  }

  says(what: string): void {
    const isNews = !what.startsWith('send');
    if (!isNews || !this.silent) this.log.push(`${this.name} ${what}`);
  }

  send(what: string): void {
    this.last = what;
    this.says(`send ${what}`);
  }

  ends(...why: string[]): void {
    for (const w of [...why, 'terminated']) this.says(w);
    this.state = 'terminated';
    this.timers.clear();
  }

  /** Enters a state: timers of the one before stop, unless they are kept. */
  enter(state: string, timers: Partial<Record<TimerName, number>>, keep: readonly TimerName[] = []): void {
    this.state = state;
    for (const name of [...this.timers.keys()]) if (!keep.includes(name)) this.timers.delete(name);
    for (const [name, at] of Object.entries(timers)) this.timers.set(name as TimerName, at);
  }

  begin(now: number, isClosed: boolean): void {
    this.last = '';
    if (this.kind.startsWith('server')) {
      this.enter(this.kind === 'server' ? 'trying' : 'proceeding', {});
      if (this.method !== 'CANCEL') this.says('request');
      return;
    }
    if (isClosed) {
      this.ends('transport-error');
      return;
    }
    this.interval = T1;
    const [repeat, give] = this.kind === 'client' ? (['E', 'F'] as const) : (['A', 'B'] as const);
    this.enter(this.kind === 'client' ? 'trying' : 'calling', {
      ...(this.reliable ? {} : { [repeat]: now + T1 }),
      [give]: now + 64 * T1,
    });
    this.send(this.method);
  }

  /** A client's machine hears a response; answers the CANCEL that this sets free. */
  response(status: number, now: number): 'send CANCEL' | undefined {
    const is = (from: number, to: number) => status >= from && status < to;
    switch (`${this.kind} ${this.state}`) {
      case 'client-invite calling':
      case 'client-invite proceeding':
        this.says(is(300, 700) ? 'send ACK' : `response ${status}`);
        if (is(100, 200)) {
          this.enter('proceeding', {}, ['cancelled']);
          if (this.wantsCancel && !this.cancelSent) return 'send CANCEL';
        } else if (is(200, 300)) this.enter('accepted', { M: now + 64 * T1 });
        else {
          this.says(`response ${status}`);
          this.last = 'ACK';
          if (this.reliable) this.ends();
          else this.enter('completed', { D: now + 32_000 });
        }
        return undefined;
      case 'client-invite accepted':
        if (is(200, 300)) this.says(`response ${status}`);
        return undefined;
      case 'client-invite completed':
        if (is(300, 700)) this.says('send ACK');
        return undefined;
      case 'client trying':
      case 'client proceeding':
        this.says(`response ${status}`);
        if (is(100, 200)) this.enter('proceeding', {}, ['E', 'F']);
        else if (this.reliable) this.ends();
        else this.enter('completed', { K: now + T4 });
        return undefined;
      default:
        return undefined;
    }
  }

  /** A server's machine hears its request again. */
  again(): void {
    if ((this.state === 'proceeding' || this.state === 'completed') && this.last !== '') this.says(`send ${this.last}`);
  }

  ack(now: number): void {
    if (this.state === 'accepted') this.says('ack');
    else if (this.state === 'completed') {
      if (this.reliable) this.ends();
      else this.enter('confirmed', { I: now + T4 });
    }
  }

  /** The user of a server's machine answers. */
  answer(status: number, now: number): void {
    if (this.state === 'accepted' && status >= 200 && status < 300) this.says(`send ${status}`);
    if (this.state !== 'trying' && this.state !== 'proceeding') return;
    this.send(String(status));
    if (status < 200) this.enter('proceeding', {});
    else if (this.kind === 'server') {
      if (this.reliable) this.ends();
      else this.enter('completed', { J: now + 64 * T1 });
    } else if (status < 300) this.enter('accepted', { L: now + 64 * T1 });
    else {
      this.interval = T1;
      this.enter('completed', { ...(this.reliable ? {} : { G: now + T1 }), H: now + 64 * T1 });
    }
  }

  closed(): void {
    const isAsking = this.kind.startsWith('client') && ['calling', 'trying', 'proceeding'].includes(this.state);
    if (this.state !== 'terminated') this.ends(...(isAsking ? ['transport-error'] : []));
  }

  fire(timer: TimerName, now: number): void {
    if (!this.timers.delete(timer)) return;
    switch (timer) {
      case 'A':
        this.interval *= 2;
        this.repeat(timer, now);
        return;
      case 'E':
        this.interval = this.state === 'proceeding' ? T2 : Math.min(this.interval * 2, T2);
        this.repeat(timer, now);
        return;
      case 'G':
        this.interval = Math.min(this.interval * 2, T2);
        this.repeat(timer, now);
        return;
      case 'B':
      case 'F':
      case 'H':
      case 'cancelled':
        this.ends('timeout');
        return;
      default:
        this.ends();
    }
  }

  repeat(timer: TimerName, now: number): void {
    this.says(`send ${this.last}`);
    this.timers.set(timer, now + this.interval);
  }
}

const KINDS: readonly Kind[] = ['client-invite', 'client', 'server-invite', 'server'];
const CLIENT_STATUSES = [100, 180, 183, 200, 202, 302, 404, 486, 503, 603];
const WAITS = [1, 10, 400, 499, 500, 501, 1000, 3500, 4000, 4999, 5000, 5001, 16_000, 31_999, 32_000, 32_001, 40_000];

/** One step of a history; numbers choose among what there is at that moment. */
type Step =
  | { readonly do: 'begin'; readonly kind: Kind; readonly reliable: boolean }
  | { readonly do: 'hear' | 'answer'; readonly which: number; readonly status: number }
  | { readonly do: 'ack' | 'cancel' | 'stray'; readonly which: number }
  | { readonly do: 'close'; readonly reliable: boolean }
  | { readonly do: 'wait'; readonly ms: number };

const which = fc.nat(5);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('begin' as const),
      kind: fc.constantFrom(...KINDS),
      reliable: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('hear' as const, 'answer' as const),
      which,
      status: fc.constantFrom(...CLIENT_STATUSES),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('ack' as const, 'cancel' as const, 'stray' as const), which }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(...WAITS) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), reliable: fc.boolean() }) },
);

/** A transaction that both sides know, and the message that began it. */
interface Pair {
  readonly machine: Machine;
  readonly id: string;
  readonly flow: Flow;
  message: SipMessage;
  /** Ours (client) or theirs (server), for the same INVITE. */
  cancel?: Machine;
}

function play(steps: readonly Step[]): void {
  const random = seededRandom(1);
  const crypto: Crypto = { ...nodeCrypto, randomBytes: (n) => seededBytes(random, n) };
  const admit = () => ({ accept: {} });
  const layer = new TransactionLayer({ crypto, sentBy: () => '192.0.2.1:5060', admit });
  const expected: string[] = [];
  const said: string[] = [];
  const pairs: Pair[] = [];
  const names = new Map<string, string>();
  const sent = new Map<string, string>();
  let flows = 0;
  const newFlow = (transport: 'udp' | 'tcp'): Flow => ({
    id: ++flows,
    transport,
    local: { address: '192.0.2.1', port: 5060 },
    remote: { address: '192.0.2.2', port: 5062 },
  });
  const current = { udp: newFlow('udp'), tcp: newFlow('tcp') };
  const closed = new Set<Flow>();
  /** Every event has a moment of its own, so no two timers of different origin end at once. */
  let now = 0;
  let serial = 0;

  const drain = () => {
    for (let c = layer.poll(); c; c = layer.poll()) {
      if (c.kind === 'send') {
        const m = parseSip(c.bytes);
        assert.ok(m instanceof SipMessage);
        const isAnswer = m.kind === 'response';
        const branch = m.vias[0]!.branch;
        const owner = isAnswer ? `${branch} ${m.method}` : `${branch} ${m.method === 'ACK' ? 'INVITE' : m.method}`;
        const line = `${names.get(owner) ?? owner} send ${isAnswer ? m.status : m.method}`;
        said.push(line);
        // What is sent again is the same to the byte; only answers to their CANCELs have a tag of our choice.
        const written = text(c.bytes);
        if (m.method !== 'CANCEL') assert.equal(written, (sent.get(line) ?? sent.set(line, written).get(line))!, line);
      } else if (c.kind === 'ack') said.push(`${names.get(`${c.message.vias[0]!.branch} INVITE`)} ack`);
      else if (c.kind === 'response') said.push(`${names.get(c.id)} response ${c.message.status}`);
      else said.push(`${names.get(c.id) ?? c.id} ${c.kind}`);
    }
  };
  /** Sorted within one moment: nobody may rely on the order of different transactions. */
  const compare = (when: string) => {
    drain();
    assert.deepEqual(said.splice(0).sort(), expected.splice(0).sort(), when);
  };
  const machines = () => pairs.flatMap((p) => (p.cancel ? [p.machine, p.cancel] : [p.machine]));
  const wait = (ms: number) => {
    const until = now + ms;
    for (;;) {
      const at = Math.min(...machines().flatMap((machine) => [...machine.timers.values()]));
      assert.equal(layer.nextTimeout() ?? Number.POSITIVE_INFINITY, at, 'the next timer');
      if (at > until) break;
      now = at;
      for (const machine of machines())
        for (const [timer, due] of [...machine.timers]) if (due === at) machine.fire(timer, now);
      layer.handleTimeout(now);
      compare('timers');
    }
    now = until;
  };
  const incoming = (method: string, branch: string) =>
    createRequest({
      method,
      uri: 'sip:bob@192.0.2.1',
      from: '<sip:alice@a>;tag=1',
      to: '<sip:bob@b>',
      callId: 'call',
      cseq: 7,
    }).prepend('via', `SIP/2.0/UDP 192.0.2.2:5062;branch=${branch}`);
  const begin = (kind: Kind, reliable: boolean) => {
    const flow = current[reliable ? 'tcp' : 'udp'];
    const n = ++serial;
    const name = `${kind}#${n}`;
    const method = kind.endsWith('invite') ? 'INVITE' : 'INFO';
    const machine = new Machine({ kind, reliable, name, method, log: expected });
    const branch = `z9hG4bKtheirs${n}`;
    const message = incoming(method, branch);
    if (kind.startsWith('client')) {
      message.remove('via');
      const id = layer.request(message, flow, now);
      names.set(id, name);
      names.set(`${message.vias[0]!.branch} ${method}`, name);
      pairs.push({ machine, id, flow, message });
      machine.begin(now, closed.has(flow));
    } else {
      const id = `s ${branch} 192.0.2.2:5062 ${method}`;
      names.set(id, name);
      names.set(`${branch} ${method}`, name);
      pairs.push({ machine, id, flow, message });
      machine.begin(now, false);
      layer.handleMessage(message, flow, now);
    }
  };
  /** Our CANCEL, or theirs, is a transaction of its own with the INVITE's branch (RFC 3261 9). */
  const cancelOf = (pair: Pair, kind: 'client' | 'server') => {
    const { machine, message } = pair;
    const name = `cancel of ${machine.name}`;
    const branch = message.vias[0]!.branch;
    names.set(`${branch} CANCEL`, name);
    names.set(`s ${branch} 192.0.2.2:5062 CANCEL`, name);
    const { reliable } = machine;
    pair.cancel = new Machine({ kind, reliable, name, method: 'CANCEL', log: expected, silent: kind === 'client' });
    return pair.cancel;
  };
  const sendsCancel = (pair: Pair) => {
    pair.machine.cancelSent = true;
    pair.machine.timers.set('cancelled', now + 64 * T1);
    cancelOf(pair, 'client').begin(now, closed.has(pair.flow));
  };
  const hear = (pair: Pair, status: number) => {
    const { machine, flow, message } = pair;
    if (machine.kind.startsWith('client')) {
      if (machine.response(status, now)) sendsCancel(pair);
      layer.handleMessage(createResponse(message, status, undefined, { toTag: 't' }), flow, now);
    } else if (closed.has(flow)) return;
    else {
      // Nobody knows it any more: it is a new one.
      if (machine.state === 'terminated') machine.begin(now, false);
      else machine.again();
      layer.handleMessage(incoming(machine.method, message.vias[0]!.branch), flow, now);
    }
  };
  const cancel = (pair: Pair) => {
    const { machine, flow } = pair;
    if (machine.kind === 'client-invite') {
      if (!machine.wantsCancel && (machine.state === 'calling' || machine.state === 'proceeding')) {
        machine.wantsCancel = true;
        if (machine.state === 'proceeding') sendsCancel(pair);
      }
      layer.cancel(pair.id, now);
      return;
    }
    if (machine.kind !== 'server-invite' || closed.has(flow)) return;
    const theirs = pair.cancel;
    if (theirs && theirs.state !== 'terminated') theirs.again();
    else if (machine.state === 'terminated') {
      const name = names.get(`${pair.message.vias[0]!.branch} CANCEL`) ?? `${pair.message.vias[0]!.branch} CANCEL`;
      expected.push(`${name} send 481`);
    } else {
      const fresh = cancelOf(pair, 'server');
      fresh.begin(now, false);
      fresh.answer(200, now);
      if (machine.state === 'proceeding') machine.says('cancel');
    }
    layer.handleMessage(incoming('CANCEL', pair.message.vias[0]!.branch), flow, now);
  };
  const ack = ({ machine, flow, message }: Pair) => {
    if (machine.kind !== 'server-invite' || closed.has(flow)) return;
    if (machine.state === 'terminated') machine.says('ack');
    else machine.ack(now);
    layer.handleMessage(incoming('ACK', message.vias[0]!.branch), flow, now);
  };
  const answer = ({ machine, id, message }: Pair, status: number) => {
    if (machine.kind.startsWith('server')) machine.answer(status, now);
    layer.respond(id, createResponse(message, status, undefined, { toTag: 't' }), now);
  };
  const close = (transport: 'udp' | 'tcp') => {
    const flow = current[transport];
    for (const pair of pairs) {
      if (pair.flow !== flow) continue;
      pair.machine.closed();
      pair.cancel?.closed();
    }
    closed.add(flow);
    layer.handleFlowClosed(flow);
    // What is still asked on the old one fails at once; later steps use the new one half of the time.
    if (serial % 2 === 0) current[transport] = newFlow(transport);
  };

  for (const s of steps) {
    now += 0.001;
    const pair = 'which' in s && pairs.length > 0 ? pairs[s.which % pairs.length] : undefined;
    if (s.do === 'begin') {
      const isOnClosed = closed.has(current[s.reliable ? 'tcp' : 'udp']);
      if (pairs.length < 6 && !(isOnClosed && s.kind.startsWith('server'))) begin(s.kind, s.reliable);
    } else if (s.do === 'wait') wait(s.ms);
    else if (s.do === 'close') close(s.reliable ? 'tcp' : 'udp');
    else if (pair) {
      if (s.do === 'hear') hear(pair, s.status);
      else if (s.do === 'answer') answer(pair, s.status);
      else if (s.do === 'ack') ack(pair);
      else if (s.do === 'cancel') cancel(pair);
      else {
        // For somebody before us (RFC 3261 8.1.3.3): two Vias.
        const foreign = createResponse(pair.message, 200, undefined, { toTag: 't' });
        layer.handleMessage(foreign.prepend('via', pair.message.header('via')!), pair.flow, now);
      }
    }
    compare(JSON.stringify(s));
    for (const p of pairs)
      assert.equal(layer.isOpen(p.id), p.machine.state !== 'terminated', `${p.machine.name} is open`);
  }
  // Whatever waits for its user gets what a user owes it; then everything has to end by itself.
  now += 0.001;
  for (const pair of pairs) {
    if (pair.machine.kind.startsWith('server')) answer(pair, 500);
    else if (pair.machine.kind === 'client-invite') {
      hear(pair, 100);
      cancel(pair);
    }
  }
  compare('the end');
  wait(200_000);
  assert.equal(layer.size, 0, 'transactions left');
  assert.equal(layer.nextTimeout(), undefined, 'timers left');
}

test(`${RUNS} random histories of transactions go as the tables of RFC 3261 17 and RFC 6026 say, and nothing is left`, () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 25 }), play), { numRuns: RUNS });
});
