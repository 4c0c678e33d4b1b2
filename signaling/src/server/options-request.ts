import { createResponse, type SipMessage } from '@offhook/core';
import { ALLOWED } from '../auth/index.ts';
import { refusal, SUPPORTED } from '../call/index.ts';
import { REGISTRATION_EXTENSIONS, type Registrar } from '../registrar/index.ts';
import { builtIn, type Directory } from '../routing/index.ts';

/** "The response code chosen MUST be the same that would have been chosen had the request been an INVITE" (RFC 3261 11.2) */
export function answerOptions(
  { message, trunk }: { readonly message: SipMessage; readonly trunk?: string },
  by: {
    readonly toTag: string;
    readonly registrar: Registrar;
    readonly directory: Directory;
    readonly allowEvents: string;
  },
  nowMs: number,
): SipMessage {
  const { toTag, registrar, directory, allowEvents } = by;
  // A trunk asks whether we are there, not whether somebody is.
  const target = trunk === undefined ? message.target : undefined;
  const gruu = target && registrar.resolveGruu(target);
  const user = gruu?.user ?? target?.user;
  if (user !== undefined) {
    const { decision } = builtIn({ account: '', from: '', to: user }, directory, 'as called');
    if (decision.kind === 'reject') return refusal(message, decision.status, decision.reason, toTag);
    if (directory.isUser(user) && registrar.lookup(user, nowMs, gruu?.instance).length === 0)
      return refusal(message, 480, `${target?.user} is not registered: nobody is signed in under that name`, toTag);
  }
  const headers = [
    ['Allow', ALLOWED] as const,
    ['Allow-Events', allowEvents] as const,
    ['Accept', 'application/sdp'] as const,
    ['Supported', [...SUPPORTED, ...REGISTRATION_EXTENSIONS].join(', ')] as const,
  ];
  return createResponse(message, 200, undefined, { toTag, headers });
}
