import { utf8 } from '../base/index.ts';
import { writeU16, writeU32 } from './header.ts';
import { PayloadFeedback, RtcpType, TransportFeedback } from './rtcp.ts';
import type { ReportBlock, SenderInfo } from './rtcp-read.ts';
import { MAX_XR_BLOCKS, writeXrBlock, type XrBlock, xrBlockLength } from './xr.ts';

/**
 * Appends RTCP packets to a caller's buffer: `new RtcpWriter(buffer).receiverReport(…).pli(…).length`. What doesn't fit
 * is left out as a whole.
 */
export class RtcpWriter {
  readonly bytes: Uint8Array;
  readonly #start: number;
  #at: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.bytes = bytes;
    this.#start = offset;
    this.#at = offset;
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#at - this.#start;
  }

  senderReport(info: SenderInfo, blocks: readonly ReportBlock[] = []): this {
    const kept = blocks.slice(0, 31);
    if (!this.#begin(kept.length, RtcpType.senderReport, 28 + kept.length * 24)) return this;
    this.#u32(info.ssrc);
    this.#u32(info.ntpSeconds);
    this.#u32(info.ntpFraction);
    this.#u32(info.rtpTimestamp);
    this.#u32(info.packets);
    this.#u32(info.octets);
    return this.#blocks(kept);
  }

  receiverReport(ssrc: number, blocks: readonly ReportBlock[] = []): this {
    const kept = blocks.slice(0, 31);
    if (!this.#begin(kept.length, RtcpType.receiverReport, 8 + kept.length * 24)) return this;
    this.#u32(ssrc);
    return this.#blocks(kept);
  }

  /** One chunk with its CNAME, at most 255 bytes of UTF-8. */
  sdes(ssrc: number, cname: string): this {
    const name = utf8(cname).subarray(0, 255);
    const chunk = (4 + 2 + name.length + 4) & ~3; // at least one zero ends the list
    if (!this.#begin(1, RtcpType.sdes, 4 + chunk)) return this;
    const end = this.#at + chunk;
    this.bytes.fill(0, this.#at, end);
    this.#u32(ssrc);
    this.bytes[this.#at] = 1;
    this.bytes[this.#at + 1] = name.length;
    this.bytes.set(name, this.#at + 2);
    this.#at = end;
    return this;
  }

  bye(ssrcs: readonly number[]): this {
    const kept = ssrcs.slice(0, 31);
    if (this.#begin(kept.length, RtcpType.bye, 4 + kept.length * 4)) for (const ssrc of kept) this.#u32(ssrc);
    return this;
  }

  /** Picture loss indication (RFC 4585 6.3.1). */
  pli(sender: number, media: number): this {
    if (!this.#begin(PayloadFeedback.pli, RtcpType.payloadFeedback, 12)) return this;
    this.#u32(sender);
    this.#u32(media);
    return this;
  }

  /** Full intra request; `command` grows with each new request (RFC 5104 4.3.1). */
  fir(sender: number, media: number, command: number): this {
    if (!this.#begin(PayloadFeedback.fir, RtcpType.payloadFeedback, 20)) return this;
    this.#u32(sender);
    this.#u32(0);
    this.#u32(media);
    this.#u32((command & 255) << 24);
    return this;
  }

  /** Generic NACK of ascending sequence numbers (RFC 4585 6.2.1). */
  nack(sender: number, media: number, sequences: readonly number[]): this {
    const entries: [number, number][] = [];
    for (const sequence of sequences) {
      const last = entries.at(-1);
      const ahead = last ? (sequence - last[0] - 1) & 0xffff : 16;
      if (last && ahead < 16) last[1] |= 1 << ahead;
      else entries.push([sequence, 0]);
    }
    if (entries.length === 0) return this;
    if (!this.#begin(TransportFeedback.nack, RtcpType.transportFeedback, 12 + entries.length * 4)) return this;
    this.#u32(sender);
    this.#u32(media);
    for (const [pid, bitmask] of entries) this.#u32(pid * 65536 + bitmask);
    return this;
  }

  /** Receiver estimated maximum bit rate for those sources, at most 255. */
  remb(sender: number, bitrateBps: number, ssrcs: readonly number[]): this {
    const kept = ssrcs.slice(0, 255);
    if (!this.#begin(PayloadFeedback.afb, RtcpType.payloadFeedback, 20 + kept.length * 4)) return this;
    let exponent = 0;
    let mantissa = Math.floor(bitrateBps);
    while (mantissa > 0x3ffff && exponent < 63) {
      mantissa = Math.floor(mantissa / 2);
      exponent++;
    }
    this.#u32(sender);
    this.#u32(0);
    this.#u32(0x52454d42);
    this.#u32(kept.length * 0x1000000 + (exponent << 18) + Math.min(mantissa, 0x3ffff));
    for (const ssrc of kept) this.#u32(ssrc);
    return this;
  }

  /** Extended report (RFC 3611), at most `MAX_XR_BLOCKS` blocks. */
  extendedReport(ssrc: number, blocks: readonly XrBlock[]): this {
    const kept = blocks.slice(0, MAX_XR_BLOCKS);
    const length = kept.reduce((sum, block) => sum + xrBlockLength(block), 8);
    if (!this.#begin(0, RtcpType.extendedReport, length)) return this;
    this.#u32(ssrc);
    for (const block of kept) {
      writeXrBlock(this.bytes, this.#at, block);
      this.#at += xrBlockLength(block);
    }
    return this;
  }

  #blocks(blocks: readonly ReportBlock[]): this {
    for (const block of blocks) {
      this.#u32(block.ssrc);
      this.#u32((block.fractionLost << 24) | (block.packetsLost & 0xffffff));
      this.#u32(block.highestSequence);
      this.#u32(block.jitter);
      this.#u32(block.lastSr);
      this.#u32(block.delaySinceLastSr);
    }
    return this;
  }

  #begin(count: number, type: number, length: number): boolean {
    if (this.#at + length > this.bytes.length) return false;
    this.bytes[this.#at] = 0x80 | count;
    this.bytes[this.#at + 1] = type;
    writeU16(this.bytes, this.#at + 2, length / 4 - 1);
    this.#at += 4;
    return true;
  }

  #u32(value: number): void {
    writeU32(this.bytes, this.#at, value);
    this.#at += 4;
  }
}
