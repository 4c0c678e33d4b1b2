import { SaxesParser } from 'saxes';

export const XML = '<?xml version="1.0" encoding="UTF-8"?>';

/** An element of a document that is read, and the texts within it. */
export interface XmlElement {
  readonly uri: string;
  readonly local: string;
  readonly children: XmlElement[];
  text: string;
}

const LONGEST = 64 * 1024;
const MOST_ELEMENTS = 500;
const DEEPEST = 16;
const SPOILT = new Error('no presence is written like that');

/** Reads a document from outside; undefined when it is malformed, has a DTD, or is larger than any presence is. */
export function readXml(text: string): XmlElement | undefined {
  if (text.length > LONGEST) return undefined;
  const parser = new SaxesParser({ xmlns: true, position: false });
  const open: XmlElement[] = [];
  let root: XmlElement | undefined;
  let elements = 0;
  // Thrown out of the parser, which would go on to the end and count each mistake.
  const spoil = (): never => {
    throw SPOILT;
  };
  parser.on('error', spoil);
  parser.on('doctype', spoil);
  parser.on('opentag', ({ uri, local }) => {
    if (++elements > MOST_ELEMENTS || open.length >= DEEPEST) spoil();
    const element: XmlElement = { uri, local, children: [], text: '' };
    open.at(-1)?.children.push(element);
    root ??= element;
    open.push(element);
  });
  parser.on('closetag', () => void open.pop());
  parser.on('text', (more) => {
    const element = open.at(-1);
    if (element) element.text += more;
  });
  parser.on('cdata', (more) => {
    const element = open.at(-1);
    if (element) element.text += more;
  });
  try {
    parser.write(text).close();
  } catch {
    return undefined;
  }
  return root;
}
