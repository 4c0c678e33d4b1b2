import type { Delivery } from './outbox.ts';
import { shownLines, shownName } from './plain-text.ts';

/** A Date that is so much older than now tells that the text has waited. */
const WAITED_MS = 60_000;
const MAX_QUOTED = 40;

/** What is shown to a person as lines, and to a program as one JSON object. Texts are as they came. */
export type Shown =
  | {
      readonly kind: 'text';
      readonly from: string;
      readonly name?: string;
      readonly text: string;
      readonly sent?: string;
    }
  | {
      readonly kind: 'delivery';
      readonly id: string;
      readonly to: string;
      readonly text: string;
      readonly state: Delivery;
      readonly words?: string;
    }
  | { readonly kind: 'presence'; readonly who: string; readonly words: string; readonly isThere?: boolean }
  | { readonly kind: 'standing'; readonly registered: boolean; readonly words: string }
  | {
      readonly kind: 'history';
      readonly sent: string;
      readonly with: string;
      readonly own: boolean;
      readonly text: string;
      readonly state?: Delivery;
    }
  | { readonly kind: 'note'; readonly words: string };

/** As lines for a terminal; everything from outside is made safe here. */
export function inLines(shown: Shown, now: Date): readonly string[] {
  const at = clock(now);
  switch (shown.kind) {
    case 'text': {
      const sent = shown.sent === undefined ? undefined : new Date(shown.sent);
      const waited = sent && now.getTime() - sent.getTime() > WAITED_MS ? ` (sent ${moment(sent, now)})` : '';
      return block(`${at}${waited} ${shownName(shown.from)}: `, shown.text);
    }
    case 'delivery':
      return deliveryLines(shown).map((line) => `${at} ${line}`);
    case 'presence':
      return [`${at} ${shownName(shown.who)} ${shown.words === '' ? '' : shownName(shown.words, 300)}`];
    case 'standing':
    case 'note':
      return shownLines(shown.words).map((line, i) => `${i === 0 ? '*' : ' '} ${line}`);
    case 'history': {
      const who = shownName(shown.with);
      const state = shown.state === undefined || shown.state === 'delivered' ? '' : ` [${shown.state}]`;
      return block(`${moment(new Date(shown.sent), now)} ${shown.own ? `→ ${who}${state}` : who}: `, shown.text);
    }
    default:
      return shown satisfies never;
  }
}

/** One line for programs. What a terminal would act on is escaped, should a person look at it. */
export function inJson(shown: Shown, now: Date): string {
  return JSON.stringify({ at: now.toISOString(), ...shown }).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function deliveryLines({ to, text, state, words = '' }: Extract<Shown, { kind: 'delivery' }>): string[] {
  const who = shownName(to);
  const what = quoted(text);
  switch (state) {
    case 'sending':
      return []; // what was typed stands there; what becomes of it follows
    case 'waiting':
      return [`waiting until the server is there: ${what}`];
    case 'delivered':
      return [`delivered to ${who}: ${what}`];
    case 'displayed':
      return [`read by ${who}: ${what}`];
    case 'stored':
      return [`stored: ${who} gets it when back: ${what}`];
    case 'failed':
      return [`failed: ${shownName(words, 300)}: ${what}`];
    default:
      return state satisfies never;
  }
}

/** The first line after its head, the others indented: no line of a text can pass for one of ours. */
function block(head: string, text: string): string[] {
  return shownLines(text).map((line, i) => (i === 0 ? head : '      ') + line);
}

function quoted(text: string): string {
  return shownName(text, MAX_QUOTED);
}

function clock(at: Date): string {
  return `${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** Local time, with the day when it is another one. */
function moment(at: Date, now: Date): string {
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return at.toDateString() === now.toDateString() ? clock(at) : `${day} ${clock(at)}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
