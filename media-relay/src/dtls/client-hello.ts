const HANDSHAKE_RECORD = 22;
const CLIENT_HELLO = 1;
const MESSAGE_AT = 13;
const RANDOM_AT = 13 + 12 + 2;
const RANDOM_BYTES = 32;

/**
 * Whether a datagram begins with a plaintext ClientHello (RFC 6347 4.3.2), whole or its first fragment.
 *
 *     │ record header (13): 22, version, epoch 0, … │ message header (12): 1, … │ version (2) │ random (32) │ …
 */
export function isClientHello(bytes: Uint8Array): boolean {
  return (
    bytes.length >= RANDOM_AT + RANDOM_BYTES &&
    bytes[0] === HANDSHAKE_RECORD &&
    bytes[3] === 0 &&
    bytes[4] === 0 &&
    bytes[MESSAGE_AT] === CLIENT_HELLO
  );
}

/** A copy of its random, which tells one handshake from another: a hello said again has the same. */
export function clientRandom(hello: Uint8Array): Uint8Array {
  return hello.slice(RANDOM_AT, RANDOM_AT + RANDOM_BYTES);
}

export function hasClientRandom(hello: Uint8Array, random: Uint8Array): boolean {
  for (let i = 0; i < RANDOM_BYTES; i++) if (hello[RANDOM_AT + i] !== random[i]) return false;
  return true;
}
