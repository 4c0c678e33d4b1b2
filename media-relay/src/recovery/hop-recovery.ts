import {
  isRtcpCompound,
  RtcpType,
  readU32,
  rtcpContentEnd,
  rtcpCount,
  rtcpEnd,
  rtcpType,
  rtpSequence,
  rtpSsrc,
} from '@offhook/core';
import { LossMeter } from './loss-meter.ts';
import { RedDecoder } from './red-decoder.ts';
import { RedEncoder, type RedFormat } from './red-encoder.ts';

/** How much of what was measured counts on with each report of the peer, some five seconds. */
const KEEP = 0.5;
/** A rise of the loss counts at once, a fall by and by. */
const FALL = 0.3;

/**
 * Loss recovery between one peer and us, on the terminated path: RED in sound, undone when it comes and made when it goes. The
 * peer's receiver reports say how much it loses; how long its bursts are is taken from what is lost on the way here, which is
 * mostly the same access network.
 */
export class HopRecovery {
  readonly format: RedFormat;
  readonly decoder: RedDecoder;
  readonly encoder: RedEncoder;
  readonly #meter = new LossMeter();
  #loss = 0;

  constructor(format: RedFormat) {
    this.format = format;
    this.decoder = new RedDecoder(format);
    this.encoder = new RedEncoder(format);
  }

  /** An opened RTP packet came; the answer is that of `RedDecoder.receive`. */
  receive(bytes: Uint8Array, offset: number, length: number): number {
    const recovered = this.decoder.receive(bytes, offset, length);
    if (rtpSsrc(bytes, offset) === this.decoder.ssrc) this.#meter.received(rtpSequence(bytes, offset));
    return recovered;
  }

  /** An RTP packet goes, before it is protected; the answer is its new length. */
  send(bytes: Uint8Array, offset: number, length: number): number {
    return this.encoder.encode(bytes, offset, length);
  }

  /** Looks for a report block about the stream that is sent (RFC 3550 6.4.1); anything else is left alone. */
  handleReport(bytes: Uint8Array, offset: number, length: number): void {
    if (this.encoder.ssrc < 0 || !isRtcpCompound(bytes, offset, length)) return;
    for (let at = offset; at < offset + length; at = rtcpEnd(bytes, at)) {
      const type = rtcpType(bytes, at);
      if (type !== RtcpType.senderReport && type !== RtcpType.receiverReport) continue;
      const end = rtcpContentEnd(bytes, at);
      let block = at + (type === RtcpType.senderReport ? 28 : 8);
      for (let left = rtcpCount(bytes, at); left > 0 && block + 24 <= end; left--, block += 24) {
        if (readU32(bytes, block) === this.encoder.ssrc) this.#adapt(bytes[block + 4]! / 256);
      }
    }
  }

  #adapt(loss: number): void {
    this.#loss = loss >= this.#loss ? loss : this.#loss + FALL * (loss - this.#loss);
    this.encoder.adapt(this.#loss, this.#meter.meanBurst);
    this.#meter.fade(KEEP);
  }
}
