import { text, utf8 } from '../base/index.ts';
import { parseDecimal, splitList } from './chars.ts';
import { canonicalName, spelling } from './header-names.ts';
import { type NameAddr, parseNameAddr } from './name-addr.ts';
import { parseVia, type Via } from './via.ts';

/** One header field: still as received (`start`..`end` of the raw message, without its line end), or written by us. */
export interface HeaderField {
  readonly name: string;
  readonly start: number;
  readonly valueStart: number;
  readonly end: number;
  /** The whole line when it was written by us. */
  readonly line?: string;
}

export interface CSeq {
  readonly number: number;
  readonly method: string;
}

/**
 * A SIP message (RFC 3261 7). Header values are decoded only when they are asked for; fields that nobody changes are
 * serialised byte for byte as they came. Parsed messages come from `parseSip`, which has checked the mandatory fields.
 */
export class SipMessage {
  readonly kind: 'request' | 'response';
  /** Requests: the method. Responses: the method of CSeq. */
  method: string;
  /** Requests: the Request-URI as text. */
  uri: string;
  /** Responses: the status code, 100–699. */
  status: number;
  reason: string;
  body: Uint8Array;
  readonly #raw: Uint8Array;
  /** The head of `#raw` as text when it is pure ASCII, so that offsets are the same in both. */
  readonly #ascii: string | undefined;
  #fields: HeaderField[];
  #vias: readonly Via[] | undefined;
  #from: NameAddr | undefined;
  #to: NameAddr | undefined;
  #cseq: CSeq | undefined;
  #callId: string | undefined;
  #contacts: readonly NameAddr[] | '*' | undefined | null = null;
  #bodyText: { readonly of: Uint8Array; readonly text: string } | undefined;

  constructor(
    start:
      | { kind: 'request'; method: string; uri: string }
      | { kind: 'response'; method: string; status: number; reason: string },
    source: { raw: Uint8Array; ascii?: string; fields: HeaderField[]; body: Uint8Array },
  ) {
    this.kind = start.kind;
    this.method = start.method;
    this.uri = start.kind === 'request' ? start.uri : '';
    this.status = start.kind === 'response' ? start.status : 0;
    this.reason = start.kind === 'response' ? start.reason : '';
    this.#raw = source.raw;
    this.#ascii = source.ascii;
    this.#fields = source.fields;
    this.body = source.body;
  }

  /** The first field value of that name, unfolded and trimmed; undefined when absent. */
  header(name: string): string | undefined {
    const wanted = canonicalName(name);
    for (const field of this.#fields) if (field.name === wanted) return this.#value(field);
    return undefined;
  }

  /** The value of every field line of that name. */
  headers(name: string): string[] {
    const wanted = canonicalName(name);
    const found: string[] = [];
    for (const field of this.#fields) if (field.name === wanted) found.push(this.#value(field));
    return found;
  }

  /** All values of a comma-separated list header, in order over all its lines. */
  values(name: string): string[] {
    const wanted = canonicalName(name);
    let found: string[] | undefined;
    for (const field of this.#fields) {
      if (field.name !== wanted) continue;
      const values = splitList(this.#value(field));
      if (found) found.push(...values);
      else found = values;
    }
    return found ?? [];
  }

  /** Names of all fields, lower case, in order. */
  names(): string[] {
    return this.#fields.map((field) => field.name);
  }

  /** Whether a token stands in a list header such as Require or Supported, without regard to case. */
  hasToken(name: string, token: string): boolean {
    const wanted = token.toLowerCase();
    return this.values(name).some((value) => value.toLowerCase() === wanted);
  }

  get callId(): string {
    this.#callId ??= this.header('call-id') ?? '';
    return this.#callId;
  }

  get cseq(): CSeq {
    if (!this.#cseq) {
      const value = this.header('cseq') ?? '';
      const space = value.search(/[ \t]/);
      this.#cseq = {
        number: parseDecimal(value.slice(0, space < 0 ? undefined : space), 0x7fffffff) ?? 0,
        method: space < 0 ? '' : value.slice(space).trim(),
      };
    }
    return this.#cseq;
  }

  /** The Via values, topmost first; malformed ones are left out (`parseSip` refuses a malformed topmost one). */
  get vias(): readonly Via[] {
    this.#vias ??= this.values('via').flatMap((value) => parseVia(value) ?? []);
    return this.#vias;
  }

  get from(): NameAddr {
    this.#from ??= parseNameAddr(this.header('from') ?? '') ?? UNKNOWN;
    return this.#from;
  }

  get to(): NameAddr {
    this.#to ??= parseNameAddr(this.header('to') ?? '') ?? UNKNOWN;
    return this.#to;
  }

  /** Contact values, `'*'`, or undefined when one is malformed; an empty list when there are none. */
  get contacts(): readonly NameAddr[] | '*' | undefined {
    if (this.#contacts !== null) return this.#contacts;
    const values = this.values('contact');
    const parsed = values.map(parseNameAddr);
    if (values.length === 1 && values[0] === '*') this.#contacts = '*';
    else this.#contacts = parsed.every((c) => c !== undefined) ? parsed : undefined;
    return this.#contacts;
  }

  get maxForwards(): number | undefined {
    const value = this.header('max-forwards');
    return value === undefined ? undefined : parseDecimal(value, 255);
  }

  /** Seconds of the Expires header; a number too large counts as 2^32-1, a malformed one as absent (RFC 3261 10.2). */
  get expires(): number | undefined {
    const value = this.header('expires');
    if (value === undefined || !/^\d{1,64}$/.test(value)) return undefined;
    return Math.min(Number(value), 0xffffffff);
  }

  /** Media type in lower case, without parameters. */
  get contentType(): string | undefined {
    const value = this.header('content-type');
    const semicolon = value?.indexOf(';') ?? -1;
    return (semicolon < 0 ? value : value!.slice(0, semicolon))?.trim().toLowerCase();
  }

  get bodyText(): string {
    if (this.#bodyText?.of !== this.body) this.#bodyText = { of: this.body, text: text(this.body) };
    return this.#bodyText.text;
  }

  /** Replaces all fields of that name by one line, where the first stood, else at the end. */
  set(name: string, value: string | number): this {
    const wanted = canonicalName(name);
    const field = written(wanted, String(value));
    const at = this.#fields.findIndex((f) => f.name === wanted);
    if (at < 0) this.#fields.push(field);
    else
      this.#fields = this.#fields.filter((f, i) => i <= at || f.name !== wanted).map((f, i) => (i === at ? field : f));
    return this.#forget(wanted);
  }

  /** Adds a line after the last one of that name, else at the end. */
  add(name: string, value: string | number): this {
    const wanted = canonicalName(name);
    const at = this.#fields.findLastIndex((f) => f.name === wanted);
    this.#fields.splice(at < 0 ? this.#fields.length : at + 1, 0, written(wanted, String(value)));
    return this.#forget(wanted);
  }

  /** Adds a line before the first one of that name, else before all others: Via, Record-Route, Route. */
  prepend(name: string, value: string): this {
    const wanted = canonicalName(name);
    const at = this.#fields.findIndex((f) => f.name === wanted);
    this.#fields.splice(Math.max(at, 0), 0, written(wanted, value));
    return this.#forget(wanted);
  }

  remove(name: string): this {
    const wanted = canonicalName(name);
    this.#fields = this.#fields.filter((f) => f.name !== wanted);
    return this.#forget(wanted);
  }

  /** Removes the first value of a list header, and its line when that was the only one: Via on the way back, Route. */
  removeFirstValue(name: string): this {
    const wanted = canonicalName(name);
    const at = this.#fields.findIndex((f) => f.name === wanted);
    if (at < 0) return this;
    const rest = splitList(this.#value(this.#fields[at]!)).slice(1);
    this.#fields.splice(at, 1, ...(rest.length > 0 ? [written(wanted, rest.join(', '))] : []));
    return this.#forget(wanted);
  }

  /** Replaces the topmost Via by a changed one, leaving the others as they came (RFC 3261 18.2.1). */
  setTopVia(via: Via): this {
    const rest = this.#vias?.slice(1);
    this.removeFirstValue('via').prepend('via', via.toString());
    if (rest) this.#vias = [via, ...rest];
    return this;
  }

  /** Replaces body and Content-Type; an undefined type leaves the message without a body. */
  setBody(contentType: string | undefined, body: Uint8Array | string = ''): this {
    if (contentType === undefined) {
      this.body = new Uint8Array(0);
      return this.remove('content-type');
    }
    this.body = typeof body === 'string' ? utf8(body) : body;
    return this.set('content-type', contentType);
  }

  /** A copy whose changes do not touch this message. */
  clone(): SipMessage {
    const start =
      this.kind === 'request'
        ? { kind: 'request' as const, method: this.method, uri: this.uri }
        : { kind: 'response' as const, method: this.method, status: this.status, reason: this.reason };
    return new SipMessage(start, { raw: this.#raw, ascii: this.#ascii, fields: [...this.#fields], body: this.body });
  }

  /** The bytes for the wire. A Content-Length that is still right stays where it is, else it is written anew, last. */
  serialize(): Uint8Array {
    const start =
      this.kind === 'request' ? `${this.method} ${this.uri} SIP/2.0\r\n` : `SIP/2.0 ${this.status} ${this.reason}\r\n`;
    const length = this.#fields.find((f) => f.name === 'content-length');
    const right =
      length && parseDecimal(this.#value(length), this.body.length) === this.body.length ? length : undefined;
    const kept = length ? this.#fields.filter((f) => f === right || f.name !== 'content-length') : this.#fields;
    const tail = right ? '\r\n' : `Content-Length: ${this.body.length}\r\n\r\n`;
    if (this.#ascii !== undefined || kept.every((f) => f.line !== undefined)) {
      let head = start;
      for (const f of kept) head += `${f.line ?? this.#ascii!.slice(f.start, f.end)}\r\n`;
      const bytes = utf8(head + tail);
      return this.body.length === 0 ? bytes : join([bytes, this.body]);
    }
    const parts = [utf8(start)];
    for (const f of kept) parts.push(f.line === undefined ? this.#raw.subarray(f.start, f.end) : utf8(f.line), CRLF);
    parts.push(utf8(tail), this.body);
    return join(parts);
  }

  toString(): string {
    return text(this.serialize());
  }

  #value(field: HeaderField): string {
    if (field.line !== undefined) return trimLws(field.line.slice(field.valueStart));
    const value =
      this.#ascii === undefined
        ? text(this.#raw.subarray(field.valueStart, field.end))
        : this.#ascii.slice(field.valueStart, field.end);
    return trimLws(value.includes('\n') ? value.replace(/\r?\n[ \t]+/g, ' ') : value);
  }

  /** A field of that name was changed: what was read of it is out of date. */
  #forget(name: string): this {
    switch (name) {
      case 'via':
        this.#vias = undefined;
        break;
      case 'from':
        this.#from = undefined;
        break;
      case 'to':
        this.#to = undefined;
        break;
      case 'cseq':
        this.#cseq = undefined;
        break;
      case 'call-id':
        this.#callId = undefined;
        break;
      case 'contact':
        this.#contacts = null;
        break;
      default:
    }
    return this;
  }
}

const CRLF = utf8('\r\n');

/** What a message without a readable From or To answers; such a message never leaves the parser as valid. */
export const UNKNOWN = parseNameAddr('<sip:anonymous@anonymous.invalid>') as NameAddr;

/** Without the white space of RFC 3261 around it; what Unicode calls white space (BOM, NBSP) is a part of the value. */
function trimLws(value: string): string {
  let from = 0;
  let to = value.length;
  while (from < to && isLws(value.charCodeAt(from))) from++;
  while (to > from && isLws(value.charCodeAt(to - 1))) to--;
  return value.slice(from, to);
}

function isLws(code: number): boolean {
  return code === 32 || code === 9 || code === 13 || code === 10;
}

function written(name: string, value: string): HeaderField {
  // A value can't end its line: whatever it came from, it must not become two headers.
  const clean = /[\r\n\0]/.test(value) ? value.replace(/[\r\n\0]+/g, ' ') : value;
  const label = `${spelling(name)}: `;
  return { name, start: 0, valueStart: label.length, end: 0, line: label + clean };
}

function join(parts: readonly Uint8Array[]): Uint8Array {
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
