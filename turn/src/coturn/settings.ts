import type { PartConfig } from '@offhook/core/node';
import type { TurnConfig } from '../config.ts';

/** A long-term user as coturn writes it: with a password, or the key MD5(name:realm:password) in hex. */
export type CoturnUser =
  | { readonly name: string; readonly password: string }
  | { readonly name: string; readonly key: string };

/** What our server is configured by, apart from where it runs; secrets and `users` are those that stand in the file itself. */
export interface CoturnSettings extends Omit<TurnConfig, keyof PartConfig | 'secretsFile'> {
  readonly users?: readonly CoturnUser[];
}

/** Files for 4.6 (Debian 12) are compared byte by byte and know the old options; 4.17 is what all since 4.16 understand. */
export const COTURN_VERSIONS = ['4.6', '4.17'] as const;
export type CoturnVersion = (typeof COTURN_VERSIONS)[number];

/** coturn's own ports, where ours may be any. */
export const COTURN_PORT = 3478;
export const COTURN_TLS_PORT = 5349;
export const COTURN_RELAY_PORTS = { min: 49_152, max: 65_535 } as const;

/** Which file a coturn takes, by what `turnserver --version` prints. */
export function coturnVersionFor(printed: string): CoturnVersion {
  const [, major, minor] = /^(\d+)\.(\d+)/m.exec(printed) ?? [];
  return Number(major) > 4 || (Number(major) === 4 && Number(minor) >= 16) ? '4.17' : '4.6';
}
