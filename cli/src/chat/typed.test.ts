import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePerson } from './address.ts';
import { COMMAND_HELP, COMMANDS, parseTyped, type Typed } from './typed.ts';

const TYPED: readonly [string, Typed | RegExp][] = [
  ['', { kind: 'nothing' }],
  ['  ', { kind: 'nothing' }],
  [' hello ', { kind: 'text', text: ' hello ' }],
  ['//to be', { kind: 'text', text: '/to be' }],
  ['/to bob', { kind: 'to', who: 'bob' }],
  ['/TO  bob@example.org ', { kind: 'to', who: 'bob@example.org' }],
  ['/to', /to whom\?/],
  ['/to bob and carol', /to whom\?/],
  ['/who', { kind: 'who', who: undefined }],
  ['/who bob', { kind: 'who', who: 'bob' }],
  ['/status', { kind: 'show-status' }],
  ['/status Busy', { kind: 'status', status: 'busy', note: '' }],
  ['/status away back  at five', { kind: 'status', status: 'away', note: 'back at five' }],
  ['/status asleep', /available, busy, away/],
  ['/history bob', { kind: 'history', who: 'bob' }],
  ['/forget bob', { kind: 'forget', who: 'bob' }],
  ['/forget', /forget whom\?/],
  ['/help', { kind: 'help' }],
  ['/quit', { kind: 'quit' }],
  ['/etc/passwd', /is no command; \/help names them/],
];

for (const [line, meant] of TYPED)
  test(`typed: '${line}'`, () => {
    const typed = parseTyped(line);
    if (meant instanceof RegExp) assert.match(typed.kind === 'mistake' ? typed.words : typed.kind, meant);
    else assert.deepEqual(typed, meant);
  });

test('help tells of every command', () => {
  for (const command of COMMANDS) assert.ok(COMMAND_HELP.some((line) => line.startsWith(command)));
});

const PEOPLE: readonly [string, string | undefined, string?][] = [
  ['bob', 'sip:bob@example.test', 'bob'],
  ['bob@example.test', 'sip:bob@example.test', 'bob'],
  ['bob@EXAMPLE.org', 'sip:bob@example.org', 'bob@example.org'],
  ['sip:bob@example.test:5070;x=1', 'sip:bob@example.test:5070', 'bob@example.test:5070'],
  ['sips:bob@example.test', 'sips:bob@example.test', 'bob'],
  ['+49 30', undefined],
  ['+4930', 'sip:+4930@example.test', '+4930'],
  ['sip:%1B%5B2Jbob@example.test', 'sip:%1B%5B2Jbob@example.test', '%1B%5B2Jbob@example.test'],
  ['sip:bob%3A%20x@example.test', 'sip:bob%3A%20x@example.test', 'bob%3A%20x@example.test'],
  ['bøb', 'sip:b%C3%B8b@example.test', 'bøb'],
  ['', undefined],
  ['@example.org', undefined],
  ['a@b@c', undefined],
  ['<sip:bob@x>', undefined],
  ['tel:+49', undefined],
  ['x'.repeat(200), undefined],
];

for (const [typed, uri, name] of PEOPLE)
  test(`address: '${typed.slice(0, 40)}' is ${uri ?? 'none'}`, () => {
    const person = parsePerson(typed, 'example.test');
    assert.equal(person?.uri.toString(), uri);
    assert.equal(person?.name, name);
  });
