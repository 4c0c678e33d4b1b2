import type { CallEnd } from './ua/call-end.ts';

/** One past call of this tab. */
export interface PastCall {
  readonly atMs: number;
  readonly direction: 'outgoing' | 'incoming';
  readonly name: string;
  readonly uri: string;
  readonly outcome:
    | 'talked'
    | 'missed'
    | 'declined'
    | 'canceled'
    | 'busy'
    | 'offline'
    | 'unknown'
    | 'no-answer'
    | 'failed'
    | 'elsewhere';
  readonly durationS: number;
  readonly video: boolean;
}

const LIMIT = 50;
const KEY = 'offhook.history';

export function outcomeOf(end: CallEnd, talked: boolean, direction: PastCall['direction']): PastCall['outcome'] {
  if (talked) return 'talked';
  switch (end.cause) {
    case 'answered-elsewhere':
      return 'elsewhere';
    case 'declined':
      return 'declined';
    case 'canceled':
      return direction === 'incoming' ? 'missed' : 'canceled';
    case 'no-answer':
      return direction === 'incoming' ? 'missed' : 'no-answer';
    case 'rejected':
      return rejectionOutcome(end);
    default:
      return 'failed';
  }
}

function rejectionOutcome({ status, rang }: CallEnd): PastCall['outcome'] {
  switch (status) {
    case 404:
    case 604:
      return 'unknown';
    case 408:
    case 480:
      return rang ? 'no-answer' : 'offline';
    case 486:
    case 600:
      return 'busy';
    case 603:
      return 'declined';
    default:
      return 'failed';
  }
}

export function withCall(history: readonly PastCall[], call: PastCall): PastCall[] {
  return [call, ...history].slice(0, LIMIT);
}

export function readHistory(storage: Storage): PastCall[] {
  try {
    const stored: unknown = JSON.parse(storage.getItem(KEY) ?? '[]');
    return Array.isArray(stored) ? (stored as PastCall[]).slice(0, LIMIT) : [];
  } catch {
    return [];
  }
}

export function writeHistory(storage: Storage, history: readonly PastCall[]): void {
  storage.setItem(KEY, JSON.stringify(history));
}

const OUTCOME_WORDS: Readonly<Record<PastCall['outcome'], string>> = {
  talked: '',
  missed: 'Missed',
  declined: 'Declined',
  canceled: 'Canceled',
  busy: 'Busy',
  offline: 'Offline',
  unknown: 'Unknown',
  'no-answer': 'No answer',
  failed: 'Not reached',
  elsewhere: 'Answered elsewhere',
};

export function outcomeWords(call: PastCall): string {
  return call.outcome === 'talked' ? durationWords(call.durationS) : OUTCOME_WORDS[call.outcome];
}

/** `0:07`, `12:40`, `1:02:09` */
export function clock(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  const hours = Math.floor(s / 3600);
  const minutes = Math.floor(s / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

function durationWords(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
