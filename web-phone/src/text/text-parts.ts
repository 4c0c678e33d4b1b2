export type TextPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'link'; readonly text: string; readonly href: string };

/** No blanks, quotes or brackets that enclose an address, and nothing that turns the direction of reading round. */
const ADDRESS = /https?:\/\/[^\s<>"'`\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+/gi;
/** Belongs to the sentence around an address, not to it. */
const SENTENCE_END = /[.,;:!?…]+$/;
const MOST_LINKS = 50;

/** A text cut into words and web addresses. Only http and https become links, and each goes where it says. */
export function textParts(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let done = 0;
  let links = 0;
  for (const match of text.matchAll(ADDRESS)) {
    if (links === MOST_LINKS) break;
    const shown = trimmed(match[0]);
    const href = webAddress(shown);
    if (href === undefined) continue;
    if (match.index > done) parts.push({ kind: 'text', text: text.slice(done, match.index) });
    parts.push({ kind: 'link', text: shown, href });
    done = match.index + shown.length;
    links++;
  }
  if (done < text.length) parts.push({ kind: 'text', text: text.slice(done) });
  return parts;
}

function trimmed(address: string): string {
  let end = address.replace(SENTENCE_END, '');
  while (end.endsWith(')') && count(end, ')') > count(end, '(')) end = end.slice(0, -1).replace(SENTENCE_END, '');
  return end;
}

function count(text: string, character: string): number {
  return text.split(character).length - 1;
}

/** As the browser would go there; undefined when it hides that behind a user name, or is none. */
function webAddress(text: string): string | undefined {
  const url = URL.parse(text);
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined;
  return url.username || url.password ? undefined : url.href;
}
