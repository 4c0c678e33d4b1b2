/** One line of a coturn.conf that says something. */
export interface ConfLine {
  readonly number: number;
  readonly key: string;
  /** Empty where there is none. */
  readonly value: string;
  /** What looks like a comment behind the value; coturn takes it for a part of it. */
  readonly hasComment: boolean;
}

/** What begins, ends or is a value that coturn's reader would take for something else. */
const NEEDS_QUOTES = /^[\s="#]|\s#|[\s"]$|^$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these would end the line, or the text
const UNWRITABLE = /[\x00-\x1f\x7f]/;

/**
 * The lines of a coturn.conf, as coturn itself splits them: a key, then blanks or `=`, then the value, perhaps in quotes. Lines
 * that begin with `#` are comments; behind a value there is none.
 */
export function confLines(text: string): ConfLine[] {
  return text.split(/\r?\n/).flatMap((line, i) => {
    const words = line.trim();
    if (words === '' || words.startsWith('#')) return [];
    const [, key = '', value = ''] = /^([^\s=]+)[\s=]*(.*)$/.exec(words) ?? [];
    if (key === '') return [{ number: i + 1, key: words, value: '', hasComment: false }];
    const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
    return [
      { number: i + 1, key, value: isQuoted ? value.slice(1, -1) : value, hasComment: !isQuoted && /\s#/.test(value) },
    ];
  });
}

/** A line, or undefined when no line can hold that value. */
export function confLine(key: string, value: string): string | undefined {
  if (UNWRITABLE.test(value)) return undefined;
  return `${key}=${NEEDS_QUOTES.test(value) ? `"${value}"` : value}`;
}

/** Whether an option that needs no value is on: `no-tls`, `no-tls=yes`, but not `no-tls=0`. */
export function isOn(value: string): boolean {
  return !/^(?:0|n|no|f|false|off)$/i.test(value);
}
