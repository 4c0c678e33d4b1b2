import type { SipMessage } from '@offhook/core';
import type { Leg } from './call.ts';
import { type CallContext, refusal } from './context.ts';

type Headers = (readonly [string, string | number])[];

/** A session's refreshes as agreed with one phone (RFC 4028): it ends when none comes in `expiresS`. */
export interface SessionTimer {
  readonly expiresS: number;
  readonly refresher: 'us' | 'them';
}

/** Who refreshes ends the session this long before it expires when it heard nothing (RFC 4028 10), at most a third of it. */
const MARGIN_S = 32;
/** A peer's Min-SE beyond this is no session timer any more. */
const LONGEST_S = 86_400;

interface Asked {
  readonly expiresS: number;
  readonly refresher?: 'uac' | 'uas';
}

/** `Session-Expires: 1800;refresher=uac`; undefined when absent or malformed. */
function sessionExpires(message: SipMessage): Asked | undefined {
  const value = message.header('session-expires');
  if (value === undefined) return undefined;
  const [seconds = '', ...params] = value.split(';').map((part) => part.trim().toLowerCase());
  const expiresS = deltaSeconds(seconds);
  if (expiresS === undefined) return undefined;
  const refresher = params.map((p) => /^refresher\s*=\s*(uac|uas)$/.exec(p)?.[1]).find((r) => r !== undefined);
  return { expiresS, refresher: refresher as Asked['refresher'] };
}

function minSe(message: SipMessage): number {
  return deltaSeconds(message.header('min-se')?.split(';', 1)[0]?.trim() ?? '') ?? 0;
}

function deltaSeconds(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Math.min(Number(text), 0x7fffffff) : undefined;
}

/** The 422 for a request whose interval is too small, or undefined when it is fine (RFC 4028 9). */
export function refuseInterval(context: CallContext, request: SipMessage, toTag: string): SipMessage | undefined {
  const asked = sessionExpires(request);
  const { minSessionS } = context.limits;
  // Who doesn't know session timers can't understand 422; the interval then came from a proxy.
  if (!asked || asked.expiresS >= minSessionS || !request.hasToken('supported', 'timer')) return undefined;
  const words = `sessions of less than ${minSessionS} s are not kept here`;
  return refusal(request, 422, words, toTag, [['Min-SE', minSessionS]]);
}

/** Agrees on a timer as the server of a request that is about to be accepted; the headers of the 2xx (RFC 4028 9). */
export function agreeAsServer(context: CallContext, leg: Leg, request: SipMessage, nowMs: number): Headers {
  const { sessionS, minSessionS } = context.limits;
  const asked = sessionExpires(request);
  if (sessionS === 0 && !asked) return [];
  const knowsTimer = request.hasToken('supported', 'timer') || request.hasToken('require', 'timer');
  // Whoever knows no timer can't be told 422; a session of a second would have us refresh it without a pause.
  const most = asked ? Math.max(asked.expiresS, minSessionS) : Number.POSITIVE_INFINITY;
  const expiresS = Math.min(most, Math.max(sessionS, minSe(request), asked && sessionS === 0 ? most : 0));
  // Table 2: who doesn't know the timer can't be the one to refresh.
  const refresher = knowsTimer ? (asked?.refresher ?? 'uac') : 'uas';
  start(context, leg, { expiresS, refresher: refresher === 'uac' ? 'them' : 'us' }, nowMs);
  const header = ['Session-Expires', `${expiresS};refresher=${refresher}`] as const;
  return refresher === 'uac' ? [header, ['Require', 'timer']] : [header];
}

/** Headers of an INVITE or UPDATE of ours (RFC 4028 7.1, 7.4); `atLeastS` is the Min-SE that a 422 asked for. */
export function askAsClient(context: CallContext, leg: Leg, atLeastS = 0): Headers {
  const { sessionS, minSessionS } = context.limits;
  const { session } = leg;
  if (sessionS === 0 && !session) return [];
  const expiresS = Math.max(session?.expiresS ?? sessionS, atLeastS);
  const refresher = session ? `;refresher=${session.refresher === 'us' ? 'uac' : 'uas'}` : '';
  return [
    ['Session-Expires', `${expiresS}${refresher}`],
    ['Min-SE', Math.max(minSessionS, atLeastS)],
  ];
}

/** The interval to try again with after a 422, or undefined when that would be no use. */
export function raised(response: SipMessage, triedS: number): number | undefined {
  const wanted = minSe(response);
  return response.status === 422 && wanted > triedS && wanted <= LONGEST_S ? wanted : undefined;
}

/** What a 2xx to an INVITE or UPDATE of ours says of the timer (RFC 4028 7.2). */
export function learnAsClient(context: CallContext, leg: Leg, response: SipMessage, nowMs: number): void {
  const { sessionS, minSessionS } = context.limits;
  const told = sessionExpires(response);
  // Without the header the phone knows no timer; we go on refreshing to see whether it is there.
  if (told)
    start(
      context,
      leg,
      { expiresS: Math.max(told.expiresS, minSessionS), refresher: told.refresher === 'uas' ? 'them' : 'us' },
      nowMs,
    );
  else if (sessionS > 0) start(context, leg, { expiresS: sessionS, refresher: 'us' }, nowMs);
}

function start(context: CallContext, leg: Leg, session: SessionTimer, nowMs: number): void {
  leg.session = session;
  armSession(context, leg, session, nowMs);
}

/** Counts from now on: the last refresh has just been, or nobody knows when it was. */
export function armSession(context: CallContext, leg: Leg, session: SessionTimer, nowMs: number): void {
  const { expiresS, refresher } = session;
  const inS = refresher === 'us' ? expiresS / 2 : expiresS - Math.min(MARGIN_S, expiresS / 3);
  context.setTimer(leg.timers.session, nowMs + inS * 1000);
}
