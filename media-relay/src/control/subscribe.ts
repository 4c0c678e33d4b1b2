import type { NgDictionary } from '@offhook/core';
import type { NgLink, PushedAs } from './dispatcher.ts';
import { MEDIA_EVENT_KINDS, type MediaEventKind } from './event-hub.ts';
import { CONTROL_LIMITS, numberOf, wordsOf } from './words.ts';

/**
 * The verb `events {call-id?: list, kinds?: list, digits?: 1}`: from now on they are pushed over this connection, each with
 * the cookie of this request. Once more replaces the choice; an empty list of kinds ends it. Words why not, or the kinds.
 */
export function subscribeEvents(
  message: NgDictionary,
  link: NgLink,
  as: PushedAs,
): { readonly error: string } | { readonly kinds: readonly MediaEventKind[] } {
  if (!link.subscribe) return { error: 'events are pushed over TCP or WebSocket only' };
  const asked = message.kinds === undefined ? MEDIA_EVENT_KINDS : wordsOf(message.kinds);
  const kinds = MEDIA_EVENT_KINDS.filter((kind) => asked.includes(kind));
  const unknown = asked.find((kind) => !MEDIA_EVENT_KINDS.some((known) => known === kind));
  if (unknown !== undefined) return { error: `there are no events of the kind '${unknown.slice(0, 40)}'` };
  const callIds = wordsOf(message['call-id'] ?? message['call id']);
  if (callIds.some((id) => id.length > CONTROL_LIMITS.callId)) return { error: 'call-id is too long' };
  const filter = {
    kinds: new Set(kinds),
    callIds: callIds.length === 0 ? undefined : new Set(callIds),
    digits: numberOf(message.digits, 0, 1) === 1,
  };
  link.subscribe(kinds.length === 0 ? undefined : filter, as);
  return { kinds };
}
