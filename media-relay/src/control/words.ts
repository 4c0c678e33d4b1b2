import { ipFamily, type NgDictionary, type NgValue } from '@offhook/core';

/** Limits of reference figures: Call-ID 256, tags 128, SDP 32 KiB. */
export const CONTROL_LIMITS = {
  callId: 256,
  tag: 128,
  branch: 256,
  label: 128,
  sdp: 32 * 1024,
  list: 1000,
  flags: 128,
  rtppFlags: 8192,
} as const;

/** What a message asks for, wherever it said so: as a key, as a word of `flags`, or in `rtpp-flags`. */
export interface Options {
  /** Keys with dashes for spaces. */
  readonly keys: Record<string, NgValue>;
  /** Words of `flags` that belong to no list. */
  readonly flags: ReadonlySet<string>;
  /** `replace`, `rtcp-mux`, `SDES`, `codec`, and what else is said as a list of words. */
  readonly lists: Readonly<Record<ListName, readonly string[]>>;
  /** codec options by what is to become of them: `strip` → names. */
  readonly codecs: Readonly<Record<string, readonly string[]>>;
}

const LISTS = ['replace', 'rtcp-mux', 'SDES', 'OSRTP', 'T.38', 'sdp-attr'] as const;
type ListName = (typeof LISTS)[number];
const CODEC_ACTIONS = ['strip', 'except', 'offer', 'mask', 'accept', 'consume', 'set', 'transcode', 'ignore'] as const;

/** Reads all of that; spaces and dashes in keys and flags are the same. */
export function optionsOf(message: NgDictionary): Options {
  const reader = new OptionReader();
  for (const [key, value] of Object.entries(message)) if (value !== undefined) reader.key(dashed(key), value);
  for (const word of wordsOf(message.flags)) reader.word(dashed(word));
  const raw = message['rtpp-flags'] ?? message['rtpp flags'];
  // What Kamailio's script says, unread (its module does so when it is given a Via branch apart).
  if (typeof raw === 'string' && raw.length <= CONTROL_LIMITS.rtppFlags) {
    for (const word of raw.split(' ', CONTROL_LIMITS.flags)) if (word !== '') reader.word(word);
  }
  return reader;
}

class OptionReader implements Options {
  readonly keys = Object.create(null) as Record<string, NgValue>;
  readonly flags = new Set<string>();
  readonly lists = Object.fromEntries(LISTS.map((name) => [name, [] as string[]])) as Record<ListName, string[]>;
  readonly codecs: Record<string, string[]> = Object.create(null) as Record<string, string[]>;

  key(name: string, value: NgValue): void {
    this.keys[name] = value;
    if (isList(name)) this.lists[name].push(...wordsOf(value).map(dashed));
    else if (name === 'codec' && typeof value === 'object' && !Array.isArray(value)) {
      for (const [action, names] of Object.entries(value)) this.#codec(dashed(action), wordsOf(names));
    }
  }

  /** `replace-origin`, `codec-strip-PCMU`, `ICE=force`, `RTP/SAVP`, `trust-address` … */
  word(word: string): void {
    const list = LISTS.find((name) => word.startsWith(`${name}-`) || word.startsWith(`${name}=`));
    if (list !== undefined) {
      this.lists[list].push(word.slice(list.length + 1));
      return;
    }
    const action = CODEC_ACTIONS.find((name) => word.startsWith(`codec-${name}-`) || word.startsWith(`codec-${name}=`));
    if (action !== undefined) this.#codec(action, [word.slice(action.length + 7)]);
    else if (/^transcode[-=]/.test(word)) this.#codec('transcode', [word.slice(10)]);
    else if (/^(UDP\/TLS\/)?RTP\/S?AVPF?$/.test(word)) this.keys['transport-protocol'] ??= word;
    else {
      const at = word.indexOf('=');
      if (at <= 0) this.flags.add(word);
      // Call-ID and tags stay those of the SIP message; what the client said as a key comes before a word.
      else if (!isIdentity(word.slice(0, at))) this.keys[word.slice(0, at)] ??= word.slice(at + 1);
    }
  }

  #codec(action: string, names: readonly string[]): void {
    this.codecs[action] ??= [];
    this.codecs[action].push(...names.flatMap((name) => name.split(';')).filter((name) => name !== ''));
  }
}

function isList(name: string): name is ListName {
  return (LISTS as readonly string[]).includes(name);
}

function isIdentity(name: string): boolean {
  return ['call-id', 'from-tag', 'to-tag', 'sdp', 'command'].includes(name);
}

function dashed(name: string): string {
  return name.replaceAll(' ', '-');
}

/** A text within its limit, undefined when absent, or what is wrong with it. */
export function textOf(message: NgDictionary, name: string, limit: number): string | { error: string } | undefined {
  const value = message[name] ?? message[name.replaceAll('-', ' ')];
  if (value === undefined) return undefined;
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string') return { error: 'has to be a text' };
  return text.length > limit ? { error: `is longer than ${limit} characters` } : text;
}

/** A list of words, or one text as a list. */
export function wordsOf(value: NgValue | undefined): string[] {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) return [];
  return value.slice(0, CONTROL_LIMITS.flags).filter((v): v is string => typeof v === 'string');
}

/** A whole number of the range, also written as text; undefined when it is none. */
export function numberOf(value: NgValue | undefined, min: number, max: number): number | undefined {
  const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max ? number : undefined;
}

/** `["IP4", "192.0.2.1"]` or the address alone. */
export function addressOf(value: NgValue | undefined): string | undefined {
  const words = wordsOf(value);
  const address = words[words.length - 1]?.replace(/^\[(.*)\]$/, '$1');
  return address !== undefined && ipFamily(address) !== undefined ? address : undefined;
}
