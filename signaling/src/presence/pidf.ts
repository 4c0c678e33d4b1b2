import { xmlText } from '@offhook/core';
import type { Presence } from './presence.ts';
import { readXml, XML, type XmlElement } from './xml.ts';

export const PIDF = 'application/pidf+xml';
const NS = 'urn:ietf:params:xml:ns:pidf';
const RPID = 'urn:ietf:params:xml:ns:pidf:rpid';
const DATA_MODEL = 'urn:ietf:params:xml:ns:pidf:data-model';

/** What a phone has published of its user (RFC 3863, RFC 4480). */
export interface Published {
  readonly isOpen: boolean;
  /** Local names of RPID activities: `busy`, `on-the-phone`. */
  readonly activities: readonly string[];
  readonly note?: string;
}

const LONGEST_NOTE = 200;
const MOST_ACTIVITIES = 16;

/** Reads a PIDF document; undefined when it is none. */
export function readPidf(text: string): Published | undefined {
  const root = readXml(text);
  if (root?.local !== 'presence' || root.uri !== NS) return undefined;
  const tuples = root.children.filter(({ local, uri }) => local === 'tuple' && uri === NS);
  const basics = tuples.flatMap((tuple) => find(tuple, 'basic')).map((basic) => basic.text.trim());
  const all = find(root, 'activities', RPID).flatMap(({ children }) => children);
  const activities = [...new Set(all.filter(({ uri }) => uri === RPID).map(({ local }) => local))];
  const note = find(root, 'note')
    .map((element) => element.text.trim())
    .find((words) => words !== '');
  return {
    // A person without a tuple is described, not unreachable.
    isOpen: basics.length === 0 || basics.includes('open'),
    activities: activities.slice(0, MOST_ACTIVITIES),
    note: note?.slice(0, LONGEST_NOTE),
  };
}

function find(element: XmlElement, local: string, uri?: string): XmlElement[] {
  const here = element.children.filter((child) => child.local === local && (uri === undefined || child.uri === uri));
  return [...here, ...element.children.flatMap((child) => find(child, local, uri))];
}

/** RPID activities by status; spelled with the prefix and the space that some phones look for letter by letter. */
const ACTIVITY: Readonly<Record<Presence['status'], string>> = {
  available: '',
  offline: '',
  busy: '<rpid:busy />',
  away: '<rpid:away />',
  'on-the-phone': '<rpid:on-the-phone />',
};

/** A user's presence as a PIDF document: one tuple for where the user is reached, one person for what they do. */
export function writePidf(uri: string, { status, note }: Presence): string {
  const activity = ACTIVITY[status];
  const words = note === undefined ? '' : `<note>${xmlText(note)}</note>`;
  return [
    XML,
    `<presence xmlns="${NS}" xmlns:dm="${DATA_MODEL}" xmlns:rpid="${RPID}" entity="${xmlText(uri)}">`,
    `<tuple id="offhook"><status><basic>${status === 'offline' ? 'closed' : 'open'}</basic></status>`,
    `<contact>${xmlText(uri)}</contact>${words}</tuple>`,
    `<dm:person id="user">${activity === '' ? '' : `<rpid:activities>${activity}</rpid:activities>`}</dm:person>`,
    '</presence>',
    '',
  ].join('\r\n');
}
