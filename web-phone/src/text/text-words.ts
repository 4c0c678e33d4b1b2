import type { Text } from './conversation.ts';

/** How far a text of ours got, in words. */
export function stateWords({ state, reason }: Text, name: string, isRegistered: boolean): string {
  switch (state) {
    case 'received':
      return '';
    case 'waiting':
      return isRegistered ? 'Sending…' : 'Goes out when the connection is back';
    case 'sending':
      return 'Sending…';
    case 'stored':
      return `Kept for ${name}: delivered when ${name} is back`;
    case 'delivered':
      return 'Delivered';
    case 'failed':
      return `Not delivered: ${reason ?? 'it could not be passed on'}`;
    case 'unanswered':
      return `No answer came: it may have arrived, or not${reason ? ` (${reason})` : ''}`;
    case 'expired':
      return `Not delivered: ${name} did not come back in time`;
    default:
      return state satisfies never;
  }
}

/** Whether its sender may want to send it once more. */
export function canSendAgain({ state }: Text): boolean {
  return state === 'failed' || state === 'unanswered' || state === 'expired';
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const DAY_AND_YEAR = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
const DAY_MS = 86_400_000;

/** When it was sent. */
export function textTimeMs({ atMs, sentAtMs }: Text): number {
  return sentAtMs ?? atMs;
}

export function timeWords(atMs: number): string {
  return TIME.format(atMs);
}

export function dayWords(atMs: number, nowMs: number): string {
  const midnight = (ms: number): number => new Date(ms).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(nowMs) - midnight(atMs)) / DAY_MS);
  if (days === 0) return 'Today';
  if (days === 1) return 'Yesterday';
  return Math.abs(days) < 180 ? DAY.format(atMs) : DAY_AND_YEAR.format(atMs);
}

/** The characters left, once they become few. */
export function roomWords(length: number, limit: number): string {
  const left = limit - length;
  if (left > 300) return '';
  return left >= 0 ? `${left} left` : `${-left} too many`;
}
