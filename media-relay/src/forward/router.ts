import {
  isRtcpCompound,
  readU32,
  rewriteRtcpSsrc,
  rtpHeaderLength,
  rtpPayloadType,
  rtpSsrc,
  setRtpSsrc,
} from '@offhook/core';
import type { UdpEndpoint, UdpPort } from '@offhook/core/node';
import { type DropCounts, noDrops } from './counters.ts';
import type { Transport } from './transport.ts';

/**
 * The hot path: a packet that belongs to a transport comes in, the packet to send stands at the same place afterwards.
 * The answer is its length, 0 = nothing to send; `port` and `to` are the destination, valid until the next call.
 * Nothing is allocated.
 */
export class Router {
  port: UdpPort | undefined;
  to: UdpEndpoint | undefined;
  readonly drops: DropCounts = noDrops();
  forwarded = 0;
  forwardedBytes = 0;
  #mask = 0;
  readonly #xor = (ssrc: number): number => (ssrc ^ this.#mask) >>> 0;

  /** Anything but STUN on the opaque path: forwarded untouched. */
  pass(t: Transport, bytes: Uint8Array, offset: number, length: number, isRtp: boolean): number {
    if (isRtp && t.events.blocks(t.events.has(bytes, offset))) return this.drop(t, 'blocked');
    const far = t.opaquePeer!;
    if (far.port === undefined || far.remote === undefined) return this.drop(t, 'unready');
    this.port = far.port;
    this.to = far.remote;
    return this.#count(t, far, length);
  }

  /**
   * One RTP or RTCP packet: unprotect, find its section, rewrite, protect.
   *
   * On a plain port a packet is opened before its source is believed, so this answers the plain length and leaves the
   * rest to `deliver`.
   */
  open(t: Transport, bytes: Uint8Array, offset: number, length: number, rtcp: boolean): number {
    if (t.secured) {
      if (t.rx === undefined) return this.drop(t, 'unkeyed');
      const plain = rtcp ? t.rx.unprotectRtcp(bytes, offset, length) : t.rx.unprotect(bytes, offset, length);
      return plain < 0 ? this.drop(t, 'srtp') : plain;
    }
    const good = rtcp
      ? length >= 8 && isRtcpCompound(bytes, offset, length)
      : rtpHeaderLength(bytes, offset, length) > 0;
    return good ? length : this.drop(t, 'malformed');
  }

  /** The second half: an opened packet goes to the section's peer. */
  deliver(t: Transport, bytes: Uint8Array, offset: number, length: number, rtcp: boolean): number {
    const section = rtcp
      ? t.sectionOfRtcp(readU32(bytes, offset + 4), length >= 12 ? readU32(bytes, offset + 8) : 0)
      : t.sectionOfRtp(rtpSsrc(bytes, offset), rtpPayloadType(bytes, offset));
    if (!rtcp) {
      const isEvent = t.events.has(bytes, offset);
      if (isEvent) t.events.see(bytes, offset, length);
      if (t.events.blocks(isEvent)) return this.drop(t, 'blocked');
    }
    const far = section?.peer?.transport;
    if (far === undefined) return this.drop(t, 'unroutable');
    const port = rtcp ? far.rtcpPort : far.port;
    const to = rtcp ? far.rtcpRemote : far.remote;
    if (port === undefined || to === undefined) return this.drop(t, 'unready');
    if (rtcp && port !== far.port) {
      if (far.rtcpBudget <= 0) return this.drop(t, 'unconfirmed');
      far.rtcpBudget--;
    } else {
      if (far.sendBudget <= 0) return this.drop(t, 'unconfirmed');
      far.sendBudget--;
    }
    if (!rtcp && !t.secured && far.secured && !t.sequences.follow(bytes, offset)) return this.drop(t, 'restarted');
    if (t.ssrcMask !== 0) {
      this.#mask = t.ssrcMask;
      if (rtcp) {
        if (!rewriteRtcpSsrc(bytes, offset, length, this.#xor)) return this.drop(t, 'malformed');
      } else setRtpSsrc(bytes, offset, (rtpSsrc(bytes, offset) ^ t.ssrcMask) >>> 0);
    }
    if (far.splice !== undefined) {
      if (!rtcp) far.splice.follow(bytes, offset);
      else if (far.splice.isOn && !rewriteRtcpSsrc(bytes, offset, length, far.splice.outward))
        return this.drop(t, 'malformed');
    }
    if (rtcp && t.splice?.isOn && !rewriteRtcpSsrc(bytes, offset, length, t.splice.inward))
      return this.drop(t, 'malformed');
    let out = length;
    if (far.secured) {
      if (far.tx === undefined) return this.drop(t, 'unready');
      out = rtcp ? far.tx.protectRtcp(bytes, offset, length) : far.tx.protect(bytes, offset, length);
      if (out < 0) return this.drop(t, 'srtp');
    }
    this.port = port;
    this.to = to;
    if (rtcp) {
      t.rtcpIn++;
      far.rtcpOut++;
    }
    return this.#count(t, far, out);
  }

  drop(t: Transport | undefined, reason: keyof DropCounts): 0 {
    if (t) t.drops[reason]++;
    this.drops[reason]++;
    return 0;
  }

  #count(t: Transport, far: Transport, length: number): number {
    t.packetsIn++;
    t.bytesIn += length;
    far.packetsOut++;
    far.bytesOut += length;
    this.forwarded++;
    this.forwardedBytes += length;
    return length;
  }
}
