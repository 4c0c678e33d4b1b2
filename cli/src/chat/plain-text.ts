/** Lines of one text that are shown; a longer one is cut, and says so. */
const MAX_LINES = 100;
const MAX_NAME = 64;

/** What a terminal would act on instead of showing it: C0 and C1 controls, ESC and DEL among them. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
/** Bidirectional controls and marks, which show a text in another order than it has (Unicode TR 9); the soft hyphen. */
export const BIDI = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u00ad]/gu;
/** What shows nothing and hides something: zero-width space, word joiner and the like, annotations, tags, BOM. */
export const INVISIBLE = /[\u180e\u200b\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}]/gu;
/** More marks on one letter than any script has. */
const PILES = /(\p{M}{4})\p{M}+/gu;

/** A text from outside as lines that can't touch the terminal: what is removed leaves U+FFFD, so it is seen. */
export function shownLines(text: string): readonly string[] {
  const lines = clean(text.replace(/\r\n?|[\u2028\u2029\u0085\v\f]/g, '\n').replaceAll('\t', '    '))
    .replace(/\n+$/, '')
    .split('\n');
  if (lines.length <= MAX_LINES) return lines;
  return [...lines.slice(0, MAX_LINES), `… (${lines.length - MAX_LINES} lines more)`];
}

/** A name, a note, a reason from outside, on one line. */
export function shownName(text: string, most = MAX_NAME): string {
  const line = clean(text.replace(/[\s\u2028\u2029]+/g, ' ')).trim();
  const characters = [...line];
  return characters.length <= most ? line : `${characters.slice(0, most - 1).join('')}…`;
}

function clean(text: string): string {
  return text
    .toWellFormed()
    .replace(CONTROLS, '\ufffd')
    .replace(BIDI, '\ufffd')
    .replace(INVISIBLE, '')
    .replace(PILES, '$1');
}
