import { batch, signal } from '@preact/signals';
import { type CallReport, CallReports } from './media/call-reports.ts';
import type { LocalMedia } from './media/peer.ts';
import { type Quality, QualityMeter, sampleFromStats } from './media/quality.ts';
import type { Sound } from './media/sounds.ts';
import { type CallEvent, CallMachine, type CallPhase } from './ua/call.ts';
import type { CallEnd, Whom } from './ua/call-end.ts';
import type { RenegotiationOutcome } from './ua/renegotiation.ts';
import type { CallLeg } from './ua/signaling.ts';
import { afterTimeout, Rearm } from './ua/timer.ts';

export interface CallSessionOptions {
  readonly direction: 'outgoing' | 'incoming';
  readonly name: string;
  readonly uri: string;
  readonly whom: Whom;
  /** The caller offers video, or we asked for it. */
  readonly video: boolean;
  readonly onSound: (sound: Sound) => void;
  readonly onEnded: (call: CallSession, end: CallEnd) => void;
  readonly onDismiss: (call: CallSession) => void;
  readonly onVideoRefused: (outcome: RenegotiationOutcome) => void;
  /** How it sounds, now and then and at the end. */
  readonly onReport: (leg: CallLeg, report: CallReport) => void;
}

const STATS_INTERVAL_MS = 1_000;
/** A camera going off sends black first, so that the far side does not keep its last picture. */
const BLACK_MS = 400;

/** One call: its machine, its leg, its tracks, and what the page shows of them. */
export class CallSession {
  readonly direction: 'outgoing' | 'incoming';
  readonly name: string;
  readonly uri: string;
  readonly whom: Whom;
  readonly wantsVideo: boolean;
  readonly startedAtMs = Date.now();

  readonly phase = signal<CallPhase>('calling');
  readonly muted = signal(false);
  readonly cameraOn = signal(false);
  readonly cameraBusy = signal(false);
  readonly localVideo = signal<MediaStream | undefined>(undefined);
  readonly remoteAudio = signal<MediaStream | undefined>(undefined);
  readonly remoteVideo = signal<MediaStream | undefined>(undefined);
  /** Pictures really arrive, not only agreed on. */
  readonly remoteVideoFlows = signal(false);
  readonly mediaFlows = signal(true);
  readonly answeredAtMs = signal<number | undefined>(undefined);
  readonly endedAtMs = signal<number | undefined>(undefined);
  readonly quality = signal<Quality | undefined>(undefined);
  readonly digits = signal('');
  /** What has to be there before the call goes out or is answered. */
  readonly preparing = signal<'media' | 'connection' | undefined>(undefined);
  readonly outcome = signal<CallEnd | undefined>(undefined);

  readonly #options: CallSessionOptions;
  readonly #machine: CallMachine;
  readonly #rearm = new Rearm(() => performance.now(), afterTimeout);
  readonly #meter = new QualityMeter();
  #leg: CallLeg | undefined;
  #reports: CallReports | undefined;
  #audio: MediaStreamTrack | undefined;
  #camera: MediaStreamTrack | undefined;
  #statsTimer: ReturnType<typeof setInterval> | undefined;
  #remoteVideoTrack: MediaStreamTrack | undefined;
  #linkUp = true;

  constructor(options: CallSessionOptions) {
    this.#options = options;
    this.direction = options.direction;
    this.name = options.name;
    this.uri = options.uri;
    this.whom = options.whom;
    this.wantsVideo = options.video;
    this.#machine = new CallMachine(options.direction);
    this.#drain();
  }

  get audioTrack(): MediaStreamTrack | undefined {
    return this.#audio;
  }

  get cameraTrack(): MediaStreamTrack | undefined {
    return this.#camera;
  }

  /** Attaches the call on the wire; everything it tells goes through the machine. */
  attach(leg: CallLeg): void {
    this.#leg = leg;
    leg.events = {
      ringing: () => this.handle({ kind: 'ringing' }),
      earlyMedia: () => this.handle({ kind: 'early-media' }),
      answered: () => {
        this.answeredAtMs.value = Date.now();
        this.handle({ kind: 'answered' });
        this.#reports ??= new CallReports({ monotonicMs: performance.now(), wallMs: Date.now() });
        this.#startStats();
      },
      ended: (end) => this.finish(end),
      track: (track) => this.#receive(track),
      path: (state) => this.handle({ kind: 'ice', state }),
      negotiated: () => this.#showRemoteVideo(),
    };
  }

  /** The tracks this call sends; they are stopped with it. */
  adopt(media: LocalMedia): void {
    this.#audio = media.audio;
    this.#audio.enabled = !this.muted.value;
    if (media.video) this.#adoptCamera(media.video);
  }

  answer(media: LocalMedia): void {
    this.adopt(media);
    this.#leg?.answer(media);
  }

  decline(status: 486 | 603): void {
    this.#leg?.end(status);
  }

  /** Hangs up, cancels or declines. */
  end(): void {
    if (this.#leg) this.#leg.end();
    else this.finish({ by: 'local', cause: 'canceled' });
  }

  toggleMute(): void {
    this.muted.value = !this.muted.value;
    if (this.#audio) this.#audio.enabled = !this.muted.value;
  }

  async startCamera(track: MediaStreamTrack): Promise<void> {
    const peer = this.#leg?.peer;
    if (!peer || this.phase.value !== 'active') {
      track.stop();
      return;
    }
    this.#camera?.stop();
    this.#adoptCamera(track);
    if (!(await peer.replaceVideo(track))) return;
    const outcome = await this.#leg!.renegotiate('keep-ice');
    if (outcome === 'accepted' && peer.sendsVideo) return;
    if (this.phase.value !== 'active') return;
    await this.stopCamera();
    this.#options.onVideoRefused(outcome);
  }

  async stopCamera(): Promise<void> {
    const track = this.#camera;
    if (!track) return;
    this.#camera = undefined;
    batch(() => {
      this.cameraOn.value = false;
      this.localVideo.value = undefined;
    });
    track.enabled = false;
    await new Promise((resolve) => setTimeout(resolve, BLACK_MS));
    if (!this.#camera) {
      await this.#leg?.peer?.replaceVideo(undefined).catch(() => {});
      // An offer tells the far side at once; it would notice by itself only after seconds without pictures.
      if (this.#linkUp && this.#leg?.peer?.withdrawVideo()) void this.#leg.renegotiate('keep-ice');
    }
    track.stop();
  }

  async replaceMicrophone(track: MediaStreamTrack): Promise<void> {
    if (this.phase.value === 'ended') {
      track.stop();
      return;
    }
    const old = this.#audio;
    this.#audio = track;
    track.enabled = !this.muted.value;
    await this.#leg?.peer?.replaceAudio(track);
    old?.stop();
  }

  sendTone(key: string): boolean {
    if (this.phase.value !== 'active') return false;
    this.digits.value = (this.digits.value + key).slice(-32);
    return this.#leg?.peer?.sendDtmf(key) ?? false;
  }

  setLink(up: boolean): void {
    this.#linkUp = up;
    this.handle({ kind: 'link', up });
  }

  handle(event: CallEvent): void {
    this.#machine.handle(event, performance.now());
    this.#drain();
  }

  /** The call is over, whatever it was. */
  finish(end: CallEnd): void {
    if (this.phase.value === 'ended') return;
    clearInterval(this.#statsTimer);
    this.#audio?.stop();
    this.#audio = undefined;
    this.#camera?.stop();
    this.#camera = undefined;
    batch(() => {
      this.endedAtMs.value = Date.now();
      this.cameraOn.value = false;
      this.localVideo.value = undefined;
      this.remoteVideo.value = undefined;
      this.remoteVideoFlows.value = false;
      this.remoteAudio.value = undefined;
      this.preparing.value = undefined;
      this.outcome.value = end;
    });
    this.handle({ kind: 'ended', end });
    this.#report(this.#reports?.final());
    this.#options.onEnded(this, end);
  }

  #drain(): void {
    for (let command = this.#machine.poll(); command; command = this.#machine.poll()) {
      switch (command.kind) {
        case 'phase':
          this.phase.value = command.phase;
          break;
        case 'sound':
          this.#options.onSound(command.sound);
          break;
        case 'media':
          this.mediaFlows.value = command.flowing;
          break;
        case 'restart-ice':
          void this.#leg?.renegotiate('restart-ice');
          break;
        case 'ask-server':
          void this.#leg?.renegotiate('keep-ice').then((outcome) => {
            if (outcome === 'gone') this.#giveUp({ by: 'local', cause: 'forgotten' });
          });
          break;
        case 'give-up':
          this.#giveUp(command.end);
          break;
        case 'dismiss':
          this.#options.onDismiss(this);
          break;
        default:
          command satisfies never;
      }
    }
    this.#rearm.at(this.#machine.nextTimeout(), () => {
      this.#machine.handleTimeout(performance.now());
      this.#drain();
    });
  }

  #giveUp(end: CallEnd): void {
    if (this.#leg) this.#leg.events = undefined;
    this.#leg?.end();
    this.finish(end);
  }

  #adoptCamera(track: MediaStreamTrack): void {
    this.#camera = track;
    track.addEventListener('ended', () => {
      if (this.#camera === track) void this.stopCamera();
    });
    batch(() => {
      this.cameraOn.value = true;
      this.localVideo.value = new MediaStream([track]);
    });
  }

  #receive(track: MediaStreamTrack): void {
    if (track.kind === 'audio') this.remoteAudio.value = new MediaStream([track]);
    else {
      this.#remoteVideoTrack = track;
      track.addEventListener('mute', () => {
        this.remoteVideoFlows.value = false;
      });
      this.#showRemoteVideo();
    }
  }

  #showRemoteVideo(): void {
    const track = this.#remoteVideoTrack;
    const shown = this.remoteVideo.value?.getVideoTracks()[0];
    const agreed = this.#leg?.peer?.receivesVideo ?? false;
    if (!track || !agreed) {
      this.remoteVideo.value = undefined;
      this.remoteVideoFlows.value = false;
    } else if (shown !== track) {
      this.remoteVideo.value = new MediaStream([track]);
    }
  }

  #startStats(): void {
    clearInterval(this.#statsTimer);
    this.#statsTimer = setInterval(() => void this.#measure(), STATS_INTERVAL_MS);
  }

  #report(report: CallReport | undefined): void {
    if (report && this.#leg) this.#options.onReport(this.#leg, report);
  }

  async #measure(): Promise<void> {
    const report = await this.#leg?.peer?.connection.getStats().catch(() => undefined);
    if (!report || this.phase.value !== 'active') return;
    const sample = sampleFromStats(report.values(), performance.now());
    this.#meter.add(sample);
    this.#report(this.#reports?.add(sample));
    const quality = this.#meter.quality(this.muted.value);
    this.handle({ kind: 'sound', arriving: quality.grade !== 'none' });
    batch(() => {
      this.quality.value = quality;
      this.remoteVideoFlows.value =
        this.remoteVideo.value !== undefined && !this.#remoteVideoTrack?.muted && quality.videoArrives;
    });
  }
}

/** There is a call that has not ended. */
export function isOn(call: CallSession | undefined): boolean {
  const phase = call?.phase.value;
  return phase !== undefined && phase !== 'ended';
}
