const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Texts up to this length are worth a loop: a call of the encoder costs more. */
const SHORT = 128;

/** UTF-8 bytes of a text. */
export function utf8(text: string): Uint8Array {
  if (text.length > SHORT) return encoder.encode(text);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) return encoder.encode(text);
    bytes[i] = code;
  }
  return bytes;
}

/** The text of UTF-8 bytes; invalid sequences become U+FFFD, it never throws. */
export function text(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

const HEX = Array.from({ length: 256 }, (_, b) => b.toString(16).padStart(2, '0'));

/** Lower-case hexadecimal text. */
export function hex(bytes: Uint8Array): string {
  let out = '';
  let at = 0;
  // Four at a time: each step makes one string more.
  for (; at + 4 <= bytes.length; at += 4)
    out += HEX[bytes[at]!]! + HEX[bytes[at + 1]!]! + HEX[bytes[at + 2]!]! + HEX[bytes[at + 3]!]!;
  for (; at < bytes.length; at++) out += HEX[bytes[at]!]!;
  return out;
}

/** Bytes of hexadecimal text (white space ignored), or undefined when it is not hexadecimal. */
export function fromHex(digits: string): Uint8Array | undefined {
  const clean = digits.replace(/\s+/g, '');
  if (clean.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(clean)) return undefined;
  const out = new Uint8Array(clean.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(clean.slice(i * 2, i * 2 + 2), 16);
  return out;
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Base64 with padding (RFC 4648 4). */
export function base64(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const n = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    out += BASE64[n >> 18]! + BASE64[(n >> 12) & 63]!;
    out += i + 1 < bytes.length ? BASE64[(n >> 6) & 63]! : '=';
    out += i + 2 < bytes.length ? BASE64[n & 63]! : '=';
  }
  return out;
}

/** URL-safe base64 without padding (RFC 4648 5). */
export function base64url(bytes: Uint8Array): string {
  return base64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Bytes of base64 or base64url text, padding optional; undefined when it is neither. */
export function fromBase64(encoded: string): Uint8Array | undefined {
  const clean = encoded.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  if (clean.length % 4 === 1) return undefined;
  const out = new Uint8Array(Math.floor((clean.length * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const c of clean) {
    const v = BASE64.indexOf(c);
    if (v < 0) return undefined;
    bits = ((bits << 6) | v) & 0xffffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out[at++] = (bits >> held) & 255;
    }
  }
  return out;
}

/** Whether both have the same length and bytes. Not for secrets: see `Crypto.equal`. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * A copy of a text that came out of a message, for what is kept: engines cut strings out by pointing into the whole, which
 * would be kept with them.
 */
export function apart(part: string): string {
  return text(utf8(part));
}
