import { readS32, rtpSequence, sequenceDistance, setRtpSequence } from '@offhook/core';
import { SsrcMap } from '../srtp/index.ts';

/** How far behind the newest packet a late one may lie: the window that SRTP's replay guard keeps. */
const MAX_LATE = 512;

/**
 * Keeps the sequence numbers of a plain stream going upwards on its way into SRTP, whose sender may use no index twice
 * (RFC 3711 9.1). A source that starts again lower under the same SSRC (a PBX that changed its player, a phone that
 * rebooted) goes on where it was: as in RFC 3550 A.1 two packets in a row prove the new start, the first of them is lost.
 *
 * A stream is never forgotten, for SRTP doesn't forget it either. Those beyond `MAX_KNOWN_SSRCS` pass as they are: SRTP
 * refuses them.
 */
export class SequenceMap extends SsrcMap<Stream> {
  /** Rewrites the packet's number where needed; false when it is the first one after a jump, which is not sent. */
  follow(bytes: Uint8Array, offset: number): boolean {
    const ssrc = readS32(bytes, offset + 8);
    const sequence = rtpSequence(bytes, offset);
    const stream = this.find(ssrc);
    if (stream === undefined) {
      this.add(ssrc, new Stream(sequence));
      return true;
    }
    const mapped = (sequence + stream.offset) & 0xffff;
    const step = sequenceDistance(mapped, stream.highest);
    if (step > -MAX_LATE) {
      if (step > 0) stream.highest = mapped;
      stream.awaited = -1;
      if (mapped !== sequence) setRtpSequence(bytes, offset, mapped);
      return true;
    }
    if (stream.awaited !== sequence) {
      stream.awaited = (sequence + 1) & 0xffff;
      return false;
    }
    const next = (stream.highest + 1) & 0xffff;
    stream.offset = (next - sequence) & 0xffff;
    stream.highest = next;
    stream.awaited = -1;
    setRtpSequence(bytes, offset, next);
    return true;
  }
}

class Stream {
  /** The highest number sent, the offset added. */
  highest: number;
  offset = 0;
  /** The number that would prove a new start, -1 = none awaited. */
  awaited = -1;

  constructor(highest: number) {
    this.highest = highest;
  }
}
