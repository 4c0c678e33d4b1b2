import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRequest } from '@offhook/core';
import fc from 'fast-check';
import type { Flow } from '../transaction/index.ts';
import { Registrar } from './index.ts';

// The registrar against a list: what RFC 3261 10.3 and RFC 5626 6 make of REGISTERs from several phones of two users.

/** Histories in `npm test`; a longer study sets the variable. */
const RUNS = Number(process.env.REGISTRAR_MODEL_RUNS ?? 10_000);
const LIMITS = { contacts: 4, minExpiresS: 60, maxExpiresS: 3600, defaultExpiresS: 600 };
const USERS = ['alice', 'bob'];
/** The third is the first as another phone might write it. */
const URIS = ['sip:a@10.0.0.1', 'sip:a@10.0.0.2;transport=tcp', 'sip:%61@10.0.0.1', 'sip:b@phone.invalid;transport=ws'];
const sameAs = (uri: string) => (uri === URIS[2] ? URIS[0]! : uri);

interface Wish {
  readonly uri: string;
  readonly instance?: string;
  readonly regId?: number;
  readonly q?: string;
  readonly expires?: string;
}

type Step =
  | {
      readonly do: 'register';
      readonly user: string;
      readonly flow: number;
      readonly callId: string;
      readonly isOld: boolean;
      readonly expires?: number;
      readonly wishes: readonly Wish[] | '*';
    }
  | { readonly do: 'close'; readonly flow: number }
  | { readonly do: 'remove'; readonly user: string }
  | { readonly do: 'wait'; readonly ms: number };

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const wish: fc.Arbitrary<Wish> = fc.record({
  uri: fc.constantFrom(...URIS),
  instance: maybe(fc.constantFrom('<urn:1>', '<urn:2>')),
  regId: maybe(fc.constantFrom(1, 2)),
  q: maybe(fc.constantFrom('0.1', '0.7', '1.0', 'much')),
  expires: maybe(fc.constantFrom('0', '59', '60', '300', '9999', 'soon')),
});
const user = fc.constantFrom(...USERS);
const flow = fc.nat(3);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('register' as const),
      user,
      flow,
      callId: fc.constantFrom('one', 'two'),
      isOld: fc.nat(7).map((n) => n === 0),
      expires: maybe(fc.constantFrom(0, 59, 120)),
      wishes: fc.oneof(
        { weight: 9, arbitrary: fc.array(wish, { maxLength: 3 }) },
        { weight: 1, arbitrary: fc.constant('*' as const) },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 59_999, 60_000, 300_001) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), flow }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), user }) },
);

interface Known {
  readonly user: string;
  readonly uri: string;
  readonly instance?: string;
  readonly regId?: number;
  readonly q: number;
  readonly untilMs: number;
  readonly flow: Flow;
  readonly callId: string;
  readonly cseq: number;
}

/** Which of the known contacts a wish renews; `asked` are all URIs of its REGISTER. */
function renewedBy(wish: Wish, known: readonly Known[], asked: readonly string[]): Known | undefined {
  const uri = sameAs(wish.uri);
  const regId = wish.instance === undefined ? undefined : wish.regId;
  const isOfPhone = (k: Known) => wish.instance !== undefined && k.instance === wish.instance && k.regId === regId;
  // With a reg-id the flow of a phone counts, whatever its URI (RFC 5626 6); a contact without one may be given one.
  if (regId !== undefined)
    return known.find(isOfPhone) ?? known.find((k) => k.regId === undefined && sameAs(k.uri) === uri);
  // Without, the URI does, that of a contact that has no reg-id either.
  const plain = known.find((k) => sameAs(k.uri) === uri && k.regId === undefined);
  // Else a contact that the phone had under another URI, unless the same request asks for it too.
  return plain ?? known.find((k) => isOfPhone(k) && !asked.includes(sameAs(k.uri)));
}

function play(steps: readonly Step[]): void {
  const registrar = new Registrar({ limits: LIMITS });
  const flows: Flow[] = [0, 1, 2, 3].map((id) => ({
    id,
    transport: id < 2 ? 'udp' : 'ws',
    local: { address: '127.0.0.1', port: 5060 },
    remote: { address: '127.0.0.1', port: 6000 + id },
  }));
  let known: Known[] = [];
  let now = 0;
  let cseq = 10;
  /** Contacts of which it was said that they had come and not that they had gone. */
  const announced = new Map<string, number>();

  const expire = () => {
    for (let at = registrar.nextTimeout(); at !== undefined && at <= now; at = registrar.nextTimeout())
      registrar.handleTimeout(at);
    known = known.filter((k) => k.untilMs > now);
  };
  const register = (s: Extract<Step, { do: 'register' }>) => {
    const { callId, wishes, expires } = s;
    const number = s.isOld ? cseq - 3 : ++cseq;
    const from = flows[s.flow]!;
    const contacts =
      wishes === '*'
        ? ['*']
        : wishes.map(
            (w) =>
              `<${w.uri}>${w.instance === undefined ? '' : `;+sip.instance="${w.instance}"`}${
                w.regId === undefined ? '' : `;reg-id=${w.regId}`
              }${w.q === undefined ? '' : `;q=${w.q}`}${w.expires === undefined ? '' : `;expires=${w.expires}`}`,
          );
    const message = createRequest({
      method: 'REGISTER',
      uri: 'sip:example.test',
      from: `<sip:${s.user}@example.test>;tag=1`,
      to: `<sip:${s.user}@example.test>`,
      callId,
      cseq: number,
      headers: [
        ...contacts.map((c) => ['Contact', c] as const),
        ...(expires === undefined ? [] : [['Expires', expires] as const]),
      ],
    });
    const mine = known.filter((k) => k.user === s.user);
    const isOutdated = (k: Known) => k.callId === callId && number <= k.cseq;
    const expiryOf = (w: Wish) => {
      if (w.expires === undefined) return expires ?? LIMITS.defaultExpiresS;
      return w.expires === 'soon' ? 3600 : Number(w.expires);
    };

    let status = 200;
    let after = mine;
    if (wishes === '*') {
      if (expires !== 0) status = 400;
      else if (mine.some(isOutdated)) status = 500;
      else after = [];
    } else {
      const asked = wishes.map((w) => sameAs(w.uri));
      const isBrief = (w: Wish) => expiryOf(w) > 0 && expiryOf(w) < LIMITS.minExpiresS;
      const lasting = wishes.filter((w) => w.expires !== '0');
      const hasFlow = lasting.some((w) => w.instance !== undefined && w.regId !== undefined);
      if (from.transport !== 'ws' && wishes.some(isBrief)) status = 423;
      // A contact with reg-id has to be the only one (RFC 5626 6).
      else if (hasFlow && lasting.length > 1) status = 400;
      else {
        for (const w of wishes) {
          const old = renewedBy(w, after, asked);
          if (mine.some((k) => k === old && isOutdated(k))) status = 500;
          after = after.filter((k) => k !== old);
          const expiresS = Math.min(expiryOf(w), LIMITS.maxExpiresS);
          if (expiresS === 0) continue;
          const fresh: Known = {
            user: s.user,
            uri: w.uri,
            instance: w.instance,
            regId: w.instance === undefined ? undefined : w.regId,
            q: w.q === undefined || w.q === 'much' ? 1 : Number(w.q),
            untilMs: now + expiresS * 1000,
            flow: from,
            callId,
            cseq: number,
          };
          after = [...after, fresh];
        }
        if (status === 200 && after.length > LIMITS.contacts && after.length > mine.length) status = 403;
      }
    }
    const answer = registrar.handleRegister(message, from, s.user, now);
    assert.equal(answer.status, status);
    if (status !== 200) return;
    known = [...known.filter((k) => k.user !== s.user), ...after];
    const told = answer.headers('contact').map((c) => `${/<(.*?)>/.exec(c)?.[1]} ${/expires=(\d+)/.exec(c)?.[1]}`);
    const isOwn = (k: Known) => k.callId === callId && k.cseq === number;
    const line = (k: Known) => `${k.uri} ${Math.ceil((k.untilMs - now) / 1000)}`;
    assert.deepEqual([...told].sort(), after.map(line).sort(), 'the answer names every contact');
    const own = after.filter(isOwn);
    assert.deepEqual(told.slice(0, own.length), own.map(line), 'those of this request first, in its order');
  };

  for (const s of steps) {
    if (s.do === 'wait') {
      now += s.ms;
      expire();
    } else if (s.do === 'close') {
      const closed = flows[s.flow]!;
      registrar.handleFlowClosed(closed);
      if (closed.transport !== 'udp') known = known.filter((k) => k.flow !== closed);
    } else if (s.do === 'remove') {
      registrar.removeUser(s.user);
      known = known.filter((k) => k.user !== s.user);
    } else register(s);

    for (let e = registrar.poll(); e; e = registrar.poll()) {
      const count = announced.get(e.binding.key) ?? 0;
      if (e.kind === 'registered') announced.set(e.binding.key, count + 1);
      else if (e.kind === 'removed') announced.set(e.binding.key, count - 1);
      else assert.ok(count > 0, 'only what is there is refreshed');
    }
    assert.equal(
      [...announced.values()].reduce((a, b) => a + b, 0),
      known.length,
      'come and gone',
    );
    assert.equal(registrar.size, known.length);
    assert.equal(registrar.nextTimeout(), known.length === 0 ? undefined : Math.min(...known.map((k) => k.untilMs)));
    for (const name of USERS) {
      const found = registrar.lookup(name, now);
      const line = (k: Known) => [k.uri, k.instance, k.regId, k.q, k.untilMs, k.flow.id, k.callId, k.cseq].join(' ');
      const lines = found.map((b) => [
        b.written,
        b.instanceId,
        b.regId,
        b.q,
        b.expiresAtMs,
        b.flow.id,
        b.callId,
        b.cseq,
      ]);
      const expected = known.filter((k) => k.user === name).map(line);
      assert.deepEqual(lines.map((l) => l.join(' ')).sort(), expected.sort(), `where ${name} is`);
      for (const [i, b] of found.entries()) assert.ok(i === 0 || found[i - 1]!.q >= b.q, 'highest q first');
      const flowsOfPhones = found.filter((b) => b.regId !== undefined).map((b) => `${b.instanceId} ${b.regId}`);
      assert.equal(new Set(flowsOfPhones).size, flowsOfPhones.length, 'one contact for a phone and reg-id');
      const plain = found.filter((b) => b.regId === undefined).map((b) => sameAs(b.written));
      assert.equal(new Set(plain).size, plain.length, 'one contact for a URI');
    }
  }
  now += 3_600_000;
  expire();
  assert.deepEqual([registrar.size, registrar.nextTimeout(), registrar.all()], [0, undefined, []], 'nothing is left');
}

test(`${RUNS} random histories of registrations end where RFC 3261 10.3 and RFC 5626 6 say, and nothing is left`, () => {
  fc.assert(fc.property(fc.array(step, { maxLength: 15 }), play), { numRuns: RUNS });
});
