import { text } from '../base/index.ts';
import { isToken, isTokenCode, parseDecimal, splitList } from './chars.ts';
import { HeaderField } from './header-field.ts';
import { canonicalName, nameWithin, SINGLE } from './header-names.ts';
import { SIP_LIMITS } from './limits.ts';
import { SipMessage, UNKNOWN } from './message.ts';
import { BRANCH_COOKIE, parseVia } from './via.ts';

/** Why bytes are no acceptable SIP message. */
export interface SipParseError {
  readonly kind: 'error';
  /** What to answer a request with: 400, 414, 501, 505, 513; undefined when nothing can or may be answered. */
  readonly status?: number;
  /** In words, fit for a reason phrase. */
  readonly reason: string;
  /** The request as far as it was understood, when its answer would find its way back: it has a Via and a CSeq. */
  readonly request?: SipMessage;
}

const EMPTY = new Uint8Array(0);
const NEEDED = ['from', 'to', 'call-id', 'cseq'] as const;

/**
 * Parses one datagram or one framed message. One pass finds the lines; the fields that every handler needs are checked
 * at once (Via, From, To, Call-ID, CSeq, Max-Forwards, Content-Length), all others stay as they are until asked for.
 * Never throws. What is kept of the bytes is copied: they may be used anew.
 */
export function parseSip(bytes: Uint8Array): SipMessage | SipParseError {
  if (bytes.length > SIP_LIMITS.messageBytes) return refuse(513, 'Message Too Large');
  // RFC 3261 7.5: empty lines before the start line are ignored.
  let at = 0;
  while (at < bytes.length && (bytes[at] === 13 || bytes[at] === 10)) at++;
  const startLine = lineEnd(bytes, at);
  if (startLine < 0) return refuse(undefined, 'no line end');
  // The fields as [start, end) pairs; they are named once the head is decoded.
  const spans: number[] = [];
  let bodyStart = -1;
  let lineStart = startLine + 1;
  while (lineStart < bytes.length) {
    let end = bytes.indexOf(10, lineStart);
    if (end < 0) end = bytes.length;
    const contentEnd = end > lineStart && bytes[end - 1] === 13 ? end - 1 : end;
    if (contentEnd === lineStart) {
      bodyStart = Math.min(end + 1, bytes.length);
      break;
    }
    // Folding: the field goes on while the next line begins with white space (RFC 3261 7.3.1).
    let fieldEnd = contentEnd;
    while (bytes[end + 1] === 32 || bytes[end + 1] === 9) {
      let next = bytes.indexOf(10, end + 1);
      if (next < 0) next = bytes.length;
      fieldEnd = next > end + 1 && bytes[next - 1] === 13 ? next - 1 : next;
      end = next;
    }
    spans.push(lineStart, fieldEnd);
    if (spans.length > 2 * SIP_LIMITS.headers) return refuse(400, 'Too many headers');
    lineStart = end + 1;
  }
  const headEnd = bodyStart < 0 ? bytes.length : bodyStart;
  const decoded = text(bytes.subarray(0, headEnd));
  const ascii = decoded.length === headEnd && !decoded.includes('\ufffd') ? decoded : undefined;
  const fields: HeaderField[] = [];
  let problem: SipParseError | undefined;
  for (let i = 0; i < spans.length; i += 2) {
    const field = scanField(bytes, ascii, spans[i]!, spans[i + 1]!);
    if (typeof field === 'string') problem ??= refuse(400, field);
    else fields.push(field);
  }
  if (bodyStart < 0) problem ??= refuse(400, 'The headers are not ended by an empty line');
  const start = parseStartLine(
    ascii === undefined
      ? text(bytes.subarray(at, trimCr(bytes, at, startLine)))
      : decoded.slice(at, trimCr(bytes, at, startLine)),
  );
  if (start.kind === 'error') {
    if (start.method === undefined) return refuse(undefined, start.reason);
    problem = refuse(start.status, start.reason);
  }
  const body = bodyStart < 0 ? EMPTY : bytes.subarray(bodyStart);
  const isResponse = start.kind === 'response';
  const message = new SipMessage(
    start.kind === 'response'
      ? { ...start, method: '' }
      : { kind: 'request', method: start.method ?? '', uri: start.kind === 'request' ? start.uri : '' },
    { raw: ascii === undefined ? bytes.slice(0, headEnd) : EMPTY, ascii, fields, body },
  );
  problem ??= check(message, fields);
  if (body.length > 0) message.body = message.body.slice();
  if (isResponse) message.method = message.cseq.method;
  if (!problem) return message;
  // RFC 3261 18.3 and 7.2: a malformed response is discarded; so is a request that can't be answered.
  if (isResponse || message.method === 'ACK' || !answerable(message)) return refuse(undefined, problem.reason);
  return { ...problem, request: message };
}

/** The methods that some RFC knows. */
const METHODS: ReadonlySet<string> = new Set(
  'INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK UPDATE INFO SUBSCRIBE NOTIFY REFER MESSAGE PUBLISH'.split(' '),
);

function refuse(status: number | undefined, reason: string): SipParseError {
  return { kind: 'error', status, reason };
}

function lineEnd(bytes: Uint8Array, from: number): number {
  const end = bytes.indexOf(10, from);
  return end >= 0 && end - from <= SIP_LIMITS.lineBytes ? end : -1;
}

function trimCr(bytes: Uint8Array, from: number, lf: number): number {
  return lf > from && bytes[lf - 1] === 13 ? lf - 1 : lf;
}

/** One field: `name HCOLON value`. White space may stand before the colon and belongs to neither. */
function scanField(bytes: Uint8Array, ascii: string | undefined, start: number, end: number): HeaderField | string {
  if (end - start > SIP_LIMITS.lineBytes) return 'A header is too long';
  let nameEnd = start;
  let sum = 0;
  for (; nameEnd < end && isTokenCode(bytes[nameEnd]!); nameEnd++) sum = (sum * 31 + bytes[nameEnd]!) | 0;
  let colon = nameEnd;
  while (colon < end && (bytes[colon] === 32 || bytes[colon] === 9)) colon++;
  if (nameEnd === start || bytes[colon] !== 58 || colon >= end) return 'A header line has no name';
  const name =
    ascii === undefined
      ? canonicalName(text(bytes.subarray(start, nameEnd)))
      : nameWithin(ascii, start, { length: nameEnd - start, sum });
  return new HeaderField(name, { start, valueStart: colon + 1, end });
}

type StartLine =
  | { kind: 'request'; method: string; uri: string }
  | { kind: 'response'; status: number; reason: string }
  | { kind: 'error'; status?: number; reason: string; method?: string };

function parseStartLine(line: string): StartLine {
  if (line.startsWith('SIP/')) {
    if (!line.startsWith('SIP/2.0 ')) return { kind: 'error', reason: 'not SIP/2.0' };
    const status = parseDecimal(line.slice(8, 11), 699);
    if (status === undefined || status < 100 || (line.length > 11 && line[11] !== ' '))
      return { kind: 'error', reason: 'no status code' };
    return { kind: 'response', status, reason: line.slice(12) };
  }
  const space = line.indexOf(' ');
  const method = space < 0 ? '' : line.slice(0, space);
  if (!isToken(method) || method.length > SIP_LIMITS.method) return { kind: 'error', reason: 'no request line' };
  const last = line.lastIndexOf(' ');
  const version = line.slice(last + 1);
  if (!/^SIP\/\d{1,3}\.\d{1,3}$/i.test(version))
    return { kind: 'error', status: 400, reason: 'Malformed request line', method };
  if (version.toUpperCase() !== 'SIP/2.0')
    return { kind: 'error', status: 505, reason: 'Version Not Supported', method };
  const uri = line.slice(space + 1, last);
  if (uri === '' || uri.length > SIP_LIMITS.uri || /[\s<>"\0]/.test(uri))
    return { kind: 'error', status: uri.length > SIP_LIMITS.uri ? 414 : 400, reason: 'Malformed Request-URI', method };
  return { kind: 'request', method, uri };
}

/** The checks that RFC 3261 8.1.1, 16.3 and 18.3 ask for before anything else, in words. */
function check(message: SipMessage, fields: readonly HeaderField[]): SipParseError | undefined {
  let seen = 0;
  let vias = 0;
  let routes = 0;
  for (const { name } of fields) {
    const bit = SINGLE.get(name);
    if (bit !== undefined) {
      if ((seen & bit) !== 0) return refuse(400, `More than one ${name} header`);
      seen |= bit;
    } else if (name === 'via') {
      if (++vias > SIP_LIMITS.vias) return refuse(400, 'Too many Via headers');
    } else if ((name === 'route' || name === 'record-route') && ++routes > SIP_LIMITS.routes)
      return refuse(400, 'Too many Route headers');
  }
  for (const name of NEEDED) if ((seen & SINGLE.get(name)!) === 0) return refuse(400, `No ${name} header`);
  if (vias === 0) return refuse(400, 'No Via header');
  // The usual one is not read twice; `vias` leaves out what is malformed.
  const via = message.header('via')!;
  const isOne = vias === 1 && !via.includes(',') && message.vias.length === 1;
  const parsedVias = isOne ? message.vias : splitList(via).map(parseVia);
  if (parsedVias.length === 0 || !parsedVias.every((via) => via?.protocol === 'SIP/2.0'))
    return refuse(400, 'Malformed Via header');
  const callId = message.callId;
  if (callId === '' || callId.length > SIP_LIMITS.callId || /[\s,]/.test(callId))
    return refuse(400, 'Malformed Call-ID');
  if (!isCSeq(message)) return refuse(400, 'Malformed CSeq');
  if (message.kind === 'request') {
    // RFC 4475 3.1.2.18: of an unknown method 501 is the better answer.
    if (message.cseq.method !== message.method)
      return refuse(METHODS.has(message.method) ? 400 : 501, 'CSeq names another method');
    if (!message.target) return refuse(400, 'Malformed Request-URI');
    // Requests that say they have an identifier and have none would all be one transaction (RFC 4475 3.2.1).
    if (parsedVias[0]!.branch === BRANCH_COOKIE) return refuse(400, 'The branch of Via is empty');
  }
  if (message.from === UNKNOWN) return refuse(400, 'Malformed From');
  if (message.to === UNKNOWN) return refuse(400, 'Malformed To');
  const forwards = message.header('max-forwards');
  if (forwards !== undefined && parseDecimal(forwards, 255) === undefined) return refuse(400, 'Malformed Max-Forwards');
  const length = message.header('content-length');
  if (length !== undefined) {
    const wanted = parseDecimal(length, SIP_LIMITS.messageBytes);
    if (wanted === undefined) return refuse(400, 'Malformed Content-Length');
    // RFC 3261 18.3: bytes beyond are discarded, missing ones make it an error.
    if (wanted > message.body.length) return refuse(400, 'Content-Length is larger than the message');
    message.body = message.body.subarray(0, wanted);
  }
  return undefined;
}

/** `1*DIGIT LWS Method` with a number below 2^31 (RFC 3261 8.1.1.5). */
function isCSeq(message: SipMessage): boolean {
  const { number, method } = message.cseq;
  const value = message.header('cseq')!;
  // What does not look usual is looked at closely: 0 is also what can't be read.
  const digits = value.indexOf(' ');
  if (number > 0 && digits > 0 && digits <= 10 && method.length <= 64) return isToken(method);
  const parts = /^(\d{1,10})[ \t]+([^ \t]{1,64})$/.exec(value);
  return parts !== null && Number(parts[1]) <= 0x7fffffff && isToken(parts[2]!);
}

/**
 * Whether a response can be built and recognised: by the topmost Via and CSeq (RFC 3261 17.1.3). It lacks what else is
 * missing: "Ideally, it will respond with a 400" (RFC 4475 3.3.1).
 */
function answerable(message: SipMessage): boolean {
  const via = message.header('via');
  if (!via || !parseVia(splitList(via)[0] ?? '')) return false;
  return (message.header('cseq') ?? '') !== '' && message.headers('via').length <= SIP_LIMITS.vias;
}
