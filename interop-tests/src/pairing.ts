/** Makes of phones, and how a SIP phone secures its media; it takes nothing else. */
export type Make =
  | 'Chromium'
  | 'Firefox'
  | 'baresip'
  | 'baresip with SDES'
  | 'baresip with DTLS-SRTP'
  | 'baresip with ICE and DTLS-SRTP'
  | 'linphone'
  | 'linphone with SDES'
  | 'linphone with DTLS-SRTP';

/** One call, in which both hear each other, and hear each other again after what is done in it. */
export interface Pairing {
  readonly from: Make;
  readonly to: Make;
  readonly meanwhile?: Change;
  /** Its person has to answer twice: what it answered first could not be used. */
  readonly isCalledAgain?: true;
  /** The called phone is offered SRTP first, refuses it, and takes plain RTP. */
  readonly isRefused?: true;
}

/**
 * Done by a SIP phone of the call, but for `restart ICE`, which its browser does after an outage, and `the relay dies`, by kill -9:
 * the one that follows takes the call at the same ports.
 */
export type Change = 'hold and resume' | 're-INVITE' | 'restart ICE' | 'the relay dies';

export interface Outcome {
  /** Likeness of what was heard to what was said, of each hearing. */
  readonly heard: readonly { readonly who: string; readonly far: number; readonly own: number }[];
  readonly error?: string;
}

const PLAIN: ReadonlySet<Make> = new Set(['baresip', 'linphone']);

/** What the call's record says beside how it ended: that an encrypted offer was answered in plain. */
export function noteOf({ from, to, isRefused }: Pairing, user: string): string | undefined {
  if (PLAIN.has(from) || !PLAIN.has(to)) return undefined;
  const how = isRefused ? 'refused SRTP (488)' : 'answered with plain RTP';
  return `${user}’s phone ${how}: its side of the call was not encrypted`;
}

export function nameOf({ from, to, meanwhile }: Pairing): string {
  return `${from} calls ${to}${meanwhile === undefined ? '' : `; ${meanwhile}`}`;
}
