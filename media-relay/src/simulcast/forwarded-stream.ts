import {
  rtpSequence,
  rtpTimestamp,
  sequenceDistance,
  setRtpSequence,
  setRtpSsrc,
  setRtpTimestamp,
  setVp8PictureId,
  setVp8Tl0,
  timestampDistance,
  type Vp8Descriptor,
} from '@offhook/core';

/** Numbers behind the newest whose place in the stream is remembered: as many as a sender is asked for again. */
const WINDOW = 1024;
/** A jump beyond it is a new start of the source (RFC 3550 A.1, MAX_DROPOUT). */
const MAX_DROPOUT = 3000;
/** Nothing goes there: it was left out, or is taken already, for SRTP may use a number once (RFC 3711 9.1). */
const NONE = 1 << 16;
/** What another codec says of VP8's numbers. */
const UNDESCRIBED = { pictureId: -1, tl0: -1 };

/**
 * What a receiver gets of one layer after the other: one source, whose sequence numbers, timestamps, picture IDs and TL0PICIDX
 * (RFC 7741 4.2) go on without a gap where another layer begins or a temporal layer is left out. Packets that come late keep
 * the place that was left for them; those of the layer before, and of frames that were left out, have none.
 */
export class ForwardedStream {
  readonly ssrc: number;
  /** By the number it came with: the number that it goes with and its picture ID's shift, valid where `#came` is that number. */
  readonly #came = new Int32Array(WINDOW).fill(-1);
  readonly #goes = new Int32Array(WINDOW);
  readonly #pictureShift = new Int32Array(WINDOW);
  #hasBegun = false;
  /** The newest number that came of the layer, and the shifts of what comes behind it. */
  #newest = 0;
  #sequenceShift = 0;
  #timestampShift = 0;
  #pictureIdShift = 0;
  #tl0Shift = 0;
  /** The newest that went. */
  #sequence = 0;
  #timestamp = 0;
  #pictureId = -1;
  #tl0 = -1;
  #sentAtMs = 0;
  /** The frame at hand, by its timestamp as it came, and whether it is left out. */
  #frame = 0;
  #isLeftOut = false;
  /** Temporal layers up to this one go on, and those wanted: up only with a frame from which decoding can. */
  #temporal = 3;
  #wantedTemporal = 3;
  packets = 0;
  octets = 0;

  constructor(ssrc: number) {
    this.ssrc = ssrc;
  }

  /** What was sent last has this timestamp, the signed 32 bits of it. */
  get timestamp(): number {
    return this.#timestamp;
  }

  get sentAtMs(): number {
    return this.#sentAtMs;
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** What is added to timestamps of the layer at hand. */
  get timestampShift(): number {
    return this.#timestampShift;
  }

  /** The highest temporal layer that is wanted from now on, 0 to 3. */
  wantTemporal(temporal: number): void {
    this.#wantedTemporal = temporal;
    if (temporal < this.#temporal) this.#temporal = temporal;
  }

  /**
   * This packet, the first of a key frame (or, where that can't be seen, of a picture), begins another layer: it goes behind all that went before.
   * @param timestampShift of the layer; where its frame wouldn't be the newest it is a tick behind the last one.
   */
  begin(bytes: Uint8Array, offset: number, vp8: Vp8Descriptor | undefined, timestampShift: number): void {
    const sequence = rtpSequence(bytes, offset);
    const timestamp = rtpTimestamp(bytes, offset) | 0;
    this.#came.fill(-1);
    this.#newest = (sequence - 1) & 0xffff;
    this.#frame = timestamp - 1;
    this.#isLeftOut = false;
    this.#temporal = this.#wantedTemporal;
    this.#timestampShift = timestampShift | 0;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.#sequence = this.#newest;
      this.#timestamp = (timestamp + this.#timestampShift) | 0;
    } else if (timestampDistance((timestamp + this.#timestampShift) | 0, this.#timestamp) <= 0) {
      this.#timestampShift = (this.#timestamp + 1 - timestamp) | 0;
    }
    this.#sequenceShift = (this.#sequence - this.#newest) & 0xffff;
    const { pictureId, tl0 } = vp8 ?? UNDESCRIBED;
    this.#pictureIdShift = pictureId < 0 || this.#pictureId < 0 ? 0 : this.#pictureId + 1 - pictureId;
    this.#tl0Shift = tl0 < 0 || this.#tl0 < 0 ? 0 : this.#tl0 + 1 - tl0;
  }

  /** Rewrites a packet of the layer at hand; false when it is not sent. `octets`: those of its payload. */
  follow(bytes: Uint8Array, offset: number, vp8: Vp8Descriptor | undefined, octets: number, nowMs: number): boolean {
    const sequence = rtpSequence(bytes, offset);
    const place = sequence & (WINDOW - 1);
    const ahead = sequenceDistance(sequence, this.#newest);
    if (ahead > 0) {
      if (!this.#advance(sequence, ahead, rtpTimestamp(bytes, offset) | 0, vp8)) return false;
      this.#sentAtMs = nowMs;
    } else if (this.#came[place] !== sequence || this.#goes[place] === NONE) return false;
    const goes = this.#goes[place]!;
    this.#goes[place] = NONE;
    setRtpSequence(bytes, offset, goes);
    // A late one can be the newest that went: the frame behind it was left out.
    if (sequenceDistance(goes, this.#sequence) > 0) this.#sequence = goes;
    setRtpSsrc(bytes, offset, this.ssrc);
    const timestamp = (rtpTimestamp(bytes, offset) + this.#timestampShift) | 0;
    setRtpTimestamp(bytes, offset, timestamp);
    if (timestampDistance(timestamp, this.#timestamp) > 0) this.#timestamp = timestamp;
    if (vp8 !== undefined) this.#describe(bytes, vp8, this.#pictureShift[place]!, ahead > 0);
    this.packets++;
    this.octets += octets;
    return true;
  }

  /** The next packet in order, perhaps behind a gap whose packets may still come; false when its frame is left out. */
  #advance(sequence: number, ahead: number, timestamp: number, vp8: Vp8Descriptor | undefined): boolean {
    const isSameFrame = timestamp === this.#frame;
    if (ahead > MAX_DROPOUT) {
      this.#came.fill(-1);
      this.#sequenceShift = (this.#sequence + 1 - sequence) & 0xffff;
    } else {
      for (let back = Math.min(ahead - 1, WINDOW - 1); back > 0; back--) {
        const place = this.#place((sequence - back) & 0xffff);
        if (isSameFrame && this.#isLeftOut) this.#leaveOut(place);
      }
    }
    this.#newest = sequence;
    if (!isSameFrame) {
      this.#frame = timestamp;
      this.#isLeftOut = vp8 !== undefined && this.#leavesOut(vp8);
      if (this.#isLeftOut) this.#pictureIdShift--;
    }
    const place = this.#place(sequence);
    if (this.#isLeftOut) {
      this.#leaveOut(place);
      return false;
    }
    return true;
  }

  #leaveOut(place: number): void {
    this.#goes[place] = NONE;
    this.#sequenceShift = (this.#sequenceShift - 1) & 0xffff;
  }

  #place(sequence: number): number {
    const place = sequence & (WINDOW - 1);
    this.#came[place] = sequence;
    this.#goes[place] = (sequence + this.#sequenceShift) & 0xffff;
    this.#pictureShift[place] = this.#pictureIdShift;
    return place;
  }

  /** Whether a frame that begins now is above the temporal layers that go on. */
  #leavesOut({ temporal, isSync, isKey }: Vp8Descriptor): boolean {
    if (isKey) this.#temporal = this.#wantedTemporal;
    if (temporal <= this.#temporal) return false;
    if (!isSync || temporal > this.#wantedTemporal) return true;
    this.#temporal = temporal;
    return false;
  }

  #describe(bytes: Uint8Array, vp8: Vp8Descriptor, shift: number, isNewest: boolean): void {
    if (vp8.pictureId >= 0) {
      const pictureId = (vp8.pictureId + shift) & 0x7fff;
      setVp8PictureId(bytes, vp8, pictureId);
      if (isNewest) this.#pictureId = pictureId;
    }
    if (vp8.tl0 >= 0) {
      const tl0 = (vp8.tl0 + this.#tl0Shift) & 0xff;
      setVp8Tl0(bytes, vp8, tl0);
      if (isNewest) this.#tl0 = tl0;
    }
  }
}
