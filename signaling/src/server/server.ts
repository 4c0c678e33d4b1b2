import { join } from 'node:path';
import { Histogram, hex, networkOf, type SocketAddress, utf8 } from '@offhook/core';
import {
  certificateInWords,
  gatheringClock,
  gatherPackets,
  MachineTimer,
  monotonicMs,
  nodeCrypto,
  openFilesLimit,
  processFigures,
  type RunningPart,
} from '@offhook/core/node';
import type { Logger } from 'pino';
import { Accounts, Sessions } from '../auth/index.ts';
import { type SignalingConfig, signalingConfigProblems } from '../config.ts';
import { EventLog, type HttpServer, openHttpServer } from '../http/index.ts';
import { openRelaySockets, parseRelay, relayStreams } from '../media/index.ts';
import { Journal, openStore } from '../store/index.ts';
import { type Listener, limitsFor, listenTcp, listenTls, listenUdp, TransportHub } from '../transport/index.ts';
import { BanLog } from './ban-log.ts';
import { banVerb } from './ban-verb.ts';
import { bearerOf } from './bearer.ts';
import { carrierOf } from './carry-out.ts';
import { SipCore } from './core.ts';
import { tuneEngine } from './engine.ts';
import { watchLag } from './lag.ts';
import { openLog } from './log.ts';
import { Memory } from './memory.ts';
import { allMetrics, numbers } from './metrics.ts';
import { localNames, reachableAddress } from './names.ts';
import { type NamedListener, Outside, outsideProblems } from './outside.ts';
import { openRouting } from './routing.ts';
import { openCertificate, reloadCertificate, TlsLog } from './tls.ts';
import { withPasswords } from './trunk-passwords.ts';
import { adminVerbs } from './verbs.ts';
import { WrongPasswords } from './wrong-passwords.ts';

/** Seconds that the event loop may be late. */
const LAGS_S = [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** How long running calls get to hear that the server stops. */
const FAREWELL_MS = 300;

/**
 * From 1,000 datagrams of known phones and servers a second on they are read, and answered, once in 4 ms: each wake-up, and each first datagram to a peer
 * that sleeps, costs more than reading the message. Nobody hears 4 ms in a call's set-up.
 */
const GATHER = { intervalUs: 4000, minPackets: 4 };

/**
 * The signalling part: sockets, files and clocks around `SipCore`. Everything that comes in — a message, a relay's
 * datagram, a timer — is one handle call, after which all commands are carried out and the timer is armed again.
 *
 *     UDP TCP WebSocket ─► TransportHub ─► SipCore: TransactionLayer ─► Admission (before any state)
 *                                                        │ REGISTER ─► Registrar
 *                                                        └ the rest ─► CallLayer ─► MediaClient ─► relay sockets
 *
 * The seam to the calls: `CallLayer.handle` takes whatever the transactions report, `handleMedia` what the relay
 * answers, `handleRegistered` and `handleFlowClosed` where phones come and go; `ownsDialog` tells admission which
 * requests belong to a call.
 */
export async function startSignaling(
  config: SignalingConfig,
  log: Logger = openLog('signaling'),
): Promise<RunningPart> {
  const problems = [...signalingConfigProblems(config), ...outsideProblems(config.outside)];
  if (problems.length > 0) throw new Error(`the configuration can't be used:\n  ${problems.join('\n  ')}`);
  const { domain } = config;
  tuneEngine();
  await gatherPackets(GATHER.intervalUs, GATHER.minPackets);
  const gathered = await gatheringClock();
  const { certificate, trouble } = openCertificate(config, log);
  const store = openStore(join(config.dataDir, 'offhook.sqlite'), domain, nodeCrypto);
  const accounts = await Accounts.load(store, domain, nodeCrypto);
  const journal = await Journal.open(join(config.dataDir, 'offhook.sqlite'));
  journal.onError = (words) => log.error(words);
  const find = (user: string) => accounts.find(user);
  const isUser = (user: string) => find(user) !== undefined;
  const sessions = new Sessions({ crypto: nodeCrypto, secret: config.sessionSecret, account: find });
  /** Its secret may be replaced while this runs. */
  const turn = { ...config.turn };
  const relays = config.media.relays.flatMap((relay) => parseRelay(relay) ?? []);
  const isLocal = localNames(config, () => certificate?.facts.names ?? []);
  const trunks = withPasswords(config.trunks ?? {});
  const edges = new Set(config.sip.edges);
  const wrongPasswords = new WrongPasswords(isUser, (words) => log.warn(words));
  const banLog = new BanLog((words) => log.warn(words));
  const core = new SipCore({
    crypto: nodeCrypto,
    domain,
    isLocal,
    account: find,
    settings: (user) => accounts.settings(user),
    groups: config.groups,
    mediaPath: config.media.path,
    encryption: config.media.encryption,
    relays: relays.length,
    nowMs: monotonicMs(),
    wallMs: () => Date.now(),
    nonceSecret: config.nonceSecret,
    algorithm: config.sip.digest,
    addressOf: (flow) => outside.listeningFor(flow) ?? reachableAddress(flow),
    sends: (transport, family) => outside.sends(transport, family),
    trunks,
    routing: config.routes === undefined ? 'built-in' : 'asked',
    isEdge: (address) => edges.has(address),
    bans: config.sip.bans,
    bearer: bearerOf(config, sessions, log),
    onWrongPassword: (user, from) => wrongPasswords.handle(user, from, monotonicMs()),
  });
  const routing = openRouting({ core, isUser, settings: (user) => accounts.settings(user), path: config.routes, log });

  const node = hex(nodeCrypto.hmac('sha256', utf8(config.sessionSecret), utf8('node'))).slice(0, 8);
  const events = new EventLog(node, Date.now());
  let internalErrors = 0;
  /** What came in before the calls and contacts of the process before were taken over. */
  let early: (() => void)[] | undefined = [];
  let stopped = false;
  /** One input: whatever goes wrong with it, the next one is handled, and the timer is armed. */
  const handle = (input: () => void): void => {
    if (stopped) return; // a socket may tell its end late; it must not wind the clock up again
    if (early) {
      early.push(input);
      return;
    }
    try {
      input();
      run();
    } catch (error) {
      internalErrors++;
      log.error({ err: error }, 'an input could not be handled');
      timer.arm(core.nextTimeout());
    }
  };
  const run = (): void => {
    for (let command = core.poll(); command; command = core.poll()) carryOut(command);
    timer.arm(core.nextTimeout());
  };
  const timer = new MachineTimer((nowMs) => handle(() => core.handleTimeout(nowMs)));
  const hub = new TransportHub(
    {
      onMessage: (message, flow) => {
        const beganMs = monotonicMs();
        handle(() => core.handleMessage(message, flow, monotonicMs()));
        if (message.kind === 'request' && message.method === 'REGISTER' && !early)
          core.registrations.delay.observe((monotonicMs() - beganMs) / 1000);
      },
      onFlowClosed: (flow) => handle(() => core.handleFlowClosed(flow, monotonicMs())),
      mayAnswer: (flow) => core.admission.mayAnswer(flow, monotonicMs()),
      refuses: (remote, over, shown) => core.bans?.refuses(remote, over, monotonicMs(), shown) ?? false,
      onMalformed: (flow) => handle(() => core.handleMalformed(flow, monotonicMs())),
      hears: ({ address }) => core.shedding.hears(networkOf(address), monotonicMs()),
    },
    limitsFor(openFilesLimit()),
  );
  const sockets = await openRelaySockets(relays, {
    onDatagram: (bytes, relay) => handle(() => core.handleRelayDatagram(bytes, relay, monotonicMs())),
    onRefused: (relay) => handle(() => core.handleRelayRefused(relay, monotonicMs())),
  });
  const streams = relayStreams(relays, {
    onInput: (relay, input) => handle(() => core.handleRelayStream(relay, input, monotonicMs())),
    onTrouble: (words) => log.warn(words),
  });
  const tlsLog = new TlsLog(log);
  const listeners: NamedListener[] = [];
  const outside = new Outside({
    settings: config.outside,
    hub,
    listeners,
    onTrouble: (words) => log.warn(`another server: ${words}`),
  });
  const listen = async (
    name: 'udp' | 'tcp' | 'tls',
    places: readonly SocketAddress[],
    open: (at: SocketAddress) => Promise<Listener>,
  ) => {
    // Where any port will do, all of a kind get the same one: people are told one number.
    for (const { address, port } of places) {
      const first = listeners.find((other) => other.name === name)?.listener.local.port;
      listeners.push({ name, listener: await open({ address, port: port || (first ?? 0) }) });
    }
  };
  await listen('udp', config.sip.udp, (at) => listenUdp(hub, at));
  await listen('tcp', config.sip.tcp, (at) => listenTcp(hub, at));
  if (certificate) await listen('tls', config.sip.tls ?? [], (at) => listenTls(hub, at, certificate, tlsLog));
  const memory = new Memory({
    core,
    note: (entry) => journal.note(entry),
    wallOffsetMs: () => Date.now() - monotonicMs(),
    udpFlow: (local, remote) =>
      listeners
        .find(({ listener }) => listener.flowTo && sameAddress(listener.local, local))
        ?.listener.flowTo?.(remote),
  });
  const own = { core, hub, outside, routing, memory, journal, events, banLog, log, handle };
  const carryOut = carrierOf({ ...own, relays: sockets, streams });
  const lag = new Histogram(LAGS_S);
  const figures = () => numbers({ core, hub, accounts, http, journal, lag, internalErrors });
  const http: HttpServer = await openHttpServer({
    at: config.http.addresses.map((address) => ({ address, port: config.http.port })),
    secureAt: config.http.addresses.flatMap((address) =>
      config.http.tlsPort === undefined ? [] : [{ address, port: config.http.tlsPort }],
    ),
    certificate,
    webRoot: config.http.webRoot,
    hub,
    crypto: nodeCrypto,
    domain,
    accounts,
    sessions,
    turn,
    allowed: config.http.allowedOrigins ?? [],
    isLocal,
    calls: () => core.calls.calls(),
    bindings: (user) => core.registrar.lookup(user, monotonicMs()),
    presence: (user) => core.presence.presenceOf(user, monotonicMs()),
    cdrs: (query) => journal.cdrs(query),
    events,
    nowMs: monotonicMs,
    nowS: () => Math.floor(Date.now() / 1000),
    loginsPerMinute: config.http.loginsPerMinute,
    isDraining: () => core.admission.draining,
    notReady: () => (core.media.healthy ? undefined : 'no media relay answers'),
    metrics: () => allMetrics({ part: config.part, figures: { ...figures(), ...processFigures() } }, config.runDir),
  });
  accounts.onChanged = (user, change) => {
    http.upgrades.closeUser(user);
    if (change === 'removed') handle(() => core.handleAccountRemoved(user, monotonicMs()));
  };
  accounts.onSettings = (user) => handle(() => core.handleSettings(user, monotonicMs()));
  const [calls, bindings, messages, subscriptions] = await Promise.all([
    journal.calls(),
    journal.bindings(),
    journal.messages(),
    journal.subscriptions(),
  ]);
  const waiting = early;
  early = undefined;
  handle(() => {
    const taken = memory.restore({ calls, bindings, messages, subscriptions }, monotonicMs());
    if (Object.values(taken).some((count) => count > 0)) log.info(taken, 'taken over from the process before');
  });
  for (const input of waiting) handle(input);
  handle(() => core.handleTimeout(monotonicMs()));
  const stopWatching = watchLag((tick, nowMs) => {
    lag.observe(tick.lagMs / 1000);
    core.shedding.handleTick(tick, nowMs);
  }, gathered);

  // Calls that come meanwhile wait for the rules; whoever starts the server is told whether they can be used.
  await routing.router?.loaded().catch(() => {});
  return {
    ports: {
      ...firstPorts(listeners),
      http: http.local.port,
      ...(http.secure ? { https: http.secure.port } : {}),
    },
    reload: () =>
      reloadAll([
        () => (certificate ? reloadCertificate(certificate, log) : (trouble ?? 'there is no TLS certificate')),
        ...(routing.router ? [() => routing.router!.reload()] : []),
        // A password file may hold another password.
        ...(config.trunks && Object.keys(config.trunks).length > 0
          ? [
              () => {
                const again = withPasswords(config.trunks ?? {});
                handle(() => core.configureTrunks(again, monotonicMs()));
                return 'the passwords of trunks were read';
              },
            ]
          : []),
      ]),
    details: () => ({
      accounts: accounts.size,
      registrations: core.registrar.size,
      calls: core.calls.size,
      ...trunkDetail(core.trunks.status(monotonicMs())),
      mediaRelay: core.media.healthy ? 'answers' : 'does not answer',
      ...(certificate ? { certificate: certificateInWords(certificate.facts) } : {}),
      ...(routing.router ? { routes: routing.router.state, trouble: { routes: routing.router.trouble } } : {}),
      warnings: [
        trouble ?? certificate?.warning,
        ...(routing.router?.warnings ?? []),
        ...groupTroubles(config.groups, isUser),
      ].filter((words) => words !== undefined),
    }),
    metrics: figures,
    verbs: {
      ...adminVerbs({ accounts, sessions, core, journal, turn, httpPort: http.local.port }),
      bans: banVerb(core, handle),
      ...routing.verbs,
    },
    drain: () => core.drain(),
    stop: async () => {
      core.drain();
      handle(() => core.stopTrunks(monotonicMs()));
      handle(() => core.stopPresence(monotonicMs()));
      handle(() => core.hangUpAll('the server is being stopped', monotonicMs()));
      await new Promise((resolve) => setTimeout(resolve, core.transactions.size > 0 ? FAREWELL_MS : 0));
      stopWatching();
      outside.close();
      hub.close();
      streams.close();
      certificate?.close();
      await routing.router?.close();
      await Promise.all([http.close(), sockets.close(), ...listeners.map(({ listener }) => listener.close())]);
      stopped = true;
      timer.arm(undefined);
      await journal.close();
      await store.close();
    },
  };
}

/** Reads everything anew, whatever became of the others; throws, in words, when something old is kept. */
async function reloadAll(all: readonly (() => string | Promise<string>)[]): Promise<string> {
  const results = await Promise.allSettled(all.map(async (reload) => reload()));
  const words = results
    .map((one) => (one.status === 'fulfilled' ? one.value : (one.reason as Error).message))
    .join('; ');
  if (results.some(({ status }) => status === 'rejected')) throw new Error(words);
  return words;
}

function sameAddress(a: SocketAddress, b: SocketAddress): boolean {
  return a.address === b.address && a.port === b.port;
}

/** `1 of 2 up`; nothing where there are none. */
function trunkDetail(trunks: readonly { readonly isUp: boolean }[]): { trunks?: string } {
  return trunks.length === 0 ? {} : { trunks: `${trunks.filter(({ isUp }) => isUp).length} of ${trunks.length} up` };
}

/** The port of the first listener of each kind: what people are told. */
function firstPorts(listeners: readonly { name: string; listener: Listener }[]): Record<string, number> {
  const ports: Record<string, number> = {};
  for (const { name, listener } of listeners) ports[name] ??= listener.local.port;
  return ports;
}

/** Groups that don't do what they seem to. */
function groupTroubles(groups: SignalingConfig['groups'], isUser: (name: string) => boolean): string[] {
  return Object.entries(groups ?? {}).flatMap(([name, { members }]) => [
    ...(isUser(name) ? [`the group '${name}' has the name of a user, who is never called by it`] : []),
    ...members.filter((member) => !isUser(member)).map((member) => `group '${name}': there is no user '${member}'`),
  ]);
}
