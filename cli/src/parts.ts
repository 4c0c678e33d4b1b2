import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Config, PortRange } from './config/config.ts';
import type { Secrets } from './config/secrets.ts';
import { ROOT } from './root.ts';
import type { PartSpec, Ports } from './supervisor/spec.ts';

const LOOPBACK = '127.0.0.1';
const MAX_AUTO_WORKERS = 64;
/**
 * Signalling makes 60 kB of short-lived objects for a registration: a nursery that stays in the processor's cache costs 5 to 10 %
 * less time than the default of 16 MB. One helper is enough to collect them: four take the processor from who answers.
 */
const SIGNALING_FLAGS = ['--max-semi-space-size=4', '--v8-pool-size=1'];

/** Everything that the parts' settings are made of. */
export interface Composition {
  readonly config: Config;
  readonly secrets: Secrets;
  /** This host's own addresses beside loopback. */
  readonly hostAddresses: readonly string[];
  /** 127.0.0.1, and ::1 where there is IPv6. */
  readonly loopback: readonly string[];
  readonly version: string;
}

interface At {
  readonly address: string;
  readonly port: number;
}

/** The parts in start order: media workers, TURN (which has to know their ports; unless it is turned off), signalling (which has to know all). */
export function composeParts(composition: Composition): PartSpec[] {
  const workers = Array.from({ length: workerCount(composition.config) }, (_, i) => mediaRelay(composition, i));
  const names = workers.map((worker) => worker.name);
  const relays = composition.config.turn.enabled ? [turn(composition, names)] : [];
  return [...workers, ...relays, signaling(composition, names)];
}

export function workerCount({ media }: Config): number {
  return media.workers === 'auto' ? Math.min(availableParallelism(), MAX_AUTO_WORKERS) : media.workers;
}

/** Ports of one worker out of those of all, disjoint and beginning with an even one (RFC 3550 11). */
export function portSlice(all: PortRange, worker: number, workers: number): PortRange {
  if (all.min === 0) return all;
  const first = all.min + (all.min % 2);
  const each = Math.floor((all.max + 1 - first) / workers / 2) * 2;
  return { min: first + worker * each, max: first + (worker + 1) * each - 1 };
}

/** The i-th port from a first one; "any" stays "any". */
function nth(first: number, i: number): number {
  return first === 0 ? 0 : first + i;
}

/** Where calls and requests may come in: loopback, and with `public` the host's own addresses. */
function listenAddresses({ config, hostAddresses }: Composition): string[] {
  return config.public ? [LOOPBACK, ...hostAddresses] : [LOOPBACK];
}

/** Where signalling listens: what is configured, or loopback, and with `public` the host's own addresses. */
function sipAddresses({ config, hostAddresses, loopback }: Composition): readonly string[] {
  return config.listen ?? (config.public ? [...loopback, ...hostAddresses] : loopback);
}

function httpAddresses({ config, hostAddresses, loopback }: Composition): readonly string[] {
  if (config.listen) return config.listen;
  if (!config.public || hostAddresses.length === 0) return loopback;
  return loopback.includes('::1') ? ['0.0.0.0', '::'] : ['0.0.0.0'];
}

function mediaRelay(composition: Composition, worker: number): PartSpec {
  const { config, hostAddresses, version } = composition;
  const { media } = config;
  const slice = portSlice(media.rtpPorts, worker, workerCount(config));
  return {
    name: `media-relay-${worker}`,
    entry: join(ROOT, 'media-relay/src/main.ts'),
    needs: [],
    settings: () => ({
      version,
      worker,
      ng: { address: LOOPBACK, port: nth(media.ngPort, worker) },
      mux: { addresses: [LOOPBACK, ...hostAddresses], port: nth(media.muxPort, worker) },
      rtp: {
        address: (config.public ? hostAddresses[0] : undefined) ?? LOOPBACK,
        portMin: slice.min,
        portMax: slice.max,
      },
      mediaTimeoutS: media.timeoutS,
    }),
    withPorts: (settings, ports) => ({
      ...settings,
      ng: { ...(settings.ng as At), ...portOf(ports, 'ng') },
      mux: { ...(settings.mux as object), ...portOf(ports, 'mux') },
    }),
  };
}

function turn(composition: Composition, relays: readonly string[]): PartSpec {
  const { config, secrets, hostAddresses, version } = composition;
  const addresses = [LOOPBACK, ...hostAddresses];
  return {
    name: 'turn',
    entry: join(ROOT, 'turn/src/main.ts'),
    needs: relays,
    settings: (ports) => ({
      version,
      listen: listenAddresses(composition).map((address) => ({ address, port: config.turn.port })),
      relay: { addresses, portMin: config.turn.relayPorts.min, portMax: config.turn.relayPorts.max },
      realm: config.domain,
      secrets: [secrets.turn],
      peers: relays.flatMap((relay) => {
        const port = portNamed(ports, relay, 'mux');
        return addresses.map((address) => ({ address: `${address}/32`, portMin: port, portMax: port }));
      }),
    }),
    withPorts: (settings, ports) => ({
      ...settings,
      listen: (settings.listen as At[]).map((at) => ({ ...at, ...portOf(ports, 'udp') })),
    }),
  };
}

function signaling(composition: Composition, relays: readonly string[]): PartSpec {
  const { config, secrets, hostAddresses, version } = composition;
  const listen = listenAddresses(composition);
  const sipAt = sipAddresses(composition);
  return {
    name: 'signaling',
    entry: join(ROOT, 'signaling/src/main.ts'),
    nodeFlags: SIGNALING_FLAGS,
    needs: config.turn.enabled ? [...relays, 'turn'] : relays,
    settings: (ports) => {
      const { port: _, tlsPort: __, ...identity } = config.sip;
      const turnPort = config.turn.enabled ? portNamed(ports, 'turn', 'udp') : undefined;
      return {
        version,
        dataDir: config.data,
        domain: config.domain,
        groups: config.groups,
        sip: {
          ...identity,
          udp: sipAt.map((address) => ({ address, port: config.sip.port })),
          tcp: sipAt.map((address) => ({ address, port: config.sip.port })),
          tls: sipAt.map((address) => ({ address, port: config.sip.tlsPort })),
        },
        http: {
          addresses: httpAddresses(composition),
          port: config.http.port,
          tlsPort: config.http.tlsPort,
          webRoot: join(ROOT, 'web-phone/dist'),
          allowedOrigins: config.http.allowedOrigins,
        },
        tls: {
          folder: tlsFolder(config.data),
          cert: config.tls.cert,
          key: config.tls.key,
          ca: config.tls.ca,
          names: [...config.tls.names, ...hostAddresses],
        },
        trunks: config.trunks,
        routes: config.routes,
        media: {
          relays: relays.map((relay) => `udp:${LOOPBACK}:${portNamed(ports, relay, 'ng')}`),
          path: config.media.path,
        },
        turn: {
          uris: turnPort === undefined ? [] : listen.map((address) => `turn:${address}:${turnPort}?transport=udp`),
          secret: secrets.turn,
          ttlS: config.turn.credentialTtlS,
        },
        sessionSecret: secrets.session,
        nonceSecret: secrets.nonce,
      };
    },
    withPorts: (settings, ports) => {
      const sip = settings.sip as { udp: At[]; tcp: At[]; tls: At[] };
      return {
        ...settings,
        sip: {
          ...sip,
          udp: sip.udp.map((at) => ({ ...at, ...portOf(ports, 'udp') })),
          tcp: sip.tcp.map((at) => ({ ...at, ...portOf(ports, 'tcp') })),
          tls: sip.tls.map((at) => ({ ...at, ...portOf(ports, 'tls') })),
        },
        http: {
          ...(settings.http as object),
          ...portOf(ports, 'http'),
          ...(ports.https === undefined ? {} : { tlsPort: ports.https }),
        },
      };
    },
  };
}

/** Where the own CA and the certificate by it are. */
export function tlsFolder(data: string): string {
  return join(data, 'tls');
}

function portOf(ports: Ports, name: string): { port?: number } {
  return ports[name] === undefined ? {} : { port: ports[name] };
}

function portNamed(ports: ReadonlyMap<string, Ports>, part: string, name: string): number {
  const port = ports.get(part)?.[name];
  if (port === undefined) throw new Error(`${part} did not tell its port '${name}'`);
  return port;
}
