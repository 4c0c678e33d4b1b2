import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv, type ErrorObject } from 'ajv';
import fc from 'fast-check';
import file from '../../config.schema.json' with { type: 'json' };
import { type Fault, faultsOf, type Schema } from './schema.ts';

const SCHEMA = file as Schema;
/** An independent reading of the same file, which is much slower to begin with. */
const ajv = new Ajv({ allErrors: true, useDefaults: true, verbose: true, strict: true, allowUnionTypes: true });
ajv.addFormat('ipv4', /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/);
const validate = ajv.compile(file);

const WORDS = new Set(['$schema', '$id', 'title', 'description']);
const KNOWN = new Set([
  ...['type', 'const', 'enum', 'anyOf', 'minimum', 'maximum', 'minLength', 'maxLength', 'pattern', 'format', 'items'],
  ...['minItems', 'maxItems', 'uniqueItems', 'properties', 'additionalProperties', 'propertyNames', 'required'],
  ...['maxProperties', 'default'],
]);

test('every keyword of the schema is one that is checked, and `format` is ipv4', () => {
  const look = (schema: Schema | boolean | undefined): void => {
    if (typeof schema !== 'object') return;
    for (const key of Object.keys(schema)) assert.ok(KNOWN.has(key) || WORDS.has(key), key);
    assert.ok(schema.format === undefined || schema.format === 'ipv4', schema.format);
    for (const one of Object.values(schema.properties ?? {})) look(one);
    for (const one of [schema.items, schema.additionalProperties, schema.propertyNames, ...(schema.anyOf ?? [])])
      look(one);
  };
  look(SCHEMA);
});

/** What may stand at a place: mostly what the schema allows, its limits, and what nobody should write. */
function near(schema: Schema | undefined): fc.Arbitrary<unknown> {
  const odd = fc.oneof(
    fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 65_536, '', 'x', '127.0.0.1', '😀', [], {}, ['x'], ['x', 'x']),
    fc.jsonValue({ maxDepth: 1 }),
  );
  const {
    const: only,
    enum: some = [],
    minimum,
    maximum,
    anyOf = [],
    items,
    properties,
    additionalProperties,
  } = schema ?? {};
  const fit: fc.Arbitrary<unknown>[] = [only, ...some, minimum, maximum, schema?.default]
    .filter((value) => value !== undefined)
    .map((value) => fc.constant(value));
  fit.push(...anyOf.map(near));
  if (items) fit.push(fc.array(near(items), { maxLength: 3 }));
  if (properties || typeof additionalProperties === 'object') fit.push(object(properties ?? {}, additionalProperties));
  if (fit.length === 0)
    fit.push(fc.constantFrom<unknown>('x', 'a.example', 'sip:a.example', 'https://a.example', 1, true));
  return fc.oneof({ weight: 8, arbitrary: fc.oneof(...fit) }, { weight: 1, arbitrary: odd });
}

function object(
  properties: NonNullable<Schema['properties']>,
  more: Schema['additionalProperties'],
): fc.Arbitrary<object> {
  const names = Object.keys(properties);
  const known = fc
    .subarray(names, { maxLength: Math.min(3, names.length) })
    .chain((keys) => fc.record(Object.fromEntries(keys.map((key) => [key, near(properties[key])]))));
  const keys = fc.constantFrom('one', 'two', 'tls', 'a b', '', '~/', '-'.repeat(70));
  const others = fc.dictionary(keys, near(typeof more === 'object' ? more : undefined), {
    maxKeys: more === undefined ? 0 : 2,
  });
  return fc
    .tuple(known, fc.oneof({ weight: 8, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: others }))
    .map(([a, b]) => ({ ...b, ...a }));
}

const ofAjv = ({ keyword, instancePath, params, propertyName }: ErrorObject) =>
  [
    keyword,
    instancePath.replaceAll('~1', '/').replaceAll('~0', '~'),
    params.additionalProperty ?? params.missingProperty ?? params.propertyName ?? '',
    propertyName === undefined || keyword === 'propertyNames' ? '' : 'name',
  ].join(' ');
const ofOurs = ({ keyword, path, key, isName }: Fault) =>
  [keyword, path.map((one) => `/${one}`).join(''), key ?? '', isName ? 'name' : ''].join(' ');

test('whatever stands in a configuration, Ajv finds the same faults and fills in the same defaults', () => {
  let sound = 0;
  let faulty = 0;
  fc.assert(
    fc.property(object(SCHEMA.properties!, undefined), (config) => {
      const [a, b] = [structuredClone(config), structuredClone(config)];
      const theirs = validate(a) ? [] : validate.errors!.map(ofAjv);
      const ours = faultsOf(b, SCHEMA).map(ofOurs);
      assert.deepEqual([...new Set(ours)].sort(), [...new Set(theirs)].sort());
      assert.deepEqual(b, a);
      if (ours.length === 0) sound++;
      else faulty++;
    }),
    { numRuns: 2000, seed: 11 },
  );
  assert.ok(sound > 300 && faulty > 300, `${sound} sound, ${faulty} faulty`);
});

test('names that every object has are keys like others', () => {
  for (const text of ['{"toString":1}', '{"__proto__":{"x":1}}', '{"constructor":{}}', '{"groups":{"__proto__":{}}}']) {
    const [a, b] = [JSON.parse(text) as unknown, JSON.parse(text) as unknown];
    assert.ok(!validate(a));
    assert.deepEqual(faultsOf(b, SCHEMA).map(ofOurs), validate.errors!.map(ofAjv));
  }
  for (const text of ['null', '[]', '1', '"x"'])
    assert.deepEqual(faultsOf(JSON.parse(text), SCHEMA).map(ofOurs), ['type   ']);
});

test('a default that is filled in belongs to its configuration alone; a length is one of characters, not of UTF-16', () => {
  const schema: Schema = { type: 'object', properties: { a: { type: 'array', default: [] }, b: { maxLength: 1 } } };
  const [one, two]: [{ a?: number[] }, { a?: number[] }] = [{}, {}];
  faultsOf(one, schema);
  one.a!.push(1);
  assert.deepEqual(faultsOf(two, schema), []);
  assert.deepEqual(two.a, []);
  assert.deepEqual(faultsOf({ b: '😀' }, schema), []);
});
