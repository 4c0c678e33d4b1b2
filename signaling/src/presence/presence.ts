import type { UserSettings } from '../store/index.ts';
import type { Published } from './pidf.ts';

/** How somebody is, as others see it. */
export interface Presence {
  readonly status: 'available' | 'busy' | 'away' | 'on-the-phone' | 'offline';
  readonly note?: string;
}

/** RPID activities (RFC 4480 3.2) by what they mean to callers. */
const AWAY = new Set(
  'away breakfast dinner holiday in-transit lunch meal permanent-absence shopping sleeping travel vacation'.split(' '),
);
const BUSY = new Set(
  'appointment busy looking-for-work meeting performance presentation spectator steering working worship'.split(' '),
);

/**
 * One word for all that is known of a user (RFC 4479 leaves the composition to the server): a call counts most, then what
 * the user has set, then what phones have published. Without a registered phone nobody is there, whatever a phone that is
 * gone has left behind; and who publishes nothing but `closed` does not want to be.
 */
export function compose(of: {
  readonly isRegistered: boolean;
  readonly isTalking: boolean;
  readonly published: readonly Published[];
  readonly settings: UserSettings;
}): Presence {
  const { isRegistered, isTalking, published, settings } = of;
  const set = settings.presence;
  const note = set?.note ?? published.findLast((one) => one.note !== undefined)?.note;
  const isHidden = published.length > 0 && published.every(({ isOpen }) => !isOpen);
  if (isHidden || !isRegistered) return { status: 'offline', note };
  if (isTalking) return { status: 'on-the-phone', note };
  if (settings.doNotDisturb) return { status: 'busy', note: note ?? 'do not disturb' };
  if (set && set.status !== 'available') return { status: set.status, note };
  const activities = published.flatMap((one) => (one.isOpen ? one.activities : []));
  if (activities.includes('on-the-phone')) return { status: 'on-the-phone', note };
  if (activities.some((one) => AWAY.has(one))) return { status: 'away', note };
  if (activities.some((one) => BUSY.has(one))) return { status: 'busy', note };
  return { status: 'available', note };
}
