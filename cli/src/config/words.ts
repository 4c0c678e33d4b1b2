import type { ErrorObject } from 'ajv';
import { closest } from './closest.ts';

/** What is needed of a JSON Schema to name its keys. */
export interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode | undefined>>;
  readonly items?: SchemaNode;
  /** Of objects whose keys are names that people choose. */
  readonly additionalProperties?: SchemaNode | boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'a text in quotes',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object, { … }',
  array: 'a list, [ … ]',
  'string,object': 'a text in quotes or an object, { … }',
};

/** Ajv's errors as sentences: `http.port has to be a whole number, not "abc"`. */
export function inWords(errors: readonly ErrorObject[], schema: SchemaNode): string[] {
  const sentences = new Set<string>();
  for (const error of errors) {
    const sentence = oneInWords(error, errors, schema);
    if (sentence !== undefined) sentences.add(sentence);
  }
  return [...sentences];
}

function oneInWords(error: ErrorObject, all: readonly ErrorObject[], schema: SchemaNode): string | undefined {
  const at = dotted(error.instancePath);
  const given = isSecret(at) ? 'what is there' : brief(error.data);
  const { params } = error;
  const inAlternative = /\/anyOf\/\d+\//.test(error.schemaPath);
  if (inAlternative && all.some((e) => e.keyword === 'anyOf' && e.instancePath === error.instancePath))
    return undefined;
  switch (error.keyword) {
    case 'additionalProperties': {
      const known = Object.keys(nodeAt(schema, error.instancePath)?.properties ?? {}).filter(
        (key) => key !== '$schema',
      );
      const key = String(params.additionalProperty);
      const near = closest(key, known);
      const where = at === '' ? '' : ` in ${at}`;
      return `unknown key '${key}'${where} (${near ? `did you mean '${near}'?` : `known are: ${known.join(', ')}`})`;
    }
    case 'type':
      return `${at} has to be ${TYPES[String(params.type)] ?? params.type}, not ${given}`;
    case 'minimum':
      return `${at} has to be at least ${params.limit}, and is ${given}`;
    case 'maximum':
      return `${at} has to be at most ${params.limit}, and is ${given}`;
    case 'enum':
      return `${at} has to be one of ${(params.allowedValues as unknown[]).map(brief).join(', ')}, not ${given}`;
    case 'anyOf':
      return `${at} has to be ${alternatives(error)}, not ${given}`;
    case 'format':
      return `${at} has to be an IPv4 address like 192.0.2.10, not ${given}`;
    case 'minLength':
      return `${at} must not be empty`;
    case 'maxLength':
    case 'maxItems':
      return `${at} is too long: at most ${params.limit}`;
    case 'propertyNames':
      return `${at}: '${params.propertyName}' is no name (letters, digits, . _ -, up to 32)`;
    case 'required':
      return `${at}: '${params.missingProperty}' is missing`;
    case 'pattern':
      if (error.propertyName !== undefined) return undefined;
      return `${at}: ${given} has not the right form${patternHint(at)}`;
    default:
      return `${at} ${error.message ?? 'is not right'}`;
  }
}

function alternatives(error: ErrorObject): string {
  const options = (error.schema as { type?: string; const?: unknown; minimum?: number; maximum?: number }[]).map((o) =>
    o.const !== undefined
      ? brief(o.const)
      : `${TYPES[o.type ?? ''] ?? o.type}${o.minimum !== undefined ? ` from ${o.minimum} to ${o.maximum}` : ''}`,
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

/** `/http/allowedOrigins/0` as `http.allowedOrigins[0]`. */
function dotted(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .reduce((text, key) => (/^\d+$/.test(key) ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`), '');
}

function nodeAt(schema: SchemaNode, pointer: string): SchemaNode | undefined {
  let node: SchemaNode | undefined = schema;
  for (const key of pointer.split('/').slice(1)) node = childOf(node, key);
  return node;
}

/** What stands there is not to be seen in terminals and logs. */
function isSecret(at: string): boolean {
  return /\.(register|password|targets\[\d+\])$/.test(at);
}

function childOf(node: SchemaNode | undefined, key: string): SchemaNode | undefined {
  const named = /^\d+$/.test(key) && node?.items ? node.items : node?.properties?.[key];
  const any = node?.additionalProperties;
  return named ?? (typeof any === 'object' ? any : undefined);
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
