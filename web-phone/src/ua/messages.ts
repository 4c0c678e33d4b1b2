import type { LinkState } from './link.ts';
import type { RenegotiationOutcome } from './renegotiation.ts';

/** Something the page can offer as the next step. */
export type Action =
  | 'call-again'
  | 'call-back'
  | 'sign-in'
  | 'change-over'
  | 'try-media-again'
  | 'reconnect'
  | 'open-localhost'
  | 'call-echo'
  | 'without-relay'
  | 'audio-only';

/** Words for a person: what happened, and what to do about it. */
export interface Message {
  readonly tone: 'info' | 'good' | 'problem';
  readonly title: string;
  readonly detail?: string;
  readonly action?: Action;
}

/** The camera could not be added to the call. */
export function videoRefusedWords(outcome: RenegotiationOutcome): Message {
  return outcome === 'gone'
    ? {
        tone: 'problem',
        title: 'This call can no longer be changed',
        detail: 'The server was restarted meanwhile. The sound goes on; for video, hang up and call again.',
      }
    : { tone: 'problem', title: 'The other side takes no video', detail: 'The call goes on with sound.' };
}

/** The short words of the registration indicator. */
export function linkWords(state: LinkState): string {
  switch (state.kind) {
    case 'stopped':
      return 'Signed out';
    case 'connecting':
      return 'Connecting…';
    case 'registering':
      return 'Signing in…';
    case 'registered':
      return 'Ready';
    case 'reconnecting':
      return state.cause === 'busy' ? 'Server busy' : 'Reconnecting…';
    case 'refused':
      return 'Not registered';
    case 'expired':
      return 'Session ended';
    default:
      return state satisfies never;
  }
}

/** The sentence for a standing that needs one; undefined while all is well. */
export function linkMessage(state: LinkState): Message | undefined {
  switch (state.kind) {
    case 'stopped':
    case 'connecting':
    case 'registering':
    case 'registered':
      return undefined;
    case 'reconnecting':
      return RECONNECTING_WORDS[state.cause];
    case 'refused':
      return state.status === 403 || state.status === 401
        ? {
            tone: 'problem',
            title: 'The server refused this account',
            detail: `It answered ${state.status} ${state.reason}. Sign in again; if it stays, the account may have been removed.`,
            action: 'sign-in',
          }
        : {
            tone: 'problem',
            title: 'The server refused the registration',
            detail: `It answered ${state.status} ${state.reason}.`,
            action: 'reconnect',
          };
    case 'expired':
      return {
        tone: 'problem',
        title: 'Your session has ended',
        detail: 'Sign in again, or open a new link printed by the server.',
        action: 'sign-in',
      };
    default:
      return state satisfies never;
  }
}

const RECONNECTING_WORDS: Readonly<Record<'lost' | 'unreachable' | 'refused' | 'busy', Message>> = {
  lost: {
    tone: 'problem',
    title: 'The connection to the server was lost',
    detail: 'Trying again by itself. A call in progress goes on meanwhile.',
    action: 'reconnect',
  },
  unreachable: {
    tone: 'problem',
    title: 'The server does not answer',
    detail: 'Is it running? This page tries again by itself.',
    action: 'reconnect',
  },
  refused: {
    tone: 'problem',
    title: 'The server answers, but not for calls',
    detail: 'Its WebSocket at /sip was refused. A proxy in between may not pass WebSockets on.',
    action: 'reconnect',
  },
  busy: {
    tone: 'problem',
    title: 'The server is busy',
    detail: 'It asked this phone to wait a little. Nothing to do.',
  },
};

/** Why the microphone or camera could not be had. */
export type MediaProblem = 'insecure' | 'unsupported' | 'refused' | 'missing' | 'busy' | 'unplugged' | 'unknown';

export function mediaWords(problem: MediaProblem, device: 'microphone' | 'camera'): Message {
  switch (problem) {
    case 'insecure':
      return insecureWords(device, 'no-link');
    case 'unsupported':
      return {
        tone: 'problem',
        title: 'This browser cannot make calls',
        detail: 'It lacks WebRTC. Use a current Chrome, Edge, Firefox or Safari.',
      };
    case 'refused':
      return {
        tone: 'problem',
        title: `The ${device} is not allowed here`,
        detail: `Click the icon left of the address, allow the ${device}, then try again.`,
        action: device === 'camera' ? 'audio-only' : 'try-media-again',
      };
    case 'missing':
      return {
        tone: 'problem',
        title: `No ${device} found`,
        detail: `Plug one in, or choose another in the settings, then try again.`,
        action: device === 'camera' ? 'audio-only' : 'try-media-again',
      };
    case 'busy':
      return {
        tone: 'problem',
        title: `The ${device} is in use elsewhere`,
        detail: 'Another program or tab holds it. Close that, then try again.',
        action: device === 'camera' ? 'audio-only' : 'try-media-again',
      };
    case 'unplugged':
      return {
        tone: 'problem',
        title: `The ${device} was unplugged`,
        detail: device === 'camera' ? 'The call goes on with sound.' : 'Choose another one in the settings.',
      };
    case 'unknown':
      return {
        tone: 'problem',
        title: `The ${device} could not be started`,
        detail: 'Reload the page, or choose another device in the settings.',
        action: 'try-media-again',
      };
    default:
      return problem satisfies never;
  }
}

/** @param link whether a login link was opened here, which another page can still use */
export function insecureWords(device: 'microphone' | 'camera', link: 'link-held' | 'no-link'): Message {
  const held = link === 'link-held' ? ' Your login link is not used up: it works there.' : '';
  return {
    tone: 'problem',
    title: 'This page is not a secure context',
    detail: `Browsers give the ${device} only to pages by https or on localhost. On the computer that runs the server, open it on localhost; from any other computer or phone, https is needed.${held}`,
    action: 'open-localhost',
  };
}

/** Which problem a getUserMedia rejection is, by its name (W3C Media Capture 10.2.1; old names of older browsers too). */
export function mediaProblem(errorName: string): MediaProblem {
  switch (errorName) {
    case 'NotAllowedError':
    case 'PermissionDeniedError':
    case 'SecurityError':
      return 'refused';
    case 'NotFoundError':
    case 'DevicesNotFoundError':
    case 'OverconstrainedError':
      return 'missing';
    case 'NotReadableError':
    case 'TrackStartError':
    case 'AbortError':
      return 'busy';
    default:
      return 'unknown';
  }
}

export type SignInProblem = 'empty' | 'wrong' | 'link-used' | 'unreachable' | 'limited' | 'failed';

export function signInWords(problem: SignInProblem): Message {
  switch (problem) {
    case 'empty':
      return { tone: 'problem', title: 'Enter your user name and password' };
    case 'wrong':
      return { tone: 'problem', title: 'User name or password is wrong', detail: 'Check both and try again.' };
    case 'link-used':
      return {
        tone: 'problem',
        title: 'This link has been used, or is too old',
        detail:
          'A login link works once, within a day. “npx offhook link <name>” in the project’s folder makes another; or sign in here.',
      };
    case 'unreachable':
      return { tone: 'problem', title: 'The server does not answer', detail: 'Is it running? Try again in a moment.' };
    case 'limited':
      return { tone: 'problem', title: 'Too many attempts', detail: 'Wait a minute, then try again.' };
    case 'failed':
      return {
        tone: 'problem',
        title: 'Signing in failed',
        detail: 'The server gave an unexpected answer. Look at its log.',
      };
    default:
      return problem satisfies never;
  }
}

/** A dead link was opened, and the browser still held a session. */
export function stillSignedInWords(name: string): Message {
  return {
    tone: 'info',
    title: `You are still signed in as ${name}`,
    detail: 'The link has been used, or is too old. “npx offhook link <name>” in the project’s folder makes another.',
  };
}

/** A link of another account was opened in a signed-in tab. */
export function switchWords(offered: string, current: string): Message {
  return {
    tone: 'info',
    title: `Sign in as ${offered} instead?`,
    detail: `This tab is signed in as ${current}. A call in progress would end.`,
    action: 'change-over',
  };
}
