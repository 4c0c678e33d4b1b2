import { text } from '../base/index.ts';
import { parseDecimal } from './chars.ts';
import { canonicalName } from './header-names.ts';
import { SIP_LIMITS } from './limits.ts';

const EMPTY = new Uint8Array(0);

/**
 * Cuts a TCP or TLS byte stream into SIP messages by Content-Length (RFC 3261 18.3). CRLFCRLF between messages is a
 * keep-alive ping (RFC 5626 4.4.1). After an error the stream can't be trusted any more: close the connection.
 */
export class StreamFramer {
  /** Received and not yet handed out: `#buffer[#start..#end)`. The buffer grows by doubling, so copying stays linear. */
  #buffer: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;
  /** Whether the buffer is ours to write into, not a chunk of the caller's. */
  #owned = false;
  #failed = false;
  /** How far the end of the head has been searched for, and the length of the whole message once it is known. */
  #searched = 0;
  #wanted: number | undefined;

  push(bytes: Uint8Array): void {
    if (this.#failed || bytes.length === 0) return;
    const held = this.#end - this.#start;
    if (held === 0) {
      this.#buffer = bytes; // nothing is ever written into it: growing copies first
      this.#start = 0;
      this.#end = bytes.length;
      this.#owned = false;
      return;
    }
    if (!this.#owned || this.#end + bytes.length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(1024, (held + bytes.length) * 2));
      grown.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = grown;
      this.#start = 0;
      this.#end = held;
      this.#owned = true;
    }
    this.#buffer.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /** Whether a message has been begun and not ended: the caller limits how long that may last. */
  get pending(): boolean {
    return this.#end > this.#start;
  }

  /** Bytes of the message that has been begun. */
  get held(): number {
    return this.#end - this.#start;
  }

  /** The next whole message (a view), a keep-alive ping to be answered by CRLF, an error, or undefined until more arrives. */
  next(): Uint8Array | 'keepalive' | { readonly error: string } | undefined {
    if (this.#failed) return undefined;
    for (;;) {
      const held = this.#buffer.subarray(this.#start, this.#end);
      const first = held[0];
      if (first === undefined) return undefined;
      if (first !== 13 && first !== 10) return this.#message(held);
      let n = 0;
      while (n < held.length && n < 4 && (held[n] === 13 || held[n] === 10)) n++;
      if (n === 4 && first === 13 && held[1] === 10 && held[2] === 13 && held[3] === 10) {
        this.#drop(4);
        return 'keepalive';
      }
      if (n === held.length && n < 4) return undefined;
      this.#drop(n); // other line ends before a message are ignored (RFC 3261 7.5)
    }
  }

  #message(held: Uint8Array): Uint8Array | { readonly error: string } | undefined {
    if (this.#wanted === undefined) {
      const head = this.#headEnd(held);
      if (head < 0) return held.length > SIP_LIMITS.messageBytes ? this.#fail('the headers are too long') : undefined;
      const length = contentLength(held.subarray(0, head));
      if (typeof length === 'string') return this.#fail(length);
      if (head + length > SIP_LIMITS.messageBytes) return this.#fail('the message is too long');
      this.#wanted = head + length;
    }
    if (held.length < this.#wanted) return undefined;
    const message = held.subarray(0, this.#wanted);
    this.#drop(this.#wanted);
    return message;
  }

  #headEnd(held: Uint8Array): number {
    for (let lf = held.indexOf(10, this.#searched); lf >= 0; lf = held.indexOf(10, lf + 1)) {
      if (held[lf + 1] === 10) return lf + 2;
      if (held[lf + 1] === 13 && held[lf + 2] === 10) return lf + 3;
    }
    this.#searched = Math.max(0, held.length - 2);
    return -1;
  }

  #drop(count: number): void {
    this.#start += count;
    this.#searched = 0;
    this.#wanted = undefined;
    if (this.#start < this.#end) return;
    this.#buffer = EMPTY;
    this.#start = 0;
    this.#end = 0;
  }

  #fail(error: string): { readonly error: string } {
    this.#failed = true;
    this.#buffer = EMPTY;
    this.#start = 0;
    this.#end = 0;
    return { error };
  }
}

/** The one Content-Length of a head. On a stream it is mandatory, and two of them are an attack (RFC 3261 20.14). */
function contentLength(head: Uint8Array): number | string {
  let found: number | undefined;
  // A folded value goes on after its line end (RFC 3261 7.3.1), as the parser reads it.
  for (const line of text(head)
    .replace(/\r?\n[ \t]+/g, ' ')
    .split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 1 || canonicalName(line.slice(0, colon).trim()) !== 'content-length') continue;
    const value = parseDecimal(line.slice(colon + 1).trim(), Number.MAX_SAFE_INTEGER);
    if (value === undefined) return 'malformed Content-Length';
    if (found !== undefined && found !== value) return 'two different Content-Length headers';
    found = value;
  }
  return found ?? 'a message on a stream needs a Content-Length';
}
