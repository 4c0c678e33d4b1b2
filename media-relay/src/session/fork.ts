import { unwire } from './build.ts';
import type { Call } from './call.ts';
import type { LegKind } from './kind.ts';
import { Leg } from './leg.ts';
import type { DescribeRequest } from './request.ts';

/** Fork branches of one call beside the one that is heard: each has ports of its own. */
export const MAX_FORKS = 16;

/**
 * The far leg that a description from `from` is for, or that answers it: the one with the `to-tag`, else with the branch,
 * else one whose branch nobody has named, else (a client that names no branches) the one there is. Undefined: a new branch.
 */
export function farLeg(call: Call, from: Leg, request: Pick<DescribeRequest, 'toTag' | 'branch'>): Leg | undefined {
  const active = call.other(from);
  if (from !== call.legs[0]) return active; // a called peer has one other side only
  const far = [active, ...call.forks];
  const tagged = request.toTag === undefined ? undefined : far.find((leg) => leg.tag === request.toTag);
  if (tagged) return tagged;
  if (request.branch === undefined) return active;
  const known = far.find((leg) => leg.branch === request.branch);
  if (known) return known;
  // A request in a dialog has a Via branch of its own each time.
  if (request.toTag !== undefined) return active;
  return far.find((leg) => leg.branch === undefined && leg.tag === undefined);
}

/** A far leg for one more branch. */
export function addFork(call: Call, kind: LegKind): Leg {
  const leg = new Leg(undefined, kind);
  call.forks.push(leg);
  return leg;
}

/** That far leg is the one that is heard from now on; the one before waits among the forks. */
export function activate(call: Call, leg: Leg): void {
  const at = call.forks.indexOf(leg);
  const before = call.legs[1];
  if (at < 0 || !before) return;
  call.forks[at] = before;
  call.legs[1] = leg;
  // Also when what the new one says is refused: then nobody is heard, as nobody hears the one before.
  unwire(before);
  unwire(call.legs[0]!);
  // A plain phone hears one stream, though it is another device's now.
  for (const transport of call.legs[0]!.transports()) transport.splice?.arm();
}
