import { isStun, PacketKind, packetKind, readU32 } from '@offhook/core';
import { BATCH, type PacketBatch, UdpEndpoint, type UdpPort } from '@offhook/core/node';
import type { IceLite, MuxPort } from '../ice/index.ts';
import type { PortPair } from '../session/leg.ts';
import type { TransportTable } from '../session/table.ts';
import { fromAddress, Verdict, type VerdictValue } from './latch.ts';
import { Router } from './router.ts';
import type { Transport } from './transport.ts';

/** Batches read from one port before the others get their turn. */
const FAIR_BATCHES = 3;

export interface PacketLoopOptions {
  readonly ice: IceLite;
  readonly transports: TransportTable;
  /** A transport's DTLS deadline may have moved. */
  readonly rearm: (transport: Transport) => void;
}

/**
 * Reads the worker's ports and sends each packet where it belongs. Media packets cost no allocation; STUN and DTLS,
 * which are rare, do.
 *
 *     first byte   0–3 STUN ─► ICE-lite     20–63 DTLS ─► the transport of the source     128–191 RTP, RTCP ─► router
 */
export class PacketLoop {
  readonly router = new Router();
  readonly #ice: IceLite;
  readonly #transports: TransportTable;
  readonly #rearm: (transport: Transport) => void;

  constructor({ ice, transports, rearm }: PacketLoopOptions) {
    this.#ice = ice;
    this.#transports = transports;
    this.#rearm = rearm;
  }

  /** Starts reading a shared port. */
  serve(mux: MuxPort): void {
    const { udp } = mux;
    udp.onReadable = () => {
      for (let round = 0; round < FAIR_BATCHES; round++) {
        const count = udp.fill();
        const { nowMs } = udp.rx;
        this.router.nowMs = nowMs;
        for (let i = 0; i < count; i++) this.#muxPacket(mux, udp.rx, i, nowMs);
        if (count < BATCH) return;
      }
    };
  }

  /** Starts reading the two ports of a plain section. */
  attach(transport: Transport, pair: PortPair): void {
    pair.rtp.owner = transport;
    pair.rtcp.owner = transport;
    pair.rtp.onReadable = this.#readRtp;
    pair.rtcp.onReadable = this.#readRtcp;
  }

  readonly #readRtp = (udp: UdpPort) => this.#readPlain(udp, false);
  readonly #readRtcp = (udp: UdpPort) => this.#readPlain(udp, true);

  #readPlain(udp: UdpPort, isRtcpPort: boolean): void {
    const transport = udp.owner as Transport; // `attach` made it so
    for (let round = 0; round < FAIR_BATCHES; round++) {
      const count = udp.fill();
      const { nowMs } = udp.rx;
      this.router.nowMs = nowMs;
      for (let i = 0; i < count; i++) this.#plainPacket(transport, udp, isRtcpPort, i, nowMs);
      if (count < BATCH) return;
    }
  }

  #muxPacket(mux: MuxPort, rx: PacketBatch, i: number, nowMs: number): void {
    const { bytes } = rx;
    const offset = rx.offset[i]!;
    const length = rx.length[i]!;
    const kind = packetKind(bytes, offset, length);
    if (kind === PacketKind.stun) {
      this.#stun(mux, rx, i, nowMs);
      return;
    }
    const id = mux.flows.find(rx, i);
    const transport = id < 0 ? undefined : this.#transports.at(id);
    if (transport === undefined) {
      this.router.drop(undefined, kind === PacketKind.dtls ? 'dtlsStranger' : 'stranger');
      return;
    }
    if (kind !== PacketKind.dtls && kind !== PacketKind.rtp && kind !== PacketKind.rtcp) {
      this.router.drop(transport, 'malformed');
      return;
    }
    let out = 0;
    const far = transport.opaquePeer;
    if (far !== undefined) {
      transport.lastInMs = nowMs;
      if (far.remote === undefined && kind === PacketKind.dtls) far.hold(bytes, offset, length);
      else out = this.router.pass(transport, bytes, offset, length, kind === PacketKind.rtp);
    } else if (kind === PacketKind.dtls) {
      this.#dtls(transport, bytes.subarray(offset, offset + length), nowMs);
    } else {
      const isRtcp = kind === PacketKind.rtcp;
      const plain = this.router.open(transport, bytes, offset, length, isRtcp);
      if (plain > 0) {
        transport.lastInMs = nowMs; // its tag was good
        out = this.router.deliver(transport, bytes, offset, plain, isRtcp);
      }
    }
    if (out > 0) this.router.port!.stage(offset, out, this.router.to!);
  }

  #stun(mux: MuxPort, rx: PacketBatch, i: number, nowMs: number): void {
    const offset = rx.offset[i]!;
    const length = rx.length[i]!;
    if (!isStun(rx.bytes, offset, length)) {
      this.router.drop(undefined, 'malformed');
      return;
    }
    const source = UdpEndpoint.source(rx, i, mux.udp.family);
    // RFC 8445 11: Binding indications keep the path alive.
    if (rx.bytes[offset] === 0 && rx.bytes[offset + 1] === 0x11) {
      const known = this.#transports.at(mux.flows.get(source));
      if (known) known.lastInMs = nowMs;
    }
    const length2 = this.#ice.handleStun(rx.bytes.slice(offset, offset + length), mux, source, nowMs);
    if (length2 > 0) mux.udp.send(this.#ice.reply.subarray(0, length2), source);
    const moved = this.#ice.selectionChanged?.transport;
    if (!moved) return;
    moved.dtls?.start(nowMs);
    this.#rearm(moved);
  }

  #plainPacket(transport: Transport, udp: UdpPort, isRtcpPort: boolean, i: number, nowMs: number): void {
    const { rx } = udp;
    const { bytes } = rx;
    const offset = rx.offset[i]!;
    const length = rx.length[i]!;
    const latch = isRtcpPort ? transport.rtcpLatch! : transport.latch!;
    const verdict = latch.judge(rx, i);
    if (verdict === Verdict.stranger) {
      this.router.drop(transport, 'stranger');
      return;
    }
    const kind = packetKind(bytes, offset, length);
    if (kind === PacketKind.dtls) {
      if (isRtcpPort) this.router.drop(transport, 'malformed');
      else this.#plainDtls(transport, udp, i, { verdict, nowMs });
      return;
    }
    const isRtcp = kind === PacketKind.rtcp;
    if (!isRtcp && (kind !== PacketKind.rtp || isRtcpPort)) {
      this.router.drop(transport, 'malformed');
      return;
    }
    const plain = this.router.open(transport, bytes, offset, length, isRtcp);
    if (plain === 0) return;
    if (verdict === Verdict.expected) {
      const isLate = latch.source !== undefined; // somebody else at its address was there first
      latch.lock(rx, i);
      if (isLate) follow(transport, udp, isRtcpPort);
    } else if (verdict === Verdict.candidate && !this.#learn(transport, udp, i, { isRtcpPort, isRtcp, nowMs })) {
      this.router.drop(transport, 'probation');
      return;
    }
    transport.confirm(rx, i);
    transport.lastInMs = nowMs;
    const out = this.router.deliver(transport, bytes, offset, plain, isRtcp);
    if (out > 0) this.router.port!.stage(offset, out, this.router.to!);
  }

  /** A packet from an allowed address but another port; true when its source is locked now. */
  #learn(
    transport: Transport,
    udp: UdpPort,
    i: number,
    { isRtcpPort, isRtcp, nowMs }: { isRtcpPort: boolean; isRtcp: boolean; nowMs: number },
  ): boolean {
    const { rx } = udp;
    const latch = transport.latch!;
    if (isRtcpPort) {
      if (transport.secured) transport.rtcpLatch!.lock(rx, i);
      else if (latch.source?.isSource(rx, i)) transport.rtcpLatch!.lockDoubtfully(rx, i);
      else {
        // RTCP has no sequence numbers: its sender has to be one that RTP has shown. And only behind a NAT, which RTP has
        // shown too, it has another port than the SDP's.
        if (!latch.isDoubtful || !fromAddress(latch.source!, rx, i)) return false;
        if (!transport.hasHeard(readU32(rx.bytes, rx.offset[i]! + 4))) return false;
        transport.rtcpLatch!.lockDoubtfully(rx, i);
      }
    } else if (transport.secured) latch.lock(rx, i);
    else if (isRtcp || !latch.probe(rx, i, nowMs)) return false;
    follow(transport, udp, isRtcpPort);
    return true;
  }

  /** DTLS without ICE, from an allowed address; the port locks with the first good SRTP packet only. */
  #plainDtls(transport: Transport, udp: UdpPort, i: number, at: { verdict: VerdictValue; nowMs: number }): void {
    const { rx } = udp;
    const { dtls, handshake } = transport;
    if (!dtls || !handshake) {
      this.router.drop(transport, 'malformed');
      return;
    }
    const offset = rx.offset[i]!;
    const bytes = rx.bytes.subarray(offset, offset + rx.length[i]!);
    if (!handshake.has(rx, i)) {
      const isExpected = at.verdict !== Verdict.candidate;
      if (dtls.isComplete || !handshake.givesWay(bytes, isExpected, at.nowMs)) {
        this.router.drop(transport, 'dtlsStranger');
        return;
      }
      dtls.giveUpServer();
      handshake.take(udp, UdpEndpoint.source(rx, i, udp.family), isExpected);
    }
    handshake.received(at.nowMs);
    this.#dtls(transport, bytes, at.nowMs);
  }

  #dtls(transport: Transport, bytes: Uint8Array, nowMs: number): void {
    transport.lastInMs = nowMs;
    transport.dtls?.handlePacket(bytes, nowMs);
    this.#rearm(transport);
  }
}

/** What is sent goes where the lock is now; not while held. */
function follow(transport: Transport, udp: UdpPort, isRtcpPort: boolean): void {
  if (!isRtcpPort) {
    if (transport.port) transport.sendVia(udp, transport.latch!.source);
  } else if (transport.rtcpPort === udp) transport.rtcpRemote = transport.rtcpLatch!.source; // neither muxed nor held
}
