import { NG_LIMITS } from './limits.ts';

/** What a stream reader found next: a whole message, nothing yet, or bytes that can't be one. */
export type NgStreamItem = Uint8Array | 'incomplete' | 'malformed';

type Part = 'cookie' | 'start' | 'bencode' | 'json';

const SPACE = 0x20;
/** The longest number in front of a bencoded text, and inside `i…e`. */
const MAX_DIGITS = 16;

/**
 * Cuts a byte stream into NG messages, as rtpengine's `listen-tcp-ng` does: they follow each other without anything
 * between, each a cookie, a space and one dictionary. Where a dictionary ends is found by its own form; whether it is a
 * good one is for `decodeNg`. White space between messages is passed over. Each byte is looked at once.
 *
 *     c1 d7:command4:pingec2 {"command":"ping"}c3 d…
 */
export class NgStreamReader {
  readonly #room = new Uint8Array(2 * NG_LIMITS.bytes);
  /** Bytes held, and how far they were looked at. */
  #length = 0;
  #at = 0;
  #part: Part = 'cookie';
  #depth = 0;
  #isQuoted = false;
  #isBroken = false;

  /** Whether part of a message waits for the rest. */
  get isWithin(): boolean {
    return this.#length > 0;
  }

  /** Takes what of `bytes` there is room for and answers how much; `next` has to be called between. */
  push(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.#room.length - this.#length);
    this.#room.set(bytes.subarray(0, taken), this.#length);
    this.#length += taken;
    return taken;
  }

  /** The next message, a copy. After `malformed` nothing more can be found. */
  next(): NgStreamItem {
    if (this.#isBroken) return 'malformed';
    if (this.#part === 'cookie' && this.#at === 0) this.#skipSpace();
    const end = this.#scan();
    if (end === 'malformed' || (end === 'incomplete' && this.#length > NG_LIMITS.bytes)) {
      this.#isBroken = true;
      return 'malformed';
    }
    if (end === 'incomplete') return end;
    const message = this.#room.slice(0, end);
    this.#room.copyWithin(0, end, this.#length);
    this.#length -= end;
    this.#at = 0;
    this.#part = 'cookie';
    return message;
  }

  #skipSpace(): void {
    let start = 0;
    while (start < this.#length && isSpace(this.#room[start]!)) start++;
    this.#room.copyWithin(0, start, this.#length);
    this.#length -= start;
  }

  #scan(): number | 'incomplete' | 'malformed' {
    if (this.#part === 'cookie') {
      for (; ; this.#at++) {
        if (this.#at > NG_LIMITS.cookie) return 'malformed';
        if (this.#at >= this.#length) return 'incomplete';
        const byte = this.#room[this.#at]!;
        if (byte === SPACE) break;
        if (byte < 0x21 || byte > 0x7e) return 'malformed';
      }
      if (this.#at === 0) return 'malformed';
      this.#at++;
      this.#part = 'start';
    }
    if (this.#part === 'start') {
      if (this.#at >= this.#length) return 'incomplete';
      const first = this.#room[this.#at];
      if (first !== 0x64 && first !== 0x7b) return 'malformed';
      this.#part = first === 0x64 ? 'bencode' : 'json';
      this.#depth = 0;
      this.#isQuoted = false;
    }
    return this.#part === 'bencode' ? this.#bencode() : this.#json();
  }

  #bencode(): number | 'incomplete' | 'malformed' {
    while (this.#at < this.#length) {
      const byte = this.#room[this.#at]!;
      if (byte === 0x64 || byte === 0x6c) {
        this.#at++;
        if (++this.#depth > NG_LIMITS.depth + 1) return 'malformed';
      } else if (byte === 0x65) {
        this.#at++;
        if (--this.#depth === 0) return this.#at;
      } else {
        const next = byte === 0x69 ? this.#pastNumber() : this.#pastText();
        if (typeof next !== 'number') return next;
        this.#at = next;
      }
    }
    return 'incomplete';
  }

  #pastNumber(): number | 'incomplete' | 'malformed' {
    for (let at = this.#at + 1; at - this.#at <= MAX_DIGITS + 1; at++) {
      if (at >= this.#length) return 'incomplete';
      const byte = this.#room[at]!;
      if (byte === 0x65) return at + 1;
      if (!isDigit(byte) && byte !== 0x2d) return 'malformed';
    }
    return 'malformed';
  }

  #pastText(): number | 'incomplete' | 'malformed' {
    let length = 0;
    for (let at = this.#at; at - this.#at <= MAX_DIGITS; at++) {
      if (at >= this.#length) return 'incomplete';
      const byte = this.#room[at]!;
      if (byte === 0x3a && at > this.#at) {
        const end = at + 1 + length;
        if (end > NG_LIMITS.bytes) return 'malformed';
        return end > this.#length ? 'incomplete' : end;
      }
      if (!isDigit(byte)) return 'malformed';
      length = length * 10 + byte - 0x30;
    }
    return 'malformed';
  }

  #json(): number | 'incomplete' | 'malformed' {
    while (this.#at < this.#length) {
      const byte = this.#room[this.#at]!;
      if (this.#isQuoted) {
        if (byte === 0x5c) {
          if (this.#at + 1 >= this.#length) return 'incomplete';
          this.#at++;
        } else if (byte === 0x22) this.#isQuoted = false;
      } else if (byte === 0x22) this.#isQuoted = true;
      else if (byte === 0x7b || byte === 0x5b) {
        if (++this.#depth > NG_LIMITS.depth + 1) return 'malformed';
      } else if ((byte === 0x7d || byte === 0x5d) && --this.#depth === 0) return ++this.#at;
      this.#at++;
    }
    return 'incomplete';
  }
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
