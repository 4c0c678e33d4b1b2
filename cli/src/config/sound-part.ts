import type { Fault } from './schema.ts';

/** Values that are taken out before the attempt is given up. */
const MAX_FAULTS = 200;

/** A configuration without the values that its schema finds fault with. */
export interface SoundPart {
  readonly config: unknown;
  /** The values that were taken out, as `tls.key`; of a list nothing, as what else is in it is there still. */
  readonly removed: readonly string[];
}

/**
 * What is left of a JSON object when everything is taken out that the schema refuses, with defaults in place of it; undefined
 * when that can't be done. So what a schema can't say is checked of the rest too, and all mistakes are told at once.
 */
export function soundPart(config: unknown, faultsOf: (config: unknown) => readonly Fault[]): SoundPart | undefined {
  const rest: unknown = structuredClone(config);
  const removed: string[] = [];
  for (let i = 0; i < MAX_FAULTS; i++) {
    const [fault] = faultsOf(rest);
    if (!fault) return { config: rest, removed };
    const path = fault.keyword === 'additionalProperties' ? [...fault.path, fault.key!] : fault.path;
    const from = remove(rest, path);
    if (from === undefined) return undefined;
    if (from === 'object') removed.push(path.join('.'));
  }
  return undefined;
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
