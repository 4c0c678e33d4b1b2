/** What config.schema.json uses of JSON Schema; a keyword that is not here is refused by a test, not passed over. */
export interface Schema {
  readonly type?: TypeName | readonly TypeName[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  /** Of texts. */
  readonly uniqueItems?: boolean;
  readonly properties?: Readonly<Record<string, Schema | undefined>>;
  readonly additionalProperties?: Schema | boolean;
  readonly propertyNames?: Schema;
  readonly required?: readonly string[];
  readonly maxProperties?: number;
  readonly default?: unknown;
}

type TypeName = 'string' | 'integer' | 'number' | 'boolean' | 'object' | 'array';

export type Keyword = Exclude<keyof Schema, 'properties' | 'items' | 'default'>;

/** One keyword that a value does not keep. */
export interface Fault {
  readonly keyword: Keyword;
  /** The value's place, as keys and numbers of list items. */
  readonly path: readonly string[];
  readonly value: unknown;
  /** The schema that has the keyword. */
  readonly schema: Schema;
  /** The key that is unknown, missing, or no name. */
  readonly key?: string;
  /** The value is a name, not what stands under it. */
  readonly isName: boolean;
  /** Of one of several ways in which the value could be right. */
  readonly isAlternative: boolean;
}

/** Everything that a schema finds fault with. Defaults are filled into the value, those of alternatives apart. */
export function faultsOf(value: unknown, schema: Schema): Fault[] {
  const check = new Check();
  check.value(value, schema, { path: [], isName: false, isAlternative: false });
  return check.faults;
}

type Place = Pick<Fault, 'path' | 'isName' | 'isAlternative'>;

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;

class Check {
  readonly faults: Fault[] = [];

  value(value: unknown, schema: Schema, place: Place): void {
    const fault = (keyword: Keyword, isFaulty: boolean, key?: string) => {
      if (isFaulty) this.faults.push({ keyword, value, schema, ...place, ...(key === undefined ? {} : { key }) });
    };
    const { type } = schema;
    if (type !== undefined)
      fault('type', !(typeof type === 'string' ? isA(type, value) : type.some((one) => isA(one, value))));
    if (typeof value === 'number') {
      fault('maximum', value > (schema.maximum ?? value));
      fault('minimum', value < (schema.minimum ?? value));
    } else if (typeof value === 'string') this.#text(value, schema, fault);
    if ('const' in schema) fault('const', value !== schema.const);
    if (schema.enum) fault('enum', !schema.enum.includes(value));
    if (schema.anyOf) this.#anyOf(value, schema.anyOf, place, () => fault('anyOf', true));
    if (Array.isArray(value)) {
      fault('maxItems', value.length > (schema.maxItems ?? value.length));
      fault('minItems', value.length < (schema.minItems ?? 0));
      const texts = value.filter((item) => typeof item === 'string');
      fault('uniqueItems', schema.uniqueItems === true && new Set(texts).size < texts.length);
      const { items } = schema;
      if (items) for (const [i, item] of value.entries()) this.value(item, items, below(place, String(i)));
    } else if (isA('object', value)) this.#object(value as Record<string, unknown>, schema, place, fault);
  }

  #text(value: string, schema: Schema, fault: (keyword: Keyword, isFaulty: boolean) => void): void {
    const length = [...value].length;
    fault('maxLength', length > (schema.maxLength ?? length));
    fault('minLength', length < (schema.minLength ?? 0));
    if (schema.pattern !== undefined) fault('pattern', !new RegExp(schema.pattern, 'u').test(value));
    if (schema.format !== undefined) fault('format', !IPV4.test(value));
  }

  #object(
    value: Record<string, unknown>,
    schema: Schema,
    place: Place,
    fault: (keyword: Keyword, isFaulty: boolean, key?: string) => void,
  ): void {
    const { properties = {}, additionalProperties, propertyNames } = schema;
    if (!place.isAlternative)
      for (const [key, { default: byDefault } = {}] of Object.entries(properties))
        if (byDefault !== undefined && value[key] === undefined) value[key] = structuredClone(byDefault);
    const keys = Object.keys(value);
    fault('maxProperties', keys.length > (schema.maxProperties ?? keys.length));
    for (const key of schema.required ?? []) fault('required', value[key] === undefined, key);
    if (propertyNames)
      for (const key of keys) {
        const before = this.faults.length;
        this.value(key, propertyNames, { ...place, isName: true });
        fault('propertyNames', this.faults.length > before, key);
      }
    for (const key of keys) {
      if (Object.hasOwn(properties, key)) continue;
      if (typeof additionalProperties === 'object') this.value(value[key], additionalProperties, below(place, key));
      else fault('additionalProperties', additionalProperties === false, key);
    }
    for (const [key, of] of Object.entries(properties))
      if (of && value[key] !== undefined) this.value(value[key], of, below(place, key));
  }

  /** Faults of the alternatives count when none of them is kept. */
  #anyOf(value: unknown, schemas: readonly Schema[], place: Place, none: () => void): void {
    const before = this.faults.length;
    for (const one of schemas) {
      const so = this.faults.length;
      this.value(value, one, { ...place, isAlternative: true });
      if (this.faults.length === so) {
        this.faults.length = before;
        return;
      }
    }
    none();
  }
}

const below = (place: Place, key: string): Place => ({ ...place, path: [...place.path, key] });

function isA(type: TypeName, value: unknown): boolean {
  switch (type) {
    case 'integer':
      return Number.isInteger(value);
    case 'number':
      return Number.isFinite(value);
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'string':
    case 'boolean':
      return typeof value === type;
    default:
      return type satisfies never;
  }
}
