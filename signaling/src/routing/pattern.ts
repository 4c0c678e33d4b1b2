/** A pattern of numbers, ready to use. */
export interface CompiledPattern {
  /** As a person wrote it. */
  readonly words: string;
  /** Names of what it catches. */
  readonly names: readonly string[];
  /** What it has caught; undefined: it does not fit. */
  match(number: string): Readonly<Record<string, string>> | undefined;
}

const MAX_LENGTH = 256;
const MAX_DIGITS = 64;
const PLACEHOLDER = /\{([^{}]*)\}/g;
const NAME = /^[A-Za-z_]\w{0,31}$/;
const GROUPS = /\((?!\?)|\(\?<(?![=!])/g;

/** Compiles what stands in `called` or `caller`; answers what is wrong with it as a sentence. */
export function compilePattern(pattern: unknown): CompiledPattern | string {
  if (isRegExp(pattern)) return fromRegExp(pattern);
  if (typeof pattern === 'string') return fromText(pattern);
  const prefix = (pattern as { prefix?: unknown } | null)?.prefix;
  if (typeof prefix === 'string' && Object.keys(pattern as object).length === 1) return fromPrefix(prefix);
  return `${spelled(pattern)} is no pattern: a text, a regular expression, or { prefix: '…' }`;
}

/** Puts in what was caught; a name that nothing caught stays as it is. */
export function fill(template: string, caught: Readonly<Record<string, string>>): string {
  return template.replace(PLACEHOLDER, (whole, name: string) => (Object.hasOwn(caught, name) ? caught[name]! : whole));
}

/** The names that a template needs. */
export function placeholders(template: string): string[] {
  return [...template.matchAll(PLACEHOLDER)].map(([, name]) => name!);
}

function fromText(text: string): CompiledPattern | string {
  if (text === '' || text.length > MAX_LENGTH) return `a pattern has 1 to ${MAX_LENGTH} characters`;
  if (!/[{}]/.test(text))
    return { words: `'${text}'`, names: [], match: (number: string) => (number === text ? {} : undefined) };
  const names: string[] = [];
  let source = '';
  let end = 0;
  for (const found of text.matchAll(PLACEHOLDER)) {
    const [name = '', count] = found[1]!.split(':', 2);
    if (!NAME.test(name)) return `'${text}': '{${found[1]}}' has no good name (letters and digits, as {number})`;
    if (names.includes(name)) return `'${text}': {${name}} stands there twice`;
    const digits = quantifier(count);
    if (digits === undefined) return `'${text}': '{${found[1]}}' counts its digits as {${name}:4} or {${name}:3-5}`;
    names.push(name);
    source += `${escaped(text.slice(end, found.index))}(?<${name}>\\d${digits})`;
    end = found.index + found[0].length;
  }
  const rest = text.slice(end);
  if (/[{}]/.test(text.replace(PLACEHOLDER, ''))) return `'${text}' has a brace without its other`;
  const expression = new RegExp(`^${source}${escaped(rest)}$`);
  return { words: `'${text}'`, names, match: (number: string) => expression.exec(number)?.groups };
}

function escaped(text: string): string {
  return text.replace(/\W/g, '\\$&');
}

function quantifier(count: string | undefined): string | undefined {
  if (count === undefined) return '+';
  const [, low, high] = /^(\d{1,2})(?:-(\d{1,2}))?$/.exec(count) ?? [];
  const [min, max] = [Number(low), Number(high ?? low)];
  return low !== undefined && min >= 1 && min <= max && max <= MAX_DIGITS ? `{${min},${max}}` : undefined;
}

function fromPrefix(prefix: string): CompiledPattern | string {
  if (prefix === '' || prefix.length > MAX_LENGTH) return `a prefix has 1 to ${MAX_LENGTH} characters`;
  return {
    words: `'${prefix}…'`,
    names: ['rest'],
    match: (number: string) => (number.startsWith(prefix) ? { rest: number.slice(prefix.length) } : undefined),
  };
}

/** A part of a number is never what is meant: /110/ would be found in 0511012. */
function fromRegExp({ source, flags }: RegExp): CompiledPattern {
  const expression = new RegExp(`^(?:${source})$`, flags.replace(/[gy]/g, ''));
  const groups = source.replace(/\\.|\[(?:\\.|[^\]\\])*\]/g, '').match(GROUPS) ?? [];
  const named = [...source.matchAll(/\(\?<([A-Za-z_]\w*)>/g)].map(([, name]) => name!);
  return {
    words: `/${source}/${flags}`,
    names: [...groups.map((_, i) => String(i + 1)), ...named],
    match: (number: string) => caughtBy(expression.exec(number)),
  };
}

function caughtBy(found: RegExpExecArray | null): Readonly<Record<string, string>> | undefined {
  if (!found) return undefined;
  const caught: Record<string, string> = Object.create(null);
  for (const [i, text] of found.entries()) if (i > 0) caught[i] = text ?? '';
  for (const [name, text] of Object.entries(found.groups ?? {})) caught[name] = text ?? '';
  return caught;
}

/** Also one of another realm. */
function isRegExp(value: unknown): value is RegExp {
  return Object.prototype.toString.call(value) === '[object RegExp]';
}

/** Without characters that would move a terminal's cursor or end a log's line. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}

/** A value as it might stand in the file, shortened. */
export function spelled(value: unknown): string {
  if (typeof value === 'string') return `'${printable(value.length > 60 ? `${value.slice(0, 57)}…` : value)}'`;
  if (typeof value === 'function') return 'a function';
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // circular, or a BigInt in it
  }
  text ??= String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
