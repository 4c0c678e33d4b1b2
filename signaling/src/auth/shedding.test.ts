import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shedding } from './index.ts';

const TICK_MS = 50;
/** What each costs a modelled server, milliseconds of its one processor. */
const COST = { stranger: 0.15, unread: 0.01, call: 1, refused: 0.1 };
/** What the socket's buffer holds; what comes beyond it is lost. */
const LONGEST_QUEUE = 4000;

interface Second {
  readonly calls: number;
  readonly refused: number;
  readonly strangers: number;
  /** How long what was looked at had waited, at most. */
  readonly delayMs: number;
  readonly lost: number;
}

/** A server with one processor, second by second, in steps of a millisecond: what it does is decided when it gets to it. */
function server(shedding: Shedding) {
  let nowMs = 0;
  const queue: { kind: 'call' | 'stranger'; atMs: number }[] = [];
  const due = { call: 0, stranger: 0 };
  let debtMs = 0;
  let idleMs = 0;
  return (offered: { callsPerS: number; strangersPerS: number; addresses?: number }): Second => {
    const second = { calls: 0, refused: 0, strangers: 0, delayMs: 0, lost: 0 };
    const look = (kind: 'call' | 'stranger'): number => {
      if (kind === 'stranger') {
        const network = `10.0.${Math.floor(Math.random() * (offered.addresses ?? 8))}`;
        if (!shedding.hears(network, nowMs)) return COST.unread;
        second.strangers++;
        return COST.stranger;
      }
      const isTaken = shedding.takesCall(nowMs);
      second[isTaken ? 'calls' : 'refused']++;
      return isTaken ? COST.call : COST.refused;
    };
    for (const endMs = nowMs + 1000; nowMs < endMs; ) {
      nowMs++;
      due.call += offered.callsPerS;
      due.stranger += offered.strangersPerS;
      for (const kind of ['call', 'stranger'] as const) {
        for (; due[kind] >= 1000; due[kind] -= 1000) {
          if (queue.length < LONGEST_QUEUE) queue.push({ kind, atMs: nowMs });
          else if (kind === 'call') second.lost++;
        }
      }
      debtMs = Math.max(0, debtMs - 1);
      for (let next = queue[0]; next && debtMs < 1; next = queue[0]) {
        queue.shift();
        second.delayMs = Math.max(second.delayMs, nowMs - next.atMs);
        debtMs += look(next.kind);
      }
      idleMs += Math.max(0, 1 - debtMs);
      if (nowMs % TICK_MS > 0) continue;
      shedding.handleTick({ isLate: false, busy: 1 - idleMs / TICK_MS }, nowMs);
      idleMs = 0;
    }
    return second;
  };
}

test('a flood of strangers from few or from 10,000 addresses takes nothing from the calls, and is forgotten when it is over', () => {
  for (const addresses of [8, 10_000]) {
    const shedding = new Shedding();
    const second = server(shedding);
    second({ callsPerS: 700, strangersPerS: 20 });
    assert.deepEqual(shedding.counters, { strangersShed: 0, callsShed: 0 });
    assert.equal(shedding.limits.strangersPerS, undefined);
    second({ callsPerS: 700, strangersPerS: 20_000, addresses });
    let all = 0;
    for (let s = 0; s < 15; s++) {
      const { calls, delayMs, strangers } = second({ callsPerS: 700, strangersPerS: 20_000, addresses });
      all += calls;
      assert.ok(calls >= 600, `${calls} calls in second ${s}`);
      assert.ok(delayMs < 400, `${delayMs} ms in second ${s}`);
      assert.ok(strangers >= 90, `${strangers} strangers are heard in second ${s}`);
    }
    assert.ok(all > 0.99 * 700 * 15, `${all} calls`);
    assert.ok(shedding.counters.strangersShed > 200_000);
    for (let s = 0; s < 4; s++) second({ callsPerS: 700, strangersPerS: 20 });
    assert.deepEqual(shedding.limits, { strangersPerS: undefined, callsPerS: undefined });
    const { calls, strangers } = second({ callsPerS: 700, strangersPerS: 20 });
    assert.ok(calls >= 699 && strangers >= 19, 'one may still wait');
  }
});

test('of twice as many calls as it can take a server sets up nearly as many as it can, and refuses the rest in time', () => {
  const shedding = new Shedding();
  const second = server(shedding);
  for (let s = 0; s < 8; s++) second({ callsPerS: 2000, strangersPerS: 0 });
  let calls = 0;
  for (let s = 0; s < 60; s++) {
    const now = second({ callsPerS: 2000, strangersPerS: 0 });
    calls += now.calls;
    assert.ok(now.delayMs < 1000 && now.lost === 0, `${now.delayMs} ms, ${now.lost} lost in second ${s}`);
  }
  // 1,000 without any refusal, of which each costs a tenth of a call.
  assert.ok(calls / 60 > 700, `${calls / 60} calls a second`);
  for (let s = 0; s < 5; s++) second({ callsPerS: 500, strangersPerS: 0 });
  assert.equal(shedding.limits.callsPerS, undefined);
  assert.equal(second({ callsPerS: 500, strangersPerS: 0 }).refused, 0);
});

test('with so many running calls that nothing is left, few strangers and new calls still get through', () => {
  const shedding = new Shedding();
  for (let ms = 0; ms < 60_000; ms += TICK_MS) {
    shedding.hears('10.0.0', ms);
    shedding.takesCall(ms);
    shedding.handleTick({ isLate: false, busy: 1 }, ms);
  }
  assert.deepEqual(shedding.limits, { strangersPerS: 100, callsPerS: 100 });
});

test('one late tick cuts strangers, not calls; a short burst cuts nobody', () => {
  const shedding = new Shedding();
  for (let ms = 0; ms < 1000; ms += TICK_MS) {
    for (let i = 0; i < 50; i++) shedding.hears(`10.0.${i}`, ms);
    shedding.handleTick({ isLate: false, busy: ms % 200 === 0 ? 0.8 : 1 }, ms);
  }
  assert.equal(shedding.limits.strangersPerS, undefined);
  shedding.handleTick({ isLate: true, busy: 1 }, 1200);
  assert.ok(shedding.limits.strangersPerS! < 1000);
  assert.equal(shedding.limits.callsPerS, undefined);
});

test('few strangers are all heard, though they come from one address and the server is behind', () => {
  const shedding = new Shedding();
  for (let ms = 0; ms < 10_000; ms += TICK_MS) {
    for (let i = 0; i < 4; i++) assert.ok(shedding.hears('10.0.0.1', ms));
    shedding.handleTick({ isLate: false, busy: 1 }, ms);
  }
});
