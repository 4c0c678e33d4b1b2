import {
  type Core,
  Invitation,
  Inviter,
  type Message,
  type NameAddrHeader,
  type Session,
  type SessionDescriptionHandler,
  SessionState,
  type UserAgent,
} from 'sip.js';
import { type LocalMedia, PeerSession, RelayUnreachableError } from '../media/peer.ts';
import { type CallEnd, parseReason } from './call-end.ts';
import { type RenegotiationCommand, RenegotiationMachine, type RenegotiationOutcome } from './renegotiation.ts';
import type { CallLeg, LegEvents, Party, RemoteParty, SignalingOptions } from './signaling.ts';
import { Rearm } from './timer.ts';

/** What a leg needs of its owner. */
export interface LegHost {
  readonly options: SignalingOptions;
  isConnected(): boolean;
  /** Say BYE for this session when the server is reachable again. */
  owesBye(session: Session): void;
  takeText(message: Message): void;
  closed(leg: SipjsLeg): void;
}

/** One SIP.js session, told as a CallLeg. */
export class SipjsLeg implements CallLeg {
  readonly remote: RemoteParty;
  readonly session: Session;
  events: LegEvents | undefined;
  readonly #host: LegHost;
  readonly #renegotiation: RenegotiationMachine;
  readonly #rearm: Rearm;
  #waiting: ((outcome: RenegotiationOutcome) => void)[] = [];
  #served: ((outcome: RenegotiationOutcome) => void)[] = [];
  #media: LocalMedia | undefined;
  #peer: PeerSession | undefined;
  #end: CallEnd | undefined;
  #ended = false;
  /** The far side told that it rings. */
  #rang = false;
  #failure: unknown;

  constructor(host: LegHost, session: Session, remote: RemoteParty) {
    this.#host = host;
    this.session = session;
    this.remote = remote;
    this.#renegotiation = new RenegotiationMachine({
      ownsCallId: session instanceof Inviter,
      random: host.options.random,
    });
    this.#rearm = new Rearm(host.options.now, host.options.after);
    session.stateChange.addListener((state) => this.#handleState(state));
    session.delegate = {
      onBye: (bye) => {
        const { text } = parseReason(reasonHeader(bye));
        this.#end ??= { by: 'remote', cause: 'hangup', ...(text ? { reason: text } : {}) };
        void bye.accept();
      },
      onCancel: (cancel) => {
        const reason = parseReason(reasonHeader(cancel));
        this.#end ??= { by: 'remote', cause: reason.cause === 200 ? 'answered-elsewhere' : 'canceled' };
      },
      // A phone may send its texts within the call (RFC 3428 4).
      onMessage: (message) => host.takeText(message),
    };
  }

  /** Of its dialog, for the whole of the call. */
  get callId(): string {
    return (this.session as Inviter | Invitation).request.callId;
  }

  get peer(): PeerSession | undefined {
    return this.#peer;
  }

  /** SIP.js asks for this when the session first needs a description. */
  createPeer(): SessionDescriptionHandler {
    if (!this.#media) throw new Error('no media for this call yet');
    this.#peer = new PeerSession(this.#media, {
      createConnection: this.#host.options.createConnection,
      after: this.#host.options.after,
      events: {
        track: (track) => this.events?.track(track),
        path: (state) => this.events?.path(state),
        negotiated: () => this.events?.negotiated(),
      },
    });
    return this.#peer;
  }

  invite(media: LocalMedia): void {
    this.#media = media;
    const inviter = this.session as Inviter;
    inviter
      .invite({
        requestDelegate: {
          onProgress: ({ message }) => {
            if (message.statusCode === 100) return;
            this.#rang = true;
            if (message.body) this.events?.earlyMedia();
            else this.events?.ringing();
          },
          onReject: ({ message }) => {
            const { text } = parseReason(message.getHeader('reason'));
            this.#end ??= {
              by: 'remote',
              cause: 'rejected',
              status: message.statusCode ?? 500,
              ...(text ? { reason: text } : {}),
              ...(this.#rang ? { rang: true } : {}),
            };
          },
          onRedirect: ({ message }) => {
            this.#end ??= { by: 'remote', cause: 'rejected', status: message.statusCode ?? 300 };
          },
        },
      })
      .catch((error: unknown) => this.#fail(error));
  }

  answer(media: LocalMedia): void {
    if (!(this.session instanceof Invitation) || this.session.state !== SessionState.Initial) return;
    this.#media = media;
    this.session.accept().catch((error: unknown) => this.#fail(error));
  }

  end(status: 486 | 603 = 603): void {
    const { session } = this;
    switch (session.state) {
      case SessionState.Initial:
      case SessionState.Establishing:
        if (session instanceof Invitation) {
          this.#end ??= { by: 'local', cause: session.state === SessionState.Initial ? 'declined' : 'hangup' };
          void session.reject({ statusCode: status }).catch(() => {});
        } else if (session instanceof Inviter) {
          this.#end ??= { by: 'local', cause: 'canceled' };
          void session.cancel().catch(() => {});
        }
        break;
      case SessionState.Established:
        this.#end ??= { by: 'local', cause: 'hangup' };
        if (this.#host.isConnected()) void session.bye().catch(() => {});
        else this.#host.owesBye(session);
        break;
      case SessionState.Terminating:
      case SessionState.Terminated:
        break;
      default:
        session.state satisfies never;
    }
    this.#finish();
  }

  renegotiate(iceRestart: 'restart-ice' | 'keep-ice'): Promise<RenegotiationOutcome> {
    if (this.#ended) return Promise.resolve('rejected');
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#renegotiation.handleWish({ iceRestart: iceRestart === 'restart-ice' });
      this.#drain();
    });
  }

  /** The socket was replaced: an offer sent over the old one will not be answered. */
  handleNewSocket(): void {
    this.#settle('rejected');
    this.#renegotiation.handleReset();
    this.#drain();
  }

  #drain(): void {
    for (let command = this.#renegotiation.poll(); command; command = this.#renegotiation.poll()) this.#offer(command);
    this.#rearm.at(this.#renegotiation.nextTimeout(), () => {
      this.#renegotiation.handleTimeout(this.#host.options.now());
      this.#drain();
    });
  }

  #offer({ wish }: RenegotiationCommand): void {
    const generation = this.#renegotiation.generation;
    this.#served = this.#waiting;
    this.#waiting = [];
    const outcome = (result: RenegotiationOutcome): void => {
      if (generation !== this.#renegotiation.generation) return;
      if (result === 'glare') this.#waiting = [...this.#served, ...this.#waiting];
      else for (const resolve of this.#served) resolve(result);
      this.#served = [];
      this.#renegotiation.handleOutcome(result, generation, this.#host.options.now());
      this.#drain();
    };
    if (wish.iceRestart) this.#peer?.requestIceRestart();
    this.session
      .invite({
        requestDelegate: {
          onAccept: () => outcome('accepted'),
          onReject: ({ message }) => outcome(outcomeOf(message.statusCode)),
        },
      })
      .catch(() => {
        // Making the offer failed, or SIP.js still waits for one sent over a lost socket.
        void this.#peer?.rollbackDescription().catch(() => {});
        outcome('rejected');
      });
  }

  #settle(outcome: RenegotiationOutcome): void {
    for (const resolve of [...this.#served, ...this.#waiting]) resolve(outcome);
    this.#served = [];
    this.#waiting = [];
  }

  #handleState(state: SessionState): void {
    if (state === SessionState.Established) {
      if (this.#ended && this.session.state === SessionState.Established) {
        void this.session.bye().catch(() => {}); // hung up while the answer was on its way
        return;
      }
      this.events?.answered();
    } else if (state === SessionState.Terminated) {
      // SIP.js changes the state first and tells the reason right after.
      queueMicrotask(() => queueMicrotask(() => this.#finish()));
    }
  }

  #fail(error: unknown): void {
    this.#failure = error;
    this.#host.options.onTrace('note', `call failed in this page: ${String(error)}`);
    if (this.session.state === SessionState.Establishing && this.session instanceof Invitation)
      void this.session.reject({ statusCode: 488 }).catch(() => {});
    this.#finish();
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#rearm.at(undefined, () => {});
    this.#settle('rejected');
    this.#peer?.close();
    this.events?.ended(this.#end ?? this.#endOfFailure());
    this.#host.closed(this);
  }

  #endOfFailure(): CallEnd {
    if (this.#failure instanceof RelayUnreachableError) return { by: 'local', cause: 'relay-unreachable' };
    if (this.#failure !== undefined) return { by: 'local', cause: 'page-error' };
    return { by: 'remote', cause: this.#peer ? 'media-incompatible' : 'no-answer' };
  }
}

function outcomeOf(status: number | undefined): RenegotiationOutcome {
  if (status === 491) return 'glare';
  return status === 481 ? 'gone' : 'rejected';
}

/** Reason of a BYE or CANCEL. SIP.js keeps the message it wraps private to its types. */
function reasonHeader(wrapped: object): string | undefined {
  const { incomingByeRequest, incomingCancelRequest } = wrapped as {
    incomingByeRequest?: { message: Core.IncomingRequestMessage };
    incomingCancelRequest?: Core.IncomingRequestMessage;
  };
  return (incomingByeRequest?.message ?? incomingCancelRequest)?.getHeader('reason');
}

/** The far side of a session, from the server's asserted identity when it gives one. */
export function remoteParty(session: Session, userAgent: UserAgent): RemoteParty {
  const identity = session.assertedIdentity ?? session.remoteIdentity;
  const body = session instanceof Invitation ? (session.body ?? '') : '';
  return { ...party(identity, userAgent.configuration.uri.host), video: /^m=video [1-9]/m.test(body) };
}

/** @param domain our own, which is left out of the name */
export function party({ uri, displayName }: NameAddrHeader, domain: string): Party {
  const local = uri.host.toLowerCase() === domain.toLowerCase();
  const user = safeDecode(uri.user ?? 'unknown');
  return {
    user: local ? user : `${user}@${uri.host}`,
    uri: `sip:${uri.user ?? ''}@${uri.host}`,
    displayName: displayName || undefined,
  };
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
