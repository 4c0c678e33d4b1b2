import { readS32, rtpPayloadType, rtpSsrc } from '@offhook/core';
import type { PacketBatch, UdpEndpoint, UdpPort } from '@offhook/core/node';
import type { HopRates } from '../congestion/index.ts';
import type { HopRecovery, VideoRepair } from '../recovery/index.ts';
import type { HopReports, ReceivedStream } from '../rtcp/index.ts';
import type { DtlsSession } from '../session/dtls.ts';
import type { Simulcast } from '../simulcast/index.ts';
import type { SrtpTransform } from '../srtp/index.ts';
import { type DropCounts, noDrops } from './counters.ts';
import { HandshakeSource } from './handshake-source.ts';
import { fromAddress, Latch } from './latch.ts';
import type { MediaPath } from './media-path.ts';
import { SequenceMap } from './sequence-map.ts';
import { Splice } from './splice.ts';
import { SsrcTable } from './ssrc-table.ts';
import { TelephoneEvents } from './telephone-events.ts';

/** Packets to an address that only an SDP of somebody else's named (reflection), before anything came from there. */
export const UNCONFIRMED_PACKETS = 50;
/** No budget is left to be kept: somebody is at the address. A small integer, as counters of each packet have to be. */
export const UNLIMITED = 1 << 30;
/** Packets that are looked at for telephone events, where it isn't those of one payload type. */
const Watched = { none: -1, all: -2 } as const;
const HELD_PACKETS = 4;
const HELD_BYTES = 1500;

/**
 * What carries packets between one peer and us: the validated pair on the mux port, or one plain RTP port with its RTCP
 * port. A bundled leg has one for all its sections, a plain leg one per section.
 */
export class Transport {
  // What every packet that comes touches, then what every packet that goes touches: fields lie in this order, and of a
  // thousand transports none is in the processor's cache.

  /** Plain ports only. */
  readonly latch: Latch | undefined;
  /** Monotonic time of the last packet that belonged here, STUN checks included, whole ms; -1 = none yet. */
  lastInMs = -1;
  /** The payload type of telephone events, or one of `Watched`: which packets `events` has to look at. */
  watched: number = Watched.none;
  #reports: HopReports | undefined;
  /** The source in `reports` that was heard last. */
  latest: ReceivedStream | undefined;
  /** Where all goes that comes here; undefined where that depends on the section. */
  far: Transport | undefined;
  /** Where there is one section: the source heard last, as signed 32 bits. */
  lastSsrc: number | undefined;
  /** XORed into every SSRC that passes (echo), 0 = none. */
  ssrcMask = 0;
  packetsIn = 0;
  bytesIn = 0;
  rx: SrtpTransform | undefined;
  /** The same as `sendBudget` for `rtcpRemote`, where RTCP has a port of its own. */
  rtcpBudget = UNLIMITED;

  /** Packets that may still be sent to an unconfirmed address; `UNLIMITED` when it is confirmed. */
  sendBudget = UNLIMITED;
  /** SRTP is agreed on, with or without keys yet. */
  secured = false;
  /** Loss recovery between this peer and us, where it was agreed on; none on the opaque path. */
  recovery: HopRecovery | undefined;
  /** The same for pictures: retransmission and key frames. */
  repair: VideoRepair | undefined;
  /** Rates between this peer and us, where pictures pass; none on the opaque path. */
  rates: HopRates | undefined;
  /** What makes one stream of the peer's layers; only beside rates. */
  simulcast: Simulcast | undefined;

  /** Where RTP, DTLS and (muxed) RTCP leave, undefined until an address is known. */
  port: UdpPort | undefined;
  remote: UdpEndpoint | undefined;
  /** What goes to a phone that is no browser stays one stream. */
  readonly splice: Splice | undefined;
  tx: SrtpTransform | undefined;
  packetsOut = 0;
  bytesOut = 0;
  /** Set on the opaque path: everything but STUN goes there untouched. */
  opaquePeer: Transport | undefined;

  readonly rtcpLatch: Latch | undefined;
  /** Keys and blocks of what comes from the peer. */
  readonly events = new TelephoneEvents();
  /** The section, where there is but one. */
  #only: MediaPath | undefined;
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
    this.relink();
  }

  /** A section, or what it is connected to, has changed. */
  relink(): void {
    this.far = this.#only?.peer?.transport;
  }

  /** RTCP between this peer and us; none on the opaque path. */
  get reports(): HopReports | undefined {
    return this.#reports;
  }

  set reports(reports: HopReports | undefined) {
    this.#reports = reports;
    this.latest = undefined;
  }

  /** Which payload types are telephone events, and what the client of the relay has blocked. */
  watch(types: ReadonlySet<number>, blocks: { readonly media: boolean; readonly events: boolean }): void {
    const { events } = this;
    events.setTypes(types);
    events.blocksMedia = blocks.media;
    events.blocksEvents = blocks.events;
    const [first = Watched.none] = types;
    this.watched = types.size > 1 || blocks.media ? Watched.all : first;
  }

  /** Whether `events` has to look at a packet of that type. */
  watches(payloadType: number): boolean {
    return this.watched === payloadType || this.watched === Watched.all;
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
    this.#sequences ??= new SequenceMap(this.latch);
    return this.#sequences;
  }

  /** Where sources that come in plain share an SSRC as SRTP. */
  get shared(): Splice | undefined {
    return this.#sequences?.splice;
  }

  /** Whether RTP of that source came here. */
  hasHeard(ssrc: number): boolean {
    return this.lastSsrc === (ssrc | 0) || this.ssrcs.find(ssrc) >= 0;
  }

  /** Where an RTP packet goes; of several sections by that which its source was seen in, else by its payload type. */
  farOf(bytes: Uint8Array, offset: number): Transport | undefined {
    if (this.#only !== undefined) {
      this.lastSsrc = readS32(bytes, offset + 8);
      return this.far;
    }
    const ssrc = rtpSsrc(bytes, offset);
    let index = this.ssrcs.find(ssrc);
    if (index < 0) {
      index = this.payloadTypes[rtpPayloadType(bytes, offset)]!;
      if (index < 0) return undefined;
      this.ssrcs.set(ssrc, index);
    }
    return this.#sections[index]!.peer?.transport;
  }

  /** The section of a source that was heard. */
  sectionOf(ssrc: number, payloadType: number): MediaPath | undefined {
    if (this.#only !== undefined) return this.#only;
    const index = this.ssrcs.find(ssrc);
    return this.#sections[index < 0 ? this.payloadTypes[payloadType]! : index];
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
