import { networkInterfaces } from 'node:os';
import { Deadlines, hex, type NgDictionary, readU32, type SocketAddress } from '@offhook/core';
import {
  MachineTimer,
  monotonicMs,
  nodeCrypto,
  openUdpPort,
  type PartConfig,
  type RunningPart,
  systemRingProblem,
  type UdpPort,
} from '@offhook/core/node';
import { noRates, sendRates } from './congestion/index.ts';
import {
  type ControlContext,
  type ControlCounters,
  EventHub,
  EventWatch,
  listenControl,
  NameCounts,
  WarningLog,
} from './control/index.ts';
import { type DtlsCertificate, DtlsEndpoint, dtlsSelfTest, makeCertificate, matchesFingerprint } from './dtls/index.ts';
import { PacketLoop, type Transport } from './forward/index.ts';
import { IceLite, MuxPort } from './ice/index.ts';
import { isInUse } from './in-use.ts';
import {
  type DtlsCounters,
  type DtlsFactory,
  interfaceProblem,
  liveStatistics,
  type MediaHost,
  muxAddresses,
  PortPools,
  type RtpAddressSettings,
  rtpInterfaces,
  SessionBook,
  statisticsOf,
  TransportTable,
} from './session/index.ts';
import { SrtpContext } from './srtp/index.ts';

export type MuxAddress = string | { readonly address: string; readonly advertised: string };

/** One media worker's settings. */
export interface MediaRelaySettings {
  /**
   * The NG control protocol. Whoever reaches it commands this relay, so it belongs on loopback. On another address only this
   * machine is obeyed, or exactly the `allowedClients` (IP addresses).
   */
  readonly ng: {
    readonly address: string;
    readonly port: number;
    readonly allowedClients?: readonly string[];
    /** Over TCP (rtpengine's listen-tcp-ng) and WebSocket (its listen-http); absent = off. */
    readonly tcpPort?: number;
    readonly webSocketPort?: number;
    /** Origins of web pages that may connect by WebSocket; none by default. */
    readonly allowedOrigins?: readonly string[];
    /** A port in use is an error and not passed over. */
    readonly fixedPorts?: boolean;
  };
  /**
   * The port shared by all WebRTC legs, the same on each address; each address becomes a host candidate, or what is
   * advertised for it does: the public address of a NAT or of a container's host.
   */
  readonly mux: { readonly addresses: readonly MuxAddress[]; readonly port: number };
  /**
   * The slice of ports for plain RTP; from 0 = any free ports. They are opened on the address, or on several named
   * interfaces (`direction`), the first of which is the default; SDP says the advertised address where there is one.
   */
  readonly rtp: RtpAddressSettings & { readonly portMin: number; readonly portMax: number };
  /** Ports of this machine that its other workers listen on. A description that names one is held, as with our own. */
  readonly otherWorkers?: readonly { readonly portMin: number; readonly portMax: number }[];
  /** A call without any packet for this long is deleted, seconds. */
  readonly mediaTimeoutS: number;
  /** Default 5000. */
  readonly maxCalls?: number;
}

export type MediaRelayConfig = PartConfig & MediaRelaySettings & { readonly worker?: number };

/** A port in use is passed over, this many times. */
const PORT_TRIES = 20;
/** A leg that was heard of within this time keeps its address against checks of another leg. */
const OWNER_MS = 30_000;
/** The rates of one transport are looked at no oftener: probes are paced so finely. */
const RATES_MS = 1;
/** How long the list of this machine's addresses is believed. */
const ADDRESSES_MS = 5000;
/** Call-ids in one answer. */
const MAX_LISTED = 1000;
/** Calls whose statistics are asked for at once. */
const MAX_ASKED = 100;
const MUX_BUFFER = 4 * 1024 * 1024;

/** Its metrics are at hand at once. */
export type MediaPart = Omit<RunningPart, 'metrics'> & { metrics(): Record<string, number> };

/** Starts a media worker: its shared ports, its NG server, and everything between. `log` takes lines for its operator. */
export async function startMediaRelay(
  config: MediaRelaySettings,
  log: (line: string) => void = toStderr,
): Promise<MediaPart> {
  const transports = new TransportTable();
  const ice = new IceLite(nodeCrypto, (id, nowMs) => {
    const owner = transports.at(id);
    return owner !== undefined && owner.remote !== undefined && nowMs - owner.lastInMs < OWNER_MS;
  });
  const interfaces = rtpInterfaces(config.rtp);
  const interfaceWords = interfaceProblem(interfaces);
  if (interfaceWords !== undefined) throw new Error(interfaceWords);
  const muxes = await openMuxes(config.mux);
  const ringProblem = await systemRingProblem();
  const ports = new PortPools(interfaces, config.rtp, readU32(nodeCrypto.randomBytes(4), 0) / 2 ** 32);
  const dtlsProblem = dtlsSelfTest();
  const certificate = dtlsProblem === undefined ? makeCertificate() : undefined;
  const dtlsCounters: DtlsCounters = { connected: 0, failed: 0, fingerprintMismatch: 0 };
  const dtlsDeadlines = new Deadlines<Transport>();
  const reportDeadlines = new Deadlines<Transport>();
  const rateDeadlines = new Deadlines<Transport>();
  const rateCounters = noRates();
  const loop = new PacketLoop({ ice, transports, rearm });
  const isOwn = ownAddresses();
  const addressCounters = { loops: 0, notUnicast: 0 };
  let ngPort = 0;
  let ngTcpPort: number | undefined;
  /** Whether what is sent there reaches a socket that is bound so. */
  function reaches(to: string, bound: string): boolean {
    if (bound !== '0.0.0.0' && bound !== '::') return to === bound;
    return to.startsWith('127.') || isOwn(to);
  }
  function isRelayPort({ address, port }: SocketAddress): boolean {
    if (port === ngPort && reaches(address, config.ng.address)) return true;
    const isMux = (m: MuxPort) =>
      reaches(address, m.udp.local.address) || muxAddresses(m, interfaces).includes(address);
    if (muxes.some((m) => port === m.udp.local.port && isMux(m))) return true;
    const at = interfaces.filter((i) => reaches(address, i.address) || address === i.advertised);
    if (at.length === 0) return false;
    if (at.some((i) => ports.has(i.address, port))) return true;
    return config.otherWorkers?.some((o) => port >= o.portMin && port <= o.portMax) === true;
  }
  const host: MediaHost = {
    crypto: nodeCrypto,
    ice,
    muxes,
    interfaces,
    isOwn,
    isRelayPort,
    addressCounters,
    rateCounters,
    transports,
    openSrtp: (keys, direction) => new SrtpContext(keys, direction),
    dtlsCounters,
    dtls: certificate && dtlsFactory(certificate),
    dtlsProblem,
    attach: (transport, pair) => loop.attach(transport, pair),
    claim: ({ address, port }) => interfaces.some((i) => reaches(address, i.address)) && ports.claim(port),
    disclaim: (port) => ports.disclaim(port),
    release: (pair) => ports.give(pair),
    rearm,
  };
  const hub = new EventHub();
  const unknown = new NameCounts();
  const warnings = new WarningLog(log);
  const book = new SessionBook(host, {
    mediaTimeoutMs: config.mediaTimeoutS * 1000,
    maxCalls: config.maxCalls ?? 5000,
    onEnded: ({ id }, reason) => hub.publish({ kind: 'ended', callId: id, reason }),
    onKey: ({ id }, { tag = '' }, { key, count }) => {
      hub.publish({ kind: 'dtmf', callId: id, tag, count, digit: key });
    },
    onKeyFrameWish: ({ id }, { tag = '' }) => hub.publish({ kind: 'key-frame', callId: id, tag }),
  });
  const watch = new EventWatch({ hub, book, statisticsOf: liveStatistics });
  const timer = new MachineTimer((nowMs) => {
    for (let t = dtlsDeadlines.expire(nowMs); t; t = dtlsDeadlines.expire(nowMs)) {
      t.dtls?.handleTimeout(nowMs);
      rearm(t);
    }
    for (let t = reportDeadlines.expire(nowMs); t; t = reportDeadlines.expire(nowMs)) {
      loop.router.report(t, nowMs);
      if (t.reports) reportDeadlines.set(t, t.reports.nextTimeout());
    }
    for (let t = rateDeadlines.expire(nowMs); t; t = rateDeadlines.expire(nowMs)) {
      sendRates(t, rateCounters, nowMs);
      if (t.rates) rateDeadlines.set(t, Math.max(t.rates.nextTimeout(), nowMs + RATES_MS));
    }
    book.handleTimeout(nowMs);
    watch.handleTimeout(nowMs);
    armTimer();
  });
  function armTimer(): void {
    watch.handleSubscribers(monotonicMs());
    let next = earlier(dtlsDeadlines.next(), reportDeadlines.next());
    next = earlier(next, rateDeadlines.next());
    next = earlier(next, book.nextTimeout());
    timer.arm(earlier(next, watch.nextTimeout()));
  }
  function rearm(transport: Transport): void {
    if (transport.reports) reportDeadlines.set(transport, transport.reports.nextTimeout());
    else reportDeadlines.delete(transport);
    if (transport.rates) rateDeadlines.set(transport, transport.rates.nextTimeout());
    else rateDeadlines.delete(transport);
    const atMs = transport.dtls?.nextTimeout();
    if (atMs === undefined) dtlsDeadlines.delete(transport);
    else dtlsDeadlines.set(transport, atMs);
    armTimer();
  }
  const counters: ControlCounters = {
    requests: 0,
    repeated: 0,
    malformed: 0,
    errors: 0,
    unknownCommands: 0,
    unknownFlags: 0,
    overload: 0,
    rejected: 0,
    refusedClients: 0,
    idleConnections: 0,
  };
  let isDraining = false;
  const startedMs = monotonicMs();
  const context: ControlContext = {
    instance: hex(nodeCrypto.randomBytes(8)),
    tcpPort: () => ngTcpPort,
    book,
    ports,
    hub,
    unknown,
    warnings,
    counters,
    monotonicMs,
    wallMs: Date.now,
    obeys: (from) => {
      const client = from.replace(/^::ffff:(?=\d+\.)/, ''); // IPv4 on a socket of both families
      return config.ng.allowedClients?.includes(client) ?? (isLoopback(client) || isOwn(client));
    },
    isDraining: () => isDraining,
    rearm: armTimer,
    statistics,
  };
  for (const mux of muxes) loop.serve(mux);
  const ng = await listenControl(config.ng, context).catch((error: unknown) => {
    for (const mux of muxes) mux.udp.close();
    throw error;
  });
  ngPort = ng.ports.ng;
  ngTcpPort = ng.ports.ngTcp;

  function statistics(): NgDictionary {
    // What came a second time is no error: browsers send copies, and probe with RTX of what has long arrived. Nor is a layer
    // that somebody with a wider line would get.
    const { repeated: _, layer: _layer, ...others } = loop.router.drops;
    const errors = Object.values(others).reduce((sum, n) => sum + n, 0);
    return {
      currentstatistics: { sessionsown: book.size, sessionstotal: book.size, portsused: ports.used * 2 },
      totalstatistics: {
        uptime: String(Math.floor((monotonicMs() - startedMs) / 1000)), // a text, as rtpengine's
        managedsessions: book.created,
        rejectedsessions: counters.rejected,
        timeoutsessions: book.timedOut,
        regularterminatedsessions: book.deleted,
        relayedpackets: loop.router.forwarded,
        relayedbytes: loop.router.forwardedBytes,
        relayedpacketerrors: errors,
      },
      dropped: { ...loop.router.drops },
      ice: { ...ice.counters },
      dtls: { ...dtlsCounters },
      control: { ...counters },
      unknown: unknown.toObject(),
      warnings: { ...warnings.counts },
      events: { subscribers: hub.size, ...hub.counters },
    };
  }

  return {
    ports: { ...ng.ports, mux: muxes[0]?.udp.local.port ?? 0 },
    verbs: {
      /** The call-ids that are here, from that one on. */
      calls: ({ from = 0 }) => {
        if (typeof from !== 'number') throw new Error('from: a number');
        return [...book.calls()].slice(from, from + MAX_LISTED).map(({ id }) => id);
      },
      /** How calls sound at each hop; of those that are not here there is nothing. */
      statistics: ({ calls }) => {
        if (!Array.isArray(calls)) throw new Error('calls: a list of call-ids');
        if (calls.length > MAX_ASKED) throw new Error(`no more than ${MAX_ASKED} calls at once: packets wait for them`);
        return calls.flatMap((id) => {
          const call = typeof id === 'string' ? book.find(id) : undefined;
          return call ? [{ id, legs: statisticsOf(call, monotonicMs()) }] : [];
        });
      },
    },
    details: () => ({
      calls: book.size,
      rtpPairs: { used: ports.used, of: ports.size },
      muxAddresses: muxes.map((m) => m.address),
      udp: muxes[0]?.udp.implementation ?? 'none',
      ring: ringProblem === undefined ? 'on' : `off: ${ringProblem}`,
      dtls: dtlsProblem === undefined ? 'on' : `off: ${dtlsProblem}`,
    }),
    metrics: () => ({
      offhook_media_calls: book.size,
      offhook_media_calls_total: book.created,
      offhook_media_calls_timed_out_total: book.timedOut,
      offhook_media_transports: transports.size,
      offhook_media_rtp_port_pairs: ports.used,
      ...(ports.size > 0 ? { offhook_media_rtp_port_pairs_free: ports.free } : {}),
      offhook_media_packets_forwarded_total: loop.router.forwarded,
      offhook_media_bytes_forwarded_total: loop.router.forwardedBytes,
      offhook_media_rtcp_reports_total: loop.router.reports,
      offhook_media_packets_oversize_total: muxes.reduce((sum, m) => sum + m.udp.stats.oversize, ports.oversize),
      offhook_media_dtls_available: dtlsProblem === undefined ? 1 : 0,
      offhook_media_address_loops_total: addressCounters.loops,
      offhook_media_address_not_unicast_total: addressCounters.notUnicast,
      ...labelled('offhook_media_packets_dropped_total', 'reason', loop.router.drops),
      ...labelled('offhook_media_red_total', 'event', loop.router.red),
      ...labelled('offhook_media_repair_total', 'event', loop.router.repairs),
      ...labelled('offhook_media_rates_total', 'event', rateCounters),
      ...labelled('offhook_media_ice_total', 'event', ice.counters),
      ...labelled('offhook_media_dtls_total', 'event', dtlsCounters),
      ...labelled('offhook_media_ng_total', 'event', counters),
      ...labelled('offhook_media_ng_warnings_total', 'about', warnings.counts),
    }),
    drain: () => {
      isDraining = true;
    },
    stop: async () => {
      await ng.close();
      book.close();
      timer.arm(undefined);
      ports.close();
      for (const mux of muxes) mux.udp.close();
      certificate?.close();
    },
  };
}

function dtlsFactory(certificate: DtlsCertificate): DtlsFactory {
  return {
    fingerprint: certificate.fingerprint,
    create: (role) => new DtlsEndpoint({ role, certificate }),
    matches: matchesFingerprint,
  };
}

/** The same port on every address, the next one when any is in use. */
async function openMuxes({ addresses, port }: MediaRelaySettings['mux']): Promise<MuxPort[]> {
  for (let tries = 0; ; tries++) {
    const open: UdpPort[] = [];
    try {
      for (const one of addresses) {
        const address = typeof one === 'string' ? one : one.address;
        const wanted = open[0]?.local.port ?? (port === 0 ? 0 : port + tries);
        open.push(await openUdpPort({ address, port: wanted, receiveBuffer: MUX_BUFFER }));
      }
      const shown = addresses.map((one) => (typeof one === 'string' ? one : one.advertised));
      return open.map((udp, i) => new MuxPort(udp, shown[i]!, readU32(nodeCrypto.randomBytes(4), 0)));
    } catch (error) {
      for (const udp of open) udp.close();
      if (!isInUse(error) || tries + 1 >= PORT_TRIES) throw error;
    }
  }
}

function toStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}

function labelled(name: string, label: string, counts: object): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([key, n]) => [`${name}{${label}="${key}"}`, n as number]));
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** Tells this machine's addresses; networks come and go, so the list is read again when it is old. */
function ownAddresses(): (address: string) => boolean {
  let own = new Set<string>();
  let readAtMs = Number.NEGATIVE_INFINITY;
  return (address) => {
    if (monotonicMs() - readAtMs > ADDRESSES_MS) {
      readAtMs = monotonicMs();
      own = new Set(Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((i) => i.address)));
    }
    return own.has(address);
  };
}
