import type { CallFacts, Directory, Routed } from './decision.ts';
import { defaultRoute } from './default.ts';
import { printable } from './pattern.ts';

/**
 * What becomes of a call that no rule takes. Users reach services, groups and users. A call from outside reaches what its
 * trunk's own settings say, or whom a rule has forwarded it to; a rule's forward never picks up or fetches other calls.
 */
export function builtIn(facts: CallFacts, directory: Directory, how: 'forwarded' | 'as called'): Routed {
  const { account, trunk, did } = facts;
  if (account !== undefined) return defaultRoute(facts, directory);
  const told = how === 'as called' && did && 'to' in did ? did.to : undefined;
  if (how === 'as called' && told === undefined) {
    const whence = trunk === undefined ? 'a call from outside' : `a call over the trunk '${trunk}'`;
    const words = did && 'nowhere' in did ? did.nowhere : `nothing says what becomes of ${whence} to '${facts.to}'`;
    return refused(404, words);
  }
  const to = told ?? facts.to;
  const routed = defaultRoute({ to }, directory);
  const { kind } = routed.decision;
  if (kind === 'park' || kind === 'pickup') return refused(403, `${to} is for users of this server only`);
  return routed;
}

function refused(status: number, reason: string): Routed {
  const words = printable(reason);
  return { decision: { kind: 'reject', status, reason: words }, steps: [words] };
}
