import { closest } from './closest.ts';
import type { Fault, Schema } from './schema.ts';

const TYPES: Readonly<Record<string, string>> = {
  string: 'a text in quotes',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object, { … }',
  array: 'a list, [ … ]',
  'string,object': 'a text in quotes or an object, { … }',
};

/** Faults as sentences: `http.port has to be a whole number, not "abc"`. */
export function inWords(faults: readonly Fault[], schema: Schema): string[] {
  const sentences = new Set<string>();
  for (const fault of faults) {
    const sentence = oneInWords(fault, faults, schema);
    if (sentence !== undefined) sentences.add(sentence);
  }
  return [...sentences];
}

function oneInWords(fault: Fault, all: readonly Fault[], root: Schema): string | undefined {
  const { keyword, schema, key } = fault;
  const at = dotted(fault.path);
  const given = isSecret(at) ? 'what is there' : brief(fault.value);
  const isTold = (other: Fault) => other.keyword === 'anyOf' && dotted(other.path) === at;
  if (fault.isAlternative && all.some(isTold)) return undefined;
  if (fault.isName && keyword === 'pattern') return undefined; // `propertyNames` says it
  switch (keyword) {
    case 'additionalProperties': {
      const known = Object.keys(nodeAt(root, fault.path)?.properties ?? {}).filter((one) => one !== '$schema');
      const near = closest(key!, known);
      const where = at === '' ? '' : ` in ${at}`;
      return `unknown key '${key}'${where} (${near ? `did you mean '${near}'?` : `known are: ${known.join(', ')}`})`;
    }
    case 'type':
      return `${at} has to be ${TYPES[String(schema.type)] ?? schema.type}, not ${given}`;
    case 'minimum':
      return `${at} has to be at least ${schema.minimum}, and is ${given}`;
    case 'maximum':
      return `${at} has to be at most ${schema.maximum}, and is ${given}`;
    case 'enum':
      return `${at} has to be one of ${schema.enum!.map(brief).join(', ')}, not ${given}`;
    case 'const':
      return `${at} has to be ${brief(schema.const)}, not ${given}`;
    case 'anyOf':
      return `${at} has to be ${alternatives(schema.anyOf!)}, not ${given}`;
    case 'format':
      return `${at} has to be an IPv4 address like 192.0.2.10, not ${given}`;
    case 'minLength':
      return schema.minLength === 1 ? `${at} must not be empty` : `${at} is too short: ${given}`;
    case 'maxLength':
    case 'maxItems':
    case 'maxProperties':
      return `${at} is too long: at most ${schema[keyword]}`;
    case 'minItems':
      return `${at} must not be empty`;
    case 'uniqueItems':
      return `${at} has the same entry twice: ${given}`;
    case 'propertyNames':
      return `${at}: '${key}' is no name (letters, digits, . _ -, up to 32)`;
    case 'required':
      return `${at}: '${key}' is missing`;
    case 'pattern':
      return `${at}: ${given} has not the right form${patternHint(at)}`;
    default:
      return keyword satisfies never;
  }
}

function alternatives(schemas: readonly Schema[]): string {
  const options = schemas.map((o) =>
    o.const !== undefined
      ? brief(o.const)
      : `${TYPES[String(o.type)] ?? o.type}${o.minimum !== undefined ? ` from ${o.minimum} to ${o.maximum}` : ''}`,
  );
  return options.join(' or ');
}

function patternHint(at: string): string {
  if (at === 'domain') return ' (a domain name like offhook.local)';
  if (at.startsWith('http.allowedOrigins')) return ' (an origin like https://phone.example.org, without a path)';
  if (at.startsWith('media.relays')) return ' (the NG port of a relay like udp:192.0.2.7:2223)';
  if (at.startsWith('media.ngAllowedOrigins')) return ' (an origin like https://ops.example, without a path)';
  if (/^trunks\.[^.]*\.targets/.test(at)) return ' (a SIP URI like sip:sip.provider.example)';
  return '';
}

/** `http`, `allowedOrigins`, `0` as `http.allowedOrigins[0]`. */
function dotted(path: readonly string[]): string {
  return path.reduce((text, key) => (/^\d+$/.test(key) ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`), '');
}

function nodeAt(schema: Schema, path: readonly string[]): Schema | undefined {
  let node: Schema | undefined = schema;
  for (const key of path) node = childOf(node, key);
  return node;
}

/** What stands there is not to be seen in terminals and logs. */
function isSecret(at: string): boolean {
  return /\.(register|password|targets\[\d+\])$/.test(at);
}

function childOf(node: Schema | undefined, key: string): Schema | undefined {
  const named = /^\d+$/.test(key) && node?.items ? node.items : node?.properties?.[key];
  const any = node?.additionalProperties;
  return named ?? (typeof any === 'object' ? any : undefined);
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
