import type { ProbeCluster } from './probe-pacer.ts';

/* libwebrtc's ProbeBitrateEstimator. */
const CLUSTERS = 8;
const LEAST_SHARE = 0.8;
const LONGEST_MS = 1000;
const MOST_RATIO = 2;
/** Received below this share of what was sent: the line was full, and nearly all of what arrived is what it carries. */
const UNHINDERED = 0.9;
/** A growth cluster counts as a whole, with that share of the rate it was meant to have. */
const GROWTH = { whole: 1, share: 0.95 };
const UTILIZATION = 0.95;

interface Cluster extends ProbeCluster {
  packets: number;
  bytes: number;
  firstSendMs: number;
  lastSendMs: number;
  lastSendBytes: number;
  firstArrivalMs: number;
  lastArrivalMs: number;
  firstArrivalBytes: number;
}

const NONE: ProbeCluster = { id: 0, bps: 0, isGrowth: false, leastPackets: 0, leastBytes: 0 };

/** What probe clusters have measured: the rate at which they arrived. */
export class ProbeResult {
  readonly #clusters: Cluster[] = Array.from({ length: CLUSTERS }, () => fresh(NONE));
  /** Set by `handlePacket`, of growth clusters: whether the line took it as fast as it was meant to be. */
  wasUnhindered = false;

  /** A cluster that is sent from now on; it takes the place of an old one. */
  expect(cluster: ProbeCluster): void {
    this.#clusters[cluster.id % CLUSTERS] = fresh(cluster);
  }

  /** Whether that cluster only counts when it goes through unhindered. */
  isGrowth(id: number): boolean {
    const cluster = this.#clusters[id % CLUSTERS]!;
    return cluster.id === id && cluster.isGrowth;
  }

  /** A packet of a cluster has arrived; answers the rate once enough have, bits a second, or undefined. */
  handlePacket(id: number, bytes: number, sendMs: number, arrivalMs: number): number | undefined {
    const cluster = this.#clusters[id % CLUSTERS]!;
    if (cluster.id !== id) return undefined;
    if (sendMs < cluster.firstSendMs) cluster.firstSendMs = sendMs;
    if (sendMs >= cluster.lastSendMs) {
      cluster.lastSendMs = sendMs;
      cluster.lastSendBytes = bytes;
    }
    if (arrivalMs < cluster.firstArrivalMs) {
      cluster.firstArrivalMs = arrivalMs;
      cluster.firstArrivalBytes = bytes;
    }
    if (arrivalMs > cluster.lastArrivalMs) cluster.lastArrivalMs = arrivalMs;
    cluster.packets++;
    cluster.bytes += bytes;
    const share = cluster.isGrowth ? GROWTH.whole : LEAST_SHARE;
    const isEnough = cluster.packets >= share * cluster.leastPackets && cluster.bytes >= share * cluster.leastBytes;
    return isEnough ? this.#rate(cluster) : undefined;
  }

  #rate(cluster: Cluster): number | undefined {
    const sendMs = cluster.lastSendMs - cluster.firstSendMs;
    const arrivalMs = cluster.lastArrivalMs - cluster.firstArrivalMs;
    if (sendMs <= 0 || sendMs > LONGEST_MS || arrivalMs <= 0 || arrivalMs > LONGEST_MS) return undefined;
    // The last packet sent and the first received have no interval of their own.
    const sendBps = ((cluster.bytes - cluster.lastSendBytes) * 8000) / sendMs;
    const arrivalBps = ((cluster.bytes - cluster.firstArrivalBytes) * 8000) / arrivalMs;
    if (arrivalBps > MOST_RATIO * sendBps) return undefined;
    if (cluster.isGrowth) {
      this.wasUnhindered = arrivalBps >= GROWTH.share * cluster.bps;
      return Math.min(sendBps, arrivalBps, cluster.bps);
    }
    return arrivalBps >= UNHINDERED * sendBps ? Math.min(sendBps, arrivalBps) : UTILIZATION * arrivalBps;
  }
}

function fresh(cluster: ProbeCluster): Cluster {
  return {
    ...cluster,
    ...{ packets: 0, bytes: 0, lastSendBytes: 0, firstArrivalBytes: 0 },
    firstSendMs: Number.POSITIVE_INFINITY,
    lastSendMs: Number.NEGATIVE_INFINITY,
    firstArrivalMs: Number.POSITIVE_INFINITY,
    lastArrivalMs: Number.NEGATIVE_INFINITY,
  };
}
