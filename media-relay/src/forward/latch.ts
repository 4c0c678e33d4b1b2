import { rtpPayloadType, rtpSequence, rtpSsrc, sequenceDistance } from '@offhook/core';
import { type PacketBatch, UdpEndpoint } from '@offhook/core/node';

/** Consistent packets that a source on an allowed address, but another port than the SDP's, has to send. */
export const PROBATION_PACKETS = 5;
/** Behind a NAT a phone speaks at once from its other port; who begins later than this after the signalling is doubted. */
export const PROBATION_MS = 3000;
/** The packets of who begins later, a second of sound: a phone that was muted, or that waited for somebody to pick up. */
export const LATE_PROBATION_PACKETS = 50;
/** The largest step of sequence numbers within the probation. */
const MAX_STEP = 10;

/** `expected` is the very address and port of the SDP, `candidate` another port or address that is allowed. */
export const Verdict = { stranger: 0, locked: 1, expected: 2, candidate: 3 } as const;
export type VerdictValue = (typeof Verdict)[keyof typeof Verdict];

/**
 * Whose packets a plain RTP port takes (against RTP bleed and injection). The caller locks, after it has looked into the
 * packet: the address and port of the SDP with the first valid one (with SRTP: whose tag is good). Another port on an
 * allowed address (symmetric RTP behind a NAT) after `PROBATION_PACKETS` packets with one SSRC, one payload type and
 * advancing sequence numbers (more of them, long after the signalling), or one packet whose SRTP tag is good. Once locked
 * every other source is a stranger, until a new offer or answer names another address; but a lock that only a probation
 * gained, which a neighbour at the same address can pass, ends when the very address and port of the SDP speaks.
 */
export class Latch {
  /** Port and address of the locked source in numbers, the address's first word; a port of -1 when there is none. */
  #sourcePort = -1;
  #sourceWord = 0;
  readonly #family: 4 | 6;
  #expected: UdpEndpoint | undefined;
  #allowed: readonly UdpEndpoint[] = [];
  #locked: UdpEndpoint | undefined;
  /** Whether the lock was gained by probation alone. */
  #isDoubtful = false;
  /** When the peer was last told, or said, something; before it knows this port nobody speaks to it in good faith. */
  #signalledAtMs: number | undefined;
  #count = 0;
  readonly #words = new Uint32Array(4);
  #port = 0;
  #ssrc = 0;
  #payloadType = 0;
  #sequence = 0;

  constructor(family: 4 | 6) {
    this.#family = family;
  }

  /** The locked source. */
  get source(): UdpEndpoint | undefined {
    return this.#locked;
  }

  set #source(source: UdpEndpoint | undefined) {
    this.#locked = source;
    this.#sourcePort = source?.port ?? -1;
    this.#sourceWord = source?.a ?? 0;
  }

  /** Gained by probation: its sender is at the right address, but at another port than the SDP's. */
  get isDoubtful(): boolean {
    return this.#isDoubtful;
  }

  /** The peer knows this port now, or has described itself again. */
  signalled(nowMs: number): void {
    this.#signalledAtMs = nowMs;
  }

  /** Where the SDP says packets come from and go to. */
  get expected(): UdpEndpoint | undefined {
    return this.#expected;
  }

  /** Takes an address from signalling; a new one opens the lock (true). `allowed` are further addresses, ports ignored. */
  expect(expected: UdpEndpoint | undefined, allowed: readonly UdpEndpoint[]): boolean {
    const same =
      expected && this.#expected
        ? expected.equals(this.#expected) &&
          allowed.length === this.#allowed.length &&
          allowed.every((a, i) => sameAddress(a, this.#allowed[i]!))
        : expected === this.#expected;
    if (same) return false;
    this.#expected = expected;
    this.#allowed = allowed;
    this.#source = undefined;
    this.#isDoubtful = false;
    this.#count = 0;
    return true;
  }

  /** What packet i of the batch is. */
  judge(batch: PacketBatch, i: number): VerdictValue {
    if (batch.port[i] === this.#sourcePort && (batch.address[4 * i]! | 0) === this.#sourceWord) {
      if (this.#family === 4 || this.#locked!.isSource(batch, i)) return Verdict.locked;
    }
    if (this.#locked && !this.#isDoubtful) return Verdict.stranger;
    if (this.#expected?.isSource(batch, i)) return Verdict.expected;
    if (this.#locked) return Verdict.stranger;
    for (let k = 0; k < this.#allowed.length; k++) {
      if (fromAddress(this.#allowed[k]!, batch, i)) return Verdict.candidate;
    }
    return Verdict.stranger;
  }

  /** Locks the source of packet i until the expected one speaks. */
  lockDoubtfully(batch: PacketBatch, i: number): void {
    this.lock(batch, i);
    this.#isDoubtful = true;
  }

  /** Counts a candidate's RTP packet; true when its source is locked by it. */
  probe(batch: PacketBatch, i: number, nowMs: number): boolean {
    if (this.#signalledAtMs === undefined) return false;
    const bytes = batch.bytes;
    const offset = batch.offset[i]!;
    const sequence = rtpSequence(bytes, offset);
    const step = sequenceDistance(sequence, this.#sequence);
    const consistent =
      this.#count > 0 &&
      this.#port === batch.port[i] &&
      this.#words[0] === batch.address[4 * i] &&
      this.#words[1] === batch.address[4 * i + 1] &&
      this.#words[2] === batch.address[4 * i + 2] &&
      this.#words[3] === batch.address[4 * i + 3] &&
      this.#ssrc === rtpSsrc(bytes, offset) &&
      this.#payloadType === rtpPayloadType(bytes, offset) &&
      step > 0 &&
      step <= MAX_STEP;
    this.#sequence = sequence;
    if (consistent) {
      const needed = nowMs - this.#signalledAtMs <= PROBATION_MS ? PROBATION_PACKETS : LATE_PROBATION_PACKETS;
      if (++this.#count < needed) return false;
      this.lockDoubtfully(batch, i);
      return true;
    }
    this.#count = 1;
    this.#port = batch.port[i]!;
    for (let k = 0; k < 4; k++) this.#words[k] = batch.address[4 * i + k]!;
    this.#ssrc = rtpSsrc(bytes, offset);
    this.#payloadType = rtpPayloadType(bytes, offset);
    return false;
  }

  /** Locks the source of packet i: it is the expected one, or its authentication was good. */
  lock(batch: PacketBatch, i: number): void {
    this.#isDoubtful = false;
    this.#source = UdpEndpoint.source(batch, i, this.#family);
  }
}

/** Whether packet i comes from this address, whatever its port. */
export function fromAddress(at: UdpEndpoint, batch: PacketBatch, i: number): boolean {
  const words = batch.address;
  return (
    (words[4 * i]! | 0) === at.a &&
    (words[4 * i + 1]! | 0) === at.b &&
    (words[4 * i + 2]! | 0) === at.c &&
    (words[4 * i + 3]! | 0) === at.d
  );
}

/** Equal but for the port. */
export function sameAddress(x: UdpEndpoint, y: UdpEndpoint): boolean {
  return x.a === y.a && x.b === y.b && x.c === y.c && x.d === y.d;
}
