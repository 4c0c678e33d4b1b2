import type { PacketBatch, UdpEndpoint, UdpPort } from '@offhook/core/node';
import type { HopRates } from '../congestion/index.ts';
import type { HopRecovery, VideoRepair } from '../recovery/index.ts';
import type { HopReports } from '../rtcp/index.ts';
import type { DtlsSession } from '../session/dtls.ts';
import type { SrtpTransform } from '../srtp/index.ts';
import { type DropCounts, noDrops } from './counters.ts';
import { HandshakeSource } from './handshake-source.ts';
import { fromAddress, Latch } from './latch.ts';
import { SequenceMap } from './sequence-map.ts';
import { Splice } from './splice.ts';
import { SsrcTable } from './ssrc-table.ts';
import { TelephoneEvents } from './telephone-events.ts';

/** Packets to an address that only an SDP of somebody else's named (reflection), before anything came from there. */
export const UNCONFIRMED_PACKETS = 50;
/** No budget is left to be kept: somebody is at the address. A small integer, as counters of each packet have to be. */
export const UNLIMITED = 1 << 30;
const HELD_PACKETS = 4;
const HELD_BYTES = 1500;

/** One m= section of one leg, as far as packets are concerned. */
export interface MediaPath {
  /** The section's place in the SDP. */
  readonly index: number;
  /** What carries it; undefined when the section is rejected. */
  transport: Transport | undefined;
  /** Where its packets go: the same section of the other leg, or itself (echo). */
  peer: MediaPath | undefined;
}

/**
 * What carries packets between one peer and us: the validated pair on the mux port, or one plain RTP port with its RTCP
 * port. A bundled leg has one for all its sections, a plain leg one per section.
 */
export class Transport {
  // What every packet that comes touches, then what every packet that goes touches: fields lie in this order, and of a
  // thousand transports none is in the processor's cache.

  /** Plain ports only. */
  readonly latch: Latch | undefined;
  readonly rtcpLatch: Latch | undefined;
  /** SRTP is agreed on, with or without keys yet. */
  secured = false;
  /** Packets that may still be sent to an unconfirmed address; `UNLIMITED` when it is confirmed. */
  sendBudget = UNLIMITED;
  /** The same for `rtcpRemote`, where RTCP has a port of its own. */
  rtcpBudget = UNLIMITED;
  /** Monotonic time of the last packet that belonged here, STUN checks included, whole ms; -1 = none yet. */
  lastInMs = -1;
  /** Keys and blocks of what comes from the peer. */
  readonly events = new TelephoneEvents();
  /** RTCP between this peer and us; none on the opaque path. */
  reports: HopReports | undefined;
  /** Loss recovery between this peer and us, where it was agreed on; none on the opaque path. */
  recovery: HopRecovery | undefined;
  /** The same for pictures: retransmission and key frames. */
  repair: VideoRepair | undefined;
  /** Rates between this peer and us, where pictures pass; none on the opaque path. */
  rates: HopRates | undefined;
  /** The section, where there is but one. */
  #only: MediaPath | undefined;
  /** Where there is one section: the source heard last, as signed 32 bits. */
  lastSsrc: number | undefined;
  /** XORed into every SSRC that passes (echo), 0 = none. */
  ssrcMask = 0;
  packetsIn = 0;
  bytesIn = 0;
  rx: SrtpTransform | undefined;

  tx: SrtpTransform | undefined;
  /** Where RTP, DTLS and (muxed) RTCP leave, undefined until an address is known. */
  port: UdpPort | undefined;
  remote: UdpEndpoint | undefined;
  /** What goes to a phone that is no browser stays one stream. */
  readonly splice: Splice | undefined;
  packetsOut = 0;
  bytesOut = 0;
  /** Set on the opaque path: everything but STUN goes there untouched. */
  opaquePeer: Transport | undefined;

  /** The place in the worker's table of transports; also the value of its addresses in the flow tables. */
  readonly id: number;
  /** DTLS that ends here; none on the opaque path. */
  dtls: DtlsSession | undefined;
  rtcpPort: UdpPort | undefined;
  rtcpRemote: UdpEndpoint | undefined;
  readonly handshake: HandshakeSource | undefined;
  rtcpMux = false;
  #sections: readonly MediaPath[] = [];
  #ssrcs: SsrcTable | undefined;
  #sequences: SequenceMap | undefined;
  #payloadTypes: Int8Array | undefined;
  rtcpIn = 0;
  rtcpOut = 0;
  readonly drops: DropCounts = noDrops();

  readonly #held: Uint8Array[] = [];

  constructor(id: number, plainFamily: 4 | 6 | undefined) {
    this.id = id;
    this.latch = plainFamily && new Latch(plainFamily);
    this.rtcpLatch = plainFamily && new Latch(plainFamily);
    this.splice = plainFamily && new Splice();
    this.handshake = plainFamily && new HandshakeSource();
  }

  /** The sections carried, in SDP order; `ssrcs` and `payloadTypes` hold places in this list. */
  get sections(): readonly MediaPath[] {
    return this.#sections;
  }

  set sections(sections: readonly MediaPath[]) {
    this.#sections = sections;
    this.#only = sections.length === 1 ? sections[0] : undefined;
  }

  /** Where there are several sections: the place in `sections` of each source. */
  get ssrcs(): SsrcTable {
    this.#ssrcs ??= new SsrcTable();
    return this.#ssrcs;
  }

  /** Payload type → place in `sections`, -1 = unknown or ambiguous. */
  get payloadTypes(): Int8Array {
    this.#payloadTypes ??= new Int8Array(128).fill(-1);
    return this.#payloadTypes;
  }

  /** Of what comes in plain and leaves as SRTP. */
  get sequences(): SequenceMap {
    this.#sequences ??= new SequenceMap();
    return this.#sequences;
  }

  /** Whether RTP of that source came here. */
  hasHeard(ssrc: number): boolean {
    return this.lastSsrc === (ssrc | 0) || this.ssrcs.find(ssrc) >= 0;
  }

  /** The section an SSRC was seen in, else the one its payload type belongs to (and remembers it), or undefined. */
  sectionOfRtp(ssrc: number, payloadType: number): MediaPath | undefined {
    if (this.#only !== undefined) {
      this.lastSsrc = ssrc | 0;
      return this.#only;
    }
    let index = this.ssrcs.find(ssrc);
    if (index < 0) {
      index = this.payloadTypes[payloadType]!;
      if (index < 0) return undefined;
      this.ssrcs.set(ssrc, index);
    }
    return this.sections[index];
  }

  /** The section of an RTCP packet by its sender, else by the media source it reports on, else the first. */
  sectionOfRtcp(sender: number, mediaSource: number): MediaPath | undefined {
    if (this.sections.length === 1) return this.sections[0];
    const own = this.ssrcs.find(sender);
    if (own >= 0) return this.sections[own];
    for (let i = 0; i < this.sections.length; i++) {
      const section = this.sections[i]!;
      const far = section.peer?.transport;
      if (far === undefined) continue;
      const index = far.ssrcs.find(mediaSource);
      if (index >= 0 && far.sections[index] === section.peer) return section;
    }
    return this.sections[0];
  }

  /** Keeps a copy of an early DTLS packet until this transport has an address; at most four, the oldest goes. */
  hold(bytes: Uint8Array, offset: number, length: number): void {
    if (length > HELD_BYTES) return;
    if (this.#held.length >= HELD_PACKETS) this.#held.shift();
    this.#held.push(bytes.slice(offset, offset + length));
  }

  /** Sends what was held; called when the address is known. */
  flushHeld(): void {
    if (!this.port || !this.remote) return;
    for (const bytes of this.#held.splice(0)) {
      this.port.send(bytes, this.remote);
      this.packetsOut++;
      this.bytesOut += bytes.length;
    }
  }

  /** Sends a packet made here (DTLS); false when no address is known, or too much went there without an answer. */
  send(bytes: Uint8Array): boolean {
    if (this.handshake?.at) return this.handshake.send(bytes);
    if (this.port === undefined || this.remote === undefined || this.sendBudget <= 0) return false;
    this.spend();
    return this.port.send(bytes, this.remote);
  }

  /** A packet goes to the peer's address. */
  spend(): void {
    if (this.sendBudget !== UNLIMITED) this.sendBudget--;
  }

  /** Packet i was accepted, so there is somebody at its address: what is sent there is no reflection. */
  confirm(batch: PacketBatch, i: number): void {
    if (this.sendBudget === UNLIMITED && this.rtcpBudget === UNLIMITED) return;
    if (this.remote && fromAddress(this.remote, batch, i)) this.sendBudget = UNLIMITED;
    if (this.rtcpRemote && fromAddress(this.rtcpRemote, batch, i)) this.rtcpBudget = UNLIMITED;
  }

  /** DTLS without ICE is complete: its source is the peer, and gets what is sent until a lock says otherwise. */
  adoptHandshake(): void {
    const { handshake } = this;
    if (!handshake?.at) return;
    handshake.prove();
    if (this.latch?.source || !this.port) return; // locked already, or held
    this.sendVia(handshake.port, handshake.at);
    this.sendBudget = UNLIMITED;
  }

  /** Moves the sending side; RTCP follows unless it has a port of its own. */
  sendVia(port: UdpPort | undefined, remote: UdpEndpoint | undefined): void {
    this.port = port;
    this.remote = remote;
    if (this.latch === undefined || this.rtcpMux) {
      this.rtcpPort = port;
      this.rtcpRemote = remote;
    }
    this.flushHeld();
  }

  dropKeys(): void {
    this.rx?.close();
    this.tx?.close();
    this.rx = undefined;
    this.tx = undefined;
  }
}
