import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallFacts } from './decision.ts';
import type { Routes } from './routes.ts';
import { brief, decide, directory, fromAlice, fromTrunk } from './test-kit.ts';

/** [what is tried, rules, call, what comes of it, a sentence that tells why] */
const CASES: readonly [string, Routes, CallFacts, string, RegExp?][] = [
  ['no rule at all', [], fromAlice('bob'), 'bob', /built-in: bob is a user of this server/],
  ['exact', [{ name: 'r', called: '110', do: { trunk: 'provider' } }], fromAlice('110'), 'provider:110'],
  [
    'a rule that does not fit',
    [{ name: 'r', called: '110', do: 'echo' }],
    fromAlice('bob'),
    'bob',
    /^rule 1 'r': 'bob' is not '110'$/,
  ],
  ['one of several', [{ name: 'r', called: ['1', '2'], do: 'echo' }], fromAlice('2'), 'echo', /the echo/],
  [
    'the first that fits',
    [
      { name: 'a', do: { room: 'one' } },
      { name: 'b', do: { room: 'two' } },
    ],
    fromAlice('x'),
    'room one',
  ],
  ['caller', [{ name: 'r', caller: { prefix: '+49' }, do: 'echo' }], fromTrunk('1'), 'echo'],
  [
    'another caller',
    [{ name: 'r', caller: 'bob', do: 'echo' }],
    fromAlice('carol'),
    'carol',
    /the caller 'alice' is not 'bob'/,
  ],
  ['source user', [{ name: 'r', source: 'user', do: 'echo' }], fromTrunk('1'), /404/.source, /only for calls of users/],
  [
    'source trunk',
    [{ name: 'r', source: 'trunk', do: 'echo' }],
    fromAlice('bob'),
    'bob',
    /only for calls over a trunk/,
  ],
  [
    'source of that trunk',
    [{ name: 'r', source: { trunk: ['backup', 'provider'] }, do: 'echo' }],
    fromTrunk('1'),
    'echo',
  ],
  [
    'source of another trunk',
    [{ name: 'r', source: { trunk: 'backup' }, do: 'echo' }],
    fromTrunk('1'),
    '404',
    /only for calls over backup/,
  ],
  [
    'rewrite',
    [
      { name: 'a', called: '0{n}', rewrite: { called: '+49{n}' } },
      { name: 'b', called: { prefix: '+' }, do: { trunk: 'provider' } },
    ],
    fromAlice('0301'),
    'provider:+49301',
    /'0301' becomes '\+49301'/,
  ],
  [
    'rewrite and do in one',
    [{ name: 'a', called: '9', rewrite: { called: 'bob' }, do: 'built-in' }],
    fromAlice('9'),
    'bob',
  ],
  [
    'groups of a regular expression',
    [{ name: 'r', called: /0(\d{2})(?<rest>\d+)/, do: { trunk: 'provider', number: '{1}-{rest}' } }],
    fromAlice('030123'),
    'provider:30-123',
  ],
  [
    'several trunks',
    [{ name: 'r', do: { trunk: ['provider', 'backup'], number: '112', forSeconds: 8 } }],
    fromAlice('112'),
    'provider:112 8 | backup:112 8',
    /over 'provider', and when that fails 'backup'/,
  ],
  [
    'ring a user',
    [{ name: 'r', do: { ring: 'bob', forSeconds: 20 } }],
    fromAlice('1'),
    'bob 20',
    /rings 'bob' for 20 s/,
  ],
  [
    'ring several at once',
    [{ name: 'r', do: { ring: ['bob', { trunk: 'provider', number: '+49' }, { uri: 'sip:x@example.org' }] } }],
    fromAlice('1'),
    'bob+provider:+49+sip:x@example.org',
  ],
  [
    'one after the other',
    [{ name: 'r', do: [{ ring: 'bob', forSeconds: 5 }, { ring: 'carol' }] }],
    fromAlice('1'),
    'bob 5 | carol',
  ],
  [
    'a group at once',
    [{ name: 'r', do: { ring: 'sales' } }],
    fromAlice('1'),
    'alice+bob 25',
    /the group 'sales' \(alice, bob\)/,
  ],
  ['a group in turn', [{ name: 'r', do: { ring: 'desk' } }], fromAlice('1'), 'bob 10 | carol 10', /in turn/],
  [
    'a group in turn, for another time',
    [{ name: 'r', do: { ring: 'desk', forSeconds: 3 } }],
    fromAlice('1'),
    'bob 3 | carol 3',
  ],
  ['a group and more', [{ name: 'r', do: { ring: ['desk', 'bob', 'alice'] } }], fromAlice('1'), 'bob+carol+alice'],
  [
    'nobody of that name',
    [{ name: 'r', do: { ring: 'dave' } }],
    fromAlice('1'),
    '404',
    /there is no user or group 'dave'/,
  ],
  [
    'one of them is missing',
    [{ name: 'r', do: { ring: ['dave', 'bob'] } }],
    fromAlice('1'),
    'bob',
    /rings 'bob'; there is no user or group 'dave'/,
  ],
  [
    'uri',
    [{ name: 'r', called: '8{x}', do: { uri: 'sip:{x}@pbx.example.org;transport=tcp' } }],
    fromAlice('812'),
    'sip:12@pbx.example.org;transport=tcp',
  ],
  [
    'forward',
    [{ name: 'a', called: '100', do: { forward: 'bob' } }],
    fromAlice('100'),
    'bob',
    /forwarded to 'bob', which is looked for from the first rule on/,
  ],
  [
    'ring, then forward',
    [
      { name: 'a', called: '100', do: [{ ring: 'bob', forSeconds: 15 }, { forward: '0171' }] },
      { name: 'out', called: '0{n}', do: { trunk: 'provider', number: '+49{n}' } },
    ],
    fromAlice('100'),
    'bob 15 | provider:+49171',
  ],
  [
    'ring, then forward to what is refused',
    [{ name: 'a', called: '100', do: [{ ring: 'bob' }, { forward: 'nobody' }] }],
    fromAlice('100'),
    'bob',
    /after it the call is over/,
  ],
  [
    'forward in a circle',
    [
      { name: 'a', called: '1', do: { forward: '2' } },
      { name: 'b', called: '2', do: { forward: '1' } },
    ],
    fromAlice('1'),
    '482 the routes lead in a circle',
    /forwarded for the 11th time/,
  ],
  [
    'reject',
    [{ name: 'r', called: '0900{n}', do: { reject: 403, reason: 'no {called} here' } }],
    fromAlice('09001'),
    '403 no 09001 here',
    /refused with 403/,
  ],
  ['room', [{ name: 'r', called: '7{n:2}', do: { room: '{n}' } }], fromAlice('712'), 'room 12'],
  ['park', [{ name: 'r', do: { park: '5' } }], fromAlice('1'), 'park 5'],
  ['pickup', [{ name: 'r', do: { pickup: 'bob' } }], fromAlice('1'), 'pickup bob'],
  ['pickup of any', [{ name: 'r', do: { pickup: 'any' } }], fromAlice('1'), 'pickup any'],
  [
    'when',
    [{ name: 'night', when: { hours: '18:00-08:00' }, do: 'echo' }],
    fromAlice('bob'),
    'bob',
    /^rule 1 'night': not now, it is Thu 2026-11-26 14:10 in Europe\/Berlin$/,
  ],
  [
    'when, now',
    [{ name: 'day', when: [{ hours: '18:00-08:00' }, { weekdays: 'thu' }], do: 'echo' }],
    fromAlice('bob'),
    'echo',
  ],
  ['unless', [{ name: 'closed', unless: { hours: '08:00-18:00' }, do: 'echo' }], fromAlice('bob'), 'bob', /not now/],
  [
    'if',
    [{ name: 'r', if: (call) => call.account === 'bob', do: 'echo' }],
    fromAlice('carol'),
    'carol',
    /its 'if' says no/,
  ],
  [
    'if, asynchronous',
    [{ name: 'r', if: async (call) => !(await call.lookup('bob')).isSignedIn, do: 'echo' }],
    fromAlice('bob'),
    'echo',
  ],
  [
    'code',
    [{ name: 'r', called: '0{n}', do: ({ match }) => ({ trunk: 'provider', number: `+49${match.n}` }) }],
    fromAlice('030'),
    'provider:+4930',
  ],
  [
    'code that leaves it to the next',
    [{ name: 'r', do: async () => undefined }],
    fromAlice('bob'),
    'bob',
    /its code leaves the call to the next rule/,
  ],
  [
    'lookup',
    [
      {
        name: 'r',
        do: async ({ lookup }) =>
          (await lookup('alice')).isInCall ? { ring: [...((await lookup('sales')).group ?? [])] } : undefined,
      },
    ],
    fromAlice('1'),
    'alice+bob',
  ],
  [
    'header',
    [{ name: 'r', do: (call) => ({ room: call.header('X-Room') ?? 'none' }) }],
    fromAlice('1', { headers: { 'x-room': 'blue' } }),
    'room blue',
  ],
  [
    'no such header',
    [{ name: 'r', do: (call) => ({ room: call.header('toString') ?? 'none' }) }],
    fromAlice('1', { headers: {} }),
    'room none',
  ],
  [
    'is',
    [{ name: 'r', if: (call) => call.is({ weekdays: 'thu' }) && call.now.getUTCHours() === 13, do: 'echo' }],
    fromAlice('1'),
    'echo',
  ],
  [
    'code that fails',
    [{ name: 'crm', do: () => JSON.parse('{') }],
    fromAlice('1'),
    "500 the routes have a mistake in rule 'crm'",
    /its code failed: SyntaxError: .*\(routes\.ts:1:1\)/,
  ],
  [
    'code that answers nonsense',
    [{ name: 'crm', do: () => ({ rng: 'bob' }) as never }],
    fromAlice('1'),
    "500 the routes have a mistake in rule 'crm'",
    /says not what to do/,
  ],
  ['built-in service', [{ name: 'r', called: 'x', do: 'echo' }], fromAlice('600'), 'echo'],
];

for (const [name, routes, facts, wanted, sentence] of CASES)
  test(`${name}: ${wanted}`, async () => {
    const evaluated = await decide(routes, facts);
    const got = brief(evaluated);
    assert.equal(/^\d{3}$/.test(wanted) ? got.slice(0, 3) : got, wanted, evaluated.steps.join('\n'));
    if (sentence)
      assert.ok(
        evaluated.steps.some((step) => sentence.test(step)),
        evaluated.steps.join('\n'),
      );
  });

test('what the caller shows is changed only where a rule does it', async () => {
  const plain = await decide([{ name: 'r', do: { ring: 'bob' } }], fromAlice('1'));
  assert.ok(plain.decision.kind === 'ring' && plain.decision.showAs === undefined);
  const routes: Routes = [
    { name: 'show', rewrite: { caller: '+4930{called}', displayName: 'Support ({caller})' } },
    { name: 'r', caller: '+49301', do: { ring: 'bob' } },
  ];
  const { decision } = await decide(routes, fromAlice('1'));
  assert.ok(decision.kind === 'ring');
  assert.deepEqual(decision.showAs, { from: '+49301', displayName: 'Support (alice)' });
});

const OUT = { name: 'out', called: '0{n}', do: { trunk: 'provider', number: '{n}' } } as const;

/** What a call that came in may do: [rules, called, what comes of it, a sentence] */
const TRANSIT: readonly [string, Routes, string, string, RegExp?][] = [
  [
    'a stranger reaches no trunk',
    [OUT],
    '030',
    '403 a call from outside may not leave this server again',
    /unless the rule says transit: true/,
  ],
  [
    'nor another server',
    [{ name: 'r', do: { uri: 'sip:x@example.org' } }],
    '030',
    '403 a call from outside may not leave this server again',
  ],
  ['a rule may let them', [{ ...OUT, transit: true }], '030', 'provider:30'],
  [
    'a rule that forwards may let them',
    [{ name: 'in', called: '100', transit: true, do: [{ ring: 'bob' }, { forward: '030' }] }, OUT],
    '100',
    'bob | provider:30',
  ],
  [
    'forwarding alone does not',
    [{ name: 'in', called: '100', do: [{ ring: 'bob' }, { forward: '030' }] }, OUT],
    '100',
    'bob',
  ],
  [
    'a later rule does not let out what an earlier one may not',
    [
      { name: 'in', called: '100', do: [{ trunk: 'backup' }, { forward: '030' }] },
      { ...OUT, transit: true },
    ],
    '100',
    'provider:30',
  ],
  [
    'what stays inside is rung',
    [{ name: 'in', do: { ring: ['bob', { trunk: 'provider', number: '1' }] } }],
    '100',
    'bob',
  ],
  ['no rule, no user', [], 'bob', '404', /nothing says what becomes of a call over the trunk 'provider' to 'bob'/],
  ['built-in for the number as called is nobody', [{ name: 'in', do: 'built-in' }], 'bob', '404'],
  [
    'a rule that only rewrites opens nothing',
    [{ name: 'in', called: '+49{x}', rewrite: { called: 'bob' } }],
    '+491',
    '404',
  ],
  ['forwarding names a user', [{ name: 'in', called: '+49{x}', do: { forward: 'bob' } }], '+491', 'bob'],
  ['forwarding never picks up', [{ name: 'in', called: '+49{x}', do: { forward: '*8' } }], '+491', '403'],
  [
    'forwarding never fetches',
    [
      { name: 'in', called: '{x}', do: { forward: '{x}' }, source: { trunk: 'none' } },
      { name: 'b', called: '1', do: { forward: '611' } },
    ],
    '1',
    '403',
  ],
];

for (const [name, routes, called, wanted, sentence] of TRANSIT)
  test(`over a trunk: ${name}`, async () => {
    const evaluated = await decide(routes, fromTrunk(called));
    const got = brief(evaluated);
    assert.equal(/^\d{3}$/.test(wanted) ? got.slice(0, 3) : got, wanted, evaluated.steps.join('\n'));
    if (sentence)
      assert.ok(
        evaluated.steps.some((step) => sentence.test(step)),
        evaluated.steps.join('\n'),
      );
  });

test('a caller without an account is from outside too', async () => {
  assert.equal(brief(await decide([OUT], { from: 'x', to: '030' })).slice(0, 3), '403');
  assert.equal(directory.isUser('x'), false);
});

test('sentences are short and not without end', async () => {
  const routes = Array.from({ length: 1000 }, (_, i) => ({
    name: `r${i}`,
    called: 'y'.repeat(200),
    do: 'echo' as const,
  }));
  const { steps } = await decide(routes, fromAlice('x'.repeat(300)));
  assert.equal(steps.length, 501);
  assert.equal(steps.at(-1), 'and so on');
  assert.ok(steps.every((step) => step.length <= 400));
});
