/** The script of the page that `library-page.ts` serves: a phone made of JsSIP or of SIP.js, and of nothing of ours. */
import { UA as JsSipAgent, WebSocketInterface } from 'jssip';
import type { OutgoingDTMFEvent, RTCSession } from 'jssip/lib/RTCSession.js';
import { Inviter, Registerer, RegistererState, SessionState, UserAgent, type Web } from 'sip.js';

export interface LibraryAccount {
  readonly library: 'JsSIP' | 'SIP.js';
  /** ws:// or wss:// address of the server's `/sip`. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly domain: string;
}

/** What a test can ask of either; each resolves when the server has agreed. */
export interface InPagePhone {
  register(): Promise<void>;
  call(user: string): Promise<void>;
  hangUp(): Promise<void>;
  /** Takes the registration back and closes the connection. */
  leave(): Promise<void>;
  /** Those that are open. */
  peerConnections(): RTCPeerConnection[];
}

/** Whoever hears itself would be taken for an echo and removed. */
const CONSTRAINTS = {
  audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  video: false,
} as const;

/** Chromium measures only what is played. */
function play(pc: RTCPeerConnection): void {
  const audio = new Audio();
  audio.autoplay = true;
  pc.addEventListener('track', ({ track }) => {
    audio.srcObject = new MediaStream([track]);
  });
}

/** Takes every call at once. */
export class JsSipPhone implements InPagePhone {
  readonly #agent: JsSipAgent;
  readonly #address: (user: string) => string;
  #session: RTCSession | undefined;

  constructor({ url, user, password, domain }: LibraryAccount) {
    this.#address = (name) => `sip:${name}@${domain}`;
    this.#agent = new JsSipAgent({
      sockets: new WebSocketInterface(url),
      uri: this.#address(user),
      password,
      session_timers_force_refresher: true,
    });
    this.#agent.on('newRTCSession', ({ session }: { session: RTCSession }) => {
      this.#session = session;
      if (session.connection) play(session.connection);
      else session.on('peerconnection', ({ peerconnection }) => play(peerconnection));
      if (session.direction === 'incoming') session.answer({ mediaConstraints: CONSTRAINTS });
    });
  }

  register(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#agent.on('registered', () => resolve());
      this.#agent.on('registrationFailed', ({ cause }) => reject(new Error(`JsSIP is not registered: ${cause}`)));
      this.#agent.start();
    });
  }

  call(user: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#agent.call(this.#address(user), {
        mediaConstraints: CONSTRAINTS,
        eventHandlers: {
          confirmed: () => resolve(),
          failed: ({ cause }) => reject(new Error(`JsSIP's call failed: ${cause}`)),
        },
      });
    });
  }

  /** By re-INVITE. */
  hold(): Promise<void> {
    return this.#change('hold', (session, done) => session.hold({}, done));
  }

  /** By re-INVITE. */
  resume(): Promise<void> {
    return this.#change('resume', (session, done) => session.unhold({}, done));
  }

  /** A digit by INFO; resolves when that is answered well. */
  digit(tone: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const session = this.#current();
      session.on('newDTMF', ({ dtmf }: OutgoingDTMFEvent) => {
        dtmf.on('succeeded', () => resolve());
        dtmf.on('failed', ({ cause }: { cause: string }) => reject(new Error(`JsSIP's INFO failed: ${cause}`)));
      });
      session.sendDTMF(tone);
    });
  }

  /** Sends the other side to somebody else; resolves when that call is answered. */
  refer(user: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const failed = (why: unknown) => reject(new Error(`JsSIP's REFER failed: ${why}`));
      this.#current().refer(this.#address(user), {
        eventHandlers: {
          accepted: () => resolve(),
          failed: ({ status_line }: { status_line: { status_code: number } }) => failed(status_line.status_code),
          requestFailed: ({ cause }: { cause: string }) => failed(cause),
        },
      });
    });
  }

  /** Resolves also when the other side ends it. */
  hangUp(): Promise<void> {
    const session = this.#current();
    return new Promise((resolve) => {
      session.on('ended', () => resolve());
      if (session.isEnded()) resolve();
      else session.terminate();
    });
  }

  leave(): Promise<void> {
    return new Promise((resolve) => {
      this.#agent.on('disconnected', () => resolve());
      this.#agent.stop();
    });
  }

  peerConnections(): RTCPeerConnection[] {
    return this.#session && !this.#session.isEnded() ? [this.#session.connection] : [];
  }

  #current(): RTCSession {
    if (!this.#session) throw new Error('JsSIP has no call');
    return this.#session;
  }

  #change(what: string, ask: (session: RTCSession, done: () => void) => boolean): Promise<void> {
    const session = this.#current();
    return new Promise((resolve, reject) => {
      session.on('ended', ({ cause }) => reject(new Error(`JsSIP could not ${what}: ${cause}`)));
      if (!ask(session, resolve)) reject(new Error(`JsSIP cannot ${what} now`));
    });
  }
}

export class SipJsPhone implements InPagePhone {
  readonly #agent: UserAgent;
  readonly #registerer: Registerer;
  readonly #address: (user: string) => NonNullable<ReturnType<typeof UserAgent.makeURI>>;
  #inviter: Inviter | undefined;

  constructor({ url, user, password, domain }: LibraryAccount) {
    this.#address = (name) => UserAgent.makeURI(`sip:${name}@${domain}`)!;
    this.#agent = new UserAgent({
      uri: this.#address(user),
      transportOptions: { server: url },
      authorizationUsername: user,
      authorizationPassword: password,
      logLevel: 'warn',
      sessionDescriptionHandlerFactoryOptions: { peerConnectionConfiguration: { iceServers: [] } },
    });
    this.#registerer = new Registerer(this.#agent);
  }

  async register(): Promise<void> {
    await this.#agent.start();
    await new Promise<void>((resolve, reject) => {
      this.#registerer.stateChange.addListener((state) => {
        if (state === RegistererState.Registered) resolve();
      });
      const onReject = ({ message }: { message: { statusCode?: number } }) =>
        reject(new Error(`SIP.js is not registered: ${message.statusCode}`));
      this.#registerer.register({ requestDelegate: { onReject } }).catch(reject);
    });
  }

  async call(user: string): Promise<void> {
    const inviter = new Inviter(this.#agent, this.#address(user), {
      sessionDescriptionHandlerOptions: { constraints: CONSTRAINTS },
    });
    this.#inviter = inviter;
    inviter.delegate = {
      onSessionDescriptionHandler: (handler) => {
        const pc = (handler as Web.SessionDescriptionHandler).peerConnection;
        if (pc) play(pc);
      },
    };
    await new Promise<void>((resolve, reject) => {
      inviter.stateChange.addListener((state) => {
        if (state === SessionState.Established) resolve();
        if (state === SessionState.Terminated) reject(new Error('SIP.js’ call has ended'));
      });
      inviter.invite().catch(reject);
    });
  }

  async hangUp(): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.#inviter!.stateChange.addListener((state) => {
        if (state === SessionState.Terminated) resolve();
      });
    });
    await this.#inviter!.bye();
    await ended;
  }

  /** Stopping its agent unregisters too, as its makers have it. */
  async leave(): Promise<void> {
    await this.#agent.stop();
  }

  peerConnections(): RTCPeerConnection[] {
    const handler = this.#inviter?.sessionDescriptionHandler as Web.SessionDescriptionHandler | undefined;
    return handler?.peerConnection ? [handler.peerConnection] : [];
  }
}

declare global {
  interface Window {
    /** Called by the test when the page has come. */
    openPhone(account: LibraryAccount): void;
    libraryPhone: JsSipPhone | SipJsPhone;
    /** Where `settle`, `recordRemote` and `mediaStats` look. */
    offhook: Pick<InPagePhone, 'peerConnections'>;
  }
}

window.openPhone = (account) => {
  const phone = account.library === 'JsSIP' ? new JsSipPhone(account) : new SipJsPhone(account);
  window.libraryPhone = phone;
  window.offhook = phone;
};
