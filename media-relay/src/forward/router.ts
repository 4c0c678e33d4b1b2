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
import { type HopRecovery, NO_RED, NOT_DELIVERED } from '../recovery/index.ts';
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
  /** RED packets that came and that were made, and packets that were delivered from a copy. */
  readonly red = { received: 0, sent: 0, recovered: 0 };
  /** Room for a packet that was recovered, and what is added to it. */
  readonly #scratch = new Uint8Array(2048);
  #mask = 0;
  readonly #xor = (ssrc: number): number => (ssrc ^ this.#mask) >>> 0;

  /** Anything but STUN on the opaque path: forwarded untouched. */
  pass(t: Transport, length: number): number {
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
    if (t.recovery === undefined) return this.#forward(t, bytes, offset, length, rtcp);
    if (!rtcp) return this.#recover(t, t.recovery, bytes, offset, length);
    t.recovery.handleReport(bytes, offset, length);
    return this.#forward(t, bytes, offset, length, rtcp);
  }

  /** What was lost before and comes now as a copy goes first, then the packet itself. */
  #recover(t: Transport, recovery: HopRecovery, bytes: Uint8Array, offset: number, length: number): number {
    if (rtpPayloadType(bytes, offset) === recovery.format.payloadType) this.red.received++;
    const recovered = recovery.receive(bytes, offset, length);
    for (let i = 0; i < recovered; i++) {
      const one = recovery.decoder.write(i, bytes, this.#scratch, 0);
      const out = one === 0 ? 0 : this.#forward(t, this.#scratch, 0, one, false);
      if (out > 0 && this.port!.send(this.#scratch.subarray(0, out), this.to!)) this.red.recovered++;
    }
    if (recovered === NO_RED) return this.drop(t, 'malformed');
    const own = recovered === NOT_DELIVERED ? 0 : recovery.decoder.own(bytes, offset, length);
    return own === 0 ? this.drop(t, 'repeated') : this.#forward(t, bytes, offset, own, false);
  }

  #forward(t: Transport, bytes: Uint8Array, offset: number, length: number, rtcp: boolean): number {
    const section = rtcp
      ? t.sectionOfRtcp(readU32(bytes, offset + 4), length >= 12 ? readU32(bytes, offset + 8) : 0)
      : t.sectionOfRtp(rtpSsrc(bytes, offset), rtpPayloadType(bytes, offset));
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
    let out = rtcp || far.recovery === undefined ? length : far.recovery.send(bytes, offset, length);
    if (out > length) this.red.sent++;
    if (far.secured) {
      if (far.tx === undefined) return this.drop(t, 'unready');
      out = rtcp ? far.tx.protectRtcp(bytes, offset, out) : far.tx.protect(bytes, offset, out);
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
