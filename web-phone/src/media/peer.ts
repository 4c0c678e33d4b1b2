/** What this phone sends into a call. Tracks belong to the caller, which stops them after the call. */
export interface LocalMedia {
  readonly audio: MediaStreamTrack;
  readonly video?: MediaStreamTrack;
  readonly configuration: RTCConfiguration;
}

export type PathState = 'connected' | 'disconnected' | 'failed';

export interface PeerEvents {
  track(track: MediaStreamTrack): void;
  path(state: PathState): void;
  /** A description was applied or taken back: directions may have changed. */
  negotiated(): void;
}

export interface PeerDependencies {
  readonly createConnection: (configuration: RTCConfiguration) => RTCPeerConnection;
  readonly events: PeerEvents;
  /** Calls back after `ms`; the result cancels. */
  readonly after: (ms: number, callback: () => void) => () => void;
}

/** No relay address within the time allowed. */
export class RelayUnreachableError extends Error {}

const SDP = 'application/sdp';
const FIRST_CANDIDATE_MS = 200;
const RELAY_CANDIDATE_MS = 5_000;
const DTMF_TONE_MS = 160;
const DTMF_GAP_MS = 70;

/**
 * One call's RTCPeerConnection, in the shape SIP.js asks of a session description handler. Unlike its own one:
 * offers leave at the first candidate (the relay is an ICE-lite anchor that finds us by our checks), a refused
 * re-INVITE is rolled back, an ICE restart is asked for once, DTMF goes out on the audio sender, and a far side with other
 * keys (another relay) gets a connection of its own: Firefox begins DTLS once in the life of one.
 */
export class PeerSession {
  connection: RTCPeerConnection;
  readonly #media: LocalMedia;
  readonly #createConnection: PeerDependencies['createConnection'];
  readonly #events: PeerEvents;
  readonly #after: PeerDependencies['after'];
  #audio: MediaStreamTrack;
  #video: MediaStreamTrack | undefined;
  /** The connection to a far side that is gone, until the one to its successor is agreed on. */
  #before: RTCPeerConnection | undefined;
  #sent: MediaStream | undefined;
  #restart = false;
  #closed = false;

  constructor(media: LocalMedia, dependencies: PeerDependencies) {
    this.#media = media;
    this.#audio = media.audio;
    this.#video = media.video;
    this.#events = dependencies.events;
    this.#after = dependencies.after;
    this.#createConnection = dependencies.createConnection;
    this.connection = this.#open();
  }

  hasDescription(contentType: string): boolean {
    return contentType.toLowerCase() === SDP;
  }

  /** An offer, or the answer to the offer set before. */
  async getDescription(): Promise<{ body: string; contentType: string }> {
    this.#assertOpen();
    const pc = this.connection;
    if (pc.signalingState === 'have-remote-offer') {
      await this.#attachToRemoteOffer();
      await pc.setLocalDescription(await pc.createAnswer());
    } else {
      this.#prepareOffer();
      const iceRestart = this.#restart;
      this.#restart = false;
      await pc.setLocalDescription(await pc.createOffer({ iceRestart }));
    }
    await this.#candidates();
    this.#assertOpen();
    if (this.#before) shut(this.#before);
    this.#before = undefined;
    this.#events.negotiated();
    return { body: pc.localDescription!.sdp, contentType: SDP };
  }

  async setDescription(sdp: string): Promise<void> {
    this.#assertOpen();
    const type = this.connection.signalingState === 'have-local-offer' ? 'answer' : 'offer';
    if (type === 'offer' && this.#isOfOtherKeys(sdp)) {
      this.#before = this.connection;
      this.connection = this.#open();
      this.#restart = false;
    }
    await this.connection.setRemoteDescription({ type, sdp });
    this.#events.negotiated();
  }

  /** Takes back a refused offer, so that the next one starts from what both sides last agreed on. */
  async rollbackDescription(): Promise<void> {
    if (this.#before) {
      shut(this.connection);
      this.connection = this.#before;
      this.#before = undefined;
    }
    const pc = this.connection;
    if (pc.signalingState === 'have-local-offer') await pc.setLocalDescription({ type: 'rollback' });
    else if (pc.signalingState === 'have-remote-offer') await pc.setRemoteDescription({ type: 'rollback' });
    for (const transceiver of pc.getTransceivers()) if (transceiver.mid === null) transceiver.stop();
    this.#events.negotiated();
  }

  /** RFC 4733 events on the audio sender; false when the far side takes none. */
  sendDtmf(tones: string): boolean {
    const sender = this.#transceiver('audio')?.sender;
    if (!sender?.dtmf?.canInsertDTMF) return false;
    sender.dtmf.insertDTMF(sender.dtmf.toneBuffer + tones, DTMF_TONE_MS, DTMF_GAP_MS);
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    shut(this.connection);
    if (this.#before) shut(this.#before);
  }

  /** The next offer restarts ICE; the one after it does not. */
  requestIceRestart(): void {
    this.#restart = true;
  }

  async replaceAudio(track: MediaStreamTrack): Promise<void> {
    this.#audio = track;
    await this.#transceiver('audio')?.sender.replaceTrack(track);
  }

  /**
   * Sends this camera from now on, or none. True when a new offer is needed: the first time, or after the far side's
   * own video line was only answered for receiving.
   */
  async replaceVideo(track: MediaStreamTrack | undefined): Promise<boolean> {
    this.#video = track;
    const transceiver = this.#transceiver('video');
    if (!transceiver) return track !== undefined;
    await transceiver.sender.replaceTrack(track ?? null);
    if (!track || transceiver.direction === 'sendrecv' || transceiver.direction === 'sendonly') return false;
    transceiver.sender.setStreams(this.#stream());
    transceiver.direction = 'sendrecv';
    return true;
  }

  /** Offers no video of ours from now on; true when it takes an offer to tell the far side. */
  withdrawVideo(): boolean {
    const transceiver = this.#transceiver('video');
    if (!transceiver) return false;
    if (transceiver.direction === 'sendrecv') transceiver.direction = 'recvonly';
    else if (transceiver.direction === 'sendonly') transceiver.direction = 'inactive';
    return this.sendsVideo;
  }

  /** Whether both sides agreed on video from the far side. */
  get receivesVideo(): boolean {
    const direction = this.#transceiver('video')?.currentDirection;
    return direction === 'sendrecv' || direction === 'recvonly';
  }

  get sendsVideo(): boolean {
    const direction = this.#transceiver('video')?.currentDirection;
    return direction === 'sendrecv' || direction === 'sendonly';
  }

  #open(): RTCPeerConnection {
    const pc = this.#createConnection(this.#media.configuration);
    pc.ontrack = ({ track }) => this.#events.track(track);
    pc.onconnectionstatechange = () => {
      const state = pc.connectionState;
      if (pc === this.connection && (state === 'connected' || state === 'disconnected' || state === 'failed'))
        this.#events.path(state);
    };
    return pc;
  }

  /** Whether the far side has other certificates than it had: a new DTLS association (RFC 8842 5.3). */
  #isOfOtherKeys(offer: string): boolean {
    const before = fingerprints(this.connection.currentRemoteDescription?.sdp ?? '');
    return before !== '' && before !== fingerprints(offer);
  }

  #transceiver(kind: 'audio' | 'video'): RTCRtpTransceiver | undefined {
    return this.connection
      .getTransceivers()
      .find((t) => t.receiver.track.kind === kind && t.direction !== 'stopped' && t.currentDirection !== 'stopped');
  }

  #prepareOffer(): void {
    if (!this.#transceiver('audio'))
      this.connection.addTransceiver(this.#audio, { direction: 'sendrecv', streams: [this.#stream()] });
    if (this.#video && !this.#transceiver('video'))
      this.connection.addTransceiver(this.#video, { direction: 'sendrecv', streams: [this.#stream()] });
  }

  async #attachToRemoteOffer(): Promise<void> {
    for (const [kind, track] of [
      ['audio', this.#audio],
      ['video', this.#video],
    ] as const) {
      const transceiver = this.#transceiver(kind);
      if (!transceiver || !track || transceiver.sender.track) continue;
      await transceiver.sender.replaceTrack(track);
      transceiver.sender.setStreams(this.#stream());
      transceiver.direction = 'sendrecv';
    }
  }

  /** One stream for both tracks: receivers keep lips and voice together by it. */
  #stream(): MediaStream {
    this.#sent ??= new MediaStream();
    return this.#sent;
  }

  /** Waits for the first candidate only; relay-only calls wait for their relay address, because nothing else works. */
  async #candidates(): Promise<void> {
    const relayOnly = this.#media.configuration.iceTransportPolicy === 'relay';
    const found = await this.#firstCandidate(relayOnly ? RELAY_CANDIDATE_MS : FIRST_CANDIDATE_MS);
    if (relayOnly && !found) throw new RelayUnreachableError('no relay candidate');
  }

  #firstCandidate(withinMs: number): Promise<boolean> {
    const pc = this.connection;
    const have = (): boolean => /^a=candidate:/m.test(pc.localDescription?.sdp ?? '');
    if (have() || pc.iceGatheringState === 'complete') return Promise.resolve(have());
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        pc.removeEventListener('icecandidate', done);
        pc.removeEventListener('icegatheringstatechange', check);
        resolve(have());
      };
      const check = (): void => {
        if (pc.iceGatheringState === 'complete') done();
      };
      const cancel = this.#after(withinMs, done);
      pc.addEventListener('icecandidate', done);
      pc.addEventListener('icegatheringstatechange', check);
    });
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error('the call is over');
  }
}

/** Those of a description, in one order and each once. */
function fingerprints(sdp: string): string {
  const values = [...sdp.matchAll(/^a=fingerprint:(.*?)\s*$/gm)].map(([, value]) => value!.toLowerCase());
  return [...new Set(values)].sort().join();
}

function shut(pc: RTCPeerConnection): void {
  pc.ontrack = null;
  pc.onconnectionstatechange = null;
  pc.close();
}
