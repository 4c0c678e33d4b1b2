import { xmlText } from '@offhook/core';
import { readXml, type XmlElement } from '@offhook/signaling';
import type { Status } from './status.ts';

/** Longest note that is taken in and given out. */
export const MAX_NOTE = 200;

/** How somebody is, as the presence document says. */
export interface Presence {
  readonly isThere: boolean;
  /** RPID activities, of those that are known by name. */
  readonly activities: readonly string[];
  readonly note: string;
}

/** RFC 4480 3.2, and how each is said of somebody: "bob is …". The first that is found of these is said. */
const ACTIVITIES: Readonly<Record<string, string>> = {
  'on-the-phone': 'on the phone',
  busy: 'busy',
  meeting: 'in a meeting',
  appointment: 'at an appointment',
  presentation: 'in a presentation',
  away: 'away',
  breakfast: 'at breakfast',
  lunch: 'at lunch',
  dinner: 'at dinner',
  meal: 'at a meal',
  holiday: 'on holiday',
  vacation: 'on vacation',
  travel: 'travelling',
  'in-transit': 'on the way',
  steering: 'driving',
  sleeping: 'asleep',
  'permanent-absence': 'gone for good',
  performance: 'at a performance',
  playing: 'playing',
  shopping: 'shopping',
  spectator: 'watching something',
  'looking-for-work': 'looking for work',
  tv: 'watching television',
  working: 'at work',
  worship: 'at worship',
};

/** "on the phone", "busy: back at five", "offline". The note is text from outside. */
export function presenceWords({ isThere, activities, note }: Presence): string {
  const said = activities.find((one) => Object.hasOwn(ACTIVITIES, one));
  const state = !isThere ? 'offline' : said === undefined ? 'available' : ACTIVITIES[said]!;
  return note === '' ? state : `${state}: ${note}`;
}

/** Reads a PIDF document (RFC 3863) with RPID (RFC 4480); undefined when it is none. */
export function parsePidf(source: string): Presence | undefined {
  const root = readXml(source);
  if (root?.local !== 'presence') return undefined;
  const tuples = root.children.filter(({ local }) => local === 'tuple');
  const basic = tuples.map((tuple) => {
    const status = tuple.children.find(({ local }) => local === 'status');
    return status?.children
      .find(({ local }) => local === 'basic')
      ?.text.trim()
      .toLowerCase();
  });
  const found: string[] = [];
  for (const list of allOf(root, 'activities'))
    for (const { local } of list.children)
      if (Object.hasOwn(ACTIVITIES, local) && !found.includes(local)) found.push(local);
  const activities = Object.keys(ACTIVITIES).filter((name) => found.includes(name));
  const note = allOf(root, 'note')[0]?.text.replace(/\s+/g, ' ').trim().slice(0, MAX_NOTE) ?? '';
  // RFC 3863 4.1.4: a status need not say open or closed; only who says closed is not there.
  const isThere = tuples.length > 0 && basic.some((one) => one !== 'closed');
  return { isThere, activities, note };
}

/** Our own presence: open, with what we are busy with. */
export function writePidf(own: {
  readonly entity: string;
  readonly tuple: string;
  readonly status: Status;
  readonly note: string;
}): string {
  const note = xmlText(own.note.slice(0, MAX_NOTE));
  const activity = own.status === 'available' ? '' : `<rpid:activities><rpid:${own.status}/></rpid:activities>`;
  const person = `<dm:person id="p${own.tuple}">${activity}${note && `<dm:note>${note}</dm:note>`}</dm:person>`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"',
    `  xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="${xmlText(own.entity)}">`,
    `<tuple id="t${own.tuple}"><status><basic>open</basic></status></tuple>${note && `<note>${note}</note>`}`,
    `${activity === '' && note === '' ? '' : person}</presence>`,
    '',
  ].join('\r\n');
}

/** A receipt (RFC 5438 7): of which message, and what became of it. */
export interface Receipt {
  readonly messageId: string;
  readonly outcome: 'delivered' | 'failed' | 'displayed';
}

export function parseReceipt(source: string): Receipt | undefined {
  const root = readXml(source);
  if (root?.local !== 'imdn') return undefined;
  const messageId = root.children.find(({ local }) => local === 'message-id')?.text.trim() ?? '';
  const status = allOf(root, 'status')[0]?.children[0]?.local;
  if (messageId === '' || messageId.length > 256 || status === undefined) return undefined;
  if (status === 'delivered' || status === 'displayed') return { messageId, outcome: status };
  return status === 'failed' || status === 'forbidden' || status === 'error'
    ? { messageId, outcome: 'failed' }
    : undefined;
}

/** The elements of that name, in the order of the document. */
function allOf(element: XmlElement, name: string): XmlElement[] {
  return [...(element.local === name ? [element] : []), ...element.children.flatMap((child) => allOf(child, name))];
}
