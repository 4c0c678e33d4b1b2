import assert from 'node:assert/strict';
import { answerChallenge, BRANCH_COOKIE, parseChallenge, type SipMessage } from '@offhook/core';
import { nodeCrypto } from '@offhook/core/node';
import { DOMAIN, type Phone } from './test-kit.ts';

/** `INVITE` for a request, `180 INVITE` for a response. */
export const word = (m: SipMessage) => (m.kind === 'request' ? m.method : `${m.status} ${m.method}`);

/**
 * Checks that this, in this order, and nothing else came to the phone since it last looked, and that each message keeps
 * the rules of a user agent. Answers the messages.
 */
export function sees(phone: Phone, ...expected: string[]): SipMessage[] {
  const got = phone.take();
  assert.deepEqual(got.map(word), expected, `what ${phone.user} sees`);
  for (const message of got) assertOfUserAgent(message, phone);
  return got;
}

/** The one message that came to the phone. */
export function seesOne(phone: Phone, expected: string): SipMessage {
  return sees(phone, expected)[0]!;
}

/** What holds for every message of a back-to-back user agent: it speaks for itself, whoever is behind it. */
function assertOfUserAgent(message: SipMessage, phone: Phone): void {
  const what = word(message);
  assert.ok(message.from.tag, `${what}: From has a tag (RFC 3261 8.1.1.3)`);
  const contacts = message.contacts;
  const isOurs = () => {
    assert.ok(contacts && contacts !== '*', `${what}: Contact`);
    assert.equal(contacts.length, 1, `${what}: one Contact`);
    const own = phone.flow.transport === 'ws' ? DOMAIN : phone.flow.local.address;
    assert.equal(contacts[0]?.uri.host, own, `${what}: the Contact is the server's, not the other phone's`);
  };
  if (message.kind === 'request') {
    assert.equal(message.vias.length, 1, `${what}: a Via of its own and no other`);
    assert.ok(message.vias[0]?.branch.startsWith(BRANCH_COOKIE), `${what}: branch`);
    assert.deepEqual(message.headers('record-route'), [], `${what}: a user agent records no route`);
    assert.equal(message.cseq.method, message.method, `${what}: CSeq names the method`);
    if (message.method === 'INVITE') {
      isOurs();
      assert.ok(
        message.hasToken('allow', 'BYE') && message.headers('supported').length === 1,
        `${what}: Allow, Supported`,
      );
    }
    return;
  }
  if (message.status > 100) assert.ok(message.to.tag, `${what}: To has a tag (RFC 3261 8.2.6.2)`);
  if (message.method === 'INVITE' && message.status > 100 && message.status < 300) isOurs();
  if (message.status >= 300 && message.method === 'INVITE' && message.status !== 401)
    assert.match(
      message.header('reason') ?? '',
      /^SIP;cause=\d{3};text=".+"$/,
      `${what}: says why in words (RFC 3326)`,
    );
}

/** The two legs of a call are dialogs of their own: no identifier of the one is seen on the other. */
export function assertLegsApart(left: SipMessage, right: SipMessage): void {
  assert.notEqual(left.callId, right.callId, 'Call-ID');
  const tags = [left.from.tag, left.to.tag, right.from.tag, right.to.tag].filter((t) => t !== undefined);
  assert.equal(new Set(tags).size, tags.length, 'tags');
  assert.notEqual(left.vias[0]?.branch, right.vias[0]?.branch, 'branch');
}

/** The Authorization that answers a 401 for a request. */
export function credentials(
  challenge: SipMessage,
  of: { user: string; method: string; uri: string; nc?: number; password?: string },
): [string, string] {
  const { user: username, method, uri, nc, password = 'pw' } = of;
  const parsed = parseChallenge(challenge.header('www-authenticate') ?? '');
  assert.ok(parsed, 'a challenge');
  const value = answerChallenge({ challenge: parsed, username, password, method, uri, nc }, nodeCrypto);
  return ['Authorization', value!];
}

/** Sends a request that is challenged, and again with credentials and the next CSeq, as a phone over UDP does (RFC 3261 22). */
export function askTwice(phone: Phone, method: string, over: Parameters<Phone['request']>[1] & { cseq: number }): void {
  const uri = over.uri ?? `sip:bob@${DOMAIN}`;
  phone.request(method, over);
  const challenge = seesOne(phone, `401 ${method}`);
  if (method === 'INVITE')
    phone.request('ACK', { ...over, sdp: undefined, branch: `${phone.user}${over.cseq}${method}` });
  const authorization = credentials(challenge, { user: phone.user, method, uri });
  const headers = [...(over.headers ?? []), authorization];
  phone.request(method, { ...over, cseq: over.cseq + 1, headers });
}

/** A phone over UDP registers: challenged, then accepted. */
export function signUp(phone: Phone): SipMessage {
  askTwice(phone, 'REGISTER', {
    uri: `sip:${DOMAIN}`,
    to: `<sip:${phone.user}@${DOMAIN}>`,
    callId: `registration of ${phone.flow.id}`.replaceAll(' ', '-'),
    cseq: 1,
  });
  return seesOne(phone, '200 REGISTER');
}
