import { text, utf8 } from '../base/index.ts';
import { parseDecimal, splitList } from './chars.ts';
import { type HeaderField, readValue, written } from './header-field.ts';
import { canonicalName } from './header-names.ts';
import { type NameAddr, parseNameAddr } from './name-addr.ts';
import { join, pooled } from './output-pool.ts';
import { parseUri, type SipUri } from './uri.ts';
import { parseVia, type Via } from './via.ts';

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
  #target: { readonly of: string; readonly uri: SipUri | undefined } | undefined;
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

  /** The Request-URI; undefined when it is malformed. Not to be changed. */
  get target(): SipUri | undefined {
    if (this.#target?.of !== this.uri) this.#target = { of: this.uri, uri: parseUri(this.uri) };
    return this.#target.uri;
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
    const fields = this.#fields;
    const at = this.#indexOf(wanted);
    if (at < 0) fields.push(field);
    else {
      fields[at] = field;
      let kept = at + 1;
      for (let i = kept; i < fields.length; i++) if (fields[i]!.name !== wanted) fields[kept++] = fields[i]!;
      fields.length = kept;
    }
    return this.#forget(wanted);
  }

  /** Adds a line after the last one of that name, else at the end. */
  add(name: string, value: string | number): this {
    const wanted = canonicalName(name);
    const field = written(wanted, String(value));
    const fields = this.#fields;
    let last = fields.length - 1;
    while (last >= 0 && fields[last]!.name !== wanted) last--;
    if (last < 0 || last === fields.length - 1) fields.push(field);
    else fields.splice(last + 1, 0, field);
    return this.#forget(wanted);
  }

  /** Adds a line before the first one of that name, else before all others: Via, Record-Route, Route. */
  prepend(name: string, value: string): this {
    const wanted = canonicalName(name);
    this.#fields.splice(Math.max(this.#indexOf(wanted), 0), 0, written(wanted, value));
    return this.#forget(wanted);
  }

  remove(name: string): this {
    const wanted = canonicalName(name);
    if (this.#indexOf(wanted) >= 0) this.#fields = this.#fields.filter((f) => f.name !== wanted);
    return this.#forget(wanted);
  }

  /** Removes the first value of a list header, and its line when that was the only one: Via on the way back, Route. */
  removeFirstValue(name: string): this {
    const wanted = canonicalName(name);
    const at = this.#indexOf(wanted);
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
    const right = this.#rightLength();
    const tail = right ? '\r\n' : `Content-Length: ${this.body.length}\r\n\r\n`;
    const ascii = this.#ascii ?? '';
    let head = start;
    for (const f of this.#fields) {
      if (f !== right && f.name === 'content-length') continue;
      if (f.line === undefined && this.#ascii === undefined) return this.#serializeRaw(start, tail, right);
      head += `${f.line ?? ascii.slice(f.start, f.end)}\r\n`;
    }
    return pooled(head + tail, this.body);
  }

  /** The first Content-Length, if it is right. */
  #rightLength(): HeaderField | undefined {
    const at = this.#indexOf('content-length');
    const field = at < 0 ? undefined : this.#fields[at]!;
    return field && parseDecimal(this.#value(field), this.body.length) === this.body.length ? field : undefined;
  }

  /** Bytes that are no ASCII go out as they came, valid UTF-8 or not. */
  #serializeRaw(start: string, tail: string, right: HeaderField | undefined): Uint8Array {
    const parts = [utf8(start)];
    for (const f of this.#fields)
      if (f === right || f.name !== 'content-length')
        parts.push(f.line === undefined ? this.#raw.subarray(f.start, f.end) : utf8(f.line), CRLF);
    parts.push(utf8(tail), this.body);
    return join(parts);
  }

  toString(): string {
    return text(this.serialize());
  }

  #value(field: HeaderField): string {
    field.value ??= readValue(field, this.#raw, this.#ascii);
    return field.value;
  }

  #indexOf(name: string): number {
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i++) if (fields[i]!.name === name) return i;
    return -1;
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
