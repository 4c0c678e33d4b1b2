import { text } from '../base/index.ts';
import { spelling } from './header-names.ts';

/** One header field: still as received (`start`..`end` of the raw message, without its line end), or written by us. */
export class HeaderField {
  readonly name: string;
  readonly start: number;
  readonly valueStart: number;
  readonly end: number;
  /** The whole line when it was written by us. */
  readonly line: string | undefined;
  /** Unfolded and trimmed, once it has been asked for. */
  value: string | undefined = undefined;

  constructor(name: string, at: { start: number; valueStart: number; end: number }, line?: string) {
    this.name = name;
    this.start = at.start;
    this.valueStart = at.valueStart;
    this.end = at.end;
    this.line = line;
  }
}

/** A field line of our own; the name in lower case. */
export function written(name: string, value: string): HeaderField {
  // A value can't end its line: whatever it came from, it must not become two headers.
  const clean = /[\r\n\0]/.test(value) ? value.replace(/[\r\n\0]+/g, ' ') : value;
  const label = spelling(name);
  const field = new HeaderField(name, { start: 0, valueStart: label.length + 2, end: 0 }, `${label}: ${clean}`);
  return field;
}

/** The value of a field, unfolded and trimmed. `ascii` is the head of the message as text when it is pure ASCII. */
export function readValue(field: HeaderField, raw: Uint8Array, ascii: string | undefined): string {
  if (field.line !== undefined) return trimLws(field.line.slice(field.valueStart));
  if (ascii === undefined) return unfold(text(raw.subarray(field.valueStart, field.end)));
  // Cut out once: most values have one space before them and none behind.
  let from = field.valueStart;
  let to = field.end;
  while (from < to && isLws(ascii.charCodeAt(from))) from++;
  while (to > from && isLws(ascii.charCodeAt(to - 1))) to--;
  return unfold(ascii.slice(from, to));
}

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

/** Without the line ends of folding (RFC 3261 7.3.1). */
function unfold(value: string): string {
  return trimLws(value.includes('\n') ? value.replace(/\r?\n[ \t]+/g, ' ') : value);
}
