import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createResponse, type SipMessage, seededRandom } from '@offhook/core';
import { ANSWER, OFFER, type Phone, rackFor, reliably, stage } from './test-kit.ts';

const UPDATES: [string, string][] = [['Allow', 'INVITE, PRACK, UPDATE']];
const FORWARD = { forward: { noAnswerS: 8, noAnswer: 'carol', busy: 'carol' } };

test('whatever phones that know 100rel and UPDATE do while it rings: numbers in order, and nothing left', () => {
  const random = seededRandom(23);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random.next() * list.length)]!;
  const seenAnswers = new Map<string, number>();
  let retagged = 0;
  for (let round = 0; round < 500; round++) {
    const s = stage({ seed: round, settings: random.next() < 0.5 ? {} : { bob: FORWARD } });
    const [alice, bob, carol] = [s.phone('alice'), s.phone('bob'), s.phone('carol')];
    bob.register();
    carol.register();
    const need = pick(['Supported', 'Supported', 'Require']);
    alice.request('INVITE', { sdp: OFFER, headers: [[need, '100rel'], ...UPDATES] });
    /** The phones behind each contact, and the RSeq each has come to. */
    const forks = new Map(['one', 'two'].map((tag) => [tag, 1 + Math.floor(random.next() * 1000)]));
    const inbox = new Map<Phone, SipMessage[]>([alice, bob, carol].map((phone) => [phone, []]));
    const acknowledged = new Set<string>();
    /** By our tag: the newest RSeq that the caller was told. */
    const newest = new Map<string, number>();
    let n = 1;
    const look = () => {
      for (const [phone, got] of inbox)
        for (const m of phone.take()) {
          got.push(m);
          const name = `${m.status} ${m.method}`;
          if (m.kind === 'response') seenAnswers.set(name, (seenAnswers.get(name) ?? 0) + 1);
          if (phone !== alice || m.kind !== 'response' || m.header('rseq') === undefined) continue;
          const rseq = Number(m.header('rseq'));
          const before = newest.get(m.to.tag!);
          assert.ok(before === undefined || rseq === before || rseq === before + 1, 'RSeq goes up by one');
          if (before !== undefined && rseq !== before) assert.ok(acknowledged.has(String(before)), 'one at a time');
          newest.set(m.to.tag!, rseq);
        }
    };
    const invitesOf = (phone: Phone) => inbox.get(phone)!.filter((m) => m.kind === 'request' && m.method === 'INVITE');
    const answer = (status: number, tag: string, sdp?: string) => {
      const phone = pick([bob, carol].filter((p) => invitesOf(p).length > 0));
      if (!phone) return;
      const isReliable = status < 200 && random.next() < 0.8;
      if (isReliable && random.next() < 0.9) forks.set(tag, forks.get(tag)! + 1);
      phone.send(
        createResponse(invitesOf(phone)[0]!, status, undefined, {
          toTag: tag,
          headers: [['Contact', `<sip:${tag}@phone.invalid>`], ...(isReliable ? reliably(forks.get(tag)!) : [])],
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
        const sdp = pick([undefined, undefined, undefined, OFFER]);
        alice.within(of, 'PRACK', { cseq: ++n, sdp, headers: rackFor(of) });
      } else if (what < 0.6 && early.length > 0)
        alice.within(pick(early), 'UPDATE', { cseq: ++n, sdp: pick([OFFER, undefined]) });
      else if (what < 0.7) {
        const [invite] = invitesOf(bob);
        if (invite) bob.within(invite, 'UPDATE', { cseq: ++n, sdp: pick([OFFER, undefined]), tag });
      } else if (what < 0.9) {
        const phone = pick([alice, bob, carol]);
        const open = inbox
          .get(phone)!
          .filter((m) => m.kind === 'request' && (m.method === 'UPDATE' || m.method === 'PRACK'));
        const status = pick([200, 200, 200, 200, 488, 491, 500, 481]);
        if (open.length > 0) phone.answer(pick(open.slice(-2)), status, pick([undefined, ANSWER, ANSWER, ANSWER]));
      } else if (what < 0.95) s.advance(Math.floor(random.next() * 20_000));
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
    if (newest.size > 1) retagged++;
    s.core.hangUpAll('the end', s.clock.now);
    s.settle();
    s.assertNothingLeft();
  }
  // The rounds went everywhere that they are there for.
  assert.ok(retagged > 5, `only ${retagged} callers had two early dialogs`);
  for (const each of ['200 PRACK', '481 PRACK', '200 UPDATE', '488 UPDATE', '491 UPDATE', '500 UPDATE', '504 UPDATE'])
    assert.ok((seenAnswers.get(each) ?? 0) > 0, `no ${each} in ${JSON.stringify([...seenAnswers])}`);
});
