import { type Crypto, StunAttribute, type StunMessage, type StunWriter } from '@offhook/core';

/** How a message is signed: MESSAGE-INTEGRITY-SHA256, or MESSAGE-INTEGRITY towards clients of before RFC 8489. */
export interface Signature {
  readonly key: Uint8Array;
  readonly attribute: 'sha1' | 'sha256';
}

export function sign(writer: StunWriter, { key, attribute }: Signature, crypto: Crypto): void {
  if (attribute === 'sha256') writer.integritySha256(key, crypto);
  else writer.integrity(key, crypto);
}

/**
 * "If the MESSAGE-INTEGRITY-SHA256 attribute is present, compute … Otherwise … MESSAGE-INTEGRITY" (RFC 8489 9.2.4). TURN
 * allows no truncation (14.6).
 */
export function isSignedWith(message: StunMessage, key: Uint8Array, crypto: Crypto): boolean {
  if (!message.hasIntegritySha256) return message.verifyIntegrity(key, crypto);
  const isWhole = message.attribute(StunAttribute.messageIntegritySha256)?.length === 32;
  return isWhole && message.verifyIntegritySha256(key, crypto);
}
