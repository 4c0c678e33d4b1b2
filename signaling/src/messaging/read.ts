import { apart, type SipMessage, type SipUri } from '@offhook/core';
import { endToEnd } from '../call/index.ts';
import type { Gruu } from '../registrar/index.ts';
import { MESSAGE_LIMITS, type MessageLimits, type PagerMessage } from './message.ts';

const LONGEST_TYPE = 256;
/** Of the sender's own header fields, those that travel with the message may have so many bytes. */
const LONGEST_HEADERS = 2048;

export interface Reader {
  readonly isUser: (user: string) => boolean;
  readonly resolveGruu: (uri: SipUri) => Gruu | undefined;
  readonly wallMs: () => number;
  readonly limits?: MessageLimits;
}

/** What a MESSAGE of `from` says, or what to answer. Its body and target host were looked at by admission. */
export function readMessage(
  request: SipMessage,
  from: string,
  { isUser, resolveGruu, wallMs, limits = MESSAGE_LIMITS }: Reader,
): Omit<PagerMessage, 'id'> | { readonly status: number; readonly words: string } {
  const target = request.target;
  const gruu = target && resolveGruu(target);
  const to = gruu?.user ?? target?.user ?? '';
  if (!isUser(to)) return { status: 404, words: `messages go to users, and there is no user '${to.slice(0, 64)}'` };
  const contentType = request.header('content-type') ?? '';
  if (request.body.length > 0 && contentType === '')
    return { status: 400, words: 'a message with a body needs a Content-Type' };
  if (hasControls(contentType)) return { status: 400, words: 'the Content-Type holds control characters' };
  if (contentType.length > LONGEST_TYPE)
    return { status: 400, words: `a Content-Type has ${LONGEST_TYPE} characters at most` };
  const sentAt = wallMs();
  const keepS = Math.min(request.expires ?? limits.keepS, limits.keepS);
  return {
    from,
    to: apart(to),
    instance: gruu?.instance === undefined ? undefined : apart(gruu.instance),
    isPrivate: asksForPrivacy(request) || undefined,
    callId: apart(request.callId),
    contentType: apart(contentType),
    body: request.body.slice(),
    headers: passing(request),
    sentAt,
    expiresAt: sentAt + keepS * 1000,
  };
}

/** RFC 3323 4.2, 3325 9.3 */
function asksForPrivacy(request: SipMessage): boolean {
  const wishes = request.headers('privacy').flatMap((value) => value.toLowerCase().split(/[;,\s]+/));
  return wishes.some((wish) => wish === 'id' || wish === 'user' || wish === 'header');
}

function passing(request: SipMessage): readonly (readonly [string, string])[] {
  const headers = endToEnd(request).filter(([, value]) => !hasControls(value));
  const length = headers.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  return length <= LONGEST_HEADERS ? headers.map(([name, value]) => [name, apart(value)] as const) : [];
}

/** What a terminal or a log would act on; a tab is white space. */
function hasControls(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || (code >= 0x7f && code < 0xa0)) return true;
  }
  return false;
}
