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
import { PacketUse } from '../congestion/index.ts';
import { type HopRecovery, NO_RED, NOT_DELIVERED } from '../recovery/index.ts';
import { observeCompound, relayCompound } from '../rtcp/index.ts';
import { followLayerReports, readLayerReports, type Simulcast } from '../simulcast/index.ts';
import { type DropCounts, noDrops } from './counters.ts';
import { type Transport, UNLIMITED } from './transport.ts';

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
  /** RTCP packets of our own. */
  reports = 0;
  /** When the packets at hand came; the packet loop sets it for each batch. */
  nowMs = 0;
  /** RED packets that came and that were made, and packets that were delivered from a copy. */
  readonly red = { received: 0, sent: 0, recovered: 0 };
  /** Packets sent again to who asked for them, and RTCP of ours that asks for packets or a key frame. */
  readonly repairs = { resent: 0, asked: 0 };
  /** Room for a packet that was recovered, and what is added to it. */
  readonly #scratch = new Uint8Array(2048);
  #mask = 0;
  readonly #xor = (ssrc: number): number => (ssrc ^ this.#mask) >>> 0;

  /** Anything but STUN on the opaque path: forwarded untouched. */
  pass(t: Transport, bytes: Uint8Array, offset: number, length: number, isRtp: boolean): number {
    if (isRtp && t.watches(rtpPayloadType(bytes, offset)) && t.events.blocks(t.events.has(bytes, offset)))
      return this.drop(t, 'blocked');
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
    if (rtcp) {
      t.recovery?.handleReport(bytes, offset, length);
      return this.#deliverRtcp(t, bytes, offset, length);
    }
    const { latest } = t;
    if (latest?.isOf(bytes, offset)) latest.handlePacket(bytes, offset, length, this.nowMs);
    else if (t.reports !== undefined) t.latest = t.reports.received.handlePacket(bytes, offset, length, this.nowMs);
    if (t.rates !== undefined) {
      length = t.rates.received(bytes, offset, length, this.nowMs);
      if (length <= 0) return this.drop(t, length === 0 ? 'repeated' : 'malformed');
      if (t.simulcast !== undefined) {
        length = this.#layer(t, t.simulcast, bytes, offset, length);
        if (length === 0) return 0;
      }
    }
    if (this.#isBlocked(t, bytes, offset, length)) return this.drop(t, 'blocked');
    if (t.repair?.received(bytes, offset, this.nowMs)) this.#ask(t);
    if (t.recovery !== undefined) return this.#recover(t, t.recovery, bytes, offset, length);
    return this.#forward(t, bytes, offset, length);
  }

  /** A packet of one of the layers becomes one of the stream that they make, or goes nowhere. */
  #layer(t: Transport, simulcast: Simulcast, bytes: Uint8Array, offset: number, length: number): number {
    const out = simulcast.received(bytes, offset, length, this.nowMs);
    if (out > 0) return out;
    if (t.repair?.isDue(this.nowMs)) this.#ask(t);
    t.packetsIn++;
    t.bytesIn += length;
    return this.drop(t, out === 0 ? 'layer' : 'malformed');
  }

  /** What was lost before and comes now as a copy goes first, then the packet itself. */
  #recover(t: Transport, recovery: HopRecovery, bytes: Uint8Array, offset: number, length: number): number {
    if (rtpPayloadType(bytes, offset) === recovery.format.payloadType) this.red.received++;
    const recovered = recovery.receive(bytes, offset, length);
    for (let i = 0; i < recovered; i++) {
      const one = recovery.decoder.write(i, bytes, this.#scratch, 0);
      const out = one === 0 ? 0 : this.#forward(t, this.#scratch, 0, one);
      if (out > 0 && this.port!.send(this.#scratch.subarray(0, out), this.to!)) this.red.recovered++;
    }
    if (recovered === NO_RED) return this.drop(t, 'malformed');
    const own = recovered === NOT_DELIVERED ? 0 : recovery.decoder.own(bytes, offset, length);
    if (own === 0) return this.drop(t, 'repeated');
    // what was inside may be a telephone event
    if (this.#isBlocked(t, bytes, offset, own)) return this.drop(t, 'blocked');
    return this.#forward(t, bytes, offset, own);
  }

  /** Looks for telephone events; whether the client has blocked the packet. */
  #isBlocked(t: Transport, bytes: Uint8Array, offset: number, length: number): boolean {
    if (!t.watches(rtpPayloadType(bytes, offset))) return false;
    const isEvent = t.events.has(bytes, offset);
    if (isEvent) t.events.see(bytes, offset, length);
    return t.events.blocks(isEvent);
  }

  #forward(t: Transport, bytes: Uint8Array, offset: number, length: number): number {
    const far = t.farOf(bytes, offset);
    if (far === undefined) return this.drop(t, 'unroutable');
    const { port, remote, tx } = far;
    if (port === undefined || remote === undefined || (far.secured && tx === undefined)) return this.drop(t, 'unready');
    if (far.sendBudget <= 0) return this.drop(t, 'unconfirmed');
    if (!t.secured && far.secured && !t.sequences.follow(bytes, offset)) return this.drop(t, 'restarted');
    far.spend();
    if (t.ssrcMask !== 0) setRtpSsrc(bytes, offset, (rtpSsrc(bytes, offset) ^ t.ssrcMask) >>> 0);
    if (far.splice !== undefined) far.splice.follow(bytes, offset);
    let out = far.recovery === undefined ? length : far.recovery.send(bytes, offset, length);
    if (out > length) this.red.sent++;
    if (far.rates !== undefined) out = far.rates.send(bytes, offset, out, this.nowMs);
    if (tx !== undefined) {
      out = tx.protect(bytes, offset, out);
      if (out < 0) return this.drop(t, 'srtp');
    }
    far.repair?.sent(bytes, offset, out, this.nowMs);
    this.port = port;
    this.to = remote;
    return this.#count(t, far, out);
  }

  #deliverRtcp(t: Transport, bytes: Uint8Array, offset: number, length: number): number {
    if (!isRtcpCompound(bytes, offset, length)) return this.drop(t, 'malformed');
    const section = t.sectionOfRtcp(readU32(bytes, offset + 4), length >= 12 ? readU32(bytes, offset + 8) : 0);
    const far = section?.peer?.transport;
    const problem = far === undefined ? 'unroutable' : wayOut(far);
    t.repair?.aim(problem === undefined ? far?.repair : undefined, t.splice?.isOn ? t.splice.inward : undefined);
    const { simulcast } = t;
    if (simulcast !== undefined) readLayerReports(simulcast, bytes, offset, length);
    let plain = this.#endHop(t, problem === undefined ? far : undefined, bytes, offset, length);
    if (simulcast !== undefined && plain > 0) plain = followLayerReports(simulcast, bytes, offset, plain);
    if (t.repair !== undefined) this.#resend(t);
    if (far === undefined || problem !== undefined) return this.drop(t, problem ?? 'unroutable');
    if (far.repair?.isDue(this.nowMs)) this.#ask(far);
    t.rtcpIn++;
    if (plain === 0) {
      t.packetsIn++;
      t.bytesIn += length;
      return 0;
    }
    if (far.rtcpPort === far.port) far.spend();
    else if (far.rtcpBudget !== UNLIMITED) far.rtcpBudget--;
    if (t.ssrcMask !== 0) {
      this.#mask = t.ssrcMask;
      rewriteRtcpSsrc(bytes, offset, plain, this.#xor);
    }
    t.shared?.followRtcp(bytes, offset, plain);
    if (far.splice?.isOn) far.splice.followRtcp(bytes, offset, plain);
    if (t.splice?.isOn) rewriteRtcpSsrc(bytes, offset, plain, t.splice.inward);
    if (far.shared !== undefined) rewriteRtcpSsrc(bytes, offset, plain, far.shared.inward);
    if (far.simulcast !== undefined) rewriteRtcpSsrc(bytes, offset, plain, far.simulcast.inward);
    const out = far.secured ? far.tx!.protectRtcp(bytes, offset, plain) : plain;
    if (out < 0) return this.drop(t, 'srtp');
    this.port = far.rtcpPort;
    this.to = far.rtcpRemote;
    far.rtcpOut++;
    return this.#count(t, far, out);
  }

  /** Sends the packets that a transport's peer has asked for. */
  #resend(t: Transport): void {
    const time = this.#time(t);
    for (
      let length = t.repair!.resend(this.#scratch, time);
      length > 0;
      length = t.repair!.resend(this.#scratch, time)
    ) {
      if (!t.port || !t.remote || t.sendBudget <= 0) return;
      t.spend();
      const out = t.repair!.sendsRtx ? this.#finish(t, length) : length;
      if (out < 0 || !t.port.send(this.#scratch.subarray(0, out), t.remote)) return;
      t.packetsOut++;
      t.bytesOut += out;
      this.repairs.resent++;
    }
  }

  /** An RTX packet is numbered and protected like any other. */
  #finish(t: Transport, length: number): number {
    const out = t.rates?.sendOwn(PacketUse.repair, this.#scratch, length, this.nowMs) ?? length;
    return t.tx!.protect(this.#scratch, 0, out);
  }

  /** Asks a transport's peer for packets that are missing, or for a key frame. */
  #ask(t: Transport): void {
    if (t.reports === undefined || wayOut(t) !== undefined) return;
    const length = t.repair!.write(this.#scratch, t.reports.ssrc, this.#time(t));
    if (length === 0) return;
    const out = t.secured ? t.tx!.protectRtcp(this.#scratch, 0, length) : length;
    if (out < 0 || !t.rtcpPort!.send(this.#scratch.subarray(0, out), t.rtcpRemote!)) return;
    if (t.rtcpPort === t.port) t.spend();
    else if (t.rtcpBudget !== UNLIMITED) t.rtcpBudget--;
    t.rtcpOut++;
    t.packetsOut++;
    t.bytesOut += out;
    this.repairs.asked++;
  }

  #time(t: Transport): { readonly nowMs: number; readonly rttMs: number } {
    return { nowMs: this.nowMs, rttMs: t.reports?.roundTripMs ?? 0 };
  }

  /** What of a compound goes on: an echo takes all of it back to its sender. */
  #endHop(t: Transport, far: Transport | undefined, bytes: Uint8Array, offset: number, length: number): number {
    const { reports } = t;
    if (reports === undefined) return length;
    if (t.ssrcMask === 0) return relayCompound(reports, far?.reports, { bytes, offset, length }, this.nowMs);
    observeCompound(reports, bytes, offset, length, this.nowMs);
    return length;
  }

  /** Sends our own report to a transport's peer when it is due. An echo gets none: its peer's reports come back to it. */
  report(t: Transport, nowMs: number): void {
    const { reports, rtcpPort, rtcpRemote } = t;
    const length = reports?.handleTimeout(nowMs) ?? 0;
    if (!reports || length === 0 || t.ssrcMask !== 0 || wayOut(t) !== undefined) return;
    // Nothing of ours goes where nobody has answered.
    if ((rtcpPort === t.port ? t.sendBudget : t.rtcpBudget) !== UNLIMITED) return;
    const out = t.secured ? t.tx!.protectRtcp(reports.buffer, 0, length) : length;
    if (out < 0 || !rtcpPort!.send(reports.buffer.subarray(0, out), rtcpRemote!)) return;
    t.rtcpOut++;
    t.packetsOut++;
    t.bytesOut += out;
    this.reports++;
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

/** Why no RTCP can be sent to a transport's peer, or undefined. */
function wayOut(t: Transport): 'unready' | 'unconfirmed' | undefined {
  if (t.rtcpPort === undefined || t.rtcpRemote === undefined || (t.secured && t.tx === undefined)) return 'unready';
  return (t.rtcpPort === t.port ? t.sendBudget : t.rtcpBudget) <= 0 ? 'unconfirmed' : undefined;
}
