/** What a user wants done with calls. */
export interface UserSettings {
  /** The user's phones stay silent. */
  readonly doNotDisturb: boolean;
  readonly forward: {
    /** Where calls go at once, when the user is busy or declines, and when nobody answers or is signed in. */
    readonly always?: string;
    readonly busy?: string;
    readonly noAnswer?: string;
    /** How long the user's phones ring before that, seconds. */
    readonly noAnswerS: number;
  };
  /** How the user wants to be seen while signed in; calls count more. */
  readonly presence?: { readonly status: (typeof STATUSES)[number]; readonly note?: string };
}

const STATUSES = ['available', 'busy', 'away'] as const;
const LONGEST_NOTE = 200;

export const DEFAULT_SETTINGS: UserSettings = { doNotDisturb: false, forward: { noAnswerS: 20 } };

const SETTINGS = ['doNotDisturb', 'forward', 'presence'];
const WAYS = ['always', 'busy', 'noAnswer'] as const;
const SHORTEST_RING_S = 5;
const LONGEST_RING_S = 60;

/**
 * The settings after a change, or what is wrong with it in words. The change comes from outside, any JSON: what it does not
 * name stays, null takes a forwarding away.
 */
export function changedSettings(before: UserSettings, change: unknown): UserSettings | { readonly problem: string } {
  if (!isRecord(change)) return { problem: `the settings are an object: ${SETTINGS.join(', ')}` };
  const unknown = Object.keys(change).find((key) => !SETTINGS.includes(key));
  if (unknown !== undefined)
    return { problem: `there is no setting '${unknown.slice(0, 50)}'; there are ${SETTINGS.join(', ')}` };
  const { doNotDisturb = before.doNotDisturb, forward = {} } = change;
  if (typeof doNotDisturb !== 'boolean') return { problem: 'doNotDisturb is true or false' };
  if (!isRecord(forward)) return { problem: 'forward is an object: always, busy, noAnswer, noAnswerS' };
  const strange = Object.keys(forward).find((key) => key !== 'noAnswerS' && !(WAYS as readonly string[]).includes(key));
  if (strange !== undefined)
    return { problem: `there is no forwarding '${strange.slice(0, 50)}'; there are ${WAYS.join(', ')} and noAnswerS` };
  const after: { always?: string; busy?: string; noAnswer?: string } = {};
  for (const way of WAYS) {
    const to = forward[way] === undefined ? before.forward[way] : forward[way];
    if (to === undefined || to === null || to === '') continue;
    if (typeof to !== 'string' || !isAddress(to))
      return { problem: `forward.${way}: a user, a number or a SIP address is needed` };
    after[way] = to;
  }
  const { noAnswerS = before.forward.noAnswerS } = forward;
  const isTime =
    Number.isInteger(noAnswerS) && Number(noAnswerS) >= SHORTEST_RING_S && Number(noAnswerS) <= LONGEST_RING_S;
  if (!isTime) return { problem: `forward.noAnswerS: ${SHORTEST_RING_S} to ${LONGEST_RING_S} seconds` };
  const presence = change.presence === undefined ? before.presence : readPresence(change.presence);
  if (presence !== undefined && 'problem' in presence) return presence;
  return { doNotDisturb, forward: { ...after, noAnswerS: Number(noAnswerS) }, ...(presence ? { presence } : {}) };
}

/** A status with a note, if any; null means nothing said. */
function readPresence(value: unknown): UserSettings['presence'] | { readonly problem: string } {
  if (value === null) return undefined;
  if (!isRecord(value)) return { problem: 'presence is an object: status, note' };
  const status = STATUSES.find((known) => known === value.status);
  if (!status) return { problem: `presence.status is one of ${STATUSES.join(', ')}` };
  const { note } = value;
  if (note === undefined || note === null || note === '') return { status };
  if (typeof note !== 'string' || note.length > LONGEST_NOTE)
    return { problem: `presence.note is a text of ${LONGEST_NOTE} characters at most` };
  return { status, note };
}

/** What was stored; a value that can't be read any more counts as not said. */
export function readSettings(json: string): UserSettings {
  try {
    const read = changedSettings(DEFAULT_SETTINGS, JSON.parse(json));
    return 'problem' in read ? DEFAULT_SETTINGS : read;
  } catch {
    return DEFAULT_SETTINGS;
  }
}

function isAddress(text: string): boolean {
  return text.length <= 256 && /^(?:sips?:)?[A-Za-z0-9._+*#-]+(?:@[A-Za-z0-9.:-]+)?$/.test(text);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
