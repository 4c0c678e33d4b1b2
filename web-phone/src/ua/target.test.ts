import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTarget } from './target.ts';

test('names, numbers and links become SIP addresses', () => {
  const cases: [string, string, string][] = [
    ['bob', 'sip:bob@offhook.local', 'bob'],
    [' 600 ', 'sip:600@offhook.local', '600'],
    ['+49 (170) 123-45', 'sip:+4917012345@offhook.local', '+4917012345'],
    ['tel:+49-170-12345', 'sip:+4917012345@offhook.local', '+4917012345'],
    ['sip:bob@example.org;transport=ws', 'sip:bob@example.org', 'bob@example.org'],
    ['<sip:bob@offhook.local>', 'sip:bob@offhook.local', 'bob'],
    ['bob@127.0.0.1:5060', 'sip:bob@127.0.0.1:5060', 'bob@127.0.0.1:5060'],
    ['jürgen', 'sip:j%C3%BCrgen@offhook.local', 'jürgen'],
    ['*98', 'sip:*98@offhook.local', '*98'],
    ['#21', 'sip:%2321@offhook.local', '#21'],
    ['first.last', 'sip:first.last@offhook.local', 'first.last'],
  ];
  for (const [text, uri, label] of cases) {
    const target = parseTarget(text, 'offhook.local');
    assert.ok(target.kind === 'target', text);
    assert.equal(target.uri, uri);
    assert.equal(target.label, label);
  }
});

test('what cannot be called is refused in words', () => {
  assert.equal(parseTarget('  ', 'd').kind, 'empty');
  for (const bad of ['@host', 'two words', 'bob@ho st', 'bob@', 'x'.repeat(300), 'bob@a\r\nb'])
    assert.equal(parseTarget(bad, 'd').kind, 'unusable', bad);
});
