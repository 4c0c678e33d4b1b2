import { fill, placeholders, spelled } from './pattern.ts';

/** What a rule does, checked; texts may still have `{…}` in them. */
export type ParsedAction =
  | { readonly kind: 'steps'; readonly steps: readonly ParsedStep[] }
  | { readonly kind: 'reject'; readonly status: number; readonly reason: string }
  | { readonly kind: 'room'; readonly room: string }
  | { readonly kind: 'park'; readonly slot: string }
  | { readonly kind: 'pickup'; readonly user: string | undefined }
  | { readonly kind: 'echo' }
  | { readonly kind: 'built-in' };

export type ParsedStep =
  | { readonly kind: 'ring'; readonly places: readonly ParsedPlace[]; readonly ringS: number | undefined }
  | {
      readonly kind: 'trunk';
      readonly trunks: readonly string[];
      readonly number: string;
      readonly ringS: number | undefined;
    }
  | { readonly kind: 'forward'; readonly number: string };

export type ParsedPlace =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'trunk'; readonly trunk: string; readonly number: string }
  | { readonly kind: 'uri'; readonly uri: string };

export const ACTION_LIMITS = { text: 512, steps: 16, places: 32, ringS: 3600 };

/** Checks what a rule does; answers what is wrong with it as a sentence. */
export function parseAction(action: unknown): ParsedAction | string {
  if (action === 'echo' || action === 'built-in') return { kind: action };
  if (Array.isArray(action)) return parseSteps(action);
  if (typeof action !== 'object' || action === null)
    return `${spelled(action)} is nothing that can be done: 'echo', 'built-in', { ring: … }, { trunk: … } and so on`;
  const given = action as Record<string, unknown>;
  const kinds = Object.keys(WORDS).filter((word) => given[word] !== undefined);
  const [kind] = kinds;
  if (kind === undefined)
    return `${spelled(action)} says not what to do: one of ${Object.keys(WORDS).join(', ')} is needed`;
  if (kinds.length > 1) return `${spelled(action)} says ${kinds.join(' and ')}; one thing is done, or a list of steps`;
  const stray = Object.keys(given).find((key) => key !== kind && !WORDS[kind]!.includes(key));
  if (stray !== undefined) return `${kind} has no '${stray}'${also(kind)}`;
  switch (kind) {
    case 'reject': {
      const { reject: status, reason = 'refused by the routes' } = given;
      if (!isWhole(status, 400, 699)) return `reject: ${spelled(status)} is no status from 400 to 699`;
      if (!isText(reason)) return `reason: ${badText(reason)}`;
      return { kind, status, reason };
    }
    case 'room':
      return isText(given.room) ? { kind, room: given.room } : `room: ${badText(given.room)}`;
    case 'park':
      return isText(given.park) ? { kind, slot: given.park } : `park: ${badText(given.park)}`;
    case 'pickup': {
      const { pickup } = given;
      if (!isText(pickup)) return `pickup: ${badText(pickup)}`;
      return { kind, user: pickup === 'any' ? undefined : pickup };
    }
    default:
      return parseSteps([given]);
  }
}

/** What may stand in an object beside the word that says what is done. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  ring: ['forSeconds'],
  trunk: ['number', 'forSeconds'],
  uri: ['forSeconds'],
  forward: [],
  reject: ['reason'],
  room: [],
  park: [],
  pickup: [],
};
const STEPS = ['ring', 'trunk', 'uri', 'forward'];

function also(kind: string): string {
  const more = WORDS[kind]!;
  return more.length > 0 ? `, only ${more.join(' and ')}` : '';
}

function parseSteps(list: readonly unknown[]): ParsedAction | string {
  if (list.length === 0 || list.length > ACTION_LIMITS.steps)
    return `a list of steps has 1 to ${ACTION_LIMITS.steps} of them`;
  const steps: ParsedStep[] = [];
  for (const [i, one] of list.entries()) {
    const step = parseStep(one);
    if (typeof step === 'string') return step;
    if (step.kind === 'forward' && i < list.length - 1)
      return 'forward can only be the last step: the rules are tried anew there';
    steps.push(step);
  }
  return { kind: 'steps', steps };
}

function parseStep(step: unknown): ParsedStep | string {
  if (typeof step !== 'object' || step === null) return `${spelled(step)} is no step: { ring: … }, { trunk: … }, …`;
  const given = step as Record<string, unknown>;
  const kind = STEPS.find((word) => given[word] !== undefined);
  if (kind === undefined) return `${spelled(step)} is no step: one of ${STEPS.join(', ')} is needed`;
  const stray = Object.keys(given).find((key) => key !== kind && !WORDS[kind]!.includes(key));
  if (stray !== undefined) return `${kind} has no '${stray}'${also(kind)}`;
  const { forSeconds: ringS } = given;
  if (ringS !== undefined && !isWhole(ringS, 1, ACTION_LIMITS.ringS))
    return `forSeconds: ${spelled(ringS)} is no number of seconds from 1 to ${ACTION_LIMITS.ringS}`;
  switch (kind) {
    case 'forward':
      return isText(given.forward) ? { kind, number: given.forward } : `forward: ${badText(given.forward)}`;
    case 'uri': {
      const place = parsePlace({ uri: given.uri });
      return typeof place === 'string' ? place : { kind: 'ring', places: [place], ringS };
    }
    case 'trunk': {
      const trunks = listOf(given.trunk);
      const bad = trunks.find((trunk) => !isText(trunk));
      const { number = '{called}' } = given;
      if (trunks.length === 0 || trunks.length > ACTION_LIMITS.steps)
        return `trunk: 1 to ${ACTION_LIMITS.steps} trunks, one after the other`;
      if (bad !== undefined) return `trunk: ${badText(bad)}`;
      if (!isText(number)) return `number: ${badText(number)}`;
      return { kind, trunks: trunks as string[], number, ringS };
    }
    default: {
      const places = listOf(given.ring).map(parsePlace);
      const bad = places.find((place) => typeof place === 'string');
      if (bad !== undefined) return bad;
      if (places.length === 0 || places.length > ACTION_LIMITS.places)
        return `ring: 1 to ${ACTION_LIMITS.places} at once`;
      return { kind: 'ring', places: places as ParsedPlace[], ringS };
    }
  }
}

function parsePlace(place: unknown): ParsedPlace | string {
  if (typeof place === 'string') return isText(place) ? { kind: 'name', name: place } : badText(place);
  const { trunk, number, uri, ...more } = (typeof place === 'object' && place !== null ? place : {}) as Record<
    string,
    unknown
  >;
  if (Object.keys(more).length === 0) {
    if (isText(uri) && trunk === undefined && number === undefined) return { kind: 'uri', uri };
    if (isText(trunk) && isText(number) && uri === undefined) return { kind: 'trunk', trunk, number };
  }
  return `ring: ${spelled(place)} is no place: a user's or a group's name, { trunk, number } or { uri }`;
}

/** The texts of an action, to check what they want filled in. */
export function templatesOf(action: ParsedAction): string[] {
  switch (action.kind) {
    case 'steps':
      return action.steps.flatMap((step) => {
        if (step.kind === 'forward') return [step.number];
        if (step.kind === 'trunk') return [...step.trunks, step.number];
        return step.places.flatMap((place) =>
          place.kind === 'name' ? [place.name] : place.kind === 'uri' ? [place.uri] : [place.trunk, place.number],
        );
      });
    case 'reject':
      return [action.reason];
    case 'room':
      return [action.room];
    case 'park':
      return [action.slot];
    case 'pickup':
      return action.user === undefined ? [] : [action.user];
    case 'echo':
    case 'built-in':
      return [];
    default:
      return action satisfies never;
  }
}

/** Names that stand in an action as they are, without anything to be filled in. */
export function namedIn(action: ParsedAction): { readonly names: string[]; readonly trunks: string[] } {
  const names: string[] = [];
  const trunks: string[] = [];
  if (action.kind === 'pickup' && action.user !== undefined) names.push(action.user);
  for (const step of action.kind === 'steps' ? action.steps : []) {
    if (step.kind === 'trunk') trunks.push(...step.trunks);
    if (step.kind !== 'ring') continue;
    for (const place of step.places) {
      if (place.kind === 'name') names.push(place.name);
      else if (place.kind === 'trunk') trunks.push(place.trunk);
    }
  }
  const isFixed = (text: string) => placeholders(text).length === 0;
  return { names: names.filter(isFixed), trunks: trunks.filter(isFixed) };
}

/** The same action with everything filled in. */
export function fillAction(action: ParsedAction, caught: Readonly<Record<string, string>>): ParsedAction {
  const put = (text: string) => fill(text, caught);
  switch (action.kind) {
    case 'steps':
      return { kind: 'steps', steps: action.steps.map((step) => fillStep(step, put)) };
    case 'reject':
      return { ...action, reason: put(action.reason) };
    case 'room':
      return { kind: 'room', room: put(action.room) };
    case 'park':
      return { kind: 'park', slot: put(action.slot) };
    case 'pickup':
      return { kind: 'pickup', user: action.user === undefined ? undefined : put(action.user) };
    case 'echo':
    case 'built-in':
      return action;
    default:
      return action satisfies never;
  }
}

function fillStep(step: ParsedStep, put: (text: string) => string): ParsedStep {
  switch (step.kind) {
    case 'forward':
      return { kind: 'forward', number: put(step.number) };
    case 'trunk':
      return { ...step, trunks: step.trunks.map(put), number: put(step.number) };
    case 'ring':
      return {
        ...step,
        places: step.places.map((place) => {
          if (place.kind === 'name') return { kind: 'name', name: put(place.name) };
          if (place.kind === 'uri') return { kind: 'uri', uri: put(place.uri) };
          return { kind: 'trunk', trunk: put(place.trunk), number: put(place.number) };
        }),
      };
    default:
      return step satisfies never;
  }
}

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= ACTION_LIMITS.text && !/\p{Cc}/u.test(value);
}

export function badText(value: unknown): string {
  return `${spelled(value)} has to be a text of 1 to ${ACTION_LIMITS.text} characters`;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
}
