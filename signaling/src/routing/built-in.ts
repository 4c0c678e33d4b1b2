import type { CallFacts, Directory, Routed } from './decision.ts';
import { defaultRoute } from './default.ts';

/**
 * What becomes of a call that no rule takes. Users reach services, groups and users. A call from outside reaches what its
 * trunk's own settings say (`inbound`), or whom a rule has forwarded it to; it never picks up or fetches other calls.
 */
export function builtIn(
  facts: CallFacts,
  directory: Directory,
  how: 'forwarded' | 'as called',
  inbound?: (facts: CallFacts) => Routed | undefined,
): Routed {
  if (facts.account !== undefined) return defaultRoute(facts, directory);
  if (how === 'as called') {
    const whence = facts.trunk === undefined ? 'a call from outside' : `a call over the trunk '${facts.trunk}'`;
    return inbound?.(facts) ?? refused(404, `nothing says what becomes of ${whence} to '${facts.to}'`);
  }
  const routed = defaultRoute(facts, directory);
  const { kind } = routed.decision;
  if (kind === 'park' || kind === 'pickup') return refused(403, `${facts.to} is for users of this server only`);
  return routed;
}

function refused(status: number, reason: string): Routed {
  return { decision: { kind: 'reject', status, reason }, steps: [reason] };
}
