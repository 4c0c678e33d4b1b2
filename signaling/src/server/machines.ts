import { isLoopback, type SipMessage, type SipUri, utf8, VQ_EVENT } from '@offhook/core';
import { Admission, Authenticator, Bans, Bearer, Shedding } from '../auth/index.ts';
import { CallLayer } from '../call/index.ts';
import { type Locate, Locator } from '../locate/index.ts';
import { MediaClient } from '../media/index.ts';
import { MessageLayer } from '../messaging/index.ts';
import { PresenceLayer } from '../presence/index.ts';
import { QualityReports } from '../quality/index.ts';
import { Registrar, RegistrationFigures } from '../registrar/index.ts';
import { AskedRoutes, asDialled, builtIn, type CallFacts, type Directory, type Routed } from '../routing/index.ts';
import { DEFAULT_SETTINGS } from '../store/index.ts';
import { type Flow, TransactionLayer } from '../transaction/index.ts';
import { type TrunkConfig, TrunkLayer } from '../trunk/index.ts';
import type { SipCoreOptions } from './core-seam.ts';

/** What `SipCore` is made of. */
export interface Machines {
  readonly transactions: TransactionLayer;
  readonly authenticator: Authenticator;
  readonly bearer: Bearer | undefined;
  readonly registrar: Registrar;
  /** What came of REGISTER requests; their delay is noted by who can see it. */
  readonly registrations: RegistrationFigures;
  readonly calls: CallLayer;
  readonly media: MediaClient;
  readonly trunks: TrunkLayer;
  readonly messages: MessageLayer;
  readonly presence: PresenceLayer;
  readonly quality: QualityReports;
  readonly admission: Admission;
  readonly bans: Bans | undefined;
  /** What is left out when the process is behind: told by whoever sees its event loop. */
  readonly shedding: Shedding;
  /** Other servers: `locate` for URIs, `locator.for` for peers with certificates of their own. */
  readonly locator: Locator;
  /** What routing may ask. */
  readonly directory: Directory;
  /** What becomes of a call; `then` runs at once with the built-in routing, and otherwise when `asked` is told. */
  readonly route: (facts: CallFacts, nowMs: number, then: (routed: Routed, nowMs: number) => void) => void;
  /** Calls that wait for a decision from outside. */
  readonly asked: AskedRoutes;
}

/** Makes the machines and tells each whom it may ask. What they say to each other by commands is passed on by `SipCore`. */
export function machinesOf(options: SipCoreOptions): Machines {
  const { crypto, account, domain, groups = {}, isLocal, isEdge, bearer: tokens, wallMs } = options;
  const isUser = (user: string) => account(user) !== undefined;
  const isNear = (address: string) => isLoopback(address) || (isEdge?.(address) ?? false);
  const directory: Directory = {
    isUser,
    group: (name) => (Object.hasOwn(groups, name) ? groups[name] : undefined),
  };
  const registrations = new RegistrationFigures();
  const shedding = new Shedding();
  const asked = new AskedRoutes();
  const registrar = new Registrar({ wallMs, gruu: { domain, crypto }, isEdge });
  const authenticator = new Authenticator({
    realm: domain,
    crypto,
    account,
    isLocal,
    algorithm: options.algorithm,
    nonceLifetimeMs: options.nonceLifetimeMs,
    nonceSecret: options.nonceSecret,
    isNear,
    onWrongPassword: options.onWrongPassword,
  });
  const bearer = tokens && wallMs && new Bearer({ ...tokens, realm: domain, isUser }, () => wallMs() / 1000);
  const bans =
    options.bans === false
      ? undefined
      : new Bans({
          isEdge,
          isTrunk: (remote, nowMs) => trunks.isPeer(remote, nowMs),
          hasContacts: (network) => registrar.hasContacts(network),
          isLocal,
        });
  const admission = new Admission({
    crypto,
    bans,
    authenticator,
    bearer,
    isNear,
    isUser,
    isLocal,
    ownsDialog: (request) => calls.ownsDialog(request) || presence.notifier.ownsDialog(request),
    homeOf: (request) => calls.homeOf(request) ?? presence.notifier.homeOf(request),
    isRegistered: (user, flow, nowMs) => registrar.lookup(user, nowMs).some((b) => b.flow === flow),
    trunks: {
      trunkOf: (request, flow, nowMs) => trunks.trunkOf(request, flow, nowMs),
      mayCall: (trunk, nowMs) => trunks.mayCall(trunk, nowMs),
    },
    limits: options.admissionLimits,
    shedding,
  });
  const media = new MediaClient({ crypto, relays: options.relays, nowMs: options.nowMs });
  const transactions = new TransactionLayer({
    crypto,
    sentBy: (flow) => hostPort(options, flow),
    admit: (message, flow, nowMs) => admission.admit(message, flow, nowMs),
    mayAnswer: (flow, nowMs) => admission.mayAnswer(flow, nowMs),
    onRefused: (request, status) => countRefused({ registrations, calls }, request, status),
  });
  const secret = options.nonceSecret === undefined ? crypto.randomBytes(16) : utf8(options.nonceSecret);
  const settings = options.settings ?? (() => DEFAULT_SETTINGS);
  const lookup = (user: string, nowMs: number, instance?: string) => registrar.lookup(user, nowMs, instance);
  const resolveGruu = (uri: SipUri) => (isLocal(uri.host) ? registrar.resolveGruu(uri) : undefined);
  const displayName = (user: string) => account(user)?.displayName ?? user;
  const contact = (flow: Flow) => contactOf(options, flow);
  const mayPickUp = (user: string, of: string) =>
    Object.values(groups).some(({ members }) => members.includes(user) && members.includes(of));
  const shared = { crypto, transactions, domain, isUser, lookup, resolveGruu, settings };
  const messages = new MessageLayer({ ...shared, displayName, secret, wallMs: wallMs ?? (() => 0) });
  const presence = new PresenceLayer({
    ...shared,
    secret,
    contact,
    mayPickUp,
    waiting: (user) => messages.waiting(user),
    otherEvents: [VQ_EVENT],
  });
  const locator = new Locator({ crypto, sends: options.sends });
  const trunks = new TrunkLayer({
    crypto,
    transactions,
    locate: (tls) => options.locate ?? locateWith(locator, tls),
    contact,
    secret,
  });
  const route: Machines['route'] = (facts, nowMs, then) => {
    const dialled = asDialled(facts, directory);
    if (options.routing === 'asked') asked.ask(dialled, then);
    else then(builtIn(dialled, directory, 'as called'), nowMs);
  };
  const calls = new CallLayer({
    ...shared,
    trunks,
    route,
    mayPickUp,
    locate: (uri, nowMs, then) => (options.locate ?? locator.locate)(uri, nowMs, then),
    displayName,
    isLocal,
    contact,
    relayOffers: (verb) => media.offers(verb),
    mediaPath: options.mediaPath,
    encryption: options.encryption ?? 'optional',
    limits: options.callLimits,
  });
  const quality = new QualityReports({
    crypto,
    transactions,
    callOf: (user, callId) => calls.callOf(user, callId),
  });
  trunks.configure(options.trunks ?? {}, options.nowMs);
  return {
    transactions,
    authenticator,
    bearer,
    registrar,
    registrations,
    calls,
    media,
    trunks,
    messages,
    presence,
    quality,
    admission,
    bans,
    shedding,
    locator,
    directory,
    route,
    asked,
  };
}

/** Ways to a SIP URI with a peer's own certificates. */
function locateWith(locator: Locator, tls: TrunkConfig['tls']): Locate {
  if (!tls) return locator.locate;
  const { ca, cert, key, verify } = tls;
  return locator.for({ tls: { caPath: ca, certPath: cert, keyPath: key, verify } });
}

/**
 * For the ratios of RFC 6076. Of calls only those that we had to turn away count: whoever is no user, or asks for what is
 * not there, has not asked for a session that this server could have set up.
 */
function countRefused(
  { registrations, calls }: Pick<Machines, 'registrations' | 'calls'>,
  { method, to }: SipMessage,
  status: number,
): void {
  if (method === 'REGISTER') registrations.answered(status);
  else if (method === 'INVITE' && to.tag === undefined && status >= 500) calls.counters.caller.refused(status, 0);
}

function contactOf(options: SipCoreOptions, flow: Flow): string {
  return flow.transport.startsWith('ws')
    ? `sip:${options.domain};transport=ws`
    : `sip:${hostPort(options, flow)}${flow.transport === 'udp' ? '' : `;transport=${flow.transport}`}`;
}

function hostPort({ addressOf }: SipCoreOptions, flow: Flow): string {
  const { address, port } = addressOf?.(flow) ?? flow.local;
  return `${address.includes(':') ? `[${address}]` : address}:${port}`;
}
