import {
  RtcpType,
  readU32,
  rewriteRtcpSsrc,
  rtcpContentEnd,
  rtcpEnd,
  rtcpType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  sequenceDistance,
  setRtpSequence,
  setRtpSsrc,
  setRtpTimestamp,
  timestampDistance,
  writeU32,
} from '@offhook/core';

/** Timestamps between two packets until some were seen: 20 ms of narrowband sound. */
const STEP = 160;
/** No packet of sound is longer: 120 ms at 48 kHz. */
const LONGEST_STEP = 5760;

/**
 * One stream to a phone, whatever comes behind it. After a transfer the sound is another phone's, with an SSRC, sequence
 * numbers and timestamps of its own; some phones take that for old packets and play nothing (baresip 1.0 does). From
 * `arm` on every new source goes on where the last one ended, under its SSRC. Before that packets are only watched.
 */
export class Splice {
  #isOn = false;
  #isSeen = false;
  #ssrc = 0;
  #sequence = 0;
  #timestamp = 0;
  #step = STEP;
  /** The source that is mapped now, if there is one yet. SSRCs and timestamps are signed here: small integers for V8. */
  #from = 0;
  #hasFrom = false;
  #sequenceOffset = 0;
  #timestampOffset = 0;

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Whether a source is the one that goes to the phone now. */
  carries(ssrc: number): boolean {
    return this.#hasFrom && (ssrc | 0) === this.#from;
  }

  /** The SSRC under which a source goes to the phone, and the source behind an SSRC that the phone names. */
  readonly outward = (ssrc: number): number => (this.#hasFrom && (ssrc | 0) === this.#from ? this.#ssrc >>> 0 : ssrc);
  readonly inward = (ssrc: number): number => (this.#hasFrom && (ssrc | 0) === this.#ssrc ? this.#from >>> 0 : ssrc);

  /** What follows is another source. */
  arm(): void {
    if (!this.#isSeen) return;
    this.#isOn = true;
    this.#hasFrom = false;
  }

  /** A well-formed RTCP compound on its way to the phone: its SSRCs, and the timestamps of its sender reports. */
  followRtcp(bytes: Uint8Array, offset: number, length: number): void {
    for (let at = offset; at < offset + length; at = rtcpEnd(bytes, at)) {
      const isReport = rtcpType(bytes, at) === RtcpType.senderReport && rtcpContentEnd(bytes, at) >= at + 20;
      if (!isReport || !this.#hasFrom || (readU32(bytes, at + 4) | 0) !== this.#from) continue;
      writeU32(bytes, at + 16, (readU32(bytes, at + 16) + this.#timestampOffset) >>> 0);
    }
    rewriteRtcpSsrc(bytes, offset, length, this.outward);
  }

  /** An RTP packet on its way to the phone. */
  follow(bytes: Uint8Array, offset: number): void {
    const ssrc = rtpSsrc(bytes, offset) | 0;
    if (!this.#isOn) {
      this.#watch(ssrc, rtpSequence(bytes, offset), rtpTimestamp(bytes, offset) | 0);
      return;
    }
    if (!this.#hasFrom || ssrc !== this.#from) {
      this.#hasFrom = true;
      this.#from = ssrc;
      this.#sequenceOffset = this.#sequence + 1 - rtpSequence(bytes, offset);
      this.#timestampOffset = (this.#timestamp + this.#step - rtpTimestamp(bytes, offset)) | 0;
      bytes[offset + 1]! |= 0x80; // RFC 3551 4.1: the marker begins a talkspurt, where a buffer may start anew
    }
    const sequence = (rtpSequence(bytes, offset) + this.#sequenceOffset) & 0xffff;
    const timestamp = (rtpTimestamp(bytes, offset) + this.#timestampOffset) | 0;
    setRtpSsrc(bytes, offset, this.#ssrc);
    setRtpSequence(bytes, offset, sequence);
    setRtpTimestamp(bytes, offset, timestamp);
    this.#watch(this.#ssrc, sequence, timestamp);
  }

  #watch(ssrc: number, sequence: number, timestamp: number): void {
    if (!this.#isSeen || ssrc !== this.#ssrc) {
      this.#isSeen = true;
      this.#ssrc = ssrc;
      this.#sequence = sequence;
      this.#timestamp = timestamp;
      return;
    }
    if (sequenceDistance(sequence, this.#sequence) <= 0) return;
    const step = timestampDistance(timestamp, this.#timestamp);
    if (step > 0 && step <= LONGEST_STEP) this.#step = step;
    this.#sequence = sequence;
    this.#timestamp = timestamp;
  }
}
