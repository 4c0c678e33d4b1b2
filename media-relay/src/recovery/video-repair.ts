import {
  PayloadFeedback,
  RtcpType,
  RtcpWriter,
  readFir,
  readNackInto,
  rtcpCount,
  rtcpMediaSsrc,
  rtcpType,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  TransportFeedback,
  writeNack,
} from '@offhook/core';
import { KeyFrameRequests, type KeyFrameSupport } from './key-frame-requests.ts';
import { NackGenerator, VIDEO_NACK } from './nack-generator.ts';
import { RetransmissionBuffer, type RtxStream, VIDEO_RETRANSMISSION } from './retransmission-buffer.ts';

/** Signalling is told of a wish for a key frame no oftener (as `KeyFrameRequests` of INFO). */
const TELL_MS = 3000;
/** Streams of retransmissions whose numbers are remembered: a peer that is transferred so often gets plain ones. */
const MAX_RTX_STREAMS = 32;
/** Numbers of one RTCP datagram that are answered or asked for. */
const MAX_NUMBERS = 256;

export interface VideoRepairSettings {
  /** Payload types of pictures, both ways. */
  readonly payloadTypes: readonly number[];
  /** NACK was agreed on between the peer and us: the far side has none. */
  readonly nack: boolean;
  /** How the peer is asked for a key frame. */
  readonly keyFrames: KeyFrameSupport;
  /** The peer has named no feedback at all: what it is asked for by RTCP it may not understand. */
  readonly isMute?: boolean;
  /** Retransmissions go to the peer as RTX, where its description and the far one's agree on it. */
  readonly rtx?: RtxStream | undefined;
  /**
   * The peer sends simulcast: its packets are told by `track`, layer by layer, and this is the layer's source behind the one that
   * the far peer knows.
   */
  readonly inward?: ((ssrc: number) => number) | undefined;
}

/**
 * What mends pictures between one peer and us, on the terminated path: NACKs of the peer are answered from what was sent to it,
 * gaps in what it sends are asked for, and all wishes for a key frame reach it as one a second. Packets are its clock: what is due
 * goes out with the next one of the peer, which for pictures is at hand within milliseconds.
 */
export class VideoRepair {
  readonly #isVideo = new Uint8Array(128);
  readonly #numbers = new Uint16Array(MAX_NUMBERS);
  #keyFrames = new KeyFrameRequests({ pli: true, fir: false, info: false });
  #support: KeyFrameSupport = { pli: true, fir: false, info: false };
  #nacks = false;
  #layer: ((ssrc: number) => number) | undefined;
  #kept: RetransmissionBuffer | undefined;
  #keptSsrc = -1;
  #rtx: RtxStream | undefined;
  /** The next number of each RTX stream that was sent: SRTP may not use one twice. */
  readonly #rtxSequences: Map<number, number>;
  #gaps: NackGenerator | undefined;
  #gapsSsrc = -1;
  #wanted = 0;
  /** The number that parameter sets went to the peer with, -1 = none. */
  #parameterSets = -1;
  #far: VideoRepair | undefined;
  #inward: ((ssrc: number) => number) | undefined;
  #isMute = false;
  #toldMs = Number.NEGATIVE_INFINITY;
  /** A key frame is wanted of a peer that may know no RTCP feedback: signalling can ask for it by INFO (RFC 5168). */
  onKeyFrameWish: (() => void) | undefined;

  /** @param rtxSequences the next number of each RTX stream, for as long as the keys live. */
  constructor(rtxSequences = new Map<number, number>()) {
    this.#rtxSequences = rtxSequences;
  }

  /** @param random 16 bits, where a stream of RTX begins. */
  configure({ payloadTypes, nack, keyFrames, rtx, isMute, inward }: VideoRepairSettings, random = 0): void {
    this.#layer = inward;
    this.#isMute = isMute === true;
    this.#isVideo.fill(0);
    for (const payloadType of payloadTypes) this.#isVideo[payloadType & 0x7f] = 1;
    if (keyFrames.pli !== this.#support.pli || keyFrames.fir !== this.#support.fir) {
      this.#support = keyFrames;
      this.#keyFrames = new KeyFrameRequests(keyFrames);
    }
    this.#nacks = nack;
    this.#useRtx(nack ? rtx : undefined, random);
    if (nack) return;
    this.#kept = undefined;
    this.#keptSsrc = -1;
    this.#gaps = undefined;
    this.#gapsSsrc = -1;
  }

  /** Pictures are over, for now perhaps. */
  close(): void {
    this.#useRtx(undefined, 0);
  }

  #useRtx(rtx: RtxStream | undefined, random: number): void {
    const known = this.#rtx;
    if (
      known?.ssrc === rtx?.ssrc &&
      known?.original === rtx?.original &&
      known?.payloadTypes.join() === rtx?.payloadTypes.join()
    ) {
      return;
    }
    if (known && this.#kept) this.#rtxSequences.set(known.ssrc, this.#kept.rtxSequence);
    this.#kept = undefined;
    this.#keptSsrc = -1;
    this.#rtx =
      rtx && (this.#rtxSequences.has(rtx.ssrc) || this.#rtxSequences.size < MAX_RTX_STREAMS) ? rtx : undefined;
    if (!this.#rtx) return;
    const next = this.#rtxSequences.get(this.#rtx.ssrc) ?? random;
    this.#rtxSequences.set(this.#rtx.ssrc, next);
    this.#kept = new RetransmissionBuffer(VIDEO_RETRANSMISSION, this.#rtx, next);
  }

  /** What `resend` answers is RTX: to be protected before it is sent. */
  get sendsRtx(): boolean {
    return this.#rtx !== undefined;
  }

  /** A packet leaves for the peer, before it is protected: RTX is made of such. */
  keep(bytes: Uint8Array, offset: number, length: number, nowMs: number): void {
    const rtx = this.#rtx;
    if (rtx === undefined) return;
    const isKnown = rtx.original === undefined || rtx.original === rtpSsrc(bytes, offset);
    // The peer could not tell what is repeated. From here on it is plain.
    if (!isKnown && this.#isVideo[rtpPayloadType(bytes, offset)] !== 0) this.#useRtx(undefined, 0);
    else this.#store(bytes, offset, length, nowMs);
  }

  /** A packet leaves for the peer as it stands, protected: its header is readable all the same. */
  sent(bytes: Uint8Array, offset: number, length: number, nowMs: number): void {
    if (this.#rtx === undefined) this.#store(bytes, offset, length, nowMs);
  }

  #store(bytes: Uint8Array, offset: number, length: number, nowMs: number): void {
    if (!this.#nacks || this.#isVideo[rtpPayloadType(bytes, offset)] === 0) return;
    const ssrc = rtpSsrc(bytes, offset);
    this.#kept ??= new RetransmissionBuffer(VIDEO_RETRANSMISSION);
    if (ssrc !== this.#keptSsrc) {
      this.#kept.forget();
      this.#keptSsrc = ssrc;
    }
    this.#kept.sent(bytes, offset, length, nowMs);
  }

  /** A key frame goes to the peer next: what went before is not sent again, for nothing needs it. */
  forgetSent(): void {
    this.#kept?.forget();
    this.#wanted = 0;
  }

  /**
   * H.264's parameter sets went to the peer with that number. libwebrtc doesn't wait for what it lost of them: it decodes the key
   * frame by those that it has, of another layer. So whoever lacks them wishes for another key frame.
   */
  sentParameterSets(sequence: number): void {
    this.#parameterSets = sequence;
  }

  /** An opened packet came from the peer; true when `write` has something to ask for. */
  received(bytes: Uint8Array, offset: number, nowMs: number): boolean {
    if (this.#nacks && this.#layer === undefined && this.#isVideo[rtpPayloadType(bytes, offset)] !== 0) {
      this.track(rtpSsrc(bytes, offset), rtpSequence(bytes, offset), nowMs);
    }
    return this.isDue(nowMs);
  }

  /** A packet of that source has come, the only one whose gaps are asked for. */
  track(ssrc: number, sequence: number, nowMs: number): void {
    if (!this.#nacks) return;
    this.#gaps ??= new NackGenerator(VIDEO_NACK);
    if (ssrc !== this.#gapsSsrc) {
      this.#gaps.forget();
      this.#gapsSsrc = ssrc;
    }
    this.#gaps.received(sequence, nowMs);
  }

  /** A key frame of that source begins: who wished for one has it. */
  handleKeyFrame(ssrc: number): void {
    this.#keyFrames.handleKeyFrame(ssrc);
  }

  isDue(nowMs: number): boolean {
    const gapsAtMs = this.#gaps?.nextTimeout();
    return (gapsAtMs !== undefined && gapsAtMs <= nowMs) || this.#keyFrames.isDue(nowMs);
  }

  /** Whose pictures the feedback that follows is about, and what the peer's SSRCs are called there. */
  aim(far: VideoRepair | undefined, inward: ((ssrc: number) => number) | undefined): void {
    this.#far = far;
    this.#inward = inward;
  }

  /** Takes NACK, PLI and FIR that end here; true = the feedback at `at` goes on to the far peer as it is. */
  handleFeedback(bytes: Uint8Array, at: number, nowMs: number): boolean {
    const format = rtcpCount(bytes, at);
    if (rtcpType(bytes, at) === RtcpType.transportFeedback) {
      if (format !== TransportFeedback.nack || !this.#kept || rtcpMediaSsrc(bytes, at) !== this.#keptSsrc) return true;
      const from = this.#wanted;
      this.#wanted += readNackInto(bytes, at, this.#numbers.subarray(from));
      for (let i = from; i < this.#wanted; i++) if (this.#numbers[i] === this.#parameterSets) this.#wishAgain(nowMs);
      return false;
    }
    if (!this.#far) return true;
    if (format === PayloadFeedback.pli) this.#far.#wish(this.#named(rtcpMediaSsrc(bytes, at)), nowMs);
    else if (format === PayloadFeedback.fir) {
      for (const { ssrc } of readFir(bytes, at).slice(0, 4)) this.#far.#wish(this.#named(ssrc), nowMs);
    } else return true;
    return false;
  }

  /**
   * The next packet that the peer has asked for, into a buffer; its length, 0 = no more. It is as it was sent, SRTP included, and
   * goes out like that; as RTX (`sendsRtx`) it is to be numbered and protected first.
   */
  resend(to: Uint8Array, time: { readonly nowMs: number; readonly rttMs: number }): number {
    while (this.#wanted > 0 && this.#kept) {
      const length = this.#kept.take(this.#numbers[--this.#wanted]!, to, 0, time);
      if (length > 0) return length;
    }
    this.#wanted = 0;
    return 0;
  }

  /** A packet of about that size to probe the peer's downlink with, by RTX only; its length, 0 = there is none. */
  pad(bytes: number, to: Uint8Array): number {
    return this.#rtx === undefined ? 0 : (this.#kept?.pad(bytes, to) ?? 0);
  }

  /** Writes what is to be asked for now as RTCP, `sender` being our source; the answer is its length, 0 = nothing. */
  write(to: Uint8Array, sender: number, time: { readonly nowMs: number; readonly rttMs: number }): number {
    const { nowMs, rttMs } = time;
    // RFC 3550 6.1: a compound begins with a report.
    const head = new RtcpWriter(to).receiverReport(sender).length;
    let end = head;
    if (this.#gaps) {
      const sequences = this.#numbers.subarray(this.#wanted);
      const count = this.#gaps.collect(nowMs, rttMs, sequences);
      end += writeNack(to, end, { sender, media: this.#gapsSsrc, sequences, count });
      if (this.#gaps.takeKeyFrameWish()) this.#wish(this.#gapsSsrc, nowMs);
    }
    this.#keyFrames.handleTimeout(nowMs);
    for (let request = this.#keyFrames.poll(); request; request = this.#keyFrames.poll()) {
      const writer = new RtcpWriter(to, end);
      if (request.means === 'fir') writer.fir(sender, request.ssrc, request.command);
      else writer.pli(sender, request.ssrc);
      end += writer.length;
    }
    return end === head ? 0 : end;
  }

  #wishAgain(nowMs: number): void {
    this.#parameterSets = -1;
    if (this.#far) this.#far.#wish(this.#named(this.#keptSsrc), nowMs);
  }

  #named(ssrc: number): number {
    return this.#inward ? this.#inward(ssrc) : ssrc;
  }

  /** Somebody beside the far peer wants a key frame of that source; it is asked for with the peer's next packet. */
  handleKeyFrameWish(ssrc: number, nowMs: number): void {
    this.#wish(ssrc, nowMs);
  }

  #wish(named: number, nowMs: number): void {
    const ssrc = this.#layer === undefined ? named : this.#layer(named);
    this.#keyFrames.handleRequest(ssrc, nowMs);
    if (!this.#isMute || nowMs - this.#toldMs < TELL_MS) return;
    this.#toldMs = nowMs;
    this.onKeyFrameWish?.();
  }
}
