import type { CallFacts, Decision, Directory, Routed } from './decision.ts';
import { printable } from './pattern.ts';

/** Numbers that the system itself answers. */
const ECHO = '600';
/** Where calls are parked: transferred to, and called to fetch. */
const PARKING = /^61[1-9]$/;
const PICK_UP_ANY = '*8';
const PICK_UP_FROM = '**';

/** The routing where there are no rules of the user's, or they leave a call to it: services, groups, users. */
export function defaultRoute({ to }: Pick<CallFacts, 'to'>, directory: Directory): Routed {
  if (to === '') return rejected(404, 'the address names no user');
  if (to === ECHO) return { decision: { kind: 'echo' }, steps: [`${to} is the echo`] };
  if (PARKING.test(to)) return { decision: { kind: 'park', slot: to }, steps: [`${to} is a parking slot`] };
  if (to === PICK_UP_ANY)
    return { decision: { kind: 'pickup' }, steps: [`${to} picks up what rings in the caller’s groups`] };
  if (to.startsWith(PICK_UP_FROM) && to.length > PICK_UP_FROM.length) {
    const user = to.slice(PICK_UP_FROM.length);
    return { decision: { kind: 'pickup', user }, steps: [`${to} picks up what rings at ${user}`] };
  }
  const group = directory.group(to);
  if (group) {
    const { members, ring, ringS } = group;
    const groups = ring === 'parallel' ? [members] : members.map((member) => [member]);
    const steps = groups.map((users) => ({
      targets: users.map((user) => ({ kind: 'user' as const, user, isMember: true as const })),
      ringS,
    }));
    return {
      decision: { kind: 'ring', steps },
      steps: [`${to} is a group: ${members.join(', ')}, rung ${ring === 'parallel' ? 'at once' : 'in turn'}`],
    };
  }
  if (directory.isUser(to)) {
    const decision: Decision = { kind: 'ring', steps: [{ targets: [{ kind: 'user', user: to }] }] };
    return { decision, steps: [`${to} is a user of this server`] };
  }
  return rejected(404, `there is no user '${to}' here`);
}

function rejected(status: number, reason: string): Routed {
  const words = printable(reason);
  return { decision: { kind: 'reject', status, reason: words }, steps: [words] };
}
