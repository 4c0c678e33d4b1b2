import { signal } from '@preact/signals';
import type { CallReport } from './media/call-reports.ts';
import type { LocalMedia } from './media/peer.ts';
import type { Session } from './session.ts';
import type { TabIdentity } from './tab-identity.ts';
import type { LinkState, ProbeResult } from './ua/link.ts';
import type { CallLeg, IncomingText, OutgoingText, Signaling, TextOutcome } from './ua/signaling.ts';
import { createSignaling } from './ua/sipjs.ts';
import { afterTimeout } from './ua/timer.ts';
import { Trace } from './ua/trace.ts';

const READY_PATIENCE_MS = 10_000;

export interface ConnectionEvents {
  link(state: LinkState): void;
  incoming(leg: CallLeg): void;
  text(text: IncomingText): void;
}

export interface ConnectionOptions {
  readonly events: ConnectionEvents;
  /** The session as it is now: it is renewed while the socket lives. */
  readonly session: () => string;
  readonly probe: () => Promise<ProbeResult>;
}

/** The tab's way to the server: its registration, its peer connections, and what went over the wire. */
export class Connection {
  readonly link = signal<LinkState>({ kind: 'stopped' });
  readonly #options: ConnectionOptions;
  readonly #trace = new Trace();
  readonly #peers = new Set<RTCPeerConnection>();
  #signaling: Signaling | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  open(session: Session, identity: TabIdentity): void {
    const { events } = this.#options;
    this.#signaling = createSignaling({
      user: session.user,
      displayName: session.displayName,
      domain: session.domain,
      url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/sip`,
      session: this.#options.session,
      identity,
      events: {
        link: (state) => {
          this.link.value = state;
          events.link(state);
        },
        incoming: (leg) => events.incoming(leg),
        text: (text) => events.text(text),
      },
      probe: this.#options.probe,
      onTrace: (direction, text) => this.#trace.add(new Date(), direction, text),
      createSocket: (url, protocols) => new WebSocket(url, protocols),
      createConnection: (configuration) => this.#newPeer(configuration),
      now: () => performance.now(),
      random: Math.random,
      after: afterTimeout,
    });
    this.#signaling.start();
  }

  close(): void {
    void this.#signaling?.stop();
    this.#signaling = undefined;
    this.link.value = { kind: 'stopped' };
  }

  /** Tests an open socket at once, and cuts the wait for the next attempt short. */
  nudge(): void {
    this.#signaling?.nudge();
  }

  /** The same, also after the server refused the registration for good. */
  retry(): void {
    this.nudge();
    if (this.link.value.kind === 'refused') this.#signaling?.start();
  }

  /** True when registered, waiting a little while the link is just coming up. */
  ready(): Promise<boolean> {
    return new Promise((resolve) => {
      let done = (): void => {};
      const cancel = afterTimeout(READY_PATIENCE_MS, () => {
        done();
        resolve(this.link.value.kind === 'registered');
      });
      done = this.link.subscribe(({ kind }) => {
        if (kind === 'connecting' || kind === 'registering' || kind === 'reconnecting') return;
        cancel();
        queueMicrotask(() => done());
        resolve(kind === 'registered');
      });
    });
  }

  call(uri: string, media: LocalMedia): CallLeg {
    if (!this.#signaling) throw new Error('not signed in');
    return this.#signaling.call(uri, media);
  }

  async message(text: OutgoingText): Promise<TextOutcome> {
    return this.#signaling ? this.#signaling.message(text) : { kind: 'connection-lost' };
  }

  /** Says how a call sounds, if there is a way to. */
  report(leg: CallLeg, report: CallReport): void {
    this.#signaling?.report(leg, report);
  }

  /** Those that are not closed. */
  peers(): RTCPeerConnection[] {
    return [...this.#peers].filter((pc) => pc.connectionState !== 'closed');
  }

  /** What went over the wire, without secrets. */
  trace(): string {
    return this.#trace.text();
  }

  #newPeer(configuration: RTCConfiguration): RTCPeerConnection {
    for (const old of this.#peers) if (old.connectionState === 'closed') this.#peers.delete(old);
    const peer = new RTCPeerConnection(configuration);
    this.#peers.add(peer);
    return peer;
  }
}
