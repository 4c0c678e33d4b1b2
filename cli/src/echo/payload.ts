/** What is sent: the first message is this line and nothing else. */
export const GREETING = 'Hello, Server!';

/** Room for the greeting and the highest number. */
export const MIN_SIZE = 24;

/** The n-th message, from 1: `Hello, Server!`, then `Hello, Server! 2` …; with a size, filled up to it. */
export function messageText(n: number, size?: number): string {
  const text = n === 1 ? GREETING : `${GREETING} ${n}`;
  if (size === undefined || size <= text.length) return text;
  return `${text} `.padEnd(size, 'abcdefghijklmnopqrstuvwxyz0123456789');
}

/** What a person wants to see of it: the line without its filling. */
export function shownText(text: string): string {
  return /^Hello, Server!(?: \d+(?= |$))?/.exec(text)?.[0] ?? brief(text);
}

/** Number of a message that came back whole; undefined when it is none of ours. */
export function numberOf(text: string, size?: number): number | undefined {
  const digits = /^Hello, Server!(?: (\d{1,7})(?= |$))?/.exec(text);
  if (!digits) return undefined;
  const n = digits[1] === undefined ? 1 : Number(digits[1]);
  return messageText(n, size) === text ? n : undefined;
}

/** Of bytes from elsewhere, what can be printed in one line. */
export function brief(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]+/g, '·');
  return printable.length > 60 ? `${printable.slice(0, 57)}…` : printable;
}

/** What somebody else's first bytes tell of what listens there, as a half sentence; undefined when they tell nothing. */
export function speakerOf(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes.subarray(0, 64)).toString('latin1');
  // RFC 8446 5.1: an alert (21) or a handshake (22) of any 3.x version
  if ((bytes[0] === 0x15 || bytes[0] === 0x16) && bytes[1] === 3) return 'it speaks TLS: tls:// or wss:// is meant';
  if (/^HTTP\/\d/.test(text)) return 'it speaks HTTP: ws:// is meant, if it has an echo at all';
  if (/^SSH-/.test(text)) return 'it is an SSH server';
  if (/^SIP\/2\.0/.test(text)) return 'it is a SIP server: offhook doctor looks at those';
  if (/^220[ -]/.test(text)) return 'it is a mail or FTP server';
  return undefined;
}

export interface Found {
  /** Messages that are whole now. */
  readonly messages: readonly string[];
  /** What came between them and is none of them. */
  readonly other: Uint8Array | undefined;
}

/**
 * Finds the lines that were sent in the bytes that a stream brings back, however they were cut or joined. A greeting
 * before the first one is passed over.
 */
export class EchoStream {
  readonly #expected: string[] = [];
  #held: Buffer = Buffer.alloc(0);

  /** A line that was sent, without its end. */
  expect(line: string): void {
    this.#expected.push(line);
  }

  handleBytes(bytes: Uint8Array): Found {
    this.#held = Buffer.concat([this.#held, bytes]);
    const messages: string[] = [];
    let other: Uint8Array | undefined;
    for (let line = this.#expected[0]; this.#held.length > 0; line = this.#expected[0]) {
      if (line === undefined) {
        other ??= this.#held; // nothing is due
        this.#held = Buffer.alloc(0);
        break;
      }
      const wanted = Buffer.from(`${line}\n`);
      const at = this.#held.indexOf(wanted);
      if (at < 0) {
        // Either it has begun and more comes, or all but a possible beginning is somebody else's.
        const keep = beginningAt(this.#held, wanted);
        if (keep > 0) other ??= this.#held.subarray(0, keep);
        this.#held = this.#held.subarray(keep);
        break;
      }
      if (at > 0) other ??= this.#held.subarray(0, at);
      messages.push(line);
      this.#expected.shift();
      this.#held = this.#held.subarray(at + wanted.length);
    }
    return { messages, other };
  }
}

/** From where on the rest of `held` is the beginning of `wanted`; its length when nothing is. */
function beginningAt(held: Buffer, wanted: Buffer): number {
  for (let from = held.indexOf(wanted[0]!); from >= 0; from = held.indexOf(wanted[0]!, from + 1)) {
    const rest = held.length - from;
    if (rest < wanted.length && held.compare(wanted, 0, rest, from) === 0) return from;
  }
  return held.length;
}
