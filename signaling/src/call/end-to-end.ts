import type { SipMessage } from '@offhook/core';

/**
 * Headers that mean one hop, one dialog or one user agent, that say who somebody is, or that would make the other phone
 * do something by itself (answer, ring another way): the far side gets ours, or none. Everything else, known here or not,
 * is between the two phones and passes.
 */
const OURS: ReadonlySet<string> = new Set([
  // Routing and transaction
  'via',
  'max-forwards',
  'max-breadth',
  'route',
  'record-route',
  'path',
  'service-route',
  'timestamp',
  'content-length',
  // Dialog
  'from',
  'to',
  'call-id',
  'cseq',
  'contact',
  'replaces',
  'join',
  'target-dialog',
  'refer-to',
  'referred-by',
  'rseq',
  'rack',
  'session-expires',
  'min-se',
  'expires',
  // What this server agrees on with each side by itself
  'allow',
  'allow-events',
  'supported',
  'require',
  'proxy-require',
  'unsupported',
  'accept',
  'accept-encoding',
  'accept-contact',
  'reject-contact',
  'request-disposition',
  'recv-info',
  'user-agent',
  'server',
  'mime-version',
  'date',
  'retry-after',
  'min-expires',
  'flow-timer',
  'error-info',
  'warning',
  'reason',
  // The body's, written with it
  'content-type',
  'content-encoding',
  'content-disposition',
  // Who somebody is: this server says so, nobody else
  'authorization',
  'proxy-authorization',
  'authentication-info',
  'www-authenticate',
  'proxy-authenticate',
  'p-asserted-identity',
  'p-preferred-identity',
  'remote-party-id',
  'privacy',
  'identity',
  'identity-info',
  'reply-to',
  'diversion',
  'history-info',
  // Priority over others' calls, and where somebody is
  'resource-priority',
  'geolocation',
  'geolocation-routing',
  'n',
  // What a phone acts upon without its owner: intercom, auto-answer, reboot
  'auto-answer',
  'alert-info',
  'call-info',
  'answer-mode',
  'priv-answer-mode',
  'event',
  'subscription-state',
]);

/** Whole families: of trust domains (RFC 7315), of proxies, of first hops (RFC 3329). */
const OUR_FAMILIES = ['p-', 'proxy-', 'security-'];

/** The header fields of a message that pass through this back-to-back user agent, name and value, in order. */
export function endToEnd(message: SipMessage): (readonly [string, string])[] {
  const names = new Set(
    message.names().filter((name) => !OURS.has(name) && !OUR_FAMILIES.some((f) => name.startsWith(f))),
  );
  return [...names].flatMap((name) => message.headers(name).map((value) => [name, value] as const));
}
