import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Handset, type Line } from './handset-kit.ts';
import { OFFER, type Stage, stage, VIDEO } from './test-kit.ts';

// Phones of three people do whatever they may in any order. A list of calls, kept apart from the server, knows who must be
// ringing and who must be talking with whom; after each step the server, every phone and the relay have to agree with it.

/** Histories in `npm test`; a longer study sets the variable. */
const RUNS = Number(process.env.CALL_MODEL_RUNS ?? 600);
const RING_MS = 60_000;
const GRACE_MS = 30_000;
/** What goes on longer than that goes on for ever. */
const MOST_ROUNDS = 1000;
const DECLINES = [486, 480, 603, 404];
const USERS = ['alice', 'bob', 'carol'];
/** Whose phones there are; bob has two. */
const OWNERS = ['alice', 'bob', 'bob', 'carol'];

/** What a person does; numbers choose among what there is at that moment. */
const deed = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('call' as const),
      phone: fc.nat(3),
      user: fc.constantFrom(...USERS),
      sdp: fc.constantFrom('offer', 'offer', 'offer', 'late', 'late', 'unusable'),
    }),
  },
  { weight: 7, arbitrary: fc.record({ do: fc.constant('answer' as const), line: fc.nat(7) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('decline' as const), line: fc.nat(7), status: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('hangUp' as const), line: fc.nat(7) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('change' as const),
      line: fc.nat(7),
      method: fc.constantFrom('INVITE' as const, 'INVITE' as const, 'UPDATE' as const),
      sdp: fc.constantFrom('hold', 'video', 'unusable'),
      isRefused: fc.boolean(),
    }),
  },
);
const step = fc.oneof(
  { weight: 16, arbitrary: deed },
  /** The second is done before the relay has said anything to the first, or before any phone has heard of it. */
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('race' as const),
      first: deed,
      second: deed,
      where: fc.constantFrom('relay' as const, 'wire' as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('refer' as const), line: fc.nat(7), user: fc.constantFrom(...USERS) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('join' as const), line: fc.nat(7), other: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restartRelay' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('lose' as const), phone: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('return' as const), phone: fc.nat(3) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(100, 5000, 29_000, 31_000, 61_000) }),
  },
);
type Deed = typeof deed extends fc.Arbitrary<infer T> ? T : never;
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A call as it ought to be. */
interface Talk {
  readonly n: number;
  readonly from: Line;
  state: 'ringing' | 'talking' | 'over';
  /** Phones that ring for it, and why others do no more. */
  readonly ringing: Set<Handset>;
  readonly failures: number[];
  readonly ringUntilMs: number;
  to?: Line;
  /** Its caller made no offer, so the relay hears of it only when somebody answers. */
  readonly isLate: boolean;
  /** It came of a REFER by that phone in that call. */
  readonly referred?: { readonly by: Line; readonly old: Talk };
  /** What is to come of a REFER in it. */
  pending?: Talk;
  /** Status of its record; undefined when two things raced for it. */
  status?: number;
}

class Model {
  readonly talks: Talk[] = [];
  /** To whom each phone's line belongs now. */
  readonly of = new Map<Line, Talk>();
  /** Until when a phone that is away is waited for, in each call it has. */
  readonly lost = new Map<Line, number>();
  /** Until when a phone that is away gets the BYE of a call that has ended meanwhile. */
  readonly owed = new Map<Line, number>();
  isRace = false;
  readonly #handsets: readonly Handset[];

  constructor(handsets: readonly Handset[]) {
    this.#handsets = handsets;
  }

  parties(t: Talk): Line[] {
    if (t.state !== 'talking') return t.referred?.old.state === 'over' && t.state === 'ringing' ? [t.from] : [];
    return [t.from, t.to!];
  }

  /** @param isUsable whether the relay can do anything with what the caller offers. */
  called(
    line: Line,
    user: string,
    how: { now: number; isUsable: boolean; isLate: boolean; referred?: Talk['referred'] },
  ): void {
    const phones = this.#handsets.filter((h) => h.user === user && h.isOnline && (how.referred || h !== line.handset));
    const talk: Talk = {
      n: this.talks.length,
      from: line,
      state: 'ringing',
      ringing: new Set(phones),
      failures: [],
      ringUntilMs: how.now + RING_MS,
      isLate: how.isLate,
      referred: how.referred,
    };
    this.talks.push(talk);
    if (!how.referred) this.of.set(line, talk);
    else how.referred.old.pending = talk;
    if (phones.length === 0) this.end(talk, 480, how.now);
    else if (!how.isUsable) this.end(talk, 503, how.now);
  }

  answered(talk: Talk, line: Line, now: number): void {
    this.of.set(line, talk);
    if (talk.state !== 'ringing' || !talk.ringing.has(line.handset)) return;
    talk.ringing.clear();
    talk.state = 'talking';
    talk.to = line;
    this.of.set(talk.from, talk);
    const { referred } = talk;
    if (!referred) return;
    referred.old.pending = undefined;
    if (referred.old.state !== 'over') this.end(referred.old, 200, now, talk.from);
  }

  /** One phone of those that ring does so no more. */
  declined(talk: Talk, handset: Handset, status: number, now: number): void {
    if (talk.state !== 'ringing' || !talk.ringing.delete(handset)) return;
    talk.failures.push(status);
    if (status >= 600 || talk.ringing.size === 0) this.end(talk, best(talk.failures), now);
  }

  /** The far ends of two calls of one phone are in a call of their own. */
  joined(talks: readonly [Talk, Talk], by: readonly [Line, Line], now: number): void {
    const [from, to] = talks.map((t, i) => (t.from === by[i] ? t.to! : t.from)) as [Line, Line];
    const talk: Talk = {
      n: this.talks.length,
      from,
      to,
      state: 'talking',
      ringing: new Set(),
      failures: [],
      ringUntilMs: now,
      isLate: false,
    };
    this.talks.push(talk);
    for (const old of talks) this.end(old, 200, now);
    this.of.set(from, talk).set(to, talk);
  }

  hungUp(line: Line, now: number): void {
    const talk = this.of.get(line);
    if (!talk || talk.state === 'over') return;
    const { pending } = talk;
    if (talk.state === 'ringing') this.end(talk, 487, now);
    else if (pending?.referred?.by === line) {
      // Who refers may leave: the other waits for what comes of it.
      talk.state = 'over';
      talk.status = 200;
      talk.pending = undefined;
      this.of.set(pending.from, pending);
    } else this.end(talk, 200, now);
  }

  /** @param stays one that goes on in another call. */
  end(talk: Talk, status: number, now: number, stays?: Line): void {
    for (const line of this.parties(talk)) {
      if (line === stays) continue;
      this.lost.delete(line);
      if (!line.handset.isOnline) this.owed.set(line, now + GRACE_MS);
    }
    talk.state = 'over';
    talk.status = this.isRace ? undefined : status;
    talk.ringing.clear();
    const { pending, referred } = talk;
    talk.pending = undefined;
    if (pending && pending.state !== 'over') this.end(pending, 487, now);
    if (referred?.old.pending === talk) referred.old.pending = undefined;
  }

  disconnected(handset: Handset, now: number): void {
    for (const talk of this.talks) {
      if (talk.state === 'ringing' && talk.from.handset === handset && !talk.referred) this.end(talk, 487, now);
      this.declined(talk, handset, 480, now);
      for (const line of this.parties(talk)) if (line.handset === handset) this.lost.set(line, now + GRACE_MS);
    }
  }

  nextTimeout(): number {
    const ringing = this.talks.filter((t) => t.state === 'ringing').map((t) => t.ringUntilMs);
    return Math.min(...ringing, ...this.lost.values(), ...this.owed.values());
  }

  handleTimeout(now: number): void {
    for (const talk of this.talks) if (talk.state === 'ringing' && talk.ringUntilMs <= now) this.end(talk, 480, now);
    for (const [line, at] of [...this.lost]) {
      if (at > now || !this.lost.delete(line)) continue;
      this.end(this.of.get(line)!, 480, now);
      this.owed.delete(line);
      line.state = 'ended'; // it has waited as long for the server
    }
    for (const [line, at] of [...this.owed]) {
      if (at > now) continue;
      this.owed.delete(line);
      line.state = 'ended';
    }
  }
}

/** Of all refusals the caller is told one (RFC 3261 16.7 step 6). */
function best(failures: readonly number[]): number {
  const order = [603, 486, 404, 480];
  return order.find((status) => failures.includes(status))!;
}

class Play {
  readonly #s: Stage = stage();
  readonly #handsets = OWNERS.map((user, i) => new Handset(this.#s, user, `${user}${i}`));
  readonly #model = new Model(this.#handsets);
  readonly #probed = new Set<Talk>();
  #probes = 0;

  constructor() {
    for (const handset of this.#handsets) handset.connect();
    this.#read();
  }

  get #now(): number {
    return this.#s.clock.now;
  }

  /** Lines in which something can be done, in an order that does not change by itself. */
  #lines(...states: Line['state'][]): Line[] {
    return this.#handsets.filter((h) => h.isOnline).flatMap((h) => h.lines.filter((l) => states.includes(l.state)));
  }

  /** Every phone reads what has come to it; whether there was anything. */
  #readOnce(): boolean {
    const busy = this.#handsets.filter((handset) => handset.read()).length > 0;
    for (const line of this.#lines('ringing'))
      if (!this.#model.of.has(line)) this.#model.of.set(line, this.#rungBy(line));
    return busy;
  }

  /** All phones read and answer until there is nothing more to say. */
  #read(): void {
    for (let rounds = 0; this.#readOnce(); rounds++) assert.ok(rounds < MOST_ROUNDS, 'they come to an end');
  }

  /** Which call rings there: its caller's phone numbers its calls; one that came of a REFER has no number. */
  #rungBy(line: Line): Talk {
    const n = line.invite.header('x-call');
    const talk = n === undefined ? this.#model.talks.findLast((t) => t.referred) : this.#model.talks[Number(n)];
    assert.ok(talk, 'a phone rings for a call that there is');
    return talk;
  }

  #advance(ms: number): void {
    const until = this.#now + ms;
    for (let rounds = 0; ; rounds++) {
      assert.ok(rounds < MOST_ROUNDS, 'timers come to an end');
      const at = Math.min(this.#s.core.nextTimeout() ?? until, this.#model.nextTimeout(), until);
      this.#s.advance(Math.max(0, at - this.#now));
      this.#model.handleTimeout(this.#now);
      this.#read();
      if (at >= until) return;
    }
  }

  /** Answers the line that it was done on, if any could be. */
  #do(d: Deed): Line | undefined {
    const model = this.#model;
    const now = this.#now;
    const pick = (lines: Line[], n: number) => lines[n % lines.length];
    switch (d.do) {
      case 'call': {
        const handset = this.#handsets[d.phone]!;
        if (!handset.isOnline) return undefined;
        const sdp = { offer: OFFER, late: undefined, unusable: `${OFFER}a=unusable\r\n` }[d.sdp];
        const isLate = sdp === undefined;
        const line = handset.call(d.user, { sdp, headers: [['X-Call', String(model.talks.length)]] });
        model.called(line, d.user, { now, isUsable: d.sdp !== 'unusable', isLate });
        return line;
      }
      case 'answer': {
        const line = pick(this.#lines('ringing'), d.line);
        const talk = line && model.of.get(line);
        // Whether one who is away can be given a new side depends on when it comes back.
        if (!line || !talk || (talk.referred && !talk.from.handset.isOnline)) return undefined;
        model.answered(talk, line, now);
        line.handset.answer(line);
        return line;
      }
      case 'decline': {
        const line = pick(this.#lines('ringing'), d.line);
        if (!line) return undefined;
        const status = DECLINES[d.status]!;
        model.declined(model.of.get(line)!, line.handset, status, now);
        line.handset.decline(line, status);
        return line;
      }
      case 'hangUp': {
        const line = pick(this.#lines('calling', 'talking'), d.line);
        if (!line) return undefined;
        model.hungUp(line, now);
        line.handset.hangUp(line);
        return line;
      }
      case 'change': {
        const line = pick(
          this.#lines('talking').filter((l) => l.change === undefined && l.to.includes('tag=')),
          d.line,
        );
        if (!line) return undefined;
        for (const handset of this.#handsets) handset.refusesChange = d.isRefused && !model.isRace;
        const sdp = { hold: `${OFFER}a=sendonly\r\n`, video: VIDEO, unusable: `${OFFER}a=unusable\r\n` }[d.sdp]!;
        line.handset.change(line, d.method, sdp);
        return line;
      }
      default:
        return d satisfies never;
    }
  }

  step(s: Step): void {
    const model = this.#model;
    // Every deed has a moment of its own, so no two deadlines are one.
    this.#advance(1);
    switch (s.do) {
      case 'race':
        this.#race(s);
        break;
      case 'refer': {
        const lines = this.#lines('talking').filter((l) => {
          const talk = model.of.get(l)!;
          const isPending = model.talks.some((t) => t.referred && t.state === 'ringing');
          return talk.state === 'talking' && !isPending && model.parties(talk).every((p) => p.handset.isOnline);
        });
        const line = lines[s.line % lines.length];
        const talk = line && model.of.get(line)!;
        if (!line || !talk || model.parties(talk).some((p) => p.handset.user === s.user)) break;
        const from = talk.from === line ? talk.to! : talk.from;
        const referred = { by: line, old: talk };
        model.called(from, s.user, { now: this.#now, isUsable: true, isLate: false, referred });
        line.handset.refer(line, s.user);
        break;
      }
      case 'join': {
        const [line, other] = this.#joinable(s.line, s.other);
        if (!line || !other) break;
        model.joined([model.of.get(line)!, model.of.get(other)!], [line, other], this.#now);
        line.handset.join(line, other);
        break;
      }
      case 'restartRelay': {
        if (this.#handsets.some((h) => !h.isOnline)) break;
        this.#s.alive.clear();
        this.#s.relayLegs.clear();
        const talking = model.talks.filter((t) => t.state === 'talking');
        // Within a minute the server has asked it for each of them, and phones have stopped ringing.
        model.isRace = true;
        this.#advance(RING_MS);
        for (const talk of talking) if (talk.state === 'talking') model.end(talk, 480, this.#now);
        model.isRace = false;
        break;
      }
      case 'lose': {
        const handset = this.#handsets[s.phone]!;
        const isReferred = model.talks.some(
          (t) => t.state === 'ringing' && t.referred && [t.from, t.referred.by].some((l) => l.handset === handset),
        );
        if (!handset.isOnline || isReferred) break;
        handset.disconnect();
        model.disconnected(handset, this.#now);
        break;
      }
      case 'return': {
        const handset = this.#handsets[s.phone]!;
        if (handset.isOnline) break;
        handset.connect();
        this.#probed.clear();
        for (const waiting of [model.lost, model.owed])
          for (const line of [...waiting.keys()]) if (line.handset === handset) waiting.delete(line);
        break;
      }
      case 'wait':
        this.#advance(s.ms);
        break;
      default:
        this.#do(s);
    }
    this.#read();
    for (const handset of this.#handsets) handset.refusesChange = false;
    this.check();
  }

  /** Two calls of one phone with everybody there, with two others. */
  #joinable(first: number, second: number): (Line | undefined)[] {
    const model = this.#model;
    const far = (l: Line) => model.parties(model.of.get(l)!).find((p) => p !== l)?.handset;
    const lines = this.#lines('talking').filter((l) => {
      const talk = model.of.get(l)!;
      return talk.state === 'talking' && !talk.pending && l.handset !== far(l) && far(l)?.isOnline;
    });
    const line = lines[first % lines.length];
    if (!line) return [];
    const others = lines.filter((l) => l.handset === line.handset && far(l) !== far(line));
    return [line, others[second % others.length]];
  }

  #race({ first, second, where }: Extract<Step, { do: 'race' }>): void {
    if (where === 'relay') this.#s.hold();
    this.#model.isRace = true;
    const line = this.#do(first);
    if (where === 'relay') this.#readOnce();
    const joined = line && this.#model.of.get(line)?.referred;
    // Who was called for a transfer and hangs up before that is done leaves the others as they were: see transfer.test.ts.
    if (!joined && second.do !== 'call') this.#do(second);
    this.#s.release();
    this.#read();
    // What meets another change waits for a moment.
    this.#advance(3000);
    this.#model.isRace = false;
  }

  check(): void {
    const model = this.#model;
    const there = model.talks.filter((t) => t.state !== 'over');
    const names = (t: Talk) => [t.from.handset.user, t.state === 'talking' ? t.to!.handset.user : ''].join(' ');
    const calls = this.#s.core.calls.calls();
    assert.deepEqual(
      calls
        .filter((c) => c.state === 'answered')
        .map((c) => `${c.from} ${c.to}`)
        .sort(),
      there
        .filter((t) => t.state === 'talking')
        .map(names)
        .sort(),
      'answered calls of the server',
    );
    assert.equal(calls.length, there.length, 'calls of the server');
    const over = model.talks.filter((t) => t.state === 'over');
    assert.equal(this.#s.ended.length, over.length, 'records');
    const told = this.#s.ended.map((line) => Number(line.slice(0, 3)));
    for (const status of new Set(over.flatMap((t) => t.status ?? []))) {
      const sure = over.filter((t) => t.status === status).length;
      const unsure = over.filter((t) => t.status === undefined).length;
      const count = told.filter((t) => t === status).length;
      assert.ok(count >= sure && count <= sure + unsure, `records of ${status}: ${this.#s.ended.join(', ')}`);
    }
    for (const handset of this.#handsets) {
      const state = (line: Line) => {
        const talk = model.of.get(line);
        if (!talk || talk.state === 'over') return 'ended';
        if (model.parties(talk).includes(line)) return 'talking';
        if (talk.state === 'ringing')
          return talk.from === line ? 'calling' : talk.ringing.has(handset) ? 'ringing' : 'ended';
        return 'ended';
      };
      if (!handset.isOnline) continue;
      for (const line of handset.lines) {
        assert.equal(line.state, state(line), `${handset.name}, ${line.callId}`);
        assert.deepEqual([...line.unacknowledged], [], '200s that were never acknowledged');
        // A change waits for one who is away; all else is answered.
        if (line.state !== 'calling' && line.change === undefined)
          assert.deepEqual([...line.open], [], 'unanswered requests');
      }
    }
    const paths = there.map((t) => (t.state === 'talking' ? 1 : t.isLate ? 0 : t.ringing.size));
    assert.equal(
      this.#s.alive.size,
      paths.reduce((a, b) => a + b, 0),
      'calls at the relay',
    );
    this.#probe(there.filter((t) => t.state === 'talking'));
  }

  /** Each side of a call that is new says something, or when somebody is back: the other side hears it, and nobody else. */
  #probe(talks: readonly Talk[]): void {
    for (const talk of talks) {
      const { from, to } = talk;
      if (!from.handset.isOnline || !to!.handset.isOnline || this.#probed.has(talk)) continue;
      this.#probed.add(talk);
      for (const [line, other] of [
        [from, to!],
        [to!, from],
      ] as const) {
        const words = `probe ${++this.#probes}`;
        line.handset.probe(line, words);
        this.#read();
        const hearing = this.#handsets.flatMap((h) => h.lines).filter((l) => l.heard === words);
        assert.deepEqual(
          hearing.map((l) => l.callId),
          [other.callId],
          `who hears ${line.callId}`,
        );
      }
    }
  }

  end(): void {
    for (const handset of this.#handsets)
      if (!handset.isOnline) this.step({ do: 'return', phone: this.#handsets.indexOf(handset) });
    for (const line of this.#lines('ringing'))
      if (line.state === 'ringing') this.#do({ do: 'decline', line: 0, status: 0 });
    this.#read();
    for (let rounds = 0; this.#lines('calling', 'talking').length > 0; rounds++) {
      assert.ok(rounds < MOST_ROUNDS, 'calls can be ended');
      this.#do({ do: 'hangUp', line: 0 });
      this.#read();
      this.check();
    }
    this.#advance(100_000);
    this.check();
    this.#s.assertNothingLeft();
    assert.equal(this.#s.ended.length, this.#model.talks.length, 'one record for each call');
    assert.equal(this.#s.snapshots.size, 0, 'nothing is remembered of calls that have ended');
  }
}

test(`${RUNS} histories of calls: who must be talking is, who must not be is not, and nothing is left`, () => {
  const talks = fc.array(fc.record({ phone: fc.nat(3), user: fc.constantFrom(...USERS) }), {
    maxLength: 3,
    size: 'max',
  });
  const history = fc.noBias(fc.array(step, { maxLength: 24, size: 'max' }));
  fc.assert(
    fc.property(talks, history, (before, steps) => {
      const play = new Play();
      for (const { phone, user } of before) {
        play.step({ do: 'call', phone, user, sdp: 'offer' });
        play.step({ do: 'answer', line: 0 });
      }
      for (const s of steps) play.step(s);
      play.end();
    }),
    { numRuns: RUNS },
  );
});
