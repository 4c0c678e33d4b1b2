import { encodeNg, type NgEncoding, text } from '@offhook/core';

/** A longer cookie is not sent back: who forges a source address gets some 100 bytes sent there, no more. */
const MAX_COOKIE = 32;
const SPACE = 0x20;

/** The answer to bytes that are no message, in rtpengine's words; undefined without a cookie to answer to. */
export function malformedAnswer(bytes: Uint8Array): { answer: Uint8Array; encoding: NgEncoding } | undefined {
  const end = bytes.subarray(0, MAX_COOKIE + 1).indexOf(SPACE);
  if (end < 1) return undefined;
  for (let i = 0; i < end; i++) if (bytes[i]! < 0x21 || bytes[i]! > 0x7e) return undefined;
  const first = bytes[end + 1];
  const encoding = first === 0x7b ? 'json' : 'bencode';
  const reason =
    first === 0x7b
      ? 'Failed to parse JSON document'
      : first === 0x64
        ? 'Could not decode bencode dictionary'
        : 'Invalid NG data format';
  const answer = encodeNg(text(bytes.subarray(0, end)), { result: 'error', 'error-reason': reason }, encoding);
  return { answer, encoding };
}
