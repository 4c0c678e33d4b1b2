import { type Crypto, createRequest, hex, NameAddr, type SipMessage, SipUri, utf8 } from '@offhook/core';
import type { Binding } from '../registrar/index.ts';
import type { PagerMessage } from './message.ts';
import { RECEIPT, receipt } from './receipt.ts';

interface Writer {
  readonly crypto: Crypto;
  readonly secret: Uint8Array;
  readonly domain: string;
  readonly displayName: (user: string) => string;
}

/**
 * A message as it goes to a phone. Call-ID, From tag and CSeq are those of every other copy of it, so that a phone which has
 * it already, but whose answer was lost, knows it again. No Contact: a MESSAGE begins no dialog (RFC 3428 4).
 */
export function copyFor(message: PagerMessage, binding: Binding, by: Writer): SipMessage {
  const { id, from, to, isPrivate, contentType, body, headers, sentAt } = message;
  const party = isPrivate
    ? '"Anonymous" <sip:anonymous@anonymous.invalid>'
    : new NameAddr(new SipUri({ user: from, host: by.domain }), undefined, by.displayName(from)).toString();
  return createRequest({
    method: 'MESSAGE',
    uri: binding.contact.toString(),
    from: `${party};tag=${id.slice(0, 16)}`,
    to: addressOf(to, by.domain),
    callId: `${id}@${by.domain}`,
    cseq: 1,
    headers: [
      ...binding.path.map((value) => ['Route', value] as const),
      ['Date', new Date(sentAt).toUTCString()],
      ['User-Agent', 'Offhook'],
      ...headers,
    ],
    body: body.length > 0 ? { type: contentType, bytes: body } : undefined,
  });
}

/** The receipt for a message that was kept, to a phone of its sender. */
export function receiptFor(
  message: PagerMessage,
  status: 'delivered' | 'failed',
  binding: Binding,
  by: Writer,
): SipMessage {
  const { from, to, id } = message;
  const tag = hex(by.crypto.hmac('sha1', by.secret, utf8(`${id} ${status}`)).subarray(0, 8));
  return createRequest({
    method: 'MESSAGE',
    uri: binding.contact.toString(),
    from: `${addressOf(to, by.domain)};tag=${tag}`,
    to: addressOf(from, by.domain),
    callId: `${tag}-${id}@${by.domain}`,
    cseq: 1,
    headers: [...binding.path.map((value) => ['Route', value] as const), ['User-Agent', 'Offhook']],
    body: { type: RECEIPT, bytes: receipt(message, `sip:${to}@${by.domain}`, status) },
  });
}

function addressOf(user: string, host: string): string {
  return new NameAddr(new SipUri({ user, host })).toString();
}
