import { readU32, rtpHeaderLength, rtpPayloadType, rtpSsrc, rtpTimestamp } from '@offhook/core';

/** RFC 4733 2.3.3 and table 7: events 0 to 15 are keys. */
const KEYS = '0123456789*#ABCD';

/**
 * Telephone events in what one transport receives (RFC 4733): which payload types they have, how many keys were pressed,
 * and what the client of the relay has blocked. Per packet nothing but a look into a table; an event costs a comparison.
 *
 *      0                   1                   2                   3
 *     |     event     |E|R| volume    |          duration             |
 */
export class TelephoneEvents {
  /** A bit for each payload type, 32 in each: numbers in the object itself, which every packet has to look at anyway. */
  #types0 = 0;
  #types32 = 0;
  #types64 = 0;
  #types96 = 0;
  #timestamp = -1;
  #ssrc = -1;
  /** Keys pressed so far. */
  count = 0;
  blocksMedia = false;
  blocksEvents = false;
  /** Called with the key when one begins, unless nobody listens. */
  onKey: ((key: string) => void) | undefined;

  setTypes(payloadTypes: ReadonlySet<number>): void {
    const words = [0, 0, 0, 0];
    for (const payloadType of payloadTypes) words[(payloadType & 127) >> 5]! |= 1 << (payloadType & 31);
    [this.#types0, this.#types32, this.#types64, this.#types96] = words as [number, number, number, number];
  }

  /** Whether the packet's payload type is one of telephone events. */
  has(bytes: Uint8Array, offset: number): boolean {
    const payloadType = rtpPayloadType(bytes, offset);
    const high = payloadType < 96 ? this.#types64 : this.#types96;
    const low = payloadType < 32 ? this.#types0 : this.#types32;
    return (((payloadType < 64 ? low : high) >> (payloadType & 31)) & 1) === 1;
  }

  /** Whether this RTP packet, read or unread, is not to be forwarded. */
  blocks(isEvent: boolean): boolean {
    return isEvent ? this.blocksEvents : this.blocksMedia;
  }

  /** A decrypted packet of telephone events. Its repetitions have one timestamp (2.5.1.2), so each key counts once. */
  see(bytes: Uint8Array, offset: number, length: number): void {
    const header = rtpHeaderLength(bytes, offset, length);
    if (header <= 0 || length < header + 4) return;
    const timestamp = rtpTimestamp(bytes, offset);
    const ssrc = rtpSsrc(bytes, offset);
    if (timestamp === this.#timestamp && ssrc === this.#ssrc) return;
    const event = readU32(bytes, offset + header) >>> 24;
    if (event >= KEYS.length) return;
    this.#timestamp = timestamp;
    this.#ssrc = ssrc;
    this.count++;
    this.onKey?.(KEYS[event]!);
  }
}
