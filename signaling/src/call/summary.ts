import type { Flow } from '../transaction/index.ts';
import type { Call } from './call.ts';
import { isOpaque, isUnrelayed, type MediaPath } from './media.ts';

/** A call as people and programs see it. Times are monotonic milliseconds. */
export interface CallSummary {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly state: Call['state'];
  readonly startedAtMs: number;
  readonly answeredAtMs?: number;
  readonly endedAtMs?: number;
  readonly media: 'opaque' | 'terminated' | 'echo' | 'none';
  /** The phones in it, those that only ring included. */
  readonly legs: readonly { readonly user: string; readonly transport: Flow['transport'] }[];
  /** Users whose phones ring, rang or talk. */
  readonly users: readonly string[];
  /** Who took it: an account, or the number of somebody elsewhere. */
  readonly answeredBy?: string;
  /** The caller is not to be shown to others. */
  readonly isPrivate?: boolean;
  /** What was given up so that it came about, in words. */
  readonly note?: string;
  /** How it ended: status code and words. */
  readonly status?: number;
  readonly reason?: string;
}

/** An answered call whose media a relay has: the relay's name of it, and of each of its phones. */
export interface RelayedCall {
  readonly id: string;
  readonly relayed: string;
  readonly tags: readonly { readonly tag: string; readonly party: string }[];
}

/** Undefined when no relay has it. */
export function relayedCall(call: Call, path: MediaPath): RelayedCall | undefined {
  if (call.state !== 'answered' || call.ngCallId === undefined) return undefined;
  if (call.kind === 'user' && mediaOf(call, path) === 'none') return undefined;
  const legs = call.b ? [call.a, call.b] : [call.a];
  return { id: call.id, relayed: call.ngCallId, tags: legs.map(({ mediaTag, party }) => ({ tag: mediaTag, party })) };
}

export function summarise(call: Call, path: MediaPath): CallSummary {
  const legs = [call.a, ...call.branches.filter((b) => b.state !== 'failed').map((b) => b.leg)];
  return {
    id: call.id,
    from: call.caller,
    to: call.callee,
    state: call.state,
    startedAtMs: call.startedAtMs,
    answeredAtMs: call.answeredAtMs,
    users: [
      ...new Set([call.a, ...call.branches.map((b) => b.leg)].flatMap((leg) => (leg.isOutside ? [] : [leg.user]))),
    ],
    answeredBy: call.answeredAtMs === undefined ? undefined : call.b?.party,
    isPrivate: call.a.isPrivate,
    ...(call.note === undefined ? {} : { note: call.note }),
    media: mediaOf(call, path),
    legs: legs.map((leg) => ({ user: leg.user, transport: leg.flow.transport })),
  };
}

/** The phones that talked in a call that has just ended, by the Call-IDs that they know it by. */
export function talkedIn(call: Call): { user: string; callId: string }[] {
  if (call.answeredAtMs === undefined) return [];
  return [call.a, call.b].flatMap((leg) =>
    leg && leg.call === call && !leg.isOutside ? [{ user: leg.user, callId: leg.dialog.callId }] : [],
  );
}

function mediaOf(call: Call, path: MediaPath): CallSummary['media'] {
  if (call.kind === 'echo') return 'echo';
  if (!call.b) return 'none';
  if (!call.isTerminated && (call.isUnrelayed ?? isUnrelayed(call.a, call.b, path))) return 'none';
  return !call.isTerminated && isOpaque(call.a, call.b, path) ? 'opaque' : 'terminated';
}

/** Whether a user takes part in a call: as caller, as who is called, or with a phone that rings or talks. */
export function isParty({ from, to, users }: CallSummary, user: string): boolean {
  return from === user || to === user || users.includes(user);
}

/** A call as one of its parties may see it: a private caller's name is the caller's alone. */
export function seenBy<C extends Seen>(call: C, user: string): C {
  const { from, legs } = call;
  if (!call.isPrivate || from === user) return call;
  const others = legs && { legs: legs.map((leg) => (leg.user === from ? { ...leg, user: 'anonymous' } : leg)) };
  return { ...call, from: 'anonymous', users: [], ...others };
}

interface Seen {
  readonly from: string;
  readonly isPrivate?: boolean;
  readonly legs?: CallSummary['legs'];
}
