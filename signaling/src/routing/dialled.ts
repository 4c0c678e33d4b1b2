import type { CallFacts, Directory } from './decision.ts';

/** A number with what people and phones write between its digits (RFC 3966 5.1.1: visual separators). */
const WITH_SEPARATORS = /^[+\d][+\d\s().\-/]*$/;

/**
 * A call as rules see it: trunks dial numbers without their separators, so `+49-900-1` must be to a rule what `+49900 1` and
 * `+499001` are. Accounts may be called `1.5`.
 */
export function asDialled(facts: CallFacts, { isUser }: Pick<Directory, 'isUser'>): CallFacts {
  const { to } = facts;
  if (!WITH_SEPARATORS.test(to) || isUser(to)) return facts;
  const bare = to.replace(/[\s().\-/]/g, '');
  return bare === to ? facts : { ...facts, to: bare };
}
