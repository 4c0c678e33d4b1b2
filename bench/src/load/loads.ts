/** What is sent through a relay. A call is two flows: its client's packets to the peer, and the peer's to the client. */
export interface Load {
  readonly name: string;
  readonly about: string;
  readonly flows: number;
  /** Packets per second of each flow; 0 = flat out: a closed loop, always as many on their way. */
  readonly perS: number;
  /** The RTP packet, without what is put around it. */
  readonly bytes: number;
  /** Packets that a flow sends at once. */
  readonly burst: number;
}

/** Every server holds so many calls under every load. */
export const CALLS = 500;
export const IN_FLIGHT = 512;

export const P1000: Load = {
  name: 'p1000',
  about: '1,000 flows × 50/s of 172 bytes: 50,000 packets/s',
  flows: 1000,
  perS: 50,
  bytes: 172,
  burst: 1,
};

export const FLAT172: Load = {
  name: 'flat172',
  about: `1,000 flows of 172 bytes, flat out: ${IN_FLIGHT} packets always on their way`,
  flows: 1000,
  perS: 0,
  bytes: 172,
  burst: 1,
};

export const VID: Load = {
  name: 'vid',
  about: '100 flows × 240/s of 1,200 bytes, eight at once: 24,000 packets/s',
  flows: 100,
  perS: 240,
  bytes: 1200,
  burst: 8,
};

export const P100: Load = {
  name: 'p100',
  about: '100 flows × 50/s of 172 bytes: 5,000 packets/s',
  flows: 100,
  perS: 50,
  bytes: 172,
  burst: 1,
};

export const LOADS: readonly Load[] = [P1000, FLAT172, VID, P100];

/** A load for the generator: through what was set up before, or straight from client to peer and back. */
export interface LoadRequest {
  readonly kind: 'load';
  readonly load: Load;
  readonly path: 'relay' | 'direct';
  readonly settleMs: number;
  readonly measureMs: number;
  /** Whose processor time is told. */
  readonly pid?: number;
}

/** What came of a load within the measured window. */
export interface Traffic {
  readonly seconds: number;
  readonly sent: number;
  /** Packets that arrived within the window, whenever they were sent. */
  readonly delivered: number;
  readonly deliveredPerS: number;
  /** Of the packets sent within the window: those that never came. */
  readonly lost: number;
  readonly lossPercent: number;
  /** Flows of which nothing arrived. */
  readonly deadFlows: number;
  /** Packets that were not what a flow's other end expects. */
  readonly strays: number;
  /** Packets the system would not take from the generator. */
  readonly refused: number;
  /** From end to end, the generator's own part in it included. */
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  /** The server's processor time in the window, all threads; 0 without a pid. */
  readonly cpuMs: number;
  /** Share of the server's core that neither the server had nor nobody. */
  readonly othersPercent: number;
  /** Share of the server's core that the host kept to itself. */
  readonly stealPercent: number;
  /** The generator's time in which it found neither to send nor to receive. */
  readonly idlePercent: number;
  /** Packets of a paced load sent more than 1 ms after their time. */
  readonly latePercent: number;
}
