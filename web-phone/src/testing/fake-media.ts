/** Just enough of WebRTC for tests without a browser: offers, answers, rollback, transceivers, DTMF. */

export class FakeTrack {
  readonly track: MediaStreamTrack;
  stopped = false;

  constructor(kind: 'audio' | 'video') {
    const stop = (): void => {
      this.stopped = true;
    };
    this.track = Object.assign(new EventTarget(), { kind, enabled: true, stop }) as unknown as MediaStreamTrack;
  }
}

/** Node has no MediaStream. */
export function installFakeMedia(): void {
  class Stream {
    readonly #tracks: MediaStreamTrack[];
    constructor(tracks: MediaStreamTrack[] = []) {
      this.#tracks = tracks;
    }
    getVideoTracks(): MediaStreamTrack[] {
      return this.#tracks.filter((t) => t.kind === 'video');
    }
  }
  (globalThis as { MediaStream?: unknown }).MediaStream ??= Stream;
}

interface FakeTransceiver {
  mid: string | null;
  direction: RTCRtpTransceiverDirection;
  currentDirection: RTCRtpTransceiverDirection | null;
  readonly receiver: { track: MediaStreamTrack };
  readonly sender: {
    track: MediaStreamTrack | null;
    replaceTrack(track: MediaStreamTrack | null): Promise<void>;
    setStreams(): void;
    dtmf: { canInsertDTMF: boolean; toneBuffer: string; insertDTMF(tones: string): void };
  };
  stop(): void;
}

export class FakeConnection {
  readonly connection: RTCPeerConnection;
  readonly restarts: boolean[] = [];
  readonly tones = { audio: '', video: '' };
  /** Kinds of the lines of the next remote offer. */
  remoteOffer: ('audio' | 'video')[] = ['audio'];
  closed = false;
  /** Settles once the first local description is set. */
  readonly described: Promise<void>;
  #described = (): void => {};
  readonly #transceivers: FakeTransceiver[] = [];
  readonly #state: {
    signalingState: RTCSignalingState;
    connectionState: RTCPeerConnectionState;
    iceGatheringState: string;
    localDescription: RTCSessionDescriptionInit | null;
    currentRemoteDescription: RTCSessionDescriptionInit | null;
  };
  #remote: RTCSessionDescriptionInit | null = null;

  constructor(_configuration: RTCConfiguration, candidate = 'a=candidate:1 1 udp 1 192.0.2.1 9 typ host') {
    this.described = new Promise((resolve) => {
      this.#described = resolve;
    });
    let number = 0;
    this.#state = Object.assign(new EventTarget(), {
      signalingState: 'stable' as RTCSignalingState,
      connectionState: 'new' as RTCPeerConnectionState,
      iceConnectionState: 'new',
      iceGatheringState: 'new',
      localDescription: null as RTCSessionDescriptionInit | null,
      currentRemoteDescription: null as RTCSessionDescriptionInit | null,
      getTransceivers: () => this.#transceivers,
      addTransceiver: (track: MediaStreamTrack, init: { direction: RTCRtpTransceiverDirection }) =>
        this.#add(track.kind as 'audio' | 'video', track, init.direction),
      createOffer: async ({ iceRestart = false }: RTCOfferOptions = {}) => {
        this.restarts.push(iceRestart);
        return { type: 'offer', sdp: this.#sdp(candidate, ++number) };
      },
      createAnswer: async () => ({ type: 'answer', sdp: this.#sdp(candidate, ++number) }),
      setLocalDescription: async (description: RTCSessionDescriptionInit) => {
        if (description.type === 'rollback') {
          this.#state.signalingState = 'stable';
          return;
        }
        this.#state.localDescription = description;
        this.#state.iceGatheringState = 'gathering';
        if (description.type === 'offer') {
          this.#state.signalingState = 'have-local-offer';
        } else this.#agree();
        this.#described();
      },
      setRemoteDescription: async (description: RTCSessionDescriptionInit) => {
        const { type } = description;
        if (type !== 'rollback') this.#remote = description;
        if (type === 'answer') this.#agree();
        else if (type === 'rollback') this.#state.signalingState = 'stable';
        else {
          this.#state.signalingState = 'have-remote-offer';
          for (const kind of this.remoteOffer)
            if (!this.#transceivers.some((t) => t.receiver.track.kind === kind)) this.#add(kind, null, 'recvonly');
        }
      },
      close: () => {
        this.closed = true;
        this.#state.connectionState = 'closed';
      },
    });
    this.connection = this.#state as unknown as RTCPeerConnection;
  }

  change(state: RTCPeerConnectionState): void {
    this.#state.connectionState = state;
    this.connection.onconnectionstatechange?.(new Event('connectionstatechange'));
  }

  #add(
    kind: 'audio' | 'video',
    track: MediaStreamTrack | null,
    direction: RTCRtpTransceiverDirection,
  ): FakeTransceiver {
    const dtmf = {
      canInsertDTMF: true,
      toneBuffer: '',
      insertDTMF: (tones: string) => {
        this.tones[kind] += tones;
      },
    };
    const transceiver: FakeTransceiver = {
      mid: null,
      direction,
      currentDirection: null,
      receiver: { track: new FakeTrack(kind).track },
      sender: {
        track,
        dtmf,
        replaceTrack: async (next) => {
          transceiver.sender.track = next;
        },
        setStreams: () => {},
      },
      stop: () => {
        transceiver.direction = 'stopped';
      },
    };
    this.#transceivers.push(transceiver);
    return transceiver;
  }

  #agree(): void {
    this.#state.signalingState = 'stable';
    this.#state.currentRemoteDescription = this.#remote;
    this.#transceivers.forEach((t, i) => {
      if (t.direction === 'stopped') return;
      t.mid = String(i);
      t.currentDirection = t.direction;
    });
  }

  #sdp(candidate: string, number: number): string {
    return [
      'v=0',
      `o=- 1 ${number} IN IP4 0.0.0.0`,
      's=-',
      't=0 0',
      ...this.#transceivers.flatMap((t) => [`m=${t.receiver.track.kind} 9 UDP/TLS/RTP/SAVPF 111`, candidate]),
      '',
    ].join('\r\n');
  }
}
