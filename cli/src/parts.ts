import { join } from 'node:path';
import { RELAY_FLAGS, SERVER_FLAGS } from '@offhook/core/node';
import {
  type At,
  type Composition,
  controlAddress,
  countOf,
  inUri,
  LOOPBACK,
  muxAddresses,
  nth,
  onPort,
  portOf,
  type RelayComposition,
} from './composition.ts';
import type { Config } from './config/config.ts';
import { ngPortOf, type PortRange } from './config/media.ts';
import { ROOT } from './root.ts';
import type { PartSpec, Ports } from './supervisor/spec.ts';
import { tlsSettings, turnOnPorts, turnSettings, turnUris } from './turn-settings.ts';

/** The parts in start order: media workers, TURN (which has to know their ports; unless it is turned off), signalling (which has to know all). */
export function composeParts(composition: Composition): PartSpec[] {
  const { isFixed } = ngPortOf(composition.config.media);
  const workers = mediaRelays(composition, { ports: isFixed ? 'fixed' : 'near', tcp: 'always' });
  const names = workers.map((worker) => worker.name);
  const relays = composition.config.turn.enabled ? [turn(composition, names)] : [];
  return [...workers, ...relays, signaling(composition, names)];
}

interface ControlPlan {
  /** `near`: on the next free control port where one is taken. */
  readonly ports: 'fixed' | 'near';
  /** `always`: where no port is set for TCP on any, for our own signalling, which learns of it from the relay and hears events there. */
  readonly tcp: 'asked' | 'always';
}

/** The media workers alone. */
export function mediaRelays(composition: RelayComposition, control: ControlPlan): PartSpec[] {
  return Array.from({ length: workerCount(composition.config) }, (_, i) => mediaRelay(composition, i, control));
}

/** Own media workers; none where relays of elsewhere are used. */
export function workerCount({ media }: Config): number {
  return media.relays ? 0 : countOf(media.workers);
}

/** Ports of one worker out of those of all, disjoint and beginning with an even one (RFC 3550 11). */
export function portSlice(all: PortRange, worker: number, workers: number): PortRange {
  if (all.min === 0) return all;
  const first = all.min + (all.min % 2);
  const each = Math.floor((all.max + 1 - first) / workers / 2) * 2;
  return { min: first + worker * each, max: first + (worker + 1) * each - 1 };
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

function mediaRelay(composition: RelayComposition, worker: number, control: ControlPlan): PartSpec {
  const { config, hostAddresses, version } = composition;
  const { media } = config;
  const slice = portSlice(media.rtpPorts, worker, workerCount(config));
  const tcpPort = media.ngTcpPort ?? (control.tcp === 'always' ? 0 : undefined);
  return {
    name: `media-relay-${worker}`,
    entry: join(ROOT, 'media-relay/src/main.ts'),
    nodeFlags: RELAY_FLAGS,
    needs: [],
    settings: () => ({
      version,
      worker,
      ng: {
        address: media.ngAddress ?? LOOPBACK,
        port: nth(ngPortOf(media).port, worker),
        ...(control.ports === 'fixed' ? { fixedPorts: true } : {}),
        // with a list nobody else is obeyed: our own signalling has to be on it
        ...(media.ngAllowedClients ? { allowedClients: [...media.ngAllowedClients, controlAddress(media)] } : {}),
        ...(tcpPort === undefined ? {} : { tcpPort: nth(tcpPort, worker) }),
        ...(media.ngWebSocketPort === undefined ? {} : { webSocketPort: nth(media.ngWebSocketPort, worker) }),
        ...(media.ngAllowedOrigins === undefined ? {} : { allowedOrigins: media.ngAllowedOrigins }),
      },
      mux: { addresses: muxAddresses(composition), port: nth(media.muxPort, worker) },
      rtp: {
        address: (config.public ? hostAddresses[0] : undefined) ?? LOOPBACK,
        ...(media.rtpInterfaces === undefined ? {} : { interfaces: media.rtpInterfaces }),
        portMin: slice.min,
        portMax: slice.max,
      },
      mediaTimeoutS: media.timeoutS,
    }),
    withPorts: (settings, ports) => ({
      ...settings,
      ng: {
        ...(settings.ng as At),
        ...portOf(ports, 'ng'),
        // one that nobody has asked for is known to nobody, and may be somebody else's by now
        ...(ports.ngTcp === undefined || media.ngTcpPort === undefined ? {} : { tcpPort: ports.ngTcp }),
        ...(ports.ngWebSocket === undefined ? {} : { webSocketPort: ports.ngWebSocket }),
      },
      mux: { ...(settings.mux as object), ...portOf(ports, 'mux') },
    }),
  };
}

function turn(composition: Composition, relays: readonly string[]): PartSpec {
  const { version } = composition;
  return {
    name: 'turn',
    entry: join(ROOT, 'turn/src/main.ts'),
    nodeFlags: SERVER_FLAGS,
    needs: relays,
    settings: (ports) => ({
      version,
      ...turnSettings(
        composition,
        relays.map((relay) => portNamed(ports, relay, 'mux')),
      ),
    }),
    withPorts: turnOnPorts,
  };
}

function signaling(composition: Composition, relays: readonly string[]): PartSpec {
  const { config, version } = composition;
  const sipAt = sipAddresses(composition);
  return {
    name: 'signaling',
    entry: join(ROOT, 'signaling/src/main.ts'),
    nodeFlags: SERVER_FLAGS,
    needs: config.turn.enabled ? [...relays, 'turn'] : relays,
    settings: (ports) => {
      const { port: _, tlsPort: __, ...identity } = config.sip;
      const secrets = composition.secrets();
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
        tls: tlsSettings(composition),
        trunks: config.trunks,
        routes: config.routes,
        media: {
          relays:
            config.media.relays ??
            relays.map((relay) => `udp:${inUri(controlAddress(config.media))}:${portNamed(ports, relay, 'ng')}`),
          path: config.media.path,
          encryption: config.media.encryption,
        },
        turn: {
          uris: config.turn.enabled ? turnUris(composition, ports.get('turn') ?? {}) : [],
          secret: secrets.turn[0],
          ttlS: config.turn.credentialTtlS,
        },
        sessionSecret: secrets.session,
        nonceSecret: secrets.nonce,
      };
    },
    lasting: (settings) => ({ ...settings, turn: { ...(settings.turn as object), secret: undefined } }),
    withPorts: (settings, ports) => {
      const sip = settings.sip as { udp: At[]; tcp: At[]; tls: At[] };
      return {
        ...settings,
        sip: {
          ...sip,
          udp: onPort(sip.udp, ports, 'udp'),
          tcp: onPort(sip.tcp, ports, 'tcp'),
          tls: onPort(sip.tls, ports, 'tls'),
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

function portNamed(ports: ReadonlyMap<string, Ports>, part: string, name: string): number {
  const port = ports.get(part)?.[name];
  if (port === undefined) throw new Error(`${part} did not tell its port '${name}'`);
  return port;
}
