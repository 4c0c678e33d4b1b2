import { batch, computed, effect, signal, untracked } from '@preact/signals';
import { Account } from './account.ts';
import { CallNotification } from './call-notification.ts';
import { CallSession, type CallSessionOptions } from './call-session.ts';
import { Connection } from './connection.ts';
import { Dialer, isOn } from './dialer.ts';
import { outcomeOf, type PastCall, readHistory, withCall, writeHistory } from './history.ts';
import { Login, offerWords } from './login.ts';
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
  calledMeanwhileWords,
  insecureWords,
  isPlainHangup,
  linkMessage,
  type Message,
  mediaWords,
  videoRefusedWords,
} from './ua/messages.ts';
import type { CallLeg } from './ua/signaling.ts';
import type { Target } from './ua/target.ts';

/** The user part of the echo. */
export const ECHO = '600';

/** The whole phone: one account, at most one call, everything the page shows as signals. */
export class Phone {
  readonly screen = signal<'loading' | 'sign-in' | 'phone'>('loading');
  readonly account = new Account();
  readonly connection = new Connection({
    events: { link: (state) => this.#linkChanged(state), incoming: (leg) => this.#incoming(leg) },
    session: () => this.account.session.value?.session ?? '',
    probe: () => this.account.probe(),
  });
  readonly call = signal<CallSession | undefined>(undefined);
  readonly history = signal<readonly PastCall[]>(readHistory(sessionStorage));
  readonly settings = signal<Settings>(readSettings(localStorage));
  readonly soundBlocked = signal(false);
  readonly missed = signal(0);
  readonly options = urlOptions(location.search);
  readonly equipment = new Equipment({
    settings: () => this.settings.value,
    options: this.options,
    turn: () => this.account.turn(),
  });

  /** The last words about a call, a device or signing in. */
  readonly words = signal<Message | undefined>(undefined);
  readonly login = new Login({
    account: this.account,
    current: () => (sessionIsOver(this.connection.link.value) ? undefined : this.account.session.value),
    useless: () => callProblem() === 'insecure',
    enter: (session) => this.#enter(session),
    showForm: () => {
      this.screen.value = 'sign-in';
    },
    tell: (message) => {
      this.words.value = message;
    },
  });
  readonly dialer = new Dialer({
    domain: () => this.account.session.value?.domain,
    call: () => this.call.value,
    place: (target, video) => this.#place(target, video),
    keySound: (key) => {
      this.#sounds.wake();
      this.#sounds.key(key);
    },
    tell: (message) => {
      this.words.value = message;
    },
    dismiss: () => this.dismiss(),
  });
  readonly inCall = computed(() => isOn(this.call.value));
  readonly #offer = computed(() => offerWords(this.login, this.account.session.value));
  /** What the page says now: a question and standing problems with the server come first. */
  readonly message = computed<Message | undefined>(
    () =>
      this.#offer.value ??
      linkMessage(this.connection.link.value) ??
      this.words.value ??
      standingWords(this.login.held.value !== undefined),
  );
  readonly canDismiss = computed(
    () => this.message.value !== undefined && [this.#offer.value, this.words.value].includes(this.message.value),
  );

  readonly #sounds = new Sounds((blocked) => {
    this.soundBlocked.value = blocked;
  });
  readonly #notification = new CallNotification();
  #pendingMedia: 'call' | 'answer' | undefined;

  async start(): Promise<void> {
    this.#sounds.wake();
    this.#listen();
    // A call that rings or is answered shows who is there before the next look at everybody does.
    effect(() => {
      if (this.call.value?.phase.value) untracked(() => void this.account.refreshPeople());
    });
    await this.login.start(this.#takeToken());
  }

  async signOut(): Promise<void> {
    const session = this.account.session.value;
    this.#leave();
    if (session) await this.account.logout(session);
  }

  async answer(video: boolean): Promise<void> {
    const call = this.call.value;
    if (call?.phase.value !== 'incoming' || call.preparing.value) return;
    this.#pendingMedia = 'answer';
    call.preparing.value = 'media';
    this.#sounds.play('none');
    const media = await this.#openMedia(call, video);
    call.preparing.value = undefined;
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

  act(action: Action): void {
    switch (action) {
      case 'call-again':
      case 'call-back': {
        const last = this.history.value[0];
        if (last) void this.dialer.dial(last.video, last.uri);
        return;
      }
      case 'sign-in':
        this.#leave();
        return;
      case 'change-over':
        void this.login.changeOver();
        return;
      case 'try-media-again':
        this.words.value = undefined;
        if (this.#pendingMedia === 'answer') void this.answer(false);
        else void this.dialer.again();
        return;
      case 'audio-only':
        this.words.value = undefined;
        if (this.#pendingMedia === 'answer' && this.call.value) void this.answer(false);
        else void this.dialer.again({ video: false });
        return;
      case 'reconnect':
        this.connection.retry();
        return;
      case 'open-localhost': {
        const token = this.login.held.value;
        location.assign(`http://localhost:${location.port || '80'}/${token ? `#login=${token}` : ''}`);
        return;
      }
      case 'call-echo':
        void this.dialer.dial(false, ECHO);
        return;
      case 'without-relay':
        this.change({ relayOnly: false });
        void this.dialer.again();
        return;
      default:
        action satisfies never;
    }
  }

  dismiss(): void {
    this.login.dropOffer();
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
    const own = this.account.session.value;
    if (user === own?.user) return own.displayName;
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

  /** The login token of the address, which does not stay there. */
  #takeToken(): string | undefined {
    const token = loginToken(location.hash);
    if (token) history.replaceState(null, '', location.pathname + location.search);
    return token;
  }

  async #enter(session: Session): Promise<void> {
    const identity = await tabIdentity();
    this.connection.close();
    batch(() => {
      this.account.enter(session);
      this.screen.value = 'phone';
      this.call.value = undefined;
      this.words.value = undefined;
    });
    this.connection.open(session, identity);
    void this.equipment.refresh();
  }

  #leave(): void {
    const session = this.account.session.value;
    if (session) this.account.forget(session);
    this.login.dropOffer();
    this.connection.close();
    batch(() => {
      this.account.leave();
      this.call.value = undefined;
      this.words.value = undefined;
      this.screen.value = 'sign-in';
    });
  }

  /** Rings that target; false when it never came to a call. */
  async #place(target: Extract<Target, { kind: 'target' }>, video: boolean): Promise<boolean> {
    this.#pendingMedia = 'call';
    const call = this.#open({
      direction: 'outgoing',
      name: this.nameOf(target.label),
      uri: target.uri,
      toSelf: target.label === this.account.session.value?.user,
      video,
    });
    call.preparing.value = 'media';
    const media = await this.#openMedia(call, video);
    if (!media) return false;
    call.preparing.value = 'connection';
    const ready = await this.connection.ready();
    const wanted = call.phase.value !== 'ended' && this.call.value === call;
    if (!ready || !wanted) {
      stopTracks(media);
      if (wanted) this.#abandon(call);
      return false;
    }
    call.preparing.value = undefined;
    call.adopt(media);
    call.attach(this.connection.call(target.uri, media));
    return true;
  }

  #linkChanged(state: LinkState): void {
    this.call.value?.setLink(state.kind === 'registered');
    this.account.watchPeople(state.kind === 'registered');
    const session = this.account.session.value;
    if (state.kind === 'expired' && session) this.account.forget(session);
  }

  #open(options: Pick<CallSessionOptions, 'direction' | 'name' | 'uri' | 'toSelf' | 'video'>): CallSession {
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
    const toSelf = remote.user === this.account.session.value?.user;
    if (this.inCall.value) {
      leg.end(486);
      this.words.value = calledMeanwhileWords(name, toSelf ? 'self' : 'other');
      if (toSelf) return;
      this.#remember({
        direction: 'incoming',
        name,
        uri: remote.uri,
        outcome: 'missed',
        durationS: 0,
        video: remote.video,
      });
      return;
    }
    const call = this.#open({ direction: 'incoming', name, uri: remote.uri, toSelf, video: remote.video });
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
    const said = lostServer || isPlainHangup(end); // by the link, or by the call itself
    this.words.value = said ? undefined : callEndWords(end, call.name, call.toSelf ? 'self' : 'other');
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
        if (this.inCall.value && call.audioTrack === media.audio)
          this.words.value = mediaWords('unplugged', 'microphone');
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
      addressChanged: () => {
        const token = this.#takeToken();
        if (token) void this.login.open(token);
      },
    });
  }
}

/** What keeps this page from ever calling, if anything. */
function standingWords(linkHeld: boolean): Message | undefined {
  const problem = callProblem();
  if (problem === 'insecure') return insecureWords('microphone', linkHeld ? 'link-held' : 'no-link');
  return problem && mediaWords(problem, 'microphone');
}

/** The server takes nothing more from the session that this tab still shows. */
function sessionIsOver({ kind }: LinkState): boolean {
  return kind === 'expired' || kind === 'refused';
}
