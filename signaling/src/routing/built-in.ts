import type { CallFacts, Directory, Routed } from './decision.ts';
import { defaultRoute } from './default.ts';

/**
 * What becomes of a call that no rule takes. Users reach services, groups and users. A call from outside reaches what its
 * trunk's own settings say, or whom a rule has forwarded it to; a rule's forward never picks up or fetches other calls.
 */
export function builtIn(facts: CallFacts, directory: Directory, how: 'forwarded' | 'as called'): Routed {
  const { account, trunk, did } = facts;
  if (account !== undefined) return defaultRoute(facts, directory);
  if (how === 'as called') {
    if (did && 'to' in did) return defaultRoute(did, directory);
    const whence = trunk === undefined ? 'a call from outside' : `a call over the trunk '${trunk}'`;
    return refused(404, did?.nowhere ?? `nothing says what becomes of ${whence} to '${facts.to}'`);
  }
  const routed = defaultRoute(facts, directory);
  const { kind } = routed.decision;
  if (kind === 'park' || kind === 'pickup') return refused(403, `${facts.to} is for users of this server only`);
  return routed;
}

function refused(status: number, reason: string): Routed {
  return { decision: { kind: 'reject', status, reason }, steps: [reason] };
}
