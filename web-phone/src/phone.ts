import { batch, computed, signal } from '@preact/signals';
import { Account, type Credentials, signInProblem } from './account.ts';
import { CallNotification } from './call-notification.ts';
import { CallSession } from './call-session.ts';
import { Connection } from './connection.ts';
import { outcomeOf, type PastCall, readHistory, withCall, writeHistory } from './history.ts';
import { callProblem, MediaError } from './media/devices.ts';
import { Equipment, stopTracks } from './media/equipment.ts';
import type { LocalMedia } from './media/peer.ts';
import { Sounds } from './media/sounds.ts';
import { watchPage } from './page-events.ts';
import { ApiError, type Session } from './session.ts';
import { loginToken, readSettings, type Settings, urlOptions, writeSettings } from './settings.ts';
import { tabIdentity } from './tab-identity.ts';
import type { LinkState } from './ua/link.ts';
import {
  type Action,
  type CallEnd,
  callEndWords,
  linkMessage,
  type Message,
  mediaWords,
  signInWords,
  videoRefusedWords,
} from './ua/messages.ts';
import type { CallLeg } from './ua/signaling.ts';
import { parseTarget } from './ua/target.ts';

const ECHO = '600';

/** The whole phone: one account, at most one call, everything the page shows as signals. */
export class Phone {
  readonly screen = signal<'loading' | 'sign-in' | 'phone'>('loading');
  readonly account = new Account();
  readonly connection = new Connection({
    events: { link: (state) => this.#linkChanged(state), incoming: (leg) => this.#incoming(leg) },
    session: () => this.account.session.value?.session ?? '',
    probe: () => this.account.probe(),
  });
  readonly input = signal('');
  readonly call = signal<CallSession | undefined>(undefined);
  readonly history = signal<readonly PastCall[]>(readHistory(sessionStorage));
  readonly settings = signal<Settings>(readSettings(localStorage));
  readonly soundBlocked = signal(false);
  readonly signingIn = signal(false);
  readonly missed = signal(0);
  readonly options = urlOptions(location.search);
  readonly equipment = new Equipment({
    settings: () => this.settings.value,
    options: this.options,
    turn: () => this.account.turn(),
  });

  /** The last words about a call, a device or signing in. */
  readonly words = signal<Message | undefined>(undefined);
  /** What the page says now: a standing problem with the server comes first. */
  readonly message = computed<Message | undefined>(() => {
    const standing = callProblem();
    return (
      linkMessage(this.connection.link.value) ??
      this.words.value ??
      (standing ? mediaWords(standing, 'microphone') : undefined)
    );
  });

  readonly #sounds = new Sounds((blocked) => {
    this.soundBlocked.value = blocked;
  });
  readonly #notification = new CallNotification();
  #lastUri = '';
  #pendingMedia: 'call' | 'answer' | undefined;
  #pendingDial: { text: string; video: boolean } | undefined;

  async start(): Promise<void> {
    this.#sounds.wake();
    this.#listen();
    const token = loginToken(location.hash);
    if (token) {
      history.replaceState(null, '', location.pathname + location.search);
      await this.#signIn({ token });
      return;
    }
    const stored = this.account.stored();
    if (stored) await this.#enter(stored);
    else this.screen.value = 'sign-in';
  }

  signIn(user: string, password: string): Promise<void> {
    return this.#signIn({ user: user.trim(), password });
  }

  async signOut(): Promise<void> {
    const session = this.account.session.value;
    this.#leave();
    if (session) await this.account.logout(session);
  }

  /** Calls what was typed, or brings the last number back when nothing was. */
  async dial(video = false, text = this.input.value): Promise<void> {
    const session = this.account.session.value;
    if (!session || this.#inCall()) return;
    const target = parseTarget(text, session.domain);
    if (target.kind === 'empty') {
      this.input.value = this.#lastUri;
      return;
    }
    if (target.kind === 'unusable') {
      this.words.value = { tone: 'problem', title: 'That cannot be called', detail: target.words };
      return;
    }
    this.#pendingDial = { text, video };
    this.#pendingMedia = 'call';
    const call = this.#open({ direction: 'outgoing', name: this.nameOf(target.label), uri: target.uri, video });
    call.preparing.value = true;
    const media = await this.#openMedia(call, video);
    if (!media) return;
    if (!(await this.connection.ready())) {
      stopTracks(media);
      this.#abandon(call);
      return;
    }
    if (call.phase.value === 'ended' || this.call.value !== call) {
      stopTracks(media);
      return;
    }
    this.#lastUri = target.label;
    this.input.value = '';
    call.preparing.value = false;
    call.adopt(media);
    call.attach(this.connection.call(target.uri, media));
  }

  async answer(video: boolean): Promise<void> {
    const call = this.call.value;
    if (call?.phase.value !== 'incoming' || call.preparing.value) return;
    this.#pendingMedia = 'answer';
    call.preparing.value = true;
    this.#sounds.play('none');
    const media = await this.#openMedia(call, video);
    call.preparing.value = false;
    if (!media) return;
    if (call.phase.value !== 'incoming') {
      stopTracks(media);
      return;
    }
    call.answer(media);
  }

  decline(): void {
    if (this.call.value?.phase.value === 'incoming') this.call.value.decline(603);
  }

  hangUp(): void {
    this.call.value?.end();
  }

  async toggleVideo(): Promise<void> {
    const call = this.call.value;
    if (call?.phase.value !== 'active' || call.cameraBusy.value) return;
    call.cameraBusy.value = true;
    try {
      if (call.cameraOn.value) await call.stopCamera();
      else await call.startCamera(await this.equipment.camera());
      void this.equipment.refresh();
    } catch (error) {
      this.#tellMedia(error);
    } finally {
      call.cameraBusy.value = false;
    }
  }

  /** A key of the pad: dials while idle, sends a tone in a call. */
  press(key: string): void {
    this.#sounds.wake();
    this.#sounds.key(key);
    const call = this.call.value;
    if (call?.phase.value === 'active') {
      if (!call.sendTone(key))
        this.words.value = { tone: 'problem', title: 'The other side takes no key tones', detail: 'The call goes on.' };
    } else if (!this.#inCall()) {
      this.dismiss();
      this.input.value += key;
    }
  }

  type(text: string): void {
    this.dismiss();
    if (/^[0-9*#]$/.test(text)) this.press(text);
    else this.input.value += text;
  }

  act(action: Action): void {
    switch (action) {
      case 'call-again': {
        const last = this.history.value[0];
        if (last) void this.dial(last.video, last.uri);
        return;
      }
      case 'sign-in':
        this.#leave();
        return;
      case 'try-media-again':
        this.words.value = undefined;
        if (this.#pendingMedia === 'answer') void this.answer(false);
        else if (this.#pendingDial) void this.dial(this.#pendingDial.video, this.#pendingDial.text);
        return;
      case 'audio-only':
        this.words.value = undefined;
        if (this.#pendingMedia === 'answer' && this.call.value) void this.answer(false);
        else if (this.#pendingDial) void this.dial(false, this.#pendingDial.text);
        return;
      case 'reconnect':
        this.connection.retry();
        return;
      case 'open-localhost':
        location.assign(`http://localhost:${location.port || '8080'}/`);
        return;
      case 'call-echo':
        void this.dial(false, ECHO);
        return;
      case 'without-relay':
        this.change({ relayOnly: false });
        if (this.#pendingDial) void this.dial(this.#pendingDial.video, this.#pendingDial.text);
        return;
      default:
        action satisfies never;
    }
  }

  dismiss(): void {
    this.words.value = undefined;
    if (this.call.value?.phase.value === 'ended') this.call.value = undefined;
  }

  change(change: Partial<Settings>): void {
    this.settings.value = { ...this.settings.value, ...change };
    writeSettings(localStorage, this.settings.value);
    if (change.speaker !== undefined) this.#sounds.setSpeaker(change.speaker);
    if (change.notifications && 'Notification' in window) void Notification.requestPermission();
    const call = this.call.value;
    if (call?.audioTrack && (change.microphone !== undefined || change.processing !== undefined))
      void this.equipment
        .microphone()
        .then((track) => call.replaceMicrophone(track))
        .catch((error: unknown) => this.#tellMedia(error));
    if (call?.cameraTrack && change.camera !== undefined)
      void this.equipment
        .camera()
        .then((track) => call.startCamera(track))
        .catch((error: unknown) => this.#tellMedia(error));
  }

  wakeSound(): void {
    this.#sounds.wake();
  }

  /** How a person is called here: the display name where the directory knows one. */
  nameOf(user: string): string {
    if (user === ECHO) return 'Echo test';
    return this.account.people.value.find((p) => p.user === user)?.displayName ?? user;
  }

  /** Everything a bug report needs and no secret. */
  diagnostics(): string {
    const facts = {
      at: new Date().toISOString(),
      browser: navigator.userAgent,
      secureContext: isSecureContext,
      link: this.connection.link.value,
      call: this.call.value?.phase.value ?? 'idle',
      quality: this.call.value?.quality.value,
      connections: this.connection.peers().map((pc) => ({
        connection: pc.connectionState,
        ice: pc.iceConnectionState,
        signaling: pc.signalingState,
        directions: pc.getTransceivers().map((t) => `${t.receiver.track.kind} ${t.currentDirection}`),
      })),
      settings: { ...this.settings.value, microphone: undefined, speaker: undefined, camera: undefined },
    };
    return `${JSON.stringify(facts, undefined, 2)}\n\n${this.connection.trace()}`;
  }

  #inCall(): boolean {
    const phase = this.call.value?.phase.value;
    return phase !== undefined && phase !== 'ended';
  }

  async #signIn(credentials: Credentials): Promise<void> {
    this.signingIn.value = true;
    this.words.value = undefined;
    try {
      await this.#enter(await this.account.login(credentials));
    } catch (error) {
      // The tab may still hold a session: a login link opened twice need not throw its owner out.
      const stored = 'token' in credentials ? this.account.stored() : undefined;
      if (stored) await this.#enter(stored);
      else {
        this.words.value = signInWords(signInProblem(error, 'token' in credentials));
        this.screen.value = 'sign-in';
      }
    } finally {
      this.signingIn.value = false;
    }
  }

  async #enter(session: Session): Promise<void> {
    const identity = await tabIdentity();
    batch(() => {
      this.account.enter(session);
      this.screen.value = 'phone';
      this.words.value = undefined;
    });
    this.connection.open(session, identity);
    void this.equipment.refresh();
  }

  #leave(): void {
    this.connection.close();
    batch(() => {
      this.account.leave();
      this.call.value = undefined;
      this.words.value = undefined;
      this.screen.value = 'sign-in';
    });
  }

  #linkChanged(state: LinkState): void {
    this.call.value?.setLink(state.kind === 'registered');
    if (state.kind === 'registered') void this.account.refreshPeople();
    if (state.kind === 'expired') this.account.forgetStored();
  }

  #open(options: { direction: 'outgoing' | 'incoming'; name: string; uri: string; video: boolean }): CallSession {
    this.words.value = undefined;
    const call = new CallSession({
      ...options,
      onSound: (sound) => this.#sounds.play(sound),
      onEnded: (ended, end) => this.#ended(ended, end),
      onDismiss: (ended) => {
        if (this.call.value === ended) this.call.value = undefined;
      },
      onVideoRefused: (outcome) => {
        this.words.value = videoRefusedWords(outcome);
      },
    });
    this.call.value = call;
    return call;
  }

  #incoming(leg: CallLeg): void {
    const { remote } = leg;
    const name = remote.displayName ?? this.nameOf(remote.user);
    if (this.#inCall()) {
      leg.end(486);
      this.#remember({
        direction: 'incoming',
        name,
        uri: remote.uri,
        outcome: 'missed',
        durationS: 0,
        video: remote.video,
      });
      this.words.value = {
        tone: 'info',
        title: `${name} called meanwhile`,
        detail: 'They were told that you are busy.',
      };
      return;
    }
    const call = this.#open({ direction: 'incoming', name, uri: remote.uri, video: remote.video });
    call.attach(leg);
    if (this.options.autoAnswer) {
      void this.answer(remote.video);
      return;
    }
    if (this.settings.value.notifications) this.#notification.show(name);
  }

  #ended(call: CallSession, end: CallEnd): void {
    this.#notification.close();
    const answeredAt = call.answeredAtMs.value;
    void this.account.refreshPeople();
    const durationS = answeredAt ? (Date.now() - answeredAt) / 1000 : 0;
    const outcome = outcomeOf(end, answeredAt !== undefined, call.direction);
    this.#remember({
      direction: call.direction,
      name: call.name,
      uri: call.uri,
      outcome,
      durationS,
      video: call.wantsVideo,
    });
    const lostServer = end.status === 503 && this.connection.link.value.kind !== 'registered';
    this.words.value = lostServer ? undefined : callEndWords(end, call.name);
  }

  #remember(call: Omit<PastCall, 'atMs'>): void {
    this.history.value = withCall(this.history.value, { ...call, atMs: Date.now() });
    writeHistory(sessionStorage, this.history.value);
    if (call.outcome === 'missed') this.missed.value++;
  }

  /** Takes back a call that never reached the wire. */
  #abandon(call: CallSession): void {
    if (this.call.value === call) this.call.value = undefined;
    this.#sounds.play('none');
  }

  async #openMedia(call: CallSession, video: boolean): Promise<LocalMedia | undefined> {
    try {
      const media = await this.equipment.open(video);
      media.audio.addEventListener('ended', () => {
        if (this.#inCall() && call.audioTrack === media.audio) this.words.value = mediaWords('unplugged', 'microphone');
      });
      return media;
    } catch (error) {
      if (call.phase.value === 'ended') return undefined;
      if (call.direction === 'outgoing') this.#abandon(call);
      this.#tellMedia(error);
      return undefined;
    }
  }

  #tellMedia(error: unknown): void {
    if (error instanceof MediaError) this.words.value = mediaWords(error.problem, error.device);
    else if (error instanceof ApiError)
      this.words.value = callEndWords({ by: 'local', cause: 'relay-unreachable' }, '');
    else this.words.value = callEndWords({ by: 'local', cause: 'page-error' }, '');
  }

  #listen(): void {
    watchPage({
      woken: () => this.connection.nudge(),
      shown: () => void this.account.refreshPeople(),
      // A page that goes away cannot keep its call: tell the far side now rather than leave it in silence.
      left: () => this.call.value?.end(),
      keepsCall: () => this.call.value?.phase.value === 'active',
      gesture: () => {
        if (this.soundBlocked.value) this.#sounds.wake();
      },
      devicesChanged: () => void this.equipment.refresh(),
    });
  }
}
