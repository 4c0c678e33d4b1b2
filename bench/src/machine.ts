import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, release } from 'node:os';

/** What the figures were measured on and with. */
export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly arch: string;
  readonly kernel: string;
  readonly system: string;
  readonly node: string;
  readonly load: readonly number[];
}

/** With the versions of the programs that took part. */
export function machine<Programs extends Readonly<Record<string, string>>>(programs: Programs): Machine & Programs {
  const all = cpus();
  return {
    cpu: all[0]?.model ?? 'unknown',
    cpus: all.length,
    arch: arch(),
    kernel: release(),
    system: /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown',
    node: process.version,
    load: loadavg().map((load) => Math.round(load * 100) / 100),
    ...programs,
  };
}
