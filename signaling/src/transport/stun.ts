import { decodeStun, type SocketAddress, StunAttribute, StunClass, StunMethod, StunWriter } from '@offhook/core';

/** Header, UNKNOWN-ATTRIBUTES of every type a message can hold, FINGERPRINT: what an answer needs at most. */
const ANSWER_BYTES = 512;
const NONE_KNOWN: ReadonlySet<number> = new Set();

/**
 * The answer to a STUN Binding request on the SIP port, by which a phone keeps its NAT binding open and learns its address
 * (RFC 5626 4.4.2 and 8). Nothing else is answered. A request of 20 bytes gets 32, or 44 over IPv6: 2.2 times at most.
 */
export function answerStun(bytes: Uint8Array, from: SocketAddress): Uint8Array | undefined {
  const request = decodeStun(bytes);
  if (request?.class !== StunClass.request || request.method !== StunMethod.binding) return undefined;
  const writer = new StunWriter(new Uint8Array(ANSWER_BYTES));
  // RFC 8489 6.3.1: unknown comprehension-required attributes: 420
  const unknown = request.unknownRequired(NONE_KNOWN);
  if (unknown.length === 0) {
    writer
      .start(StunClass.success, StunMethod.binding, request.transactionId)
      .xorAddress(StunAttribute.xorMappedAddress, from);
  } else {
    writer.start(StunClass.error, StunMethod.binding, request.transactionId).errorCode(420).unknownAttributes(unknown);
  }
  // "include FINGERPRINT in the response if it was in the request"
  if (request.has(StunAttribute.fingerprint)) writer.fingerprint();
  const answer = writer.message();
  return answer.length > 0 ? answer : undefined;
}
