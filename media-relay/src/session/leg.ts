import type { SessionDescription } from '@offhook/core';
import type { UdpPort } from '@offhook/core/node';
import { MediaPath, type Transport } from '../forward/index.ts';
import type { IceSession } from '../ice/index.ts';
import type { RedFormat } from '../recovery/index.ts';
import { ExtensionIds } from './extensions.ts';
import type { RtpInterface } from './interfaces.ts';
import type { LegKind } from './kind.ts';
import type { RateLines } from './rates.ts';
import type { SdesKeys } from './sdes.ts';
import type { SectionSimulcast } from './simulcast.ts';

/** An even RTP port and the odd RTCP port behind it. */
export interface PortPair {
  readonly rtp: UdpPort;
  readonly rtcp: UdpPort;
}

/** One m= section of one leg. */
export class Section extends MediaPath {
  /** audio, video … */
  media: string;
  /** Negotiated or being negotiated; a rejected section has no transport. */
  active = false;
  /** Why what the peers wanted came to nothing. */
  rejection: string | undefined;
  mid: string | undefined;
  pair: PortPair | undefined;
  sdes: SdesKeys | undefined;
  /** Ports of this machine that the peer named as its own; see `MediaHost.claim`. */
  claims: readonly number[] = [];
  /** RED as we offered or answered it to this peer; none where the far side has it itself or can't use it. */
  red: RedFormat | undefined;
  /** What we last offered or answered to this peer for the sake of rates. */
  rates: RateLines | undefined;
  /** Layers that the peer sends or has sent; it lives as long as the leg's keys, which know its source. */
  simulcast: SectionSimulcast | undefined;
  /** SSRC of retransmissions to this peer that are ours, where the far side has none. */
  rtxSource: number | undefined;
  /** The peer offered or accepted rtcp-mux. */
  remoteMux = false;
  /** What an offer decided on our answer's rtcp-mux; undefined: as the far peer answers. */
  answersMux: boolean | undefined;

  constructor(index: number, media: string) {
    super(index);
    this.media = media;
  }
}

/** One side of a call. */
export class Leg {
  tag: string | undefined;
  kind: LegKind;
  readonly sections: Section[] = [];
  /** What the peer's last SDP said. */
  remote: SessionDescription | undefined;
  /** The one transport of an ICE leg. */
  bundle: Transport | undefined;
  ice: IceSession | undefined;
  /** The peer's mids that share the transport, undefined = it doesn't bundle. */
  bundledMids: readonly string[] | undefined;
  /** What we answer to the peer's a=setup; undefined before it is known. */
  setup: 'active' | 'passive' | undefined;
  /** Our o= line towards this peer, when the origin is replaced. */
  originId: string | undefined;
  originVersion = 0;
  lastDescription = '';
  /** Identifiers of header extensions between the peer and us. */
  readonly extensions = new ExtensionIds();
  /** The next number of each stream of retransmissions that was sent to the peer. */
  readonly rtxSequences = new Map<number, number>();
  /** Where the peer's signalling came from, an IP address. */
  receivedFrom: string | undefined;
  trustAddress = false;
  /** Where its plain ports are; undefined before the first one. */
  interface: RtpInterface | undefined;
  /** Name of the interfaces that the client asked for, where there are such. */
  network: string | undefined;
  /** The fork branch that leads to the peer, and what the client calls it. */
  branch: string | undefined;
  label: string | undefined;
  /** Our side of a handshake in which both may choose. */
  dtlsRole: 'active' | 'passive' = 'passive';
  /** What the client has asked not to be forwarded from this peer. */
  blocksMedia = false;
  blocksDtmf = false;
  /** The head of the SDP that it was first sent, where the client wants that to stay. */
  username: string | undefined;
  sessionName: string | undefined;
  /** The peer put the call on hold. */
  holds = false;

  constructor(tag: string | undefined, kind: LegKind) {
    this.tag = tag;
    this.kind = kind;
  }

  /** Every transport once. */
  transports(): Transport[] {
    const found = new Set<Transport>();
    if (this.bundle) found.add(this.bundle);
    for (const section of this.sections) if (section.transport) found.add(section.transport);
    return [...found];
  }
}
