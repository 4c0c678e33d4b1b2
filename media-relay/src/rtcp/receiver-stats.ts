import { type RtpMap, readS32, rtpPayloadType, rtpSequence } from '@offhook/core';
import { ReceivedStream } from './received-stream.ts';

/** Sources of one peer that are measured at once. A further one takes the place of that which was silent longest. */
export const MAX_STREAMS = 16;

/** Payload types by number: what the peers' descriptions say of them. */
export type Formats = ReadonlyMap<number, RtpMap>;

const NO_FORMATS: Formats = new Map();

/** What comes from one peer, by source. */
export class ReceiverStats {
  readonly #streams: ReceivedStream[] = [];
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

  /**
   * One opened RTP packet; `length` with its header, bytes. Nothing is allocated but for the first sources. Answers its stream,
   * which takes further packets that are its own (`isOf`) directly.
   */
  handlePacket(bytes: Uint8Array, offset: number, length: number, nowMs: number): ReceivedStream {
    const key = readS32(bytes, offset + 8);
    const stream = this.find(key) ?? this.#begin(key, rtpSequence(bytes, offset), nowMs);
    const payloadType = rtpPayloadType(bytes, offset);
    if (payloadType !== stream.payloadType) this.#describe(stream, payloadType);
    stream.handlePacket(bytes, offset, length, nowMs);
    return stream;
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
