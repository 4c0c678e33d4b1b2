import { text, utf8 } from '../base/index.ts';
import { NG_LIMITS } from './limits.ts';
import type { NgDictionary, NgValue } from './message.ts';

/** Decodes one bencoded dictionary that fills `bytes` from `start` on (BEP 3); undefined when malformed or too deep. */
export function decodeBencode(bytes: Uint8Array, start: number): NgDictionary | undefined {
  const reader = new Reader(bytes, start);
  const value = reader.value(0);
  return reader.done() && isDictionary(value) ? value : undefined;
}

/** Whether a value is a dictionary. */
export function isDictionary(value: NgValue | undefined): value is NgDictionary {
  return typeof value === 'object' && !Array.isArray(value);
}

/** Bencodes a value: strings as UTF-8, keys sorted, fractions (which bencode lacks) as text, undefined entries left out. */
export function encodeBencode(value: NgValue): Uint8Array {
  const parts: Uint8Array[] = [];
  let held = '';
  const put = (v: NgValue) => {
    if (typeof v === 'number' && Number.isSafeInteger(v)) held += `i${v}e`;
    else if (typeof v === 'number' || typeof v === 'string') {
      const bytes = utf8(String(v));
      parts.push(utf8(`${held}${bytes.length}:`), bytes);
      held = '';
    } else if (Array.isArray(v)) {
      held += 'l';
      for (const item of v) put(item);
      held += 'e';
    } else {
      held += 'd';
      for (const key of Object.keys(v as NgDictionary).sort()) {
        const item = (v as NgDictionary)[key];
        if (item === undefined) continue;
        put(key);
        put(item);
      }
      held += 'e';
    }
  };
  put(value);
  parts.push(utf8(held));
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const COLON = 58;
const MINUS = 45;

class Reader {
  readonly #bytes: Uint8Array;
  #at: number;
  #values = 0;

  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.#at = start;
  }

  done(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): NgValue | undefined {
    if (depth > NG_LIMITS.depth || ++this.#values > NG_LIMITS.values) return undefined;
    switch (this.#bytes[this.#at]) {
      case 0x64:
        return this.#dictionary(depth);
      case 0x6c:
        return this.#list(depth);
      case 0x69:
        this.#at++;
        return this.#number(0x65);
      default:
        return this.#string();
    }
  }

  #dictionary(depth: number): NgDictionary | undefined {
    const out = Object.create(null) as Record<string, NgValue>;
    this.#at++;
    while (!this.#ends()) {
      const key = this.#string();
      if (key === undefined) return undefined;
      const value = this.value(depth + 1);
      if (value === undefined) return undefined;
      out[key] = value;
    }
    return out;
  }

  #list(depth: number): NgValue[] | undefined {
    const out: NgValue[] = [];
    this.#at++;
    while (!this.#ends()) {
      const value = this.value(depth + 1);
      if (value === undefined) return undefined;
      out.push(value);
    }
    return out;
  }

  #ends(): boolean {
    if (this.#bytes[this.#at] !== 0x65) return false;
    this.#at++;
    return true;
  }

  #string(): string | undefined {
    const length = this.#number(COLON);
    if (length === undefined || length < 0 || this.#at + length > this.#bytes.length) return undefined;
    const value = text(this.#bytes.subarray(this.#at, this.#at + length));
    this.#at += length;
    return value;
  }

  /** Decimal digits up to `end`, no leading zeros, at most 15 of them so that the number is exact. */
  #number(end: number): number | undefined {
    const negative = this.#bytes[this.#at] === MINUS;
    const first = this.#at + (negative ? 1 : 0);
    let value = 0;
    let at = first;
    for (; ; at++) {
      const digit = (this.#bytes[at] ?? 0) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    const digits = at - first;
    if (this.#bytes[at] !== end || digits === 0 || digits > 15) return undefined;
    if (this.#bytes[first] === 48 && (digits > 1 || negative)) return undefined;
    this.#at = at + 1;
    return negative ? -value : value;
  }
}
