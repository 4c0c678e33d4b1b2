import type { Delivery } from './outbox.ts';
import { BIDI, INVISIBLE, shownLines, shownName } from './plain-text.ts';

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
  | {
      readonly kind: 'presence';
      readonly who: string;
      readonly words: string;
      readonly isThere?: boolean;
      readonly isNobody?: boolean;
    }
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

/**
 * As lines for a terminal, so many columns wide if that is known; everything from outside is made safe here. Rows are broken
 * here and not by the terminal, which would begin the next one where ours begin.
 */
export function inLines(shown: Shown, now: Date, columns?: number): readonly string[] {
  const at = clock(now);
  switch (shown.kind) {
    case 'text': {
      const sent = shown.sent === undefined ? undefined : new Date(shown.sent);
      const waited = sent && now.getTime() - sent.getTime() > WAITED_MS ? ` (sent ${moment(sent, now)})` : '';
      return block(`${at}${waited} ${shownName(shown.from)}: `, shown.text, columns);
    }
    case 'delivery':
      return deliveryLines(shown).map((line) => `${at} ${line}`);
    case 'presence':
      if (shown.isNobody) return [`${at} ${shownName(shown.words, 300)}`];
      return [`${at} ${shownName(shown.who)} ${shown.words === '' ? '' : shownName(shown.words, 300)}`];
    case 'standing':
    case 'note':
      return shownLines(shown.words).map((line, i) => `${i === 0 ? '*' : ' '} ${line}`);
    case 'history': {
      const who = shownName(shown.with);
      const state = shown.state === undefined || shown.state === 'delivered' ? '' : ` [${shown.state}]`;
      return block(
        `${moment(new Date(shown.sent), now)} ${shown.own ? `→ ${who}${state}` : who}: `,
        shown.text,
        columns,
      );
    }
    default:
      return shown satisfies never;
  }
}

/** One line for programs. What a terminal would act on is escaped, should a person look at it. */
export function inJson(shown: Shown, now: Date): string {
  return [/[\u007f-\u009f\u2028\u2029]/g, BIDI, INVISIBLE].reduce(
    (json, what) => json.replace(what, escaped),
    JSON.stringify({ at: now.toISOString(), ...shown }),
  );
}

/** Each UTF-16 unit as JSON escapes it. */
function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
    .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
    .join('');
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

const INDENT = '      ';

/** The first line after its head, the others indented: no line of a text can pass for one of ours. */
function block(head: string, text: string, columns: number | undefined): string[] {
  const lines = shownLines(text).map((line, i) => (i === 0 ? head : INDENT) + line);
  return columns === undefined ? lines : lines.flatMap((line) => rows(line, Math.max(columns, 3 * INDENT.length)));
}

/** A line as rows of a terminal. Letters that may be two columns wide count as two. */
function rows(line: string, columns: number): string[] {
  const out: string[] = [];
  let row = '';
  let width = 0;
  for (const character of line) {
    const its = /^[\x20-\x7e\u00a0-\u10ff]$/.test(character) ? 1 : 2;
    if (width + its > columns) {
      out.push(row);
      row = INDENT;
      width = INDENT.length;
    }
    row += character;
    width += its;
  }
  return [...out, row];
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
