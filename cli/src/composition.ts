import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Config } from './config/config.ts';
import type { MediaSettings } from './config/media.ts';
import type { Secrets } from './config/secrets.ts';
import type { Ports } from './supervisor/spec.ts';

export const LOOPBACK = '127.0.0.1';
const MAX_AUTO_WORKERS = 64;

/** Everything that the parts' settings are made of. */
export interface Composition {
  readonly config: Config;
  /** Those of now: they may be changed while the parts run. */
  readonly secrets: () => Secrets;
  /** This host's own addresses beside loopback. */
  readonly hostAddresses: readonly string[];
  /** 127.0.0.1, and ::1 where there is IPv6. */
  readonly loopback: readonly string[];
  readonly version: string;
}

/** What the media workers' settings are made of. */
export type RelayComposition = Pick<Composition, 'config' | 'hostAddresses' | 'version'>;

export interface At {
  readonly address: string;
  readonly port: number;
}

/** Where calls and requests may come in: loopback, and with `public` the host's own addresses. */
export function listenAddresses({ config, hostAddresses }: Composition): string[] {
  return config.public ? [LOOPBACK, ...hostAddresses] : [LOOPBACK];
}

/** Where programs of this machine reach the media workers' NG control. */
export function controlAddress({ ngAddress = LOOPBACK }: Pick<MediaSettings, 'ngAddress'>): string {
  return ngAddress === '0.0.0.0' ? LOOPBACK : ngAddress === '::' ? '::1' : ngAddress;
}

/** Where WebRTC media is. */
export function muxAddresses({ config, hostAddresses }: RelayComposition): NonNullable<MediaSettings['muxAddresses']> {
  return config.media.muxAddresses ?? [LOOPBACK, ...hostAddresses];
}

/** An address as URIs have it. */
export function inUri(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** The i-th port from a first one; "any" stays "any". */
export function nth(first: number, i: number): number {
  return first === 0 ? 0 : first + i;
}

export function countOf(workers: number | 'auto'): number {
  return workers === 'auto' ? Math.min(availableParallelism(), MAX_AUTO_WORKERS) : workers;
}

/** Where the own CA and the certificate by it are. */
export function tlsFolder(data: string): string {
  return join(data, 'tls');
}

export function portOf(ports: Ports, name: string): { port?: number } {
  return ports[name] === undefined ? {} : { port: ports[name] };
}

/** The same places, on the port that was had before, if there was one. */
export function onPort(places: readonly At[], ports: Ports, name: string): At[] {
  return places.map((at) => ({ ...at, ...portOf(ports, name) }));
}
