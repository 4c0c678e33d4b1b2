import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redact, Trace } from './trace.ts';

test('credentials never reach the trace', () => {
  const text = redact(
    'REGISTER sip:x SIP/2.0\r\nAuthorization: Digest username="a", response="cafe"\r\n\r\na=ice-pwd:secret\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:key\r\noffhook.session.abc-123 /#login=tok',
  );
  assert.doesNotMatch(text, /cafe|secret|inline|abc-123|tok$/);
  assert.match(text, /^REGISTER sip:x/);
});

test('what people write to each other never reaches the trace', () => {
  const trace = new Trace();
  trace.add(new Date(0), 'sent', 'MESSAGE sip:bob@x SIP/2.0\r\nCall-ID: 1\r\n\r\nmeet me\r\n\r\nat nine');
  assert.match(trace.text(), /Call-ID: 1\r\n\r\n\[text removed\]$/);
});

test('only the last messages are kept', () => {
  const trace = new Trace(2);
  for (const n of [1, 2, 3]) trace.add(new Date(0), 'note', `line ${n}`);
  assert.doesNotMatch(trace.text(), /line 1/);
  assert.match(trace.text(), /line 2[\s\S]*line 3/);
});

test('reports of how a call sounds do not push out how it began', () => {
  const trace = new Trace();
  trace.add(new Date(0), 'sent', 'PUBLISH sip:x SIP/2.0\r\nCSeq: 1 PUBLISH\r\n\r\nVQIntervalReport');
  trace.add(new Date(0), 'received', 'SIP/2.0 200 OK\r\nCSeq: 1 PUBLISH\r\n\r\n');
  assert.equal(trace.text(), '');
});
