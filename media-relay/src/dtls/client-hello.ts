const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const MESSAGE_AT = 13;
const FRAGMENT_AT = MESSAGE_AT + 6;
const RANDOM_AT = MESSAGE_AT + 12 + 2;
const RANDOM_END = RANDOM_AT + 32;

/**
 * Whether a datagram begins with a plaintext ClientHello or a fragment of one (RFC 6347 4.2.2, 4.3.2).
 *
 *     │ record header (13): 22, version, epoch 0, … │ 1 │ length (3) │ seq (2) │ fragment offset (3) │ its length (3) │
 *     │ version (2) │ random (32) │ …
 */
export function isClientHello(bytes: Uint8Array): boolean {
  const isPlaintext = bytes[3] === 0 && bytes[4] === 0;
  return bytes[0] === HANDSHAKE_RECORD && isPlaintext && bytes[MESSAGE_AT] === CLIENT_HELLO;
}

/** Its random, which tells one handshake from another: a hello said again has the same. Undefined in a later fragment. */
export function clientRandom(hello: Uint8Array): Uint8Array | undefined {
  const isFirst = hello[FRAGMENT_AT] === 0 && hello[FRAGMENT_AT + 1] === 0 && hello[FRAGMENT_AT + 2] === 0;
  return isFirst && hello.length >= RANDOM_END ? hello.slice(RANDOM_AT, RANDOM_END) : undefined;
}
