import type { SipMessage } from '@offhook/core';
import type { Leg } from './call.ts';

/** An Authorization or Proxy-Authorization. */
export type Credentials = readonly [name: string, value: string];

/**
 * What a request of ours in a leg's dialog is to be sent again with, when its provider has asked for the password (RFC 3261
 * 22.2); undefined when the answer is no challenge, or none that may be answered.
 */
export function credentialsFor(leg: Leg, request: SipMessage, answer: SipMessage): Credentials | undefined {
  return isChallenge(answer) ? leg.line?.authorize?.(request, answer) : undefined;
}

export function isChallenge({ status }: SipMessage): boolean {
  return status === 401 || status === 407;
}

/** The status that the other side is told: a provider's challenge is between it and us, and the phone has no password for it. */
export function statusFor(answer: SipMessage): number {
  return isChallenge(answer) ? 403 : answer.status;
}
