import { badText, isText, listOf, namedIn, type ParsedAction, parseAction, templatesOf } from './action.ts';
import { type CompiledPattern, compilePattern, placeholders, spelled } from './pattern.ts';
import type { Decide, Rule } from './routes.ts';
import { type CompiledWhen, compileWhen } from './when.ts';

/** A rule of the user's, checked and ready to use. */
export interface CompiledRule {
  /** `rule 3 'night'` */
  readonly label: string;
  readonly name: string;
  readonly called: readonly CompiledPattern[] | undefined;
  readonly caller: readonly CompiledPattern[] | undefined;
  readonly source: 'user' | 'trunk' | { readonly trunks: readonly string[] } | undefined;
  readonly when: readonly CompiledWhen[] | undefined;
  readonly unless: readonly CompiledWhen[] | undefined;
  readonly condition: Rule['if'];
  readonly transit: boolean;
  readonly rewrite: RewriteTexts | undefined;
  readonly action: ParsedAction | Decide | undefined;
}

export interface RewriteTexts {
  readonly called?: string;
  readonly caller?: string;
  readonly displayName?: string;
}

/** Something wrong, with the name of its rule where it has one, so that the line can be found. */
export interface Problem {
  readonly words: string;
  readonly rule?: string;
}

/** What rules name as it is. */
export interface Named {
  readonly rule: string;
  readonly names: readonly string[];
  readonly trunks: readonly string[];
}

const MAX_RULES = 1000;
const MAX_PATTERNS = 10_000;
const MAX_NAME = 100;
const KEYS = ['name', 'called', 'caller', 'source', 'when', 'unless', 'if', 'transit', 'do', 'rewrite'];

/** Compiles what the file exports; whatever is wrong is said, all at once. */
export function compileRules(exported: unknown, zone: string): { rules: CompiledRule[]; problems: Problem[] } {
  if (exported === undefined)
    return { rules: [], problems: [{ words: 'nothing is exported as default; a list of rules is needed' }] };
  if (!Array.isArray(exported))
    return { rules: [], problems: [{ words: `the default export is ${kindOf(exported)}, not a list of rules` }] };
  if (exported.length > MAX_RULES)
    return { rules: [], problems: [{ words: `${exported.length} rules are more than the limit of ${MAX_RULES}` }] };
  const rules: CompiledRule[] = [];
  const problems: Problem[] = [];
  const seen = new Set<string>();
  for (const [i, one] of (exported as unknown[]).entries()) {
    const name = (one as { name?: unknown } | null)?.name;
    if (typeof one !== 'object' || !isText(name) || name.length > MAX_NAME) {
      problems.push({ words: `rule ${i + 1} (${spelled(one)}) needs a name of 1 to ${MAX_NAME} characters` });
      continue;
    }
    const label = `rule ${i + 1} '${name}'`;
    const say = (words: string) => problems.push({ words: `${label}: ${words}`, rule: name });
    if (seen.has(name)) say('another rule has that name already');
    seen.add(name);
    rules.push(compileRule(one as Record<string, unknown>, { label, name, zone, say }));
  }
  return { rules, problems };
}

/** What the rules name, for a look whether it exists. */
export function namedBy(rules: readonly CompiledRule[]): Named[] {
  return rules.flatMap(({ name: rule, action, source }) => {
    const { names, trunks } =
      action === undefined || typeof action === 'function' ? { names: [], trunks: [] } : namedIn(action);
    const from = typeof source === 'object' ? source.trunks : [];
    return names.length + trunks.length + from.length > 0 ? [{ rule, names, trunks: [...trunks, ...from] }] : [];
  });
}

function compileRule(
  given: Record<string, unknown>,
  of: { label: string; name: string; zone: string; say: (words: string) => void },
): CompiledRule {
  const { say, label, name, zone } = of;
  const stray = Object.keys(given).find((key) => !KEYS.includes(key));
  if (stray !== undefined) say(`there is no '${stray}'; known are ${KEYS.join(', ')}`);
  const all = <T extends object>(value: unknown, compile: (one: unknown) => T | string): T[] | undefined => {
    if (value === undefined) return undefined;
    const list = listOf(value);
    if (list.length === 0) say('an empty list fits nothing');
    if (list.length > MAX_PATTERNS) say(`a list of more than ${MAX_PATTERNS} is too long`);
    return list.slice(0, MAX_PATTERNS).flatMap((one) => {
      const compiled = compile(one);
      if (typeof compiled !== 'string') return [compiled];
      say(compiled);
      return [];
    });
  };
  const called = all(given.called, compilePattern);
  const caller = all(given.caller, compilePattern);
  const when = all(given.when, (one) => compileWhen(one, zone));
  const unless = all(given.unless, (one) => compileWhen(one, zone));
  if (given.if !== undefined && typeof given.if !== 'function') say(`if: ${spelled(given.if)} is no function`);
  if (given.transit !== undefined && typeof given.transit !== 'boolean') say('transit: true or nothing');
  const source = sourceOf(given.source, say);
  let action: CompiledRule['action'];
  if (typeof given.do === 'function') action = given.do as Decide;
  else if (given.do !== undefined) {
    const parsed = parseAction(given.do);
    if (typeof parsed === 'string') say(parsed);
    else action = parsed;
  }
  const rewrite = rewriteOf(given.rewrite, say);
  if (given.do === undefined && given.rewrite === undefined)
    say("it has neither 'do' nor 'rewrite', so it does nothing");
  const wanted = [
    ...(action === undefined || typeof action === 'function' ? [] : templatesOf(action)),
    ...Object.values(rewrite ?? {}),
  ].flatMap(placeholders);
  for (const placeholder of new Set(wanted))
    if (!isCaught(placeholder, called))
      say(`nothing fills {${placeholder}} in: no pattern of 'called' has it in each case`);
  return {
    label,
    name,
    called,
    caller,
    source,
    when,
    unless,
    condition: given.if as Rule['if'],
    transit: given.transit === true,
    rewrite,
    action,
  };
}

/** The whole numbers are always there; what patterns catch has to be in each of them. */
function isCaught(name: string, called: readonly CompiledPattern[] | undefined): boolean {
  if (name === 'called' || name === 'caller') return true;
  return called?.every(({ names }) => names.includes(name)) ?? false;
}

function sourceOf(source: unknown, say: (words: string) => void): CompiledRule['source'] {
  if (source === undefined || source === 'user' || source === 'trunk') return source;
  const trunk = (source as { trunk?: unknown } | null)?.trunk;
  const trunks = trunk === undefined ? [] : listOf(trunk);
  if (trunks.length > 0 && trunks.every(isText) && Object.keys(source as object).length === 1) return { trunks };
  say(`source: ${spelled(source)} is none: 'user', 'trunk' or { trunk: 'name' }`);
  return undefined;
}

function rewriteOf(rewrite: unknown, say: (words: string) => void): RewriteTexts | undefined {
  if (rewrite === undefined) return undefined;
  if (typeof rewrite !== 'object' || rewrite === null || Object.keys(rewrite).length === 0) {
    say(`rewrite: ${spelled(rewrite)} has to be { called, caller, displayName }, or some of them`);
    return undefined;
  }
  for (const [key, text] of Object.entries(rewrite)) {
    if (!['called', 'caller', 'displayName'].includes(key)) say(`rewrite has no '${key}'`);
    else if (!isText(text)) say(`rewrite: ${key}: ${badText(text)}`);
  }
  return rewrite as RewriteTexts;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}
