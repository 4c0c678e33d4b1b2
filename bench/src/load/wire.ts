import { addressWord, type CrowdSocket, familyAndPort } from './crowd-socket.ts';

/** Client i is 127.1.i and talks with peer 127.2.i. */
export const CLIENT_NET = 1;
export const PEER_NET = 2;
/** Bytes that every slot keeps in front of the RTP packet, for what a relay wants there. */
export const HEADROOM = 4;

/** All clients and all peers of the generator. */
export interface Ends {
  readonly clients: CrowdSocket;
  readonly peers: CrowdSocket;
  readonly clientPort: number;
  readonly peerPort: number;
}

/** Where the flows' packets go and what they look like there, by flow; even flows go to the peer, odd ones to the client. */
export interface Wire {
  readonly source: Uint32Array;
  readonly to: Uint32Array;
  readonly toPort: Uint32Array;
  /** The next sequence numbers; they go on from load to load, as one stream's do. */
  readonly sequence: Uint16Array;
  /** Bytes between a client and the relay in front of the RTP packet; 0 or `HEADROOM`. */
  readonly clientHead: number;
  /** Bytes behind RTP packets when they arrive at clients and at peers. */
  readonly clientTail: number;
  readonly peerTail: number;
  /** Protects a flow's RTP packet in place; answers its new length. */
  readonly protect?: (flow: number, bytes: Uint8Array, offset: number, length: number) => number;
}

export type Framing = Pick<Wire, 'clientHead' | 'clientTail' | 'peerTail' | 'protect'>;

const BARE: Framing = { clientHead: 0, clientTail: 0, peerTail: 0 };

/** A wire on which flow i's packets go to `portOf(i)` of 127.0.0.1; without it straight to the other end. */
export function makeWire(
  flows: number,
  ends: Pick<Ends, 'clientPort' | 'peerPort'>,
  portOf?: (flow: number) => number,
  framing: Framing = BARE,
): Wire {
  const wire: Wire = {
    source: new Uint32Array(flows),
    to: new Uint32Array(flows),
    toPort: new Uint32Array(flows),
    sequence: new Uint16Array(flows),
    ...framing,
  };
  for (let flow = 0; flow < flows; flow++) {
    const call = flow >> 1;
    const isToPeer = flow % 2 === 0;
    wire.source[flow] = addressWord(isToPeer ? CLIENT_NET : PEER_NET, call + 1);
    wire.to[flow] = portOf ? addressWord(0, 1) : addressWord(isToPeer ? PEER_NET : CLIENT_NET, call + 1);
    wire.toPort[flow] = familyAndPort(portOf ? portOf(flow) : isToPeer ? ends.peerPort : ends.clientPort);
  }
  return wire;
}

/** As `addressWord` has it. */
export function hostAddress(net: number, host: number): string {
  return `127.${net}.${host >> 8}.${host & 255}`;
}
