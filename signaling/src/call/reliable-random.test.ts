import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createResponse, type SipMessage, seededRandom } from '@offhook/core';
import { ANSWER, OFFER, type Phone, rackFor, reliably, stage } from './test-kit.ts';

const UPDATES: [string, string][] = [['Allow', 'INVITE, PRACK, UPDATE']];

test('whatever phones that know 100rel and UPDATE do while it rings: numbers in order, and nothing left', () => {
  const random = seededRandom(23);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.next() * list.length)]!;
  const seenAnswers = new Map<string, number>();
  for (let round = 0; round < 500; round++) {
    const s = stage({ seed: round });
    const [alice, bob] = [s.phone('alice'), s.phone('bob')];
    bob.register();
    const need = pick(['Supported', 'Supported', 'Require']);
    alice.request('INVITE', { sdp: OFFER, headers: [[need, '100rel'], ...UPDATES] });
    const invite = bob.take()[0]!;
    /** Phones behind bob's contact, and the RSeq each has come to. */
    const forks = new Map(['one', 'two'].map((tag) => [tag, 1 + Math.floor(random.next() * 1000)]));
    const inbox = new Map<Phone, SipMessage[]>([
      [alice, []],
      [bob, []],
    ]);
    const acknowledged = new Set<string>();
    let newest: number | undefined;
    let n = 1;
    const look = () => {
      for (const [phone, got] of inbox)
        for (const m of phone.take()) {
          got.push(m);
          if (m.kind === 'response')
            seenAnswers.set(`${m.status} ${m.method}`, (seenAnswers.get(`${m.status} ${m.method}`) ?? 0) + 1);
          if (phone !== alice || m.kind !== 'response' || m.header('rseq') === undefined) continue;
          const rseq = Number(m.header('rseq'));
          assert.ok(newest === undefined || rseq === newest || rseq === newest + 1, 'RSeq goes up by one');
          if (newest !== undefined && rseq !== newest) assert.ok(acknowledged.has(String(newest)), 'one at a time');
          newest = rseq;
        }
    };
    const answer = (status: number, tag: string, sdp?: string) => {
      const reliable = status < 200 && random.next() < 0.8;
      if (reliable && random.next() < 0.9) forks.set(tag, forks.get(tag)! + 1);
      bob.send(
        createResponse(invite, status, undefined, {
          toTag: tag,
          headers: [['Contact', `<sip:${tag}@phone.invalid>`], ...(reliable ? reliably(forks.get(tag)!) : [])],
          body: sdp === undefined ? undefined : { type: 'application/sdp', bytes: sdp },
        }),
      );
    };
    for (let step = 0; step < 25; step++) {
      look();
      const early = inbox
        .get(alice)!
        .filter((m) => m.kind === 'response' && m.to.tag !== undefined && m.method === 'INVITE');
      const reliable = early.filter((m) => m.header('rseq') !== undefined);
      const what = random.next();
      const tag = random.next() < 0.8 ? 'one' : 'two';
      if (what < 0.25) answer(pick([180, 181, 183, 183]), tag, pick([undefined, ANSWER, ANSWER]));
      else if (what < 0.45 && reliable.length > 0) {
        const of = pick(reliable.slice(-2));
        acknowledged.add(of.header('rseq')!);
        alice.within(of, 'PRACK', {
          cseq: ++n,
          sdp: pick([undefined, undefined, undefined, OFFER]),
          headers: rackFor(of),
        });
      } else if (what < 0.6 && early.length > 0)
        alice.within(pick(early), 'UPDATE', { cseq: ++n, sdp: pick([OFFER, undefined]) });
      else if (what < 0.7) bob.within(invite, 'UPDATE', { cseq: ++n, sdp: pick([OFFER, undefined]), tag });
      else if (what < 0.9) {
        const phone = pick([alice, bob]);
        const open = inbox
          .get(phone)!
          .filter((m) => m.kind === 'request' && (m.method === 'UPDATE' || m.method === 'PRACK'));
        if (open.length > 0)
          phone.answer(
            pick(open.slice(-2)),
            pick([200, 200, 200, 200, 488, 491, 500, 481]),
            pick([undefined, ANSWER, ANSWER, ANSWER]),
          );
      } else if (what < 0.94) s.advance(Math.floor(random.next() * 20_000));
      else if (what < 0.96) s.hold();
      else if (what < 0.975) s.release();
      else if (what < 0.99) answer(pick([200, 200, 486]), tag, pick([undefined, ANSWER]));
      else if (random.next() < 0.5) alice.request('CANCEL', { branch: 'alice1INVITE' });
      else {
        s.core.handleFlowClosed(pick([alice, bob]).flow, s.clock.now);
        s.settle();
      }
    }
    s.release();
    look();
    s.core.hangUpAll('the end', s.clock.now);
    s.settle();
    s.assertNothingLeft();
  }
  // The rounds went everywhere that they are there for.
  for (const each of ['200 PRACK', '481 PRACK', '200 UPDATE', '488 UPDATE', '491 UPDATE', '500 UPDATE', '504 UPDATE'])
    assert.ok((seenAnswers.get(each) ?? 0) > 0, `no ${each} in ${JSON.stringify([...seenAnswers])}`);
});
