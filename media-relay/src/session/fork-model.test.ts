import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Bench, golden, PLAIN, plainAnswer, WEBRTC } from './test-bench.ts';

type Step =
  | {
      readonly do: 'offer';
      readonly branch: string | undefined;
      readonly toTag: string | undefined;
      readonly web: boolean;
    }
  | { readonly do: 'answer'; readonly branch: string | undefined; readonly tag: string }
  | { readonly do: 'reoffer'; readonly tag: string }
  | { readonly do: 'end'; readonly tag: string }
  | { readonly do: 'wait'; readonly ms: number };

const branch = fc.constantFrom(undefined, 'b1', 'b2', 'b3');
const tag = fc.constantFrom('one', 'two', 'three');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('offer' as const),
    branch,
    toTag: fc.option(tag, { nil: undefined }),
    web: fc.boolean(),
  }),
  fc.record({ do: fc.constant('answer' as const), branch, tag }),
  fc.record({ do: fc.constant('reoffer' as const), tag }),
  fc.record({ do: fc.constant('end' as const), tag }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 4000 }) }),
);

function carryOut(bench: Bench, s: Step): void {
  const call = bench.book.find('call');
  switch (s.do) {
    case 'offer':
      bench.tryOffer('a', plainAnswer(4000), { ...(s.web ? WEBRTC : PLAIN), branch: s.branch, toTag: s.toTag });
      break;
    case 'answer': {
      const web = call?.everyLeg().find((leg) => leg.branch === s.branch)?.kind.ice === true;
      bench.tryAnswer('a', s.tag, web ? golden('chromium-audio-answer') : plainAnswer(5000), { branch: s.branch });
      break;
    }
    case 'reoffer':
      bench.tryOffer(s.tag, plainAnswer(5002), { toTag: 'a' });
      break;
    case 'end': {
      const leg = call?.leg(s.tag);
      if (call && leg) bench.book.end(call, leg, 0, bench.nowMs);
      break;
    }
    case 'wait':
      bench.nowMs += s.ms;
      bench.book.handleTimeout(bench.nowMs);
  }
}

/** One far leg at most is heard, and everything open belongs to a leg of the call. */
function check(bench: Bench): void {
  const call = bench.book.find('call');
  const legs = call?.everyLeg() ?? [];
  const pairs = legs.flatMap((leg) => leg.sections.flatMap((section) => section.pair ?? []));
  assert.deepEqual(new Set(bench.attached.keys()), new Set(pairs));
  assert.equal(
    bench.transports.size,
    legs.reduce((sum, leg) => sum + leg.transports().length, 0),
  );
  if (!call) return;
  assert.equal(new Set(legs).size, legs.length);
  for (const fork of call.forks) {
    for (const section of fork.sections) assert.equal(section.peer, undefined);
    for (const transport of fork.transports()) assert.equal(transport.opaquePeer, undefined);
  }
  const known = new Set(legs.flatMap((leg) => leg.sections));
  for (const section of known) if (section.peer) assert.ok(known.has(section.peer));
}

test('whatever order offers, answers and ends of branches come in, nothing is lost and nobody else is heard', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const bench = new Bench({ startsDtls: true });
      for (const s of steps) {
        carryOut(bench, s);
        check(bench);
      }
      if (bench.book.size > 0) bench.end();
      check(bench);
    }),
    { numRuns: 300, seed: 7 },
  );
});
