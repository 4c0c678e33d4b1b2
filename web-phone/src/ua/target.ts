/** What was typed or pasted, as something that can be called. */
export type Target = DialTarget | { readonly kind: 'empty' } | { readonly kind: 'unusable'; readonly words: string };

/** Somebody who can be called. */
export interface DialTarget {
  readonly kind: 'target';
  readonly uri: string;
  readonly user: string;
  /** As a person would write it: without our own domain. */
  readonly label: string;
}

const MAX_LENGTH = 200;
/** RFC 3261 25.1: user = unreserved / escaped / user-unreserved. */
const USER_SAFE = /[^A-Za-z0-9\-_.!~*'()&=+$,;?/]/g;

/**
 * Reads a name, a number in any of the usual spellings (`+49 (170) 123-45`), `name@host`, `sip:` and `tel:` links.
 * @param domain used when no host was given
 */
export function parseTarget(text: string, domain: string): Target {
  let rest = text.trim().replace(/^<|>$/g, '');
  if (rest === '') return { kind: 'empty' };
  if (rest.length > MAX_LENGTH) return { kind: 'unusable', words: 'That is too long to be a name or number.' };
  const scheme = /^(sips?|tel|callto):(?:\/\/)?/i.exec(rest);
  if (scheme) rest = rest.slice(scheme[0].length);
  rest = rest.split(/[;?]/, 1)[0]!;
  const at = rest.lastIndexOf('@');
  let user = at >= 0 ? rest.slice(0, at) : rest;
  const host = at >= 0 ? rest.slice(at + 1) : domain;
  if (looksLikeNumber(user)) user = user.replace(/[\s().\-/\u00a0]/g, '');
  if (user === '') return { kind: 'unusable', words: 'A name or number is missing before the “@”.' };
  if (/\s/.test(user)) return { kind: 'unusable', words: 'A name cannot contain spaces.' };
  if (!/^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/.test(host))
    return { kind: 'unusable', words: 'The part after the “@” is not a host name.' };
  const local = host.toLowerCase() === domain.toLowerCase();
  return {
    kind: 'target',
    user,
    uri: `sip:${user.replace(USER_SAFE, encodeURIComponent)}@${host}`,
    label: local ? user : `${user}@${host}`,
  };
}

function looksLikeNumber(user: string): boolean {
  return /^\+?[\d\s().\-/\u00a0*#]+$/.test(user) && /\d|[*#]/.test(user);
}
