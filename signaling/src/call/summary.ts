import type { Flow } from '../transaction/index.ts';
import type { Call } from './call.ts';
import { isOpaque, type MediaPath } from './media.ts';

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
  /** How it ended: status code and words. */
  readonly status?: number;
  readonly reason?: string;
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
    media: mediaOf(call, path),
    legs: legs.map((leg) => ({ user: leg.user, transport: leg.flow.transport })),
  };
}

function mediaOf(call: Call, path: MediaPath): CallSummary['media'] {
  if (call.kind === 'echo') return 'echo';
  if (!call.b) return 'none';
  return !call.isTerminated && isOpaque(call.a, call.b, path) ? 'opaque' : 'terminated';
}
