/** Beyond these a document is not read: presence documents are small. */
const MAX_CHARACTERS = 64 * 1024;
const MAX_ELEMENTS = 1000;
const MAX_DEPTH = 32;

/** An element by its local name; namespaces are not looked at, and attributes are not kept. */
export interface XmlElement {
  readonly name: string;
  readonly children: XmlElement[];
  /** The text directly in it, entities decoded. */
  text: string;
}

/**
 * Reads so much of XML as presence and receipts need: elements and their text. Comments, instructions and DOCTYPE are passed
 * over, so no entity is ever defined. Undefined when it is not well-formed enough to tell what is inside what. Never throws.
 */
export function parseXml(source: string): XmlElement | undefined {
  if (source.length > MAX_CHARACTERS) return undefined;
  const root: XmlElement = { name: '', children: [], text: '' };
  const open = [root];
  let elements = 0;
  let at = 0;
  while (at < source.length) {
    const here = open[open.length - 1]!;
    const next = source.indexOf('<', at);
    if (next !== at) {
      here.text += decoded(source.slice(at, next < 0 ? undefined : next));
      if (next < 0) break;
    }
    const special = skipped(source, next);
    if (special) {
      if (special.end < 0) return undefined;
      here.text += special.text;
      at = special.end;
      continue;
    }
    const end = endOfTag(source, next);
    if (end < 0) return undefined;
    const tag = source.slice(next + 1, end);
    at = end + 1;
    if (tag.startsWith('/')) {
      if (open.length === 1 || localName(tag.slice(1)) !== here.name) return undefined;
      open.pop();
      continue;
    }
    const name = localName(tag);
    if (name === '' || ++elements > MAX_ELEMENTS || open.length > MAX_DEPTH) return undefined;
    const element: XmlElement = { name, children: [], text: '' };
    here.children.push(element);
    if (!tag.endsWith('/')) open.push(element);
  }
  return open.length === 1 && root.children.length === 1 ? root.children[0] : undefined;
}

/** The first element of that name, the element itself included, depth first. */
export function findElement(element: XmlElement, name: string): XmlElement | undefined {
  if (element.name === name) return element;
  for (const child of element.children) {
    const found = findElement(child, name);
    if (found) return found;
  }
  return undefined;
}

/** Comment, CDATA, instruction or declaration at that place, and where it ends (-1: never). */
function skipped(source: string, at: number): { end: number; text: string } | undefined {
  const until = (mark: string, from: number) => {
    const found = source.indexOf(mark, from);
    return found < 0 ? -1 : found + mark.length;
  };
  if (source.startsWith('<!--', at)) return { end: until('-->', at + 4), text: '' };
  if (source.startsWith('<![CDATA[', at)) {
    const end = until(']]>', at + 9);
    return { end, text: end < 0 ? '' : source.slice(at + 9, end - 3) };
  }
  if (source.startsWith('<?', at)) return { end: until('?>', at + 2), text: '' };
  // a DOCTYPE with an internal subset is not read at all: there is no honest use for one here
  if (source.startsWith('<!', at)) {
    const end = until('>', at + 2);
    return { end: end > 0 && source.slice(at, end).includes('[') ? -1 : end, text: '' };
  }
  return undefined;
}

/** The closing bracket of a tag, not one within an attribute's quotes. */
function endOfTag(source: string, at: number): number {
  let quote = '';
  for (let i = at + 1; i < source.length; i++) {
    const c = source[i]!;
    if (quote !== '') {
      if (c === quote) quote = '';
    } else if (c === '"' || c === "'") quote = c;
    else if (c === '>') return i;
  }
  return -1;
}

function localName(tag: string): string {
  const name = /^[^\s/>]{1,128}/.exec(tag)?.[0] ?? '';
  return name.slice(name.indexOf(':') + 1);
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

function decoded(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(#x[0-9a-fA-F]{1,6}|#\d{1,7}|[a-z]{2,4});/g, (whole, name: string) => {
    if (name[0] !== '#') return ENTITIES[name] ?? whole;
    const code = name[1] === 'x' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000) ? String.fromCodePoint(code) : whole;
  });
}
