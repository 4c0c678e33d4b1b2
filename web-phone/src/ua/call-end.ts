import type { Action, Message } from './messages.ts';

/** How a call came to its end. `reason` is the text the server gave, already stripped of protocol. */
export interface CallEnd {
  readonly by: 'local' | 'remote';
  readonly cause:
    | 'hangup'
    | 'canceled'
    | 'declined'
    | 'answered-elsewhere'
    | 'rejected'
    | 'no-answer'
    | 'media-never'
    | 'media-lost'
    | 'media-incompatible'
    | 'relay-unreachable'
    | 'forgotten'
    | 'page-error';
  readonly status?: number;
  readonly reason?: string;
  /** It rang on the other side before. */
  readonly rang?: boolean;
}

/** Whether the other side is somebody else or another phone of the same account. */
export type Whom = 'other' | 'self';

interface StatusWords {
  readonly title: string;
  readonly detail: string;
  readonly action?: Action;
}

/** `%` stands for the name that was called. */
const STATUS_WORDS: Readonly<Record<number, StatusWords>> = {
  400: {
    title: 'The server did not understand the call',
    detail: 'Reload the page and try again.',
    action: 'call-again',
  },
  401: { title: 'You are not signed in', detail: 'Sign in again, then repeat the call.', action: 'sign-in' },
  403: { title: 'You may not call %', detail: 'The server’s rules do not allow this call from your account.' },
  404: {
    title: 'No one here is called %',
    detail: 'Nobody is registered under this name or number. Check the spelling, or pick from People.',
  },
  405: { title: 'That cannot be called', detail: 'The other side does not take calls.' },
  406: { title: 'The other side cannot take this call', detail: 'It expects a kind of call this phone does not make.' },
  407: { title: 'You are not signed in', detail: 'Sign in again, then repeat the call.', action: 'sign-in' },
  408: {
    title: 'The phone of % does not respond',
    detail: 'It may be switched off, or away from the network.',
    action: 'call-again',
  },
  410: { title: '% is no longer here', detail: 'This name or number was given up.' },
  413: { title: 'The call was too large for the server', detail: 'Try it with sound only.', action: 'audio-only' },
  415: { title: 'The other side cannot take this call', detail: 'It does not understand browser media.' },
  420: { title: 'The other side cannot take this call', detail: 'It needs a feature this phone does not have.' },
  423: { title: 'The server wants longer registrations', detail: 'Reload the page.', action: 'reconnect' },
  429: { title: 'Too many calls in a short time', detail: 'Wait a moment, then try again.', action: 'call-again' },
  480: {
    title: '% is not signed in anywhere',
    detail: 'The name exists, but no phone is registered under it right now. Ask them to open theirs.',
    action: 'call-again',
  },
  481: {
    title: 'The server no longer knows this call',
    detail: 'It may have been restarted. Call again.',
    action: 'call-again',
  },
  482: { title: 'The call went in circles', detail: 'The server’s routing leads back to itself.' },
  483: { title: 'The call went in circles', detail: 'The server’s routing passes it on too often.' },
  484: { title: 'That number is too short', detail: 'Complete it and call again.' },
  486: { title: '% is busy', detail: 'On another call right now. Try again in a moment.', action: 'call-again' },
  487: { title: 'Call canceled', detail: 'It was ended before it was answered.' },
  488: {
    title: 'No common way to talk',
    detail: 'The two phones share no sound format, or the other side takes no encrypted media.',
    action: 'audio-only',
  },
  491: { title: 'Both sides changed the call at once', detail: 'Try the change again.' },
  500: {
    title: 'The server failed at this call',
    detail: 'Try again; if it stays, look at the server’s log.',
    action: 'call-again',
  },
  501: { title: 'The server does not know this kind of call', detail: 'Try it with sound only.', action: 'audio-only' },
  502: {
    title: 'The next server gave a bad answer',
    detail: 'The fault is beyond our own server.',
    action: 'call-again',
  },
  503: {
    title: 'The call could not be carried',
    detail: 'The server is overloaded, or its media relay is not running. Try again in a moment.',
    action: 'call-again',
  },
  504: { title: 'The next server did not answer', detail: 'The fault is beyond our own server.', action: 'call-again' },
  600: { title: '% is busy', detail: 'Busy on every phone.', action: 'call-again' },
  603: { title: '% declined', detail: 'They chose not to answer.' },
  604: { title: 'No one is called %', detail: 'This name or number exists nowhere.' },
  606: { title: 'No common way to talk', detail: 'The other side accepts none of our media.', action: 'audio-only' },
};

/** 408 or 480 after it rang (RFC 3261 21.4.9, 21.4.18). */
const UNANSWERED: StatusWords = {
  title: '% did not answer',
  detail: 'It rang without an answer. Try again later.',
  action: 'call-again',
};

const FOREIGN_DOMAIN: StatusWords = {
  title: 'Calls to % are not possible here',
  detail: 'This server connects its own users only.',
};

const CLASS_WORDS: Readonly<Record<number, StatusWords>> = {
  3: { title: '% has moved', detail: 'The server pointed elsewhere, which this phone does not follow.' },
  4: { title: 'The call was refused', detail: 'The other side did not take it.', action: 'call-again' },
  5: { title: 'The server failed at this call', detail: 'Try again in a moment.', action: 'call-again' },
  6: { title: '% cannot be reached', detail: 'The call was refused on every phone.' },
};

/** Somebody hung up, as calls end every day: the call itself says so. */
export function isPlainHangup(end: CallEnd): boolean {
  return end.cause === 'hangup' && end.reason === undefined;
}

/** What is said once a call is over. @param name of the other side, as a person knows it */
export function callEndWords(end: CallEnd, name: string, whom: Whom = 'other'): Message {
  switch (end.cause) {
    case 'hangup':
      return end.by === 'local'
        ? { tone: 'info', title: 'Call ended' }
        : { tone: 'info', title: `${name} hung up`, ...explained(end) };
    case 'canceled':
      return end.by === 'local'
        ? { tone: 'info', title: 'Call canceled' }
        : {
            tone: 'info',
            title: `Missed call from ${name}`,
            detail: 'They hung up before you answered.',
            action: 'call-back',
          };
    case 'declined':
      return { tone: 'info', title: `You declined ${name}` };
    case 'answered-elsewhere':
      return { tone: 'info', title: 'Answered on another device' };
    case 'no-answer':
      return {
        tone: 'info',
        title: `Missed call from ${name}`,
        detail: 'It rang without an answer.',
        action: 'call-back',
      };
    case 'rejected':
      return (whom === 'self' && selfWords(end)) || rejectionWords(end, name);
    case 'media-never':
      return {
        tone: 'problem',
        title: 'No sound could get through',
        detail:
          'The call was answered, but no path to the media relay was found. A firewall may block UDP; choosing “relay only” in the settings may help.',
        action: 'call-again',
      };
    case 'media-lost':
      return {
        tone: 'problem',
        title: 'The connection was lost',
        detail: 'The sound stopped and three attempts to bring it back failed. Check your network.',
        action: 'call-again',
      };
    case 'media-incompatible':
      return {
        tone: 'problem',
        title: 'The two phones could not agree on sound',
        detail: 'The answer from the other side was not usable here.',
        action: 'call-again',
      };
    case 'relay-unreachable':
      return {
        tone: 'problem',
        title: 'The TURN server did not answer',
        detail: 'This phone is set to “relay only”, and no relay address was given within five seconds.',
        action: 'without-relay',
      };
    case 'forgotten':
      return {
        tone: 'problem',
        title: 'The call is over',
        detail:
          'Nothing came from the other side for a while, and the server, probably restarted, no longer knows the call.',
        action: 'call-again',
      };
    case 'page-error':
      return {
        tone: 'problem',
        title: 'The call failed in this page',
        detail: 'Reload the page and try again.',
        action: 'call-again',
      };
    default:
      return end.cause satisfies never;
  }
}

function rejectionWords(end: CallEnd, name: string): Message {
  const foreign = end.status === 404 && /^(\S+) is not served here/.exec(end.reason ?? '')?.[1];
  if (foreign) return fill(FOREIGN_DOMAIN, foreign);
  const words = fill(statusWords(end), name);
  return end.reason ? { ...words, detail: `${words.detail} The server says: “${end.reason}”.` } : words;
}

function statusWords({ status = 500, rang }: CallEnd): StatusWords {
  if (rang && (status === 408 || status === 480)) return UNANSWERED;
  return STATUS_WORDS[status] ?? CLASS_WORDS[Math.floor(status / 100)] ?? CLASS_WORDS[5]!;
}

function fill({ title: pattern, ...words }: StatusWords, name: string): Message {
  const title = pattern.replace('%', () => name);
  return { tone: 'problem', title: title.charAt(0).toUpperCase() + title.slice(1), ...words };
}

/** Another phone of one's own did not take the call; undefined where it is no different from anybody's. */
function selfWords({ status, rang }: CallEnd): Message | undefined {
  switch (status) {
    case 404:
    case 408:
    case 480:
      return rang
        ? { tone: 'info', title: 'Your other phone was not answered' }
        : { tone: 'info', title: 'That is you', detail: 'No other phone of yours is signed in.' };
    case 486:
    case 600:
      return { tone: 'info', title: 'Your other phone is busy', detail: 'You are in a call there already.' };
    case 603:
      return { tone: 'info', title: 'You declined on your other phone' };
    default:
      return undefined;
  }
}

/** Somebody called during a call. */
export function calledMeanwhileWords(name: string, whom: Whom): Message {
  return whom === 'self'
    ? { tone: 'info', title: 'Your other phone called this one', detail: 'It was told that you are in a call here.' }
    : { tone: 'info', title: `${name} called meanwhile`, detail: 'They were told that you are busy.' };
}

function explained(end: CallEnd): { detail?: string } {
  return end.reason ? { detail: `The server says: “${end.reason}”.` } : {};
}

/** Text of a Reason header (RFC 3326), e.g. `SIP;cause=480;text="bob is not registered"`, and its cause. */
export function parseReason(header: string | undefined): { cause?: number; text?: string } {
  if (!header) return {};
  const cause = /;\s*cause\s*=\s*(\d{3})(?!\d)/i.exec(header)?.[1];
  const text = /;\s*text\s*=\s*"((?:[^"\\]|\\.)*)"/i.exec(header)?.[1]?.replace(/\\(.)/g, '$1');
  return { ...(cause ? { cause: Number(cause) } : {}), ...(text ? { text: text.slice(0, 200) } : {}) };
}
