import type { ErrorObject, ValidateFunction } from 'ajv';

/** Values that are taken out before the attempt is given up. */
const MAX_FAULTS = 200;

/** A configuration without the values that its schema finds fault with. */
export interface SoundPart<T> {
  readonly config: T;
  /** The values that were taken out, as `tls.key`; of a list nothing, as what else is in it is there still. */
  readonly removed: readonly string[];
}

/**
 * What is left of a JSON object when everything is taken out that the schema refuses, with defaults in place of it; undefined
 * when that can't be done. So what a schema can't say is checked of the rest too, and all mistakes are told at once.
 */
export function soundPart<T>(config: unknown, validate: ValidateFunction<T>): SoundPart<T> | undefined {
  const rest: unknown = structuredClone(config);
  const removed: string[] = [];
  for (let i = 0; i < MAX_FAULTS; i++) {
    if (validate(rest)) return { config: rest, removed };
    const path = placeOf(validate.errors![0]!);
    const from = remove(rest, path);
    if (from === undefined) return undefined;
    if (from === 'object') removed.push(path.join('.'));
  }
  return undefined;
}

/** Where the value at fault is, as keys. */
function placeOf({ instancePath, keyword, params }: ErrorObject): string[] {
  const path = instancePath
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  return keyword === 'additionalProperties' ? [...path, String(params.additionalProperty)] : path;
}

function remove(root: unknown, path: readonly string[]): 'list' | 'object' | undefined {
  const key = path.at(-1);
  if (key === undefined) return undefined;
  let parent = root;
  for (const step of path.slice(0, -1)) parent = (parent as Record<string, unknown>)[step];
  if (Array.isArray(parent)) {
    parent.splice(Number(key), 1);
    return 'list';
  }
  delete (parent as Record<string, unknown>)[key];
  return 'object';
}
