import { createHash } from 'node:crypto';

export type Ports = Readonly<Record<string, number>>;

/** One part as the supervisor sees it. */
export interface PartSpec {
  /** The part's name: `<name>.sock`, `<name>.config.json`, `<name>.log`. */
  readonly name: string;
  /** The file that Node runs. */
  readonly entry: string;
  /** Options of Node's own. */
  readonly nodeFlags?: readonly string[];
  /** Parts that have to be ready first, because this one's configuration names their real ports. */
  readonly needs: readonly string[];
  /** The part's settings, given the real ports of the parts it needs. */
  settings(ports: ReadonlyMap<string, Ports>): Record<string, unknown>;
  /** Those of the settings that make it another part when they change: without what can be told while it runs. */
  lasting?(settings: Record<string, unknown>): Record<string, unknown>;
  /** The same settings with the ports that the part had before, for a restart that nobody notices. */
  withPorts(settings: Record<string, unknown>, ports: Ports): Record<string, unknown>;
}

/** Fingerprint of what a part was asked to be; a living part with the same one is adopted. */
export function configHash(spec: PartSpec, settings: Record<string, unknown>): string {
  return createHash('sha256')
    .update(JSON.stringify([spec.name, spec.entry, spec.lasting?.(settings) ?? settings]))
    .digest('hex')
    .slice(0, 32);
}
