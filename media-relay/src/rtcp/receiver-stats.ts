import type { RtpMap } from '@offhook/core';
import { ReceivedStream } from './received-stream.ts';

/** Sources of one peer that are measured at once. A further one takes the place of that which was silent longest. */
export const MAX_STREAMS = 16;

/** Payload types by number: what the peers' descriptions say of them. */
export type Formats = ReadonlyMap<number, RtpMap>;

const NO_FORMATS: Formats = new Map();

/** What comes from one peer, by source. */
export class ReceiverStats {
  readonly #streams: ReceivedStream[] = [];
  /** The source of the last packet: mostly that of the next one. */
  #latest: ReceivedStream | undefined;
  #formats: Formats = NO_FORMATS;

  /** All sources that are remembered, also those that have shown one packet only. */
  get streams(): readonly ReceivedStream[] {
    return this.#streams;
  }

  /** What payload types mean, from now on. */
  setFormats(formats: Formats): void {
    this.#formats = formats;
    for (const stream of this.#streams) this.#describe(stream, stream.payloadType);
  }

  find(ssrc: number): ReceivedStream | undefined {
    const key = ssrc | 0;
    for (let i = 0; i < this.#streams.length; i++) if (this.#streams[i]!.key === key) return this.#streams[i];
    return undefined;
  }

  /** One opened RTP packet; `length` with its header, bytes. Nothing is allocated but for the first sources. */
  handlePacket(bytes: Uint8Array, offset: number, length: number, nowMs: number): void {
    // Signed, unlike `rtpSsrc` and `rtpTimestamp`: the upper half of unsigned numbers would cost a box each.
    const key =
      (bytes[offset + 8]! << 24) | (bytes[offset + 9]! << 16) | (bytes[offset + 10]! << 8) | bytes[offset + 11]!;
    const sequence = (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
    let stream = this.#latest;
    if (stream === undefined || stream.key !== key) {
      stream = this.find(key) ?? this.#begin(key, sequence, nowMs);
      this.#latest = stream;
    }
    const payloadType = bytes[offset + 1]! & 0x7f;
    if (payloadType !== stream.payloadType) this.#describe(stream, payloadType);
    const timestamp =
      (bytes[offset + 4]! << 24) | (bytes[offset + 5]! << 16) | (bytes[offset + 6]! << 8) | bytes[offset + 7]!;
    stream.handlePacket(sequence, timestamp, length, nowMs);
  }

  #begin(key: number, sequence: number, nowMs: number): ReceivedStream {
    let stream: ReceivedStream;
    if (this.#streams.length < MAX_STREAMS) {
      stream = new ReceivedStream();
      this.#streams.push(stream);
    } else stream = this.#streams.reduce((oldest, s) => (s.lastMs < oldest.lastMs ? s : oldest));
    stream.begin(key, sequence, nowMs);
    return stream;
  }

  #describe(stream: ReceivedStream, payloadType: number): void {
    const format = this.#formats.get(payloadType);
    // RFC 4733 2.2.1: the packets of one event carry the time of its beginning. Comfort noise has the clock of the speech.
    const isEvent = format?.encoding.toLowerCase() === 'telephone-event';
    stream.setFormat(payloadType, format, isEvent ? 0 : (format?.clockRate ?? 0));
  }
}
