import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textParts } from './text-parts.ts';

/** Links in brackets. */
const shown = (text: string) =>
  textParts(text)
    .map((part) => (part.kind === 'link' ? `[${part.text}]` : part.text))
    .join('');

test('web addresses are found where people write them', () => {
  const cases: [string, string][] = [
    ['see https://example.org/a?b=c#d now', 'see [https://example.org/a?b=c#d] now'],
    ['HTTP://EXAMPLE.ORG', '[HTTP://EXAMPLE.ORG]'],
    ['(https://example.org/x).', '([https://example.org/x]).'],
    ['https://en.wikipedia.org/wiki/Call_(phone), yes', '[https://en.wikipedia.org/wiki/Call_(phone)], yes'],
    ['<https://a.example> "https://b.example"!', '<[https://a.example]> "[https://b.example]"!'],
    ['https://a.example\nhttps://b.example', '[https://a.example]\n[https://b.example]'],
    ['no links here', 'no links here'],
    ['', ''],
  ];
  for (const [text, expected] of cases) assert.equal(shown(text), expected);
});

test('nothing else becomes a link, nor an address that hides where it goes', () => {
  for (const text of [
    'javascript:alert(1)',
    'data:text/html,<script>',
    'ftp://example.org',
    'https://bank.example@evil.example/',
    'https://',
    'http://%%%',
  ])
    assert.equal(shown(text), text);
  assert.equal(shown('https://example.org/\u202egnp.exe'), '[https://example.org/]\u202egnp.exe');
});

test('the parts together are the text, whatever it is, and each href is http or https', () => {
  for (const text of ['a https://x.example/)) b', 'https://x.example...', `${'https://x.example '.repeat(80)}`]) {
    const parts = textParts(text);
    assert.equal(parts.map((part) => part.text).join(''), text);
    for (const part of parts) if (part.kind === 'link') assert.match(part.href, /^https?:\/\//);
  }
  assert.equal(textParts('https://x.example '.repeat(80)).filter(({ kind }) => kind === 'link').length, 50);
});
