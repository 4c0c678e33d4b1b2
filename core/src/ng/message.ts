import { text, utf8 } from '../base/index.ts';
import { decodeBencode, encodeBencode, isDictionary } from './bencode.ts';
import { NG_LIMITS } from './limits.ts';

/** A value of the NG control protocol. */
export type NgValue = string | number | NgValue[] | NgDictionary;

/** Keys to values. Decoded ones have no prototype, so a key from outside can't shadow anything. */
export interface NgDictionary {
  readonly [key: string]: NgValue | undefined;
}

export type NgEncoding = 'bencode' | 'json';

/** One datagram of rtpengine's NG control protocol: cookie, space, dictionary. */
export interface NgMessage {
  /** Chosen by the client; the answer starts with the same. */
  readonly cookie: string;
  readonly message: NgDictionary;
  /** What the sender wrote; the answer uses the same. */
  readonly encoding: NgEncoding;
}

/** Decodes a datagram; undefined when it is malformed or beyond `NG_LIMITS`. Never throws. */
export function decodeNg(bytes: Uint8Array): NgMessage | undefined {
  if (bytes.length > NG_LIMITS.bytes) return undefined;
  const space = bytes.subarray(0, NG_LIMITS.cookie + 1).indexOf(0x20);
  if (space < 1) return undefined;
  for (let i = 0; i < space; i++) if (bytes[i]! < 0x21 || bytes[i]! > 0x7e) return undefined;
  const cookie = text(bytes.subarray(0, space));
  const first = bytes[space + 1];
  if (first === 0x64) {
    const message = decodeBencode(bytes, space + 1);
    return message && { cookie, message, encoding: 'bencode' };
  }
  if (first !== 0x7b) return undefined;
  const message = decodeJson(text(bytes.subarray(space + 1)));
  return message && { cookie, message, encoding: 'json' };
}

/** Encodes a message; entries that are undefined are left out. The caller keeps it within what its transport carries. */
export function encodeNg(cookie: string, message: NgDictionary, encoding: NgEncoding): Uint8Array {
  const head = utf8(`${cookie} `);
  const body = encoding === 'json' ? utf8(JSON.stringify(message)) : encodeBencode(message);
  const out = new Uint8Array(head.length + body.length);
  out.set(head);
  out.set(body, head.length);
  return out;
}

function decodeJson(json: string): NgDictionary | undefined {
  if (!shallow(json)) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    return undefined;
  }
  let values = 0;
  const convert = (value: unknown): NgValue | undefined => {
    if (++values > NG_LIMITS.values) return undefined;
    if (typeof value === 'string' || typeof value === 'number') return value;
    if (typeof value === 'boolean') return value ? 1 : 0;
    if (Array.isArray(value)) {
      const list: NgValue[] = [];
      for (const item of value) {
        const converted = convert(item);
        if (converted === undefined) return undefined;
        list.push(converted);
      }
      return list;
    }
    if (value === null || typeof value !== 'object') return undefined;
    const out = Object.create(null) as Record<string, NgValue>;
    for (const [key, item] of Object.entries(value)) {
      const converted = convert(item);
      if (converted === undefined) return undefined;
      out[key] = converted;
    }
    return out;
  };
  const message = convert(parsed);
  return isDictionary(message) ? message : undefined;
}

/** Whether brackets outside of strings nest no deeper than allowed, so that neither the parser nor we recurse far. */
function shallow(json: string): boolean {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < json.length; i++) {
    const c = json.charCodeAt(i);
    if (quoted) {
      if (c === 92) i++;
      else if (c === 34) quoted = false;
    } else if (c === 34) quoted = true;
    else if (c === 91 || c === 123) {
      if (++depth > NG_LIMITS.depth + 1) return false;
    } else if (c === 93 || c === 125) depth--;
  }
  return true;
}
