import { Params, reasonPhrase, type SipMessage } from '@offhook/core';
import type { NoAnswer } from './requests.ts';

/** Longest wait that is taken from a server's Retry-After. */
const MAX_RETRY_AFTER_S = 3600;
/** There is nobody of that name (RFC 3261 21.4.5, 21.6.3). */
const NOBODY: ReadonlySet<number> = new Set([404, 604]);
const MAX_EXPIRES_S = 7 * 86_400;

/** Why a request was refused, as people read it: the text of its Reason header (RFC 3326), else status and phrase. */
export function answerWords(message: SipMessage): string {
  const { status, reason } = message;
  for (const value of message.values('reason')) {
    const semicolon = value.indexOf(';');
    const said = semicolon < 0 ? undefined : Params.parse(value.slice(semicolon))?.get('text');
    if (said) return said.slice(0, 200);
  }
  return `${status} ${(reason || reasonPhrase(status)).slice(0, 100)}`;
}

export function saysNobody({ status }: SipMessage): boolean {
  return NOBODY.has(status);
}

/** Of somebody whom the server does not know; a status without words of its own is said, too: not every server means it so. */
export function nobodyWords(name: string, words: string): string {
  return `there is no user ${name}${/^\d{3} /.test(words) ? ` (${words})` : ''}`;
}

export function noAnswerWords(why: NoAnswer): string {
  return why === 'timeout' ? 'the server does not answer' : 'the connection to the server is gone';
}

/** Seconds of Retry-After (RFC 3261 20.33), 0 when there are none. */
export function retryAfterS(message: SipMessage): number {
  const seconds = Number.parseInt(message.header('retry-after') ?? '', 10);
  return seconds > 0 ? Math.min(seconds, MAX_RETRY_AFTER_S) : 0;
}

/** What a 423 asks for, when it is more than was asked and can be believed (RFC 3261 10.3, 3903 6, 6665 4.2.1.1). */
export function longerExpires(message: SipMessage, askedS: number): number | undefined {
  const least = message.status === 423 ? Number.parseInt(message.header('min-expires') ?? '', 10) : 0;
  return least > askedS && least <= MAX_EXPIRES_S ? least : undefined;
}

/** What was granted, at most a week. */
export function grantedS(given: number | undefined, askedS: number): number {
  return Math.min(given ?? askedS, MAX_EXPIRES_S);
}

/** When a state that holds for so long is to be refreshed: with time for a repetition, and not all clients at one moment. */
export function refreshAfterMs(seconds: number, random: Uint8Array): number {
  const share = seconds <= 1200 ? 0.5 : 0.8;
  return Math.max(1000, Math.round(seconds * 1000 * (share + (random[0]! / 256) * 0.1)));
}

/** Between three quarters and all of a wait that doubles with each failure. */
export function backOffMs(failures: number, how: { firstMs: number; longestMs: number }, random: Uint8Array): number {
  const wait = Math.min(how.longestMs, how.firstMs * 2 ** Math.min(failures, 16));
  return Math.round(wait * (0.75 + random[0]! / 1024));
}
