import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LinkCause } from './link.ts';
import { insecureWords, linkMessage, linkWords, mediaProblem, mediaWords, signInWords } from './messages.ts';

test('every standing of the link has words', () => {
  assert.equal(linkWords({ kind: 'registered' }), 'Ready');
  assert.equal(linkMessage({ kind: 'registered' }), undefined);
  for (const cause of ['lost', 'unreachable', 'refused', 'busy'] satisfies LinkCause[]) {
    assert.ok(linkMessage({ kind: 'reconnecting', cause, retryAtMs: 0, attempt: 0 })!.detail);
  }
  assert.equal(linkMessage({ kind: 'expired' })!.action, 'sign-in');
  assert.equal(linkMessage({ kind: 'refused', status: 403, reason: 'Forbidden' })!.action, 'sign-in');
});

test('getUserMedia errors become problems a person can mend', () => {
  assert.equal(mediaProblem('NotAllowedError'), 'refused');
  assert.equal(mediaProblem('NotFoundError'), 'missing');
  assert.equal(mediaProblem('NotReadableError'), 'busy');
  assert.equal(mediaProblem('TypeError'), 'unknown');
  assert.match(mediaWords('insecure', 'microphone').title, /not a secure context/);
  assert.match(mediaWords('insecure', 'microphone').detail!, /localhost/);
  assert.match(insecureWords('microphone', 'link-held').detail!, /https is needed.*not used up/);
  assert.match(mediaWords('refused', 'microphone').detail!, /allow the microphone/);
  assert.equal(mediaWords('missing', 'camera').action, 'audio-only');
});

test('sign-in failures are told apart', () => {
  const problems = ['empty', 'wrong', 'link-used', 'unreachable', 'limited', 'failed'] as const;
  assert.equal(new Set(problems.map((p) => signInWords(p).title)).size, problems.length);
  assert.match(signInWords('link-used').detail!, /npx offhook link/);
});
