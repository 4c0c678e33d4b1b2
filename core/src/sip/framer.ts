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
  #held: Uint8Array = EMPTY;
  #failed = false;
  /** How far the held bytes have been searched for the end of the head. */
  #searched = 0;

  push(bytes: Uint8Array): void {
    if (this.#failed) return;
    if (this.#held.length === 0) this.#held = bytes;
    else {
      const joined = new Uint8Array(this.#held.length + bytes.length);
      joined.set(this.#held);
      joined.set(bytes, this.#held.length);
      this.#held = joined;
    }
  }

  /** Whether a message has been begun and not ended: the caller limits how long that may last. */
  get pending(): boolean {
    return this.#held.length > 0;
  }

  /** The next whole message (a view), a keep-alive ping to be answered by CRLF, an error, or undefined until more arrives. */
  next(): Uint8Array | 'keepalive' | { readonly error: string } | undefined {
    if (this.#failed) return undefined;
    const held = this.#held;
    if (held.length === 0) return undefined;
    if (held[0] === 13 || held[0] === 10) {
      let n = 0;
      while (n < held.length && n < 4 && (held[n] === 13 || held[n] === 10)) n++;
      if (n === 4 && held[0] === 13 && held[1] === 10 && held[2] === 13 && held[3] === 10) {
        this.#drop(4);
        return 'keepalive';
      }
      if (n === held.length && n < 4) return undefined;
      this.#drop(n);
      return this.next();
    }
    const head = this.#headEnd();
    if (head < 0) return held.length > SIP_LIMITS.messageBytes ? this.#fail('the headers are too long') : undefined;
    const length = contentLength(held.subarray(0, head));
    if (typeof length === 'string') return this.#fail(length);
    if (head + length > SIP_LIMITS.messageBytes) return this.#fail('the message is too long');
    if (held.length < head + length) return undefined;
    const message = held.subarray(0, head + length);
    this.#drop(head + length);
    return message;
  }

  #headEnd(): number {
    const held = this.#held;
    for (let lf = held.indexOf(10, this.#searched); lf >= 0; lf = held.indexOf(10, lf + 1)) {
      if (held[lf + 1] === 10) return lf + 2;
      if (held[lf + 1] === 13 && held[lf + 2] === 10) return lf + 3;
    }
    this.#searched = Math.max(0, held.length - 2);
    return -1;
  }

  #drop(count: number): void {
    this.#held = count >= this.#held.length ? EMPTY : this.#held.subarray(count);
    this.#searched = 0;
  }

  #fail(error: string): { readonly error: string } {
    this.#failed = true;
    this.#held = EMPTY;
    return { error };
  }
}

/** The one Content-Length of a head. On a stream it is mandatory, and two of them are an attack (RFC 3261 20.14). */
function contentLength(head: Uint8Array): number | string {
  let found: number | undefined;
  for (const line of text(head).split('\n')) {
    const colon = line.indexOf(':');
    if (
      colon < 1 ||
      line[0] === ' ' ||
      line[0] === '\t' ||
      canonicalName(line.slice(0, colon).trim()) !== 'content-length'
    )
      continue;
    const value = parseDecimal(line.slice(colon + 1).trim(), Number.MAX_SAFE_INTEGER);
    if (value === undefined) return 'malformed Content-Length';
    if (found !== undefined && found !== value) return 'two different Content-Length headers';
    found = value;
  }
  return found ?? 'a message on a stream needs a Content-Length';
}
