import {
  MAX_RED_BLOCK_BYTES,
  MAX_RED_OFFSET,
  RED_HEADER,
  RED_LAST_HEADER,
  rtpHeaderLength,
  rtpPayloadType,
  rtpSequence,
  rtpSsrc,
  rtpTimestamp,
  setRtpPayloadType,
  timestampDistance,
  writeRedHeader,
  writeRedLastHeader,
} from '@offhook/core';
import { PacketCopy } from './copy.ts';
import { chooseOffsets, MAX_DISTANCE } from './red-policy.ts';

/** Packets remembered: a power of two above the farthest distance. */
const KEPT = 8;
/** Where the next one's payload lies: 1,023 bytes, rounded up. */
const SLOT = MAX_RED_BLOCK_BYTES + 1;
/** RTP, UDP and IPv4 headers and an SRTP tag, which a packet costs whatever is in it. */
const OVERHEAD = 56;
/** With copies a stream takes at most this many times what it takes without, headers counted. */
const MAX_FACTOR = 3;
/** What silence may save up for the next word, bytes. */
const MAX_CREDIT = 1200;
/** No packet becomes longer than this, so that it isn't cut into fragments. */
const MAX_PACKET = 1200;
/** Opus packets of silence (DTX) have one byte or two: nobody misses them. */
const SILENCE_BYTES = 2;

export interface RedFormat {
  /** Of RED. */
  readonly payloadType: number;
  /** Of the sound in it. */
  readonly audio: number;
}

/**
 * Adds copies of earlier packets to those of one stream (RFC 2198), in place. How many and how far back follows from the loss
 * that the receiver reports; without any the packets stay as they are. Allocates 8 KB once, nothing per packet.
 */
export class RedEncoder {
  readonly #format: RedFormat;
  readonly #payloads = new PacketCopy(KEPT * SLOT);
  readonly #sequence = new Int32Array(KEPT).fill(-1);
  readonly #timestamp = new Uint32Array(KEPT);
  readonly #length = new Uint16Array(KEPT);
  /** Places of the copies of this packet, nearest first. */
  readonly #chosen = new Int8Array(MAX_DISTANCE);
  readonly #header = { payloadType: 0, timestampOffset: 0, length: 0 };
  #offsets: readonly number[] = [];
  #ssrc = -1;
  #credit = 0;
  /** Packets that left with copies, and copies in them. */
  packets = 0;
  copies = 0;

  constructor(format: RedFormat) {
    this.#format = format;
    this.#header.payloadType = format.audio;
  }

  /** Distances of the copies sent now, in packets; empty = off. */
  get offsets(): readonly number[] {
    return this.#offsets;
  }

  /** The stream that is sent, -1 before the first packet. */
  get ssrc(): number {
    return this.#ssrc;
  }

  /** Takes what the receiver loses: share 0–1, and packets in a row. */
  adapt(loss: number, meanBurst: number): void {
    this.#offsets = chooseOffsets(loss, meanBurst, this.#offsets.length > 0);
  }

  /** Copies at exactly these distances, ascending, at most 6 packets back. */
  fix(offsets: readonly number[]): void {
    this.#offsets = offsets;
  }

  /**
   * An RTP packet on its way; the answer is its new length. There has to be room up to 1,200 bytes behind `offset`. Packets of
   * another payload type, with padding or malformed pass as they are.
   */
  encode(bytes: Uint8Array, offset: number, length: number): number {
    const header = rtpHeaderLength(bytes, offset, length);
    if (header < 0 || rtpPayloadType(bytes, offset) !== this.#format.audio || (bytes[offset]! & 0x20) !== 0)
      return length;
    const ssrc = rtpSsrc(bytes, offset);
    if (ssrc !== this.#ssrc) this.#begin(ssrc);
    const payload = length - header;
    const sequence = rtpSequence(bytes, offset);
    const timestamp = rtpTimestamp(bytes, offset);
    this.#credit = Math.min(MAX_CREDIT, this.#credit + (MAX_FACTOR - 1) * (payload + OVERHEAD));
    const count = this.#offsets.length === 0 ? 0 : this.#choose(sequence, timestamp, length);
    const at = offset + header;
    if (count === 0) {
      this.#remember(bytes, at, { sequence, timestamp, length: payload });
      return length;
    }
    let added = RED_LAST_HEADER;
    for (let i = 0; i < count; i++) added += RED_HEADER + this.#length[this.#chosen[i]!]!;
    // The sound is moved first and remembered from there: its old place is about to be written over.
    bytes.copyWithin(at + added, at, at + payload);
    this.#insert(bytes, at, count, timestamp);
    this.#remember(bytes, at + added, { sequence, timestamp, length: payload });
    setRtpPayloadType(bytes, offset, this.#format.payloadType);
    this.#credit -= added;
    this.packets++;
    this.copies += count;
    return length + added;
  }

  /** Fills `#chosen` with the packets to copy that are known, fit and can be afforded. */
  #choose(sequence: number, timestamp: number, length: number): number {
    let count = 0;
    let total = length + RED_LAST_HEADER;
    let credit = this.#credit - RED_LAST_HEADER;
    for (let i = 0; i < this.#offsets.length; i++) {
      const wanted = (sequence - this.#offsets[i]!) & 0xffff;
      const place = wanted % KEPT;
      if (this.#sequence[place] !== wanted) continue;
      const behind = timestampDistance(timestamp, this.#timestamp[place]!);
      const cost = RED_HEADER + this.#length[place]!;
      if (behind <= 0 || behind > MAX_RED_OFFSET || this.#length[place]! <= SILENCE_BYTES) continue;
      if (total + cost > MAX_PACKET || cost > credit) break;
      this.#chosen[count++] = place;
      total += cost;
      credit -= cost;
    }
    return count;
  }

  /** RFC 2198 3: headers and data in the same order, the oldest first. */
  #insert(bytes: Uint8Array, at: number, count: number, timestamp: number): void {
    const header = this.#header;
    let end = at;
    for (let i = count - 1; i >= 0; i--) {
      const place = this.#chosen[i]!;
      header.timestampOffset = timestampDistance(timestamp, this.#timestamp[place]!);
      header.length = this.#length[place]!;
      end = writeRedHeader(bytes, end, header);
    }
    end = writeRedLastHeader(bytes, end, this.#format.audio);
    for (let i = count - 1; i >= 0; i--) {
      const length = this.#length[this.#chosen[i]!]!;
      this.#payloads.take(bytes, end, this.#chosen[i]! * SLOT, length);
      end += length;
    }
  }

  #remember(
    bytes: Uint8Array,
    at: number,
    packet: { readonly sequence: number; readonly timestamp: number; readonly length: number },
  ): void {
    const { sequence, timestamp, length } = packet;
    const place = sequence % KEPT;
    if (length > MAX_RED_BLOCK_BYTES) {
      this.#sequence[place] = -1;
      return;
    }
    this.#sequence[place] = sequence;
    this.#timestamp[place] = timestamp;
    this.#length[place] = length;
    this.#payloads.put(bytes, at, place * SLOT, length);
  }

  #begin(ssrc: number): void {
    this.#ssrc = ssrc;
    this.#sequence.fill(-1);
  }
}
