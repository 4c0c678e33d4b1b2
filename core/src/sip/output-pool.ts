import { utf8 } from '../base/index.ts';

const encoder = new TextEncoder();
const POOL_BYTES = 16_384;
let pool = new Uint8Array(POOL_BYTES);
let poolUsed = 0;

/**
 * Head and body as bytes out of a pool: an array of their own would cost more than all else that is done to write a message.
 * What is written is sent, and kept until its transaction ends, so what shares a pool goes at about the same time.
 */
export function pooled(head: string, body: Uint8Array): Uint8Array {
  const most = head.length * 3 + body.length;
  if (most > POOL_BYTES) return join([utf8(head), body]);
  if (poolUsed + most > POOL_BYTES) {
    pool = new Uint8Array(POOL_BYTES);
    poolUsed = 0;
  }
  const { written: bytes } = encoder.encodeInto(head, pool.subarray(poolUsed));
  const end = poolUsed + bytes + body.length;
  if (body.length > 0) pool.set(body, poolUsed + bytes);
  const message = pool.subarray(poolUsed, end);
  poolUsed = end;
  return message;
}

/** One array of all these. */
export function join(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
