import { fillAction, type ParsedAction, type ParsedStep, parseAction } from './action.ts';
import type { CallFacts, Decision, RingGroup, RingStep, Routed, Target } from './decision.ts';
import { fill, printable } from './pattern.ts';
import { placesToRing } from './places.ts';
import type { Call, Found, When } from './routes.ts';
import type { CompiledRule } from './rules.ts';
import { clockWords, compileWhen } from './when.ts';

/** What this server knows of a name. */
export interface Known extends Omit<Found, 'group'> {
  readonly group?: RingGroup;
  /** Nobody was there to be asked: rules are tried without a running server. */
  readonly isGuess?: boolean;
}

/** What evaluation asks for. */
export interface Surroundings {
  /** Unix milliseconds. */
  readonly atMs: number;
  /** The zone of times that name none. */
  readonly zone: string;
  /** Aborted when the answer is not waited for any more. */
  readonly signal: AbortSignal;
  /** `who`: user or group; `state`: also what the user's phones do. */
  lookup(name: string, about: 'who' | 'state'): Promise<Known>;
  /** The built-in routing, for that number. */
  builtIn(to: string, how: 'forwarded' | 'as called'): Promise<Routed>;
  /** That rule is about to be tried. */
  enter(index: number): void;
  /** Where in the user's file that happened, as `routes.ts:12:5`. */
  place(error: unknown): string | undefined;
}

/** Also says whether a rule lets the call leave this server again. */
export interface Evaluated extends Routed {
  readonly transit: boolean;
}

/** How often a call may be forwarded from rule to rule. */
const MAX_TURNS = 10;
const MAX_SENTENCES = 500;
const MAX_SENTENCE = 400;

/** A call on its way through the rules. */
interface Journey {
  readonly facts: CallFacts;
  readonly around: Surroundings;
  readonly sentences: string[];
  called: string;
  caller: string;
  displayName: string | undefined;
  isRewritten: boolean;
  turns: number;
  transit: boolean;
  /** Steps before the forwarding that made the rules be tried anew. */
  readonly ringing: RingStep[];
}

/** What was caught by the rule that fits, and what is done. */
interface Taken {
  readonly rule: CompiledRule;
  readonly action: ParsedAction;
}

/** Tries the rules on a call; `sentences` is filled as it goes, for whoever can't wait for the end. */
export async function evaluate(
  rules: readonly CompiledRule[],
  facts: CallFacts,
  around: Surroundings,
  sentences: string[] = [],
): Promise<Evaluated> {
  const { to: called, from: caller, displayName } = facts;
  const journey: Journey = {
    ...{ facts, around, sentences, called, caller, displayName },
    ...{ isRewritten: false, turns: 0, transit: false, ringing: [] },
  };
  let decision: Decision;
  try {
    decision = shown(journey, await decide(rules, journey));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    decision = { kind: 'reject', status: error.status, reason: error.message };
  }
  return { decision, steps: sentences, transit: journey.transit };
}

/** What keeps a call from being decided: a status and words that a stranger may read. */
class Refused extends Error {
  readonly status: number;
  constructor(status: number, words: string) {
    super(words);
    this.status = status;
  }
}

async function decide(rules: readonly CompiledRule[], journey: Journey): Promise<Decision> {
  for (;;) {
    const taken = await firstThatFits(rules, journey);
    if (!taken || taken.action.kind === 'built-in') return after(journey, await builtIn(journey, taken));
    const { action, rule } = taken;
    if (action.kind !== 'steps') return after(journey, answer(journey, action, rule));
    const last = action.steps.at(-1)!;
    const isForwarded = last.kind === 'forward';
    if (rule.transit) journey.transit = true;
    const steps = await ringSteps(journey, rule, isForwarded ? action.steps.slice(0, -1) : action.steps);
    journey.ringing.push(...inside(journey, steps));
    if (!isForwarded) {
      if (journey.ringing.length > 0) return { kind: 'ring', steps: journey.ringing };
      if (steps.length > 0) throw new Refused(403, 'a call from outside may not leave this server again');
      throw new Refused(404, `there is nobody to be rung for '${journey.called}'`);
    }
    if (++journey.turns > MAX_TURNS) {
      tell(journey, `${rule.label}: forwarded for the ${journey.turns}th time: the rules lead in a circle`);
      throw new Refused(482, 'the routes lead in a circle');
    }
    tell(journey, `${rule.label}: forwarded to '${last.number}', which is looked for from the first rule on`);
    journey.called = last.number;
  }
}

/** The first rule that fits and has something to do; rules that only rewrite change the call. */
async function firstThatFits(rules: readonly CompiledRule[], journey: Journey): Promise<Taken | undefined> {
  for (const [i, rule] of rules.entries()) {
    journey.around.enter(i);
    const caught = fits(rule, journey);
    if (typeof caught === 'string') {
      tell(journey, `${rule.label}: ${caught}`);
      continue;
    }
    if (rule.condition) {
      const { condition } = rule;
      if (!(await asked(journey, rule, () => condition(callFor(journey, caught))))) {
        tell(journey, `${rule.label}: its 'if' says no`);
        continue;
      }
    }
    if (rule.rewrite) rewrite(journey, rule, caught);
    if (rule.action === undefined) continue;
    const action = await actionOf(journey, rule, caught);
    if (action) return { rule, action: fillAction(action, textsOf(journey, caught)) };
    tell(journey, `${rule.label}: its code leaves the call to the next rule`);
  }
  return undefined;
}

type Caught = Readonly<Record<string, string>>;

function textsOf({ called, caller }: Journey, caught: Caught): Caught {
  return { called, caller, ...caught };
}

/** What was caught, or why the rule does not apply. */
function fits(rule: CompiledRule, { facts, called, caller, around }: Journey): Caught | string {
  const { source } = rule;
  if (source === 'user' && facts.account === undefined) return 'only for calls of users';
  if (source === 'trunk' && facts.trunk === undefined) return 'only for calls over a trunk';
  if (typeof source === 'object' && !source.trunks.includes(facts.trunk ?? ''))
    return `only for calls over ${list(source.trunks)}`;
  let caught: Caught | undefined = {};
  if (rule.called) {
    caught = firstMatch(rule.called, called);
    if (!caught) return `'${called}' is not ${words(rule.called)}`;
  }
  if (rule.caller && !firstMatch(rule.caller, caller)) return `the caller '${caller}' is not ${words(rule.caller)}`;
  if (rule.when && !rule.when.some((one) => one.holds(around.atMs)))
    return `not now, it is ${clockWords(around.atMs, rule.when[0]!.zone)}`;
  const not = rule.unless?.find((one) => one.holds(around.atMs));
  if (not) return `not now, it is ${clockWords(around.atMs, not.zone)}`;
  return caught;
}

function firstMatch(patterns: NonNullable<CompiledRule['called']>, number: string): Caught | undefined {
  for (const pattern of patterns) {
    const caught = pattern.match(number);
    if (caught) return caught;
  }
  return undefined;
}

function words(patterns: NonNullable<CompiledRule['called']>): string {
  return list(patterns.map((pattern) => pattern.words));
}

/** `a, b or c`, and of many only the first. */
function list(all: readonly string[]): string {
  const shown = all.length > 5 ? [...all.slice(0, 4), `${all.length - 4} more`] : all;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} or ${shown.at(-1)}`;
}

function rewrite(journey: Journey, rule: CompiledRule, caught: Caught): void {
  const texts = textsOf(journey, caught);
  const { called, caller, displayName } = rule.rewrite!;
  const changes: string[] = [];
  if (called !== undefined) {
    journey.called = fill(called, texts);
    changes.push(`'${texts.called}' becomes '${journey.called}'`);
  }
  if (caller !== undefined) {
    journey.caller = fill(caller, texts);
    changes.push(`the caller is shown as '${journey.caller}'`);
  }
  if (displayName !== undefined) {
    journey.displayName = fill(displayName, texts);
    changes.push(`with the name '${journey.displayName}'`);
  }
  if (caller !== undefined || displayName !== undefined) journey.isRewritten = true;
  tell(journey, `${rule.label}: ${changes.join(', ')}`);
}

async function actionOf(journey: Journey, rule: CompiledRule, caught: Caught): Promise<ParsedAction | undefined> {
  const { action } = rule;
  if (typeof action !== 'function') return action;
  const given = await asked(journey, rule, () => action(callFor(journey, caught)));
  if (given === undefined) return undefined;
  const parsed = parseAction(given);
  if (typeof parsed !== 'string') return parsed;
  tell(journey, `${rule.label}: its code answers what can't be done: ${parsed}`);
  throw new Refused(500, `the routes have a mistake in rule '${rule.name}'`);
}

/** Runs code of the user's. */
async function asked<T>(journey: Journey, rule: CompiledRule, code: () => T | Promise<T>): Promise<T> {
  const { around } = journey;
  try {
    const answer = await code();
    around.signal.throwIfAborted();
    return answer;
  } catch (error) {
    if (around.signal.aborted) throw error;
    const where = around.place(error);
    const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    tell(journey, `${rule.label}: its code failed: ${what}${where === undefined ? '' : ` (${where})`}`);
    throw new Refused(500, `the routes have a mistake in rule '${rule.name}'`);
  }
}

function callFor({ facts, called, caller, displayName, around }: Journey, match: Caught): Call {
  return {
    called,
    caller,
    displayName,
    account: facts.account,
    trunk: facts.trunk,
    match,
    now: new Date(around.atMs),
    signal: around.signal,
    header: (name) => {
      const key = String(name).toLowerCase();
      return facts.headers && Object.hasOwn(facts.headers, key) ? facts.headers[key] : undefined;
    },
    is: (when: When) => {
      const compiled = compileWhen(when, around.zone);
      if (typeof compiled === 'string') throw new TypeError(compiled);
      return compiled.holds(around.atMs);
    },
    lookup: async (name) => {
      const { isUser, isSignedIn, isInCall, group } = await around.lookup(String(name), 'state');
      return { isUser, isSignedIn, isInCall, ...(group ? { group: group.members } : {}) };
    },
  };
}

async function builtIn(journey: Journey, taken: Taken | undefined): Promise<Decision> {
  tell(
    journey,
    taken ? `${taken.rule.label}: the built-in routing decides` : 'no rule takes the call: built-in routing',
  );
  const how = journey.turns > 0 ? 'forwarded' : 'as called';
  const { decision, steps } = await journey.around.builtIn(journey.called, how);
  for (const step of steps) tell(journey, `built-in: ${step}`);
  if (decision.kind !== 'ring') return decision;
  const ringing = inside(journey, decision.steps);
  if (ringing.length === 0) throw new Refused(403, 'a call from outside may not leave this server again');
  return { ...decision, steps: ringing };
}

function answer(
  journey: Journey,
  action: Exclude<ParsedAction, { kind: 'steps' | 'built-in' }>,
  { label }: CompiledRule,
): Decision {
  switch (action.kind) {
    case 'reject':
      tell(journey, `${label}: refused with ${action.status}: ${action.reason}`);
      return action;
    case 'room':
      tell(journey, `${label}: into the room '${action.room}'`);
      return action;
    case 'park':
      tell(journey, `${label}: the parking slot '${action.slot}'`);
      return action;
    case 'pickup':
      tell(
        journey,
        `${label}: picks up what rings ${action.user === undefined ? 'in the caller’s groups' : `at '${action.user}'`}`,
      );
      return action;
    case 'echo':
      tell(journey, `${label}: the echo`);
      return action;
    default:
      return action satisfies never;
  }
}

async function ringSteps(journey: Journey, rule: CompiledRule, steps: readonly ParsedStep[]): Promise<RingStep[]> {
  const ringing: RingStep[] = [];
  for (const step of steps) {
    if (step.kind === 'forward') continue;
    if (step.kind === 'ring') {
      const { steps, sentence } = await placesToRing(step, (name) => journey.around.lookup(name, 'who'));
      tell(journey, `${rule.label}: ${sentence}`);
      ringing.push(...steps);
    } else {
      const { trunks, number, ringS } = step;
      tell(
        journey,
        `${rule.label}: '${number}' over ${trunks.map((name) => `'${name}'`).join(', and when that fails ')}`,
      );
      ringing.push(...trunks.map((trunk) => ({ targets: [{ kind: 'trunk' as const, trunk, number }], ringS })));
    }
  }
  return ringing;
}

/** What a call that has been forwarded comes to, behind whoever was to be rung before. */
function after(journey: Journey, decision: Decision): Decision {
  const { ringing } = journey;
  if (ringing.length === 0) return decision;
  if (decision.kind === 'ring') return { ...decision, steps: [...ringing, ...decision.steps] };
  const what = decision.kind === 'reject' ? `${decision.status} ${decision.reason}` : decision.kind;
  tell(journey, `only ringing can follow ringing, so after it the call is over (and not: ${what})`);
  return { kind: 'ring', steps: ringing };
}

/** Without what leaves this server again, where a call from outside may not: the one thing that costs money. */
function inside(journey: Journey, steps: readonly RingStep[]): readonly RingStep[] {
  const { facts, transit } = journey;
  if (facts.account !== undefined || transit || !steps.some((step) => step.targets.some(leaves))) return steps;
  tell(journey, 'a call from outside may not leave this server again, unless the rule says transit: true');
  return steps
    .map((step) => ({ ...step, targets: step.targets.filter((target) => !leaves(target)) }))
    .filter((step) => step.targets.length > 0);
}

function shown({ isRewritten, caller, displayName }: Journey, decision: Decision): Decision {
  if (decision.kind !== 'ring' || !isRewritten) return decision;
  return { ...decision, showAs: { from: caller, displayName } };
}

/** Whether that target is outside of this server. */
export function leaves({ kind }: Target): boolean {
  return kind !== 'user';
}

function tell({ sentences }: Journey, sentence: string): void {
  if (sentences.length === MAX_SENTENCES) sentences.push('and so on');
  if (sentences.length > MAX_SENTENCES) return;
  const shown = sentence.length > MAX_SENTENCE ? `${sentence.slice(0, MAX_SENTENCE - 1)}…` : sentence;
  sentences.push(printable(shown));
}
