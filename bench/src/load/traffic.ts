import { readFileSync } from 'node:fs';
import { SERVER_CPU } from '../pinned.ts';
import { cpuNsOf } from '../processes.ts';
import { BATCH, type CrowdSocket, SLOT_BYTES } from './crowd-socket.ts';
import { IN_FLIGHT, type Load, type LoadRequest, type Traffic } from './loads.ts';
import { type Ends, HEADROOM, makeWire, type Wire } from './wire.ts';

/*
 * A packet in its slot; offsets in bytes. The ChannelData header is there between client and TURN server only.
 *
 *  0        4          8           12     16
 *  | channel | V=2, seq | timestamp | SSRC | zeros …
 *
 * What a flow's packets are told by, SSRC and sequence number, is what relays leave as it is and SRTP does not encrypt.
 */
const FIRST_SSRC = 0x0ff40000;
const CHANNEL = 0x4000;
/** Packets of one flow whose times of sending are remembered. */
const REMEMBERED = 128;
const TICKS = 160;

const HISTOGRAM_US = 200_000;
/** When nothing has come for so long, a closed loop takes what is missing for lost. */
const SILENCE_MS = 50;
/** What is under way at the end of the window is waited for. */
const DRAIN_MS = 250;
const LATE_MS = 1;
/** A closed loop sends when it may send so many, or batches would shrink to single packets. */
const LEAST_ROOM = 16;

/** Sends one load and tells what came of it. It never sleeps, so that its own wake-ups don't shape the load. */
export function runLoad(ends: Ends, relayed: Wire | undefined, request: LoadRequest): Traffic {
  const { load, settleMs, measureMs, pid } = request;
  const { clients, peers } = ends;
  const { bytes, burst } = load;
  const wire = relayed ?? makeWire(load.flows, ends);
  const { source, to, toPort, sequence, clientHead, clientTail, peerTail, protect } = wire;
  const sentAt = new Float64Array(load.flows * REMEMBERED);
  const arrivedBy = new Uint32Array(load.flows);
  clients.layout(HEADROOM - clientHead, HEADROOM - clientHead);
  peers.layout(HEADROOM, HEADROOM);
  prepare(clients, load);
  prepare(peers, load);
  while (clients.fill() + peers.fill() > 0); // what an earlier load has left
  const { phases, order, periodMs } = schedule(load);
  const histogram = new Uint32Array(HISTOGRAM_US + 1);
  const isPaced = load.perS > 0;
  const refusedBefore = clients.refused + peers.refused;

  const start = performance.now() + 1;
  const measureAt = start + settleMs;
  let windowStart = Number.POSITIVE_INFINITY;
  let windowEnd = Number.POSITIVE_INFINITY;
  let isSending = true;
  let next = 0;
  let cycleAt = start;
  let sent = 0;
  let received = 0;
  let givenUp = 0;
  let lastArrival = start;
  let sentInWindow = 0;
  let arrivedOfWindow = 0;
  let late = 0;
  let strays = 0;
  let idleMs = 0;
  let before = snapshot(undefined, 0);
  let after = before;

  const send = (flow: number, now: number): void => {
    const isToPeer = (flow & 1) === 0;
    const socket = isToPeer ? clients : peers;
    const slot = socket.next();
    const { tx } = socket;
    const at = slot * SLOT_BYTES + HEADROOM;
    const n = sequence[flow]!;
    sequence[flow] = n + 1;
    tx.bytes[at + 2] = n >> 8;
    tx.bytes[at + 3] = n;
    writeWord(tx.bytes, at + 4, n * TICKS);
    writeWord(tx.bytes, at + 8, FIRST_SSRC + flow);
    const length = protect ? protect(flow, tx.bytes, at, bytes) : bytes;
    socket.stage(source[flow]!, to[flow]!, toPort[flow]!, length + (isToPeer ? clientHead : 0));
    sentAt[flow * REMEMBERED + (n % REMEMBERED)] = now;
    sent++;
    if (now >= windowStart) sentInWindow++;
  };
  const receive = (socket: CrowdSocket, parity: number, length: number): number => {
    const n = socket.fill();
    if (n === 0) return 0;
    const { bytes: packets } = socket.rx;
    const now = performance.now();
    for (let i = 0; i < n; i++) {
      const at = i * SLOT_BYTES + HEADROOM;
      const flow = readWord(packets, at + 8) - FIRST_SSRC;
      if (flow < 0 || flow >= load.flows || (flow & 1) !== parity || socket.length(i) !== length) {
        strays++;
        continue;
      }
      received++;
      const sentMs = sentAt[flow * REMEMBERED + (((packets[at + 2]! << 8) | packets[at + 3]!) % REMEMBERED)]!;
      if (sentMs < windowStart) continue;
      arrivedOfWindow++;
      arrivedBy[flow]!++;
      histogram[Math.min(HISTOGRAM_US, Math.floor((now - sentMs) * 1000))]!++;
    }
    lastArrival = now;
    return n;
  };

  let last = performance.now();
  let wasIdle = false;
  for (;;) {
    const now = performance.now();
    if (wasIdle && windowStart < now && isSending) idleMs += now - last;
    last = now;
    if (windowStart > now && now >= measureAt) {
      before = snapshot(pid, received);
      windowStart = performance.now();
      continue;
    }
    if (isSending && now >= windowStart + measureMs) {
      windowEnd = now;
      after = snapshot(pid, received);
      isSending = false;
    }
    if (!isSending && (now > windowEnd + DRAIN_MS || arrivedOfWindow >= sentInWindow)) break;
    const sentBefore = sent;
    if (isSending && isPaced) {
      for (let n = 0; n < BATCH; n += burst) {
        const due = cycleAt + phases[next]!;
        if (due > now) break;
        if (now - due > LATE_MS && now >= windowStart) late += burst;
        for (let b = 0; b < burst; b++) send(order[next]!, now);
        if (++next === load.flows) {
          next = 0;
          cycleAt += periodMs;
        }
      }
    } else if (isSending) {
      if (now - lastArrival > SILENCE_MS) {
        givenUp = sent - received;
        lastArrival = now;
      }
      const room = Math.min(BATCH, IN_FLIGHT - (sent - received - givenUp));
      if (room >= LEAST_ROOM)
        for (let n = 0; n < room; n++) {
          send(order[next]!, now);
          next = next + 1 === load.flows ? 0 : next + 1;
        }
    }
    if (sent > sentBefore) {
      clients.flush();
      peers.flush();
    }
    const arrived = receive(clients, 1, clientHead + bytes + clientTail) + receive(peers, 0, bytes + peerTail);
    wasIdle = arrived === 0 && sent === sentBefore;
  }

  const windowMs = windowEnd - windowStart;
  const delivered = after.received - before.received;
  const lost = Math.max(0, sentInWindow - arrivedOfWindow);
  const percent = (ms: number) => (ms / windowMs) * 100;
  const { core } = after;
  const { core: beforeCore } = before;
  const cpuMs = (after.cpuNs - before.cpuNs) / 1e6;
  const quantile = (share: number) => quantileOf(histogram, arrivedOfWindow * share);
  return {
    seconds: windowMs / 1000,
    sent: sentInWindow,
    delivered,
    deliveredPerS: Math.round((delivered / windowMs) * 1000),
    lost,
    lossPercent: rounded((lost / Math.max(1, sentInWindow)) * 100, 3),
    deadFlows: arrivedBy.reduce((dead, count) => dead + Number(count === 0), 0),
    strays,
    refused: clients.refused + peers.refused - refusedBefore,
    p50Us: quantile(0.5),
    p99Us: quantile(0.99),
    maxUs: quantile(1),
    cpuMs,
    othersPercent: rounded(Math.max(0, percent(core.busyMs - beforeCore.busyMs - cpuMs)), 1),
    stealPercent: rounded(percent(core.stolenMs - beforeCore.stolenMs), 1),
    idlePercent: rounded(percent(idleMs), 1),
    latePercent: rounded((late / Math.max(1, sentInWindow)) * 100, 3),
  };
}

interface Snapshot {
  readonly cpuNs: number;
  readonly received: number;
  readonly core: Core;
}

function snapshot(pid: number | undefined, received: number): Snapshot {
  return { cpuNs: pid === undefined ? 0 : cpuNsOf(pid), received, core: serverCore() };
}

/** What is the same in all packets of a load is written once. */
function prepare({ tx }: CrowdSocket, { bytes }: Load): void {
  tx.bytes.fill(0);
  for (let i = 0; i < BATCH; i++) {
    const at = i * SLOT_BYTES;
    tx.bytes[at] = CHANNEL >> 8;
    tx.bytes[at + 1] = CHANNEL & 255;
    tx.bytes[at + 2] = bytes >> 8;
    tx.bytes[at + 3] = bytes & 255;
    tx.bytes[at + HEADROOM] = 0x80; // RTP version 2, PCMU
  }
}

function writeWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

function readWord(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Every flow has a fixed random phase in the period; they are sent in the order of their phases, the same in every run. */
function schedule({ flows, perS, burst }: Load): { phases: Float64Array; order: Uint32Array; periodMs: number } {
  const periodMs = perS > 0 ? (burst / perS) * 1000 : 0;
  let state = 12345;
  const random = () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x80000000;
  };
  const phases = Float64Array.from({ length: flows }, () => random() * periodMs).sort();
  const order = Uint32Array.from({ length: flows }, (_, i) => i);
  for (let i = flows - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return { phases, order, periodMs };
}

/** The µs below which so many of the histogram's packets lie. */
function quantileOf(histogram: Uint32Array, count: number): number {
  let left = count;
  for (let us = 0; us < histogram.length; us++) {
    left -= histogram[us]!;
    if (left <= 0) return us;
  }
  return histogram.length;
}

interface Core {
  readonly busyMs: number;
  readonly stolenMs: number;
}

/** The server's core since the system's start, from `/proc/stat` (ticks of 10 ms): what was neither idle nor stolen. */
function serverCore(): Core {
  const line = new RegExp(`^cpu${SERVER_CPU} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '';
  const [, , , idle = 0, waiting = 0, , , stolen = 0] = line.split(' ').map((ticks) => Number(ticks) * 10);
  return { busyMs: performance.now() - idle - waiting - stolen, stolenMs: stolen };
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
