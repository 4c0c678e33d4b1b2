import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRouted } from './check.ts';
import { compileRules } from './rules.ts';

/** [what is exported, what is said] */
const WRONG: readonly [unknown, RegExp][] = [
  [undefined, /^nothing is exported as default; a list of rules is needed$/],
  [{ name: 'x' }, /^the default export is an object, not a list of rules$/],
  [() => [], /^the default export is a function, not a list/],
  [Array(1001).fill({}), /1001 rules are more than the limit of 1000/],
  [[null], /^rule 1 \(null\) needs a name/],
  [[{ do: 'echo' }], /^rule 1 \(\{"do":"echo"\}\) needs a name of 1 to 100 characters$/],
  [
    [
      { name: 'a', do: 'echo' },
      { name: 'a', do: 'echo' },
    ],
    /^rule 2 'a': another rule has that name already$/,
  ],
  [[{ name: 'a' }], /^rule 1 'a': it has neither 'do' nor 'rewrite'/],
  [[{ name: 'a', to: '1', do: 'echo' }], /there is no 'to'; known are name, called/],
  [[{ name: 'a', called: [], do: 'echo' }], /an empty list fits nothing/],
  [[{ name: 'a', called: 7, do: 'echo' }], /7 is no pattern/],
  [[{ name: 'a', when: 'night', do: 'echo' }], /'night' is no time/],
  [[{ name: 'a', if: true, do: 'echo' }], /if: true is no function/],
  [[{ name: 'a', transit: 'yes', do: 'echo' }], /transit: true or nothing/],
  [[{ name: 'a', source: 'trunks', do: 'echo' }], /source: 'trunks' is none/],
  [[{ name: 'a', rewrite: {} }], /rewrite: \{\} has to be/],
  [[{ name: 'a', rewrite: { to: 'x' } }], /rewrite has no 'to'/],
  [[{ name: 'a', rewrite: { called: '' } }], /rewrite: called: '' has to be a text/],
  [[{ name: 'a', called: '0{n}', do: { trunk: 't', number: '{m}' } }], /nothing fills \{m\} in/],
  [[{ name: 'a', called: ['0{n}', '1'], do: { trunk: 't', number: '{n}' } }], /nothing fills \{n\} in/],
  [[{ name: 'a', do: { ring: '{n}' } }], /nothing fills \{n\} in/],
  [[{ name: 'a', do: 'ring' }], /'ring' is nothing that can be done/],
  [[{ name: 'a', do: {} }], /says not what to do: one of ring, trunk, uri, forward/],
  [[{ name: 'a', do: { ring: 'x', trunk: 'y' } }], /says ring and trunk; one thing is done, or a list of steps/],
  [[{ name: 'a', do: { ring: 'x', for: 5 } }], /ring has no 'for', only forSeconds/],
  [[{ name: 'a', do: { ring: 'x', forSeconds: 0 } }], /forSeconds: 0 is no number of seconds from 1 to 3600/],
  [[{ name: 'a', do: { ring: [] } }], /ring: 1 to 32 at once/],
  [[{ name: 'a', do: { ring: [{ trunk: 't' }] } }], /is no place: a user's or a group's name/],
  [[{ name: 'a', do: { trunk: [] } }], /trunk: 1 to 16 trunks/],
  [[{ name: 'a', do: { trunk: ['t', 7] } }], /trunk: 7 has to be a text/],
  [[{ name: 'a', do: { reject: 200 } }], /reject: 200 is no status from 400 to 699/],
  [[{ name: 'a', do: { reject: 486, reason: 'a\r\nb' } }], /reason: .* has to be a text/],
  [[{ name: 'a', do: [] }], /a list of steps has 1 to 16 of them/],
  [[{ name: 'a', do: [{ forward: '1' }, { ring: 'x' }] }], /forward can only be the last step/],
  [[{ name: 'a', do: ['echo'] }], /'echo' is no step/],
  [[{ name: 'a', do: [{ reject: 486 }] }], /is no step: one of ring, trunk, uri, forward is needed/],
];

for (const [exported, words] of WRONG)
  test(`refused: ${words.source}`, () => {
    const { problems } = compileRules(exported, 'UTC');
    assert.equal(problems.length, 1, problems.map((one) => one.words).join('\n'));
    assert.match(problems[0]!.words, words);
  });

test('all mistakes are said at once', () => {
  const { problems } = compileRules([{ name: 'a', called: '', if: 1, do: {} }, { name: 'b' }], 'UTC');
  assert.equal(problems.length, 4);
  assert.deepEqual(
    problems.map(({ rule }) => rule),
    ['a', 'a', 'a', 'b'],
  );
});

const ring = (target: object, more: object = {}) => ({ kind: 'ring', steps: [{ targets: [target], ...more }] });

/** What a thread might say, with code of the user's beside it: [decision, what is wrong with it] */
const STRANGE: readonly [unknown, RegExp][] = [
  [undefined, /is no decision/],
  [{ kind: 'dance' }, /'dance' is no kind of decision/],
  [{ kind: 'ring', steps: [] }, /1 to 128 steps/],
  [{ kind: 'ring', steps: Array(129).fill({}) }, /1 to 128 steps/],
  [{ kind: 'ring', steps: [{ targets: [] }] }, /1 to 64 can be rung at once/],
  [{ kind: 'ring', steps: [null] }, /1 to 64 can be rung at once/],
  [ring({ kind: 'user', user: 'a b' }), /'a b' is no user's name/],
  [ring({ kind: 'user', user: 'x'.repeat(129) }), /is no user's name/],
  [ring({ kind: 'user', user: 'bob\r\nVia: x' }), /is no user's name/],
  [ring({ kind: 'user', user: 'bob' }, { ringS: 1e9 }), /1000000000 is no number of seconds/],
  [ring({ kind: 'trunk', trunk: 't', number: '1;evil=1' }), /'1;evil=1' is no number that can be dialled/],
  [ring({ kind: 'trunk', trunk: 't', number: '{n}' }), /'\{n\}' is no number/],
  [ring({ kind: 'trunk', trunk: '', number: '1' }), /is no trunk's name/],
  [ring({ kind: 'uri', uri: 'http://x' }), /'http:\/\/x' is no SIP address/],
  [ring({ kind: 'uri', uri: 'sip:a@b>\r\nX: y' }), /is no SIP address/],
  [ring({ kind: 'group', group: 'x' }), /'group' can't be rung/],
  [{ ...ring({ kind: 'user', user: 'bob' }), showAs: { from: 'a"b' } }, /can't be shown as the caller/],
  [{ ...ring({ kind: 'user', user: 'bob' }), showAs: { displayName: 'x'.repeat(129) } }, /can't be shown as a name/],
  [{ kind: 'reject', status: 200, reason: 'x' }, /200 is no status/],
  [{ kind: 'reject', status: '486', reason: 'x' }, /'486' is no status/],
  [{ kind: 'reject', status: 486, reason: 'a\nb' }, /is no reason/],
  [{ kind: 'park', slot: '../x' }, /is no parking slot/],
  [{ kind: 'room', room: '' }, /is no name of a room/],
  [{ kind: 'pickup', user: 7 }, /7 is no user's name/],
];

for (const [decision, words] of STRANGE)
  test(`a decision is refused: ${words.source}`, () =>
    assert.match(String(checkRouted({ decision, steps: [] })), words));

test('sentences that are none are refused, and a good decision loses what does not belong to it', () => {
  for (const steps of [undefined, [7], Array(503).fill(''), ['x'.repeat(401)]])
    assert.match(String(checkRouted({ decision: { kind: 'echo' }, steps })), /no list of sentences/);
  assert.deepEqual(checkRouted({ decision: { kind: 'echo', evil: 1 }, steps: ['a'], more: 1 }), {
    decision: { kind: 'echo' },
    steps: ['a'],
  });
});
