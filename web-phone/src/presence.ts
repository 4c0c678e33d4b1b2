/** What is known of somebody's presence. */
export type Status = 'available' | 'busy' | 'on-the-phone' | 'away' | 'offline';

/** What people can say of themselves. */
export type OwnStatus = 'available' | 'busy' | 'away';

export interface Presence {
  readonly status: Status;
  readonly note?: string;
}

export interface OwnPresence {
  readonly status: OwnStatus;
  readonly note?: string;
}

export const NOTE_LIMIT = 200;

export const STATUS_WORDS: Readonly<Record<Status, string>> = {
  available: 'Available',
  'on-the-phone': 'On the phone',
  busy: 'Busy',
  away: 'Away',
  offline: 'Offline',
};

export const OWN_STATUSES: readonly OwnStatus[] = ['available', 'busy', 'away'];

export function isStatus(value: unknown): value is Status {
  return typeof value === 'string' && Object.hasOwn(STATUS_WORDS, value);
}

export function isOwnStatus(value: unknown): value is OwnStatus {
  return OWN_STATUSES.some((status) => status === value);
}

/** A note as the server tells it; none when there is nothing in it. */
export function readNote(value: unknown): { note?: string } {
  const note = typeof value === 'string' ? value.trim().slice(0, NOTE_LIMIT) : '';
  return note === '' ? {} : { note };
}

export function presenceWords({ status, note }: Presence): string {
  return note ? `${STATUS_WORDS[status]} · ${note}` : STATUS_WORDS[status];
}
