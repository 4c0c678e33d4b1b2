import type { SipMessage } from '@offhook/core';

/** What scanners call themselves in User-Agent, in lower case: somewhere in it, or at its beginning. */
const NAMES = [
  'friendly-scanner',
  'friendly-request',
  'sipvicious',
  'sundayddr',
  'siparmyknife',
  'sip-scan',
  'sipscan',
  'pplsip',
  'sivus',
];
const BEGINNINGS = ['sipcli', 'iwar', 'smap', 'gulp'];
const LONGEST_NAME = 200;

/** What svmap and svcrack claim to be when they are told nothing else; at 1.1.1.1 there is a name server, and no phone. */
const HOST_OF_SIPVICIOUS = '1.1.1.1';
/** The From tag of svcrack's requests without credentials. */
const TAG_OF_SVCRACK = '3206210844';

/**
 * The scanner that a request comes from, by a name of ours, or undefined. User-Agent is the first thing that is changed;
 * what sipvicious finds its targets again by, in answers that carry nothing but its own tag, can't be left out.
 */
export function scannerOf(request: SipMessage): string | undefined {
  const name = request.header('user-agent')?.slice(0, LONGEST_NAME).toLowerCase() ?? '';
  const known = NAMES.find((one) => name.includes(one)) ?? BEGINNINGS.find((one) => name.startsWith(one));
  return known ?? (hasHabitsOfSipvicious(request) ? 'sipvicious' : undefined);
}

function hasHabitsOfSipvicious(request: SipMessage): boolean {
  const { from } = request;
  const tag = from.tag ?? '';
  if (from.displayName?.toLowerCase() === 'sipvicious' || tag === TAG_OF_SVCRACK || isNote(tag)) return true;
  if (from.uri.user === '100' && from.uri.host === HOST_OF_SIPVICIOUS) return true;
  const { contacts } = request;
  if (contacts === undefined || contacts === '*') return false;
  return contacts.some(({ uri }) => uri.user === '123' && uri.host === HOST_OF_SIPVICIOUS);
}

/**
 * A tag in which svmap, svwar and svcrack (and svcrash) note what they asked for: in hexadecimal, the target (an address, an
 * extension, `user:password`), a byte 01, and a random number of up to 32 bits in decimal. Numbers of less than five digits
 * are let pass: so no phone's random tag is taken for one (one in 10^9 of those with eight digits, fewer of longer ones).
 */
function isNote(tag: string): boolean {
  if (tag.length < 14 || tag.length % 2 === 1 || tag.length > 256) return false;
  let digits = 0;
  let at = tag.length - 2;
  for (; at > 0 && tag[at] === '3' && isDigit(tag.charCodeAt(at + 1)); at -= 2) digits++;
  if (digits < 5 || digits > 10 || at < 2 || tag.slice(at, at + 2) !== '01') return false;
  for (let i = 0; i < at; i += 2) if (!isPrintable(tag.slice(i, i + 2))) return false;
  return true;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** A byte of text, two lower-case hexadecimal digits: no control character. */
function isPrintable(hex: string): boolean {
  return /^[2-9a-f][0-9a-f]$/.test(hex) && hex !== '7f';
}
