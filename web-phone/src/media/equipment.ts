import { signal } from '@preact/signals';
import type { Settings, UrlOptions } from '../settings.ts';
import { type DeviceLists, listDevices, openCamera, openMicrophone } from './devices.ts';
import type { LocalMedia } from './peer.ts';

/** With max-bundle a browser refuses every answer without a=group:BUNDLE, and rtpengine 10 writes none. */
const BUNDLE: RTCBundlePolicy = 'balanced';

export interface EquipmentOptions {
  readonly settings: () => Settings;
  readonly options: UrlOptions;
  readonly turn: () => Promise<RTCIceServer>;
}

/** Microphone, camera and relay as the settings choose them. */
export class Equipment {
  readonly lists = signal<DeviceLists>({ microphones: [], speakers: [], cameras: [] });
  readonly #options: EquipmentOptions;

  constructor(options: EquipmentOptions) {
    this.#options = options;
  }

  async refresh(): Promise<void> {
    this.lists.value = await listDevices();
  }

  /** @throws MediaError */
  microphone(): Promise<MediaStreamTrack> {
    const { microphone, processing } = this.#options.settings();
    return openMicrophone(microphone, processing && !this.#options.options.processingOff);
  }

  /** @throws MediaError */
  camera(): Promise<MediaStreamTrack> {
    return openCamera(this.#options.settings().camera);
  }

  /** Everything a call sends. What was opened is closed again when the rest can't be had. @throws MediaError, ApiError */
  async open(video: boolean): Promise<LocalMedia> {
    const tracks: MediaStreamTrack[] = [];
    try {
      const audio = await this.microphone();
      tracks.push(audio);
      const camera = video ? await this.camera() : undefined;
      if (camera) tracks.push(camera);
      const configuration = await this.#configuration();
      void this.refresh(); // names of devices are told only now
      return { audio, ...(camera ? { video: camera } : {}), configuration };
    } catch (error) {
      for (const track of tracks) track.stop();
      throw error;
    }
  }

  async #configuration(): Promise<RTCConfiguration> {
    const relayOnly = this.#options.settings().relayOnly || this.#options.options.relayOnly;
    if (!relayOnly) return { iceServers: [], bundlePolicy: BUNDLE };
    return { iceServers: [await this.#options.turn()], iceTransportPolicy: 'relay', bundlePolicy: BUNDLE };
  }
}

export function stopTracks(media: LocalMedia): void {
  media.audio.stop();
  media.video?.stop();
}
