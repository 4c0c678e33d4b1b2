import { batch, computed, effect, signal, untracked } from '@preact/signals';
import { Account } from './account.ts';
import { Connection } from './connection.ts';
import { Dialer } from './dialer.ts';
import { EventFeed } from './events/event-feed.ts';
import type { ServerEvent } from './events/server-event.ts';
import { Line } from './line.ts';
import { Login, offerWords } from './login.ts';
import { callProblem } from './media/devices.ts';
import { Equipment } from './media/equipment.ts';
import { Sounds } from './media/sounds.ts';
import { watchPage } from './page-events.ts';
import { PageNotification } from './page-notification.ts';
import type { OwnPresence } from './presence.ts';
import type { Session } from './session.ts';
import { loginToken, readSettings, type Settings, urlOptions, writeSettings } from './settings.ts';
import { newUuid, tabIdentity } from './tab-identity.ts';
import { Texts } from './texts.ts';
import type { LinkState } from './ua/link.ts';
import { type Action, insecureWords, linkMessage, type Message, mediaWords } from './ua/messages.ts';
import { parseTarget } from './ua/target.ts';
import { afterTimeout } from './ua/timer.ts';

/** The user part of the echo. */
export const ECHO = '600';

/** The whole phone: one account, at most one call, everything the page shows as signals. */
export class Phone {
  readonly screen = signal<'loading' | 'sign-in' | 'phone'>('loading');
  readonly account = new Account();
  readonly connection = new Connection({
    events: {
      link: (state) => this.#linkChanged(state),
      incoming: (leg) => this.line.ring(leg),
      text: (text) => this.texts.receive(text),
    },
    session: () => this.account.session.value?.session ?? '',
    probe: () => this.account.probe(),
  });
  readonly settings = signal<Settings>(readSettings(localStorage));
  readonly soundBlocked = signal(false);
  readonly options = urlOptions(location.search);
  readonly equipment = new Equipment({
    settings: () => this.settings.value,
    options: this.options,
    turn: () => this.account.turn(),
  });

  readonly #sounds = new Sounds((blocked) => {
    this.soundBlocked.value = blocked;
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
    tell: (message) => this.#tell(message),
  });
  readonly line = new Line({
    connection: this.connection,
    equipment: this.equipment,
    sounds: this.#sounds,
    settings: this.settings,
    autoAnswer: this.options.autoAnswer,
    nameOf: (user) => this.nameOf(user),
    whom: (user) => (user === this.account.session.value?.user ? 'self' : 'other'),
    tell: (message) => this.#tell(message),
  });
  readonly dialer = new Dialer({
    domain: () => this.account.session.value?.domain,
    call: () => this.line.call.value,
    place: (target, video) => this.line.place(target, video),
    keySound: (key) => {
      this.#sounds.wake();
      this.#sounds.key(key);
    },
    tell: (message) => this.#tell(message),
    dismiss: () => this.dismiss(),
  });
  readonly texts = new Texts({
    storage: localStorage,
    now: () => Date.now(),
    newId: newUuid,
    send: async ({ id, peer, text }) => {
      const target = parseTarget(peer, this.account.session.value?.domain ?? '');
      if (target.kind !== 'target') return { kind: 'refused', status: 484 };
      return this.connection.message({ id, uri: target.uri, text });
    },
    isWatched: () => !document.hidden,
    notify: ({ peer, text }) => {
      if (this.settings.value.notifications)
        this.#textNotification.show(this.textName(peer), text.slice(0, 200), () => this.texts.show(peer));
    },
  });
  readonly #textNotification = new PageNotification('text');
  readonly #feed = new EventFeed({
    fetch: (path, init) => fetch(path, init),
    session: () => this.account.session.value?.session,
    lastId: () => this.texts.newsAfter,
    event: (event, id) => this.#takeEvent(event, id),
    live: (isLive) => this.account.tellsChanges(isLive),
    now: () => performance.now(),
    random: Math.random,
    after: afterTimeout,
  });
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

  async start(): Promise<void> {
    this.#sounds.wake();
    this.#listen();
    // A call that rings or is answered shows who is there before the next look at everybody does.
    effect(() => {
      if (this.line.call.value?.phase.value) untracked(() => void this.account.refreshPeople());
    });
    await this.login.start(this.#takeToken());
  }

  async signOut(): Promise<void> {
    const session = this.account.session.value;
    this.texts.forget();
    this.#leave();
    if (session) await this.account.logout(session);
  }

  act(action: Action): void {
    switch (action) {
      case 'call-again':
      case 'call-back': {
        const last = this.line.history.value[0];
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
        if (this.line.wantsToAnswer) void this.line.answer(false);
        else void this.dialer.again();
        return;
      case 'audio-only':
        this.words.value = undefined;
        if (this.line.wantsToAnswer) void this.line.answer(false);
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
    this.line.clear();
  }

  change(change: Partial<Settings>): void {
    this.settings.value = { ...this.settings.value, ...change };
    writeSettings(localStorage, this.settings.value);
    if (change.speaker !== undefined) this.#sounds.setSpeaker(change.speaker);
    if (change.notifications && 'Notification' in window) void Notification.requestPermission();
    this.line.changeDevices(change);
  }

  /** What this account says of itself, on all of its phones. */
  async setPresence(presence: OwnPresence): Promise<void> {
    try {
      await this.account.setPresence(presence);
    } catch {
      this.#tell({ tone: 'problem', title: 'Your status was not changed', detail: 'The server did not take it.' });
    }
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

  /** The same for somebody who writes, who may be none of the people here and say who it is. */
  textName(peer: string): string {
    const name = this.nameOf(peer);
    return name === peer ? (this.texts.conversations.value.get(peer)?.name ?? peer) : name;
  }

  /** Everything a bug report needs and no secret. */
  diagnostics(): string {
    const facts = {
      at: new Date().toISOString(),
      browser: navigator.userAgent,
      secureContext: isSecureContext,
      link: this.connection.link.value,
      call: this.line.call.value?.phase.value ?? 'idle',
      quality: this.line.call.value?.quality.value,
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
    this.#feed.reset();
    batch(() => {
      this.account.enter(session);
      this.texts.enter(`${session.user}@${session.domain}`);
      this.screen.value = 'phone';
      this.line.call.value = undefined;
      this.words.value = undefined;
    });
    this.connection.open(session, identity);
    void this.equipment.refresh();
  }

  #leave(): void {
    this.login.dropOffer();
    this.connection.close();
    this.#feed.reset();
    batch(() => {
      this.account.leave();
      this.texts.leave();
      this.line.call.value = undefined;
      this.words.value = undefined;
      this.screen.value = 'sign-in';
    });
  }

  #linkChanged(state: LinkState): void {
    this.line.call.value?.setLink(state.kind === 'registered');
    const isRegistered = state.kind === 'registered';
    this.account.watchPeople(isRegistered);
    this.texts.handleLink(isRegistered);
    this.#feed.want(isRegistered && !document.hidden);
    const session = this.account.session.value;
    if (state.kind === 'expired' && session) this.account.drop(session);
  }

  #takeEvent(event: ServerEvent, id: string): void {
    switch (event.kind) {
      case 'message':
        this.texts.handleNews(event, id);
        return;
      case 'presence':
        this.account.takePresence(event.user, event);
        return;
      case 'registration':
      case 'incomplete':
        void this.account.refreshPeople();
        return;
      default:
        event satisfies never;
    }
  }

  #tell(message: Message | undefined): void {
    this.words.value = message;
  }

  #listen(): void {
    watchPage({
      woken: () => this.connection.nudge(),
      shown: () => {
        void this.account.refreshPeople();
        this.#feed.want(this.connection.link.value.kind === 'registered');
        this.#textNotification.close();
        this.texts.watched();
      },
      hidden: () => this.#feed.want(false),
      stored: (key) => this.texts.handleStorage(key),
      // A page that goes away cannot keep its call: tell the far side now rather than leave it in silence.
      left: () => this.line.hangUp(),
      keepsCall: () => this.line.call.value?.phase.value === 'active',
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
