/** Character classes of RFC 3261 25.1 as look-ups by char code; linear scanners use them instead of regular expressions. */

const token = new Uint8Array(128);
for (const c of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~") token[c.charCodeAt(0)] = 1;

export function isTokenCode(code: number): boolean {
  return code < 128 && token[code] === 1;
}

/** Whether the text is one or more token characters. */
export function isToken(text: string): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i++) if (!isTokenCode(text.charCodeAt(i))) return false;
  return true;
}

/** A decimal number without sign, at most `max`; undefined for anything else, however long. */
export function parseDecimal(text: string, max: number): number | undefined {
  if (text.length === 0 || text.length > 16) return undefined;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value <= max ? value : undefined;
}

/** The index after a quoted-string that starts at `from` (a double quote), or -1 when it never ends. */
export function endOfQuoted(text: string, from: number): number {
  const end = text.indexOf('"', from + 1);
  if (end < 0) return -1;
  const backslash = text.indexOf('\\', from + 1);
  if (backslash < 0 || backslash > end) return end + 1;
  for (let i = from + 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x5c) i++;
    else if (c === 0x22) return i + 1;
  }
  return -1;
}

/** The content of a quoted-string with its escapes undone; other text as it is. */
export function unquote(text: string): string {
  if (text.length < 2 || text[0] !== '"' || text[text.length - 1] !== '"') return text;
  if (!text.includes('\\')) return text.slice(1, -1);
  let out = '';
  for (let i = 1; i < text.length - 1; i++) {
    if (text[i] === '\\' && i + 1 < text.length - 1) i++;
    out += text[i];
  }
  return out;
}

export function quote(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/**
 * Splits a list at top-level commas: not inside quotes, nor inside angle brackets. Empty elements are dropped.
 * An unbalanced quote or bracket leaves the rest in the last element.
 */
export function splitList(text: string, separator = 0x2c): string[] {
  const out: string[] = [];
  if (separator === 0x2c && !text.includes(',')) {
    const only = text.trim();
    return only === '' ? out : [only];
  }
  let from = 0;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) {
      const end = endOfQuoted(text, i);
      if (end < 0) break;
      i = end - 1;
    } else if (c === 0x3c) depth++;
    else if (c === 0x3e) depth = Math.max(0, depth - 1);
    else if (c === separator && depth === 0) {
      const part = text.slice(from, i).trim();
      if (part !== '') out.push(part);
      from = i + 1;
    }
  }
  const last = text.slice(from).trim();
  if (last !== '') out.push(last);
  return out;
}
