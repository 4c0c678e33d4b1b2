import type { ParsedStep } from './action.ts';
import type { RingStep, Target } from './decision.ts';
import type { Known } from './evaluate.ts';

/** The steps that ring the places of one step, and a sentence that says whom. A group alone keeps its own way of ringing. */
export async function placesToRing(
  { places, ringS }: Extract<ParsedStep, { kind: 'ring' }>,
  lookup: (name: string) => Promise<Known>,
): Promise<{ steps: RingStep[]; sentence: string }> {
  const targets: Target[] = [];
  const told: string[] = [];
  const missing: string[] = [];
  for (const place of places) {
    if (place.kind === 'trunk') {
      targets.push(place);
      told.push(`'${place.number}' over '${place.trunk}'`);
    } else if (place.kind === 'uri') {
      targets.push(place);
      told.push(place.uri);
    } else {
      const { name } = place;
      const { isUser, isGuess, group } = await lookup(name);
      if (group) {
        const { members } = group;
        if (places.length === 1 && group.ring === 'serial') {
          const steps = members.map((user) => ({
            targets: [{ kind: 'user' as const, user, isMember: true as const }],
            ringS: ringS ?? group.ringS,
          }));
          return { steps, sentence: `rings the group '${name}' in turn: ${members.join(', ')}` };
        }
        targets.push(...members.map((user) => ({ kind: 'user' as const, user, isMember: true as const })));
        told.push(`the group '${name}' (${members.join(', ')})`);
        if (places.length === 1) ringS ??= group.ringS;
      } else if (isUser || isGuess) {
        targets.push({ kind: 'user', user: name });
        told.push(isGuess ? `'${name}' (taken for a user)` : `'${name}'`);
      } else missing.push(name);
    }
  }
  const lack = missing.length > 0 ? `there is no user or group ${missing.map((name) => `'${name}'`).join(', ')}` : '';
  if (targets.length === 0) return { steps: [], sentence: lack || 'nobody is in there' };
  const forHow = ringS === undefined ? '' : ` for ${ringS} s`;
  const sentence = `rings ${told.join(' and ')}${forHow}${lack === '' ? '' : `; ${lack}`}`;
  return { steps: [{ targets: unique(targets), ringS }], sentence };
}

/** Nobody is rung twice at once. */
function unique(targets: readonly Target[]): Target[] {
  const keyOf = (target: Target) => (target.kind === 'user' ? `user ${target.user}` : JSON.stringify(target));
  const seen = new Map(targets.map((target) => [keyOf(target), target]));
  return [...seen.values()];
}
