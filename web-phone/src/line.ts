import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { CallSession, type CallSessionOptions, isOn } from './call-session.ts';
import type { Connection } from './connection.ts';
import { outcomeOf, type PastCall, readHistory, withCall, writeHistory } from './history.ts';
import { MediaError } from './media/devices.ts';
import { type Equipment, stopTracks } from './media/equipment.ts';
import type { LocalMedia } from './media/peer.ts';
import type { Sounds } from './media/sounds.ts';
import { PageNotification } from './page-notification.ts';
import { ApiError } from './session.ts';
import type { Settings } from './settings.ts';
import { type CallEnd, callEndWords, calledMeanwhileWords, isPlainHangup, type Whom } from './ua/call-end.ts';
import { type Message, mediaWords, videoRefusedWords } from './ua/messages.ts';
import type { CallLeg } from './ua/signaling.ts';
import type { DialTarget } from './ua/target.ts';

export interface LineOptions {
  readonly connection: Connection;
  readonly equipment: Equipment;
  readonly sounds: Sounds;
  readonly settings: ReadonlySignal<Settings>;
  readonly autoAnswer: boolean;
  /** How a person is called here. */
  readonly nameOf: (user: string) => string;
  readonly whom: (user: string) => Whom;
  readonly tell: (message: Message | undefined) => void;
}

/** The one line of this phone: at most one call, coming or going, and those that were. */
export class Line {
  readonly call = signal<CallSession | undefined>(undefined);
  readonly inCall = computed(() => isOn(this.call.value));
  readonly history = signal<readonly PastCall[]>(readHistory(sessionStorage));
  /** Missed calls that nobody has looked at yet. */
  readonly missed = signal(0);
  readonly #options: LineOptions;
  readonly #notification = new PageNotification('call');
  #pendingMedia: 'call' | 'answer' | undefined;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  /** Rings that target; false when it never came to a call. */
  async place(target: DialTarget, video: boolean): Promise<boolean> {
    const { connection, nameOf, whom } = this.#options;
    this.#pendingMedia = 'call';
    const call = this.#open({
      direction: 'outgoing',
      name: nameOf(target.label),
      uri: target.uri,
      whom: whom(target.label),
      video,
    });
    call.preparing.value = 'media';
    const media = await this.#openMedia(call, video);
    if (!media) return false;
    call.preparing.value = 'connection';
    const ready = await connection.ready();
    const wanted = call.phase.value !== 'ended' && this.call.value === call;
    if (!ready || !wanted) {
      stopTracks(media);
      if (wanted) this.#abandon(call);
      return false;
    }
    call.preparing.value = undefined;
    call.adopt(media);
    call.attach(connection.call(target.uri, media));
    return true;
  }

  /** Somebody calls. */
  ring(leg: CallLeg): void {
    const { nameOf, whom: whomOf, autoAnswer, settings, tell } = this.#options;
    const { uri, user, video, displayName } = leg.remote;
    const name = displayName ?? nameOf(user);
    const whom = whomOf(user);
    if (this.inCall.value) {
      leg.end(486);
      tell(calledMeanwhileWords(name, whom));
      if (whom === 'other')
        this.#remember({ direction: 'incoming', name, uri, outcome: 'missed', durationS: 0, video });
      return;
    }
    this.#open({ direction: 'incoming', name, uri, whom, video }).attach(leg);
    if (autoAnswer) void this.answer(video);
    else if (settings.value.notifications) this.#notification.show(`${name} is calling`);
  }

  async answer(video: boolean): Promise<void> {
    const call = this.call.value;
    if (call?.phase.value !== 'incoming' || call.preparing.value) return;
    this.#pendingMedia = 'answer';
    call.preparing.value = 'media';
    this.#options.sounds.play('none');
    const media = await this.#openMedia(call, video);
    call.preparing.value = undefined;
    if (!media) return;
    if (call.phase.value !== 'incoming') {
      stopTracks(media);
      return;
    }
    call.answer(media);
  }

  /** Whether it was answering that lacked a microphone or camera last, not calling. */
  get wantsToAnswer(): boolean {
    return this.#pendingMedia === 'answer' && this.call.value !== undefined;
  }

  decline(): void {
    if (this.call.value?.phase.value === 'incoming') this.call.value.decline(603);
  }

  hangUp(): void {
    this.call.value?.end();
  }

  /** Takes a call that has ended off the page. */
  clear(): void {
    if (!this.inCall.value) this.call.value = undefined;
  }

  async toggleVideo(): Promise<void> {
    const { equipment } = this.#options;
    const call = this.call.value;
    if (call?.phase.value !== 'active' || call.cameraBusy.value) return;
    call.cameraBusy.value = true;
    try {
      if (call.cameraOn.value) await call.stopCamera();
      else await call.startCamera(await equipment.camera());
      void equipment.refresh();
    } catch (error) {
      this.#tellMedia(error);
    } finally {
      call.cameraBusy.value = false;
    }
  }

  /** Other devices were chosen: a call in progress changes over to them. */
  changeDevices(change: Partial<Settings>): void {
    const { equipment } = this.#options;
    const call = this.call.value;
    if (call?.audioTrack && (change.microphone !== undefined || change.processing !== undefined))
      void equipment
        .microphone()
        .then((track) => call.replaceMicrophone(track))
        .catch((error: unknown) => this.#tellMedia(error));
    if (call?.cameraTrack && change.camera !== undefined)
      void equipment
        .camera()
        .then((track) => call.startCamera(track))
        .catch((error: unknown) => this.#tellMedia(error));
  }

  #open(options: Pick<CallSessionOptions, 'direction' | 'name' | 'uri' | 'whom' | 'video'>): CallSession {
    const { connection, sounds, tell } = this.#options;
    tell(undefined);
    const call = new CallSession({
      ...options,
      onSound: (sound) => sounds.play(sound),
      onEnded: (ended, end) => this.#ended(ended, end),
      onDismiss: (ended) => {
        if (this.call.value === ended) this.call.value = undefined;
      },
      onVideoRefused: (outcome) => tell(videoRefusedWords(outcome)),
      onReport: (leg, report) => connection.report(leg, report),
    });
    this.call.value = call;
    return call;
  }

  #ended(call: CallSession, end: CallEnd): void {
    const { connection, tell } = this.#options;
    this.#notification.close();
    const answeredAt = call.answeredAtMs.value;
    this.#remember({
      direction: call.direction,
      name: call.name,
      uri: call.uri,
      outcome: outcomeOf(end, answeredAt !== undefined, call.direction),
      durationS: answeredAt ? (Date.now() - answeredAt) / 1000 : 0,
      video: call.wantsVideo,
    });
    const lostServer = end.status === 503 && connection.link.value.kind !== 'registered';
    const said = lostServer || isPlainHangup(end); // by the link, or by the call itself
    tell(said ? undefined : callEndWords(end, call.name, call.whom));
  }

  #remember(call: Omit<PastCall, 'atMs'>): void {
    this.history.value = withCall(this.history.value, { ...call, atMs: Date.now() });
    writeHistory(sessionStorage, this.history.value);
    if (call.outcome === 'missed') this.missed.value++;
  }

  /** Takes back a call that never reached the wire. */
  #abandon(call: CallSession): void {
    if (this.call.value === call) this.call.value = undefined;
    this.#options.sounds.play('none');
  }

  async #openMedia(call: CallSession, video: boolean): Promise<LocalMedia | undefined> {
    const { equipment, tell } = this.#options;
    try {
      const media = await equipment.open(video);
      media.audio.addEventListener('ended', () => {
        if (isOn(call) && call.audioTrack === media.audio) tell(mediaWords('unplugged', 'microphone'));
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
    const { tell } = this.#options;
    if (error instanceof MediaError) tell(mediaWords(error.problem, error.device));
    else if (error instanceof ApiError) tell(callEndWords({ by: 'local', cause: 'relay-unreachable' }, ''));
    else tell(callEndWords({ by: 'local', cause: 'page-error' }, ''));
  }
}
