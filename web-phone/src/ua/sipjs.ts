import { type Invitation, Inviter, type Message, type Session, SessionState, SIPExtension, UserAgent } from 'sip.js';
import type { CallReport } from '../media/call-reports.ts';
import type { LocalMedia } from '../media/peer.ts';
import { type LinkCommand, LinkMachine } from './link.ts';
import type { CallLeg, OutgoingText, Signaling, SignalingOptions, TextOutcome } from './signaling.ts';
import { remoteParty, SipjsLeg } from './sipjs-leg.ts';
import type { SipjsReports } from './sipjs-reports.ts';
import { SipjsTexts } from './sipjs-texts.ts';
import { Rearm } from './timer.ts';
import { SocketTransport, type SocketTransportOptions } from './transport.ts';

const REGISTRATION_S = 600;
const MIN_EXPIRES_LIMIT_S = 86_400;
/** The server decides how long a phone rings; this is only a backstop. */
const RING_LIMIT_S = 180;

/** Signaling by SIP.js 0.21.2: its user agent, inviter and invitation; registration, recovery and media are ours. */
export function createSignaling(options: SignalingOptions): Signaling {
  return new SipjsSignaling(options);
}

class SipjsSignaling implements Signaling {
  readonly options: SignalingOptions;
  readonly #userAgent: UserAgent;
  readonly #link: LinkMachine;
  readonly #rearm: Rearm;
  readonly #texts: SipjsTexts;
  /** Fetched when there is something to report, which is not before a call has lasted a while. */
  #reports: Promise<SipjsReports> | undefined;
  readonly #legs = new Map<Session, SipjsLeg>();
  readonly #byesOwed = new Set<Session>();
  readonly #callId: string;
  #cseq = 0;
  #expiresS = REGISTRATION_S;
  #socketNumber = 0;

  constructor(options: SignalingOptions) {
    this.options = options;
    this.#link = new LinkMachine(options.random);
    this.#rearm = new Rearm(options.now, options.after);
    this.#callId = `${options.identity.instanceId}-${Math.floor(options.random() * 2 ** 32).toString(36)}`;
    const uri = UserAgent.makeURI(`sip:${encodeURIComponent(options.user)}@${options.domain}`);
    if (!uri) throw new Error('the account has no usable address');
    const transportOptions: SocketTransportOptions = {
      url: options.url,
      protocols: () => ['sip', `offhook.session.${options.session()}`],
      createSocket: options.createSocket,
      onTrace: options.onTrace,
      onActivity: () => {
        this.#link.handleReceived(options.now());
        this.#drain();
      },
    };
    this.#userAgent = new UserAgent({
      uri,
      displayName: options.displayName,
      transportConstructor: SocketTransport,
      transportOptions,
      viaHost: `${options.identity.contact}.invalid`,
      contactName: options.identity.contact,
      contactParams: { transport: 'ws' },
      instanceId: options.identity.instanceId,
      instanceIdAlwaysAdded: true,
      sipExtensionReplaces: SIPExtension.Supported,
      noAnswerTimeout: RING_LIMIT_S,
      userAgentString: 'Offhook web phone',
      logBuiltinEnabled: false,
      logConfiguration: false,
      logLevel: 'error',
      sessionDescriptionHandlerFactory: (session) => {
        const leg = this.#legs.get(session);
        if (!leg) throw new Error('a session without a call');
        return leg.createPeer();
      },
      delegate: {
        onInvite: (invitation) => this.#incoming(invitation),
        onMessage: (message) => this.takeText(message),
        onDisconnect: () => {
          this.#link.handleClosed(options.now());
          this.#drain();
        },
      },
    });
    this.#texts = new SipjsTexts(this.#userAgent, (text) => options.events.text(text));
  }

  start(): void {
    this.#link.handleStart(this.options.now());
    this.#drain();
  }

  async stop(): Promise<void> {
    for (const leg of [...this.#legs.values()]) leg.end();
    if (this.isConnected()) this.#register(0);
    this.#link.handleStop();
    this.#drain();
    await Promise.resolve();
  }

  nudge(): void {
    this.#link.handleNudge(this.options.now());
    this.#drain();
  }

  call(uri: string, media: LocalMedia): CallLeg {
    const target = UserAgent.makeURI(uri);
    if (!target) throw new Error(`not a SIP address: ${uri}`);
    const inviter = new Inviter(this.#userAgent, target, { earlyMedia: true });
    const leg = this.#adopt(inviter);
    // The caller attaches its events first; nothing of a call happens before that.
    queueMicrotask(() => leg.invite(media));
    return leg;
  }

  message(text: OutgoingText): Promise<TextOutcome> {
    return this.#texts.send(text);
  }

  report(leg: CallLeg, report: CallReport): void {
    if (!(leg instanceof SipjsLeg)) return;
    const [local, remote] = [`<${this.#userAgent.configuration.uri}>`, `<${leg.remote.uri}>`];
    const originatorId = leg.session instanceof Inviter ? local : remote;
    const whole = { ...report, callId: leg.callId, localId: local, remoteId: remote, originatorId };
    this.#reports ??= import('./sipjs-reports.ts').then((module) => new module.SipjsReports(this.#userAgent));
    this.#reports.then(
      (reports) => reports.send(whole),
      () => {
        this.#reports = undefined;
      },
    );
  }

  takeText(message: Message): void {
    this.#texts.take(message);
  }

  isConnected(): boolean {
    return this.#userAgent.transport.isConnected();
  }

  owesBye(session: Session): void {
    this.#byesOwed.add(session);
  }

  closed(leg: SipjsLeg): void {
    // A session that was only canceled here still has its final response to come.
    if (leg.session.state === SessionState.Terminated) this.#legs.delete(leg.session);
  }

  #incoming(invitation: Invitation): void {
    if (invitation.state !== SessionState.Initial) return;
    this.options.events.incoming(this.#adopt(invitation));
  }

  #adopt(session: Session): SipjsLeg {
    const leg = new SipjsLeg(this, session, remoteParty(session, this.#userAgent));
    this.#legs.set(session, leg);
    session.stateChange.addListener((state) => {
      if (state === SessionState.Terminated) this.#legs.delete(session);
    });
    return leg;
  }

  #drain(): void {
    for (let command = this.#link.poll(); command; command = this.#link.poll()) this.#perform(command);
    this.#rearm.at(this.#link.nextTimeout(), () => {
      this.#link.handleTimeout(this.options.now());
      this.#drain();
    });
  }

  #perform(command: LinkCommand): void {
    const { now } = this.options;
    switch (command.kind) {
      case 'connect':
        this.#connect();
        return;
      case 'disconnect':
        void this.#userAgent.transport.disconnect();
        return;
      case 'register':
        this.#register(this.#expiresS);
        return;
      case 'ping':
        if (command.method === 'options') this.#sendOptions();
        else this.#userAgent.transport.send('\r\n\r\n').catch(() => {});
        return;
      case 'probe':
        void this.options.probe().then((result) => {
          this.#link.handleProbe(now(), result);
          this.#drain();
        });
        return;
      case 'state':
        this.options.events.link(command.state);
        return;
      default:
        command satisfies never;
    }
  }

  #connect(): void {
    const number = ++this.#socketNumber;
    const started = this.#userAgent.state === 'Started' ? this.#userAgent.transport.connect() : this.#userAgent.start();
    started.then(
      () => {
        if (number !== this.#socketNumber) return;
        for (const leg of this.#legs.values()) leg.handleNewSocket();
        this.#link.handleOpen(this.options.now());
        this.#drain();
      },
      () => {}, // told by onDisconnect
    );
  }

  /** REGISTER (RFC 3261 10.2) with a stable Call-ID and a growing CSeq; SIP.js's own Registerer cannot be re-used while
   * a request sent over a lost socket is still waiting for its answer. */
  #register(expiresS: number): void {
    const { configuration, contact, userAgentCore } = this.#userAgent;
    const registrar = configuration.uri.clone();
    registrar.user = undefined;
    const number = this.#socketNumber;
    const message = userAgentCore.makeOutgoingRequestMessage(
      'REGISTER',
      registrar,
      configuration.uri,
      configuration.uri,
      { callId: this.#callId, cseq: ++this.#cseq },
      [`Contact: ${contact.toString({ register: true })};reg-id=1;expires=${expiresS}`],
    );
    const current = (): boolean => number === this.#socketNumber && expiresS > 0;
    userAgentCore.register(message, {
      onAccept: ({ message: response }) => {
        if (!current()) return;
        this.#link.handleRegistered(
          this.options.now(),
          this.#grantedS(response.getHeaders('contact'), response.getHeader('expires')),
        );
        this.#drain();
        this.#payByes();
      },
      onReject: ({ message: response }) => {
        if (!current()) return;
        const minimum = Number(response.getHeader('min-expires'));
        if (response.statusCode === 423 && minimum > expiresS && minimum <= MIN_EXPIRES_LIMIT_S) {
          this.#expiresS = minimum;
          this.#register(minimum);
          return;
        }
        const retryAfterS = Number.parseInt(response.getHeader('retry-after') ?? '', 10);
        this.#link.handleRegisterFailed(this.options.now(), {
          status: response.statusCode ?? 500,
          reason: response.reasonPhrase ?? '',
          ...(Number.isFinite(retryAfterS) ? { retryAfterS } : {}),
        });
        this.#drain();
      },
    });
  }

  #grantedS(contacts: string[], expiresHeader: string | undefined): number {
    const own = contacts.find((c) => c.includes(`sip:${this.options.identity.contact}@`));
    const granted = Number(/;\s*expires\s*=\s*(\d+)/i.exec(own ?? '')?.[1] ?? expiresHeader ?? this.#expiresS);
    return Number.isFinite(granted) && granted > 0 ? granted : this.#expiresS;
  }

  #sendOptions(): void {
    const { configuration, userAgentCore } = this.#userAgent;
    const server = configuration.uri.clone();
    server.user = undefined;
    userAgentCore.request(
      userAgentCore.makeOutgoingRequestMessage('OPTIONS', server, configuration.uri, server, {}, []),
    );
  }

  #payByes(): void {
    for (const session of this.#byesOwed)
      if (session.state === SessionState.Established) void session.bye().catch(() => {});
    this.#byesOwed.clear();
  }
}
