import { test } from 'node:test';
import type { SipMessage } from '@offhook/core';
import fc from 'fast-check';
import { ANSWER, DOMAIN, OFFER, type Phone, stage, VIDEO } from './test-kit.ts';

// Phones that keep no rule: any message at any time, allowed or not. Whatever they do, nothing may be left.

/** Histories in `npm test`; a longer study sets the variable. */
const RUNS = Number(process.env.DISORDER_RUNS ?? 300);

const phone = fc.nat(2);
/** Chooses among what that phone has got so far. */
const which = fc.nat(40);
const sdp = fc.constantFrom(undefined, OFFER, ANSWER, VIDEO, `${OFFER}a=unusable\r\n`);
const method = fc.constantFrom('ACK', 'ACK', 'BYE', 'INVITE', 'INFO', 'UPDATE', 'REFER', 'REFER');
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('call' as const), callee: fc.constantFrom('bob', 'bob', '600'), sdp }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      phone,
      which,
      status: fc.constantFrom(100, 180, 183, 200, 200, 200, 302, 422, 486, 487, 491, 603),
      sdp,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('within' as const),
      phone,
      which,
      method,
      to: fc.constantFrom('bob', 'alice', '600'),
      sdp,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(70_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('hold' as const, 'release' as const, 'restartRelay' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('lose' as const, 'return' as const), phone }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function play(steps: readonly Step[]): void {
  const s = stage();
  const owners = ['alice', 'bob', 'bob'];
  const phones: Phone[] = owners.map((user) => s.phone(user));
  const contacts = phones.map((p) => p.contact);
  const inboxes: SipMessage[][] = [[], [], []];
  const lost = new Set<number>();
  phones[1]!.register();
  phones[2]!.register();
  let n = 0;
  let calls = 0;
  for (const t of steps) {
    for (const [i, p] of phones.entries()) inboxes[i]!.push(...p.take());
    const i = 'phone' in t ? t.phone : 0;
    const of = phones[i]!;
    const chosen = (fits: (m: SipMessage) => boolean) => {
      const fitting = inboxes[i]!.filter(fits);
      return 'which' in t ? fitting[t.which % fitting.length] : undefined;
    };
    if (lost.has(i) && t.do !== 'return') continue;
    switch (t.do) {
      case 'call': {
        const id = ++calls;
        const to = `<sip:${t.callee}@${DOMAIN}>`;
        of.request('INVITE', {
          uri: to.slice(1, -1),
          to,
          sdp: t.sdp,
          callId: `c${id}`,
          branch: `b${id}`,
          tag: `t${id}`,
        });
        break;
      }
      case 'answer': {
        const request = chosen((m) => m.kind === 'request' && m.method !== 'ACK');
        if (request) of.answer(request, t.status, t.sdp);
        break;
      }
      case 'within': {
        const dialog = chosen((m) => m.method === 'INVITE' && (m.kind === 'request' || m.to.tag !== undefined));
        const cseq = ++n + 1;
        const headers: [string, string][] = [['Refer-To', `<sip:${t.to}@${DOMAIN}>`]];
        if (dialog) of.within(dialog, t.method, { cseq, headers, sdp: t.sdp, branch: `w${cseq}` });
        break;
      }
      case 'cancel': {
        const id = 1 + (t.which % Math.max(1, calls));
        of.request('CANCEL', { callId: `c${id}`, branch: `b${id}`, tag: `t${id}` });
        break;
      }
      case 'wait':
        s.advance(t.ms);
        break;
      case 'hold':
        s.hold();
        break;
      case 'release':
        s.release();
        break;
      case 'restartRelay':
        s.alive.clear();
        s.relayLegs.clear();
        break;
      case 'lose':
        lost.add(i);
        s.core.handleFlowClosed(of.flow, s.clock.now);
        s.settle();
        break;
      case 'return': {
        lost.delete(i);
        phones[i] = s.phone(owners[i]!);
        phones[i].contact = contacts[i]!;
        inboxes[i]!.push(...phones[i].register());
        break;
      }
      default:
        t satisfies never;
    }
  }
  s.release();
  s.core.hangUpAll('the end', s.clock.now);
  s.settle();
  s.assertNothingLeft();
}

test(`${RUNS} histories of phones that keep no rule leave nothing behind`, () => {
  fc.assert(fc.property(fc.noBias(fc.array(step, { maxLength: 40, size: 'max' })), play), { numRuns: RUNS });
});
