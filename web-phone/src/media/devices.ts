import { type MediaProblem, mediaProblem } from '../ua/messages.ts';

/** A microphone or camera could not be had, with the reason a person can act on. */
export class MediaError extends Error {
  readonly problem: MediaProblem;
  readonly device: 'microphone' | 'camera';

  constructor(problem: MediaProblem, device: 'microphone' | 'camera') {
    super(`${device}: ${problem}`);
    this.problem = problem;
    this.device = device;
  }
}

export async function openMicrophone(deviceId: string, processing: boolean): Promise<MediaStreamTrack> {
  const constraints: MediaTrackConstraints = {
    echoCancellation: processing,
    noiseSuppression: processing,
    autoGainControl: processing,
    channelCount: 1,
    ...(deviceId ? { deviceId: { ideal: deviceId } } : {}),
  };
  return (await open({ audio: constraints }, 'microphone')).getAudioTracks()[0]!;
}

/**
 * The picture that a machine with so many logical processors encodes and decodes in software without starving the sound:
 * lips are kept with the voice, so a late picture delays speech too.
 */
export function pictureSize(processors: number): { readonly width: number; readonly height: number } {
  if (processors <= 2) return { width: 640, height: 360 };
  return processors <= 4 ? { width: 960, height: 540 } : { width: 1280, height: 720 };
}

export async function openCamera(deviceId: string): Promise<MediaStreamTrack> {
  const { width, height } = pictureSize(navigator.hardwareConcurrency ?? 4);
  const constraints: MediaTrackConstraints = {
    width: { ideal: width },
    height: { ideal: height },
    frameRate: { ideal: 30 },
    ...(deviceId ? { deviceId: { ideal: deviceId } } : {}),
  };
  return (await open({ video: constraints }, 'camera')).getVideoTracks()[0]!;
}

async function open(constraints: MediaStreamConstraints, device: 'microphone' | 'camera'): Promise<MediaStream> {
  const impossible = callProblem();
  if (impossible) throw new MediaError(impossible, device);
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw new MediaError(mediaProblem(error instanceof Error ? error.name : ''), device);
  }
}

/** Why this page could never call, whatever is plugged in. */
export function callProblem(): 'insecure' | 'unsupported' | undefined {
  if (!globalThis.isSecureContext) return 'insecure';
  if (typeof RTCPeerConnection === 'undefined' || !navigator.mediaDevices?.getUserMedia) return 'unsupported';
  return undefined;
}

export interface DeviceLists {
  readonly microphones: readonly MediaDeviceInfo[];
  readonly speakers: readonly MediaDeviceInfo[];
  readonly cameras: readonly MediaDeviceInfo[];
}

export async function listDevices(): Promise<DeviceLists> {
  const all = callProblem() ? [] : await navigator.mediaDevices.enumerateDevices().catch(() => []);
  const kind = (wanted: MediaDeviceKind): MediaDeviceInfo[] =>
    all.filter(
      (d) => d.kind === wanted && d.deviceId !== '' && d.deviceId !== 'default' && d.deviceId !== 'communications',
    );
  return { microphones: kind('audioinput'), speakers: kind('audiooutput'), cameras: kind('videoinput') };
}
