/* A cluster is at least five packets and 15 ms (libwebrtc's BitrateProber). */
const PACKETS = 5;
const CLUSTER_MS = 15;
/** Longer than a frame of others, between whose bursts a line looks free. */
const GROWTH_CLUSTER_MS = 50;
const WAITING = 4;
/** A cluster that can't be sent, because nobody has padding to send, is given up. */
const GIVE_UP_MS = 300;
const PADDING_BYTES = { least: 200, most: 1200 };

export interface ProbeCluster {
  readonly id: number;
  readonly bps: number;
  /** Only what goes through unhindered counts: see `ProbeControl`. */
  readonly isGrowth: boolean;
  readonly leastPackets: number;
  readonly leastBytes: number;
}

interface Running {
  readonly cluster: ProbeCluster;
  startedAtMs: number;
  packets: number;
  bytes: number;
}

/** Sends probe clusters at their rate: media that passes counts, the rest is padding that is asked for when it is due. */
export class ProbePacer {
  readonly #waiting: ProbeCluster[] = [];
  #running: Running | undefined;
  #lastId = 0;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  get isBusy(): boolean {
    return this.#running !== undefined || this.#waiting.length > 0;
  }

  /** Queues a cluster; false when too many wait already. */
  add(bps: number, isGrowth: boolean): boolean {
    if (this.#waiting.length >= WAITING) return false;
    const id = ++this.#lastId;
    const leastBytes = Math.round((bps * (isGrowth ? GROWTH_CLUSTER_MS : CLUSTER_MS)) / 8000);
    this.#waiting.push({ id, bps, isGrowth, leastPackets: PACKETS, leastBytes });
    return true;
  }

  clear(): void {
    this.#waiting.length = 0;
    this.#running = undefined;
  }

  /** The cluster that a packet sent now belongs to, 0 for none; it counts. */
  handleSent(bytes: number): number {
    const running = this.#running;
    if (!running) return 0;
    running.packets++;
    running.bytes += bytes;
    return running.cluster.id;
  }

  /** Starts the next cluster, when it is time; answers it so that its result can be expected. */
  start(nowMs: number): ProbeCluster | undefined {
    const running = this.#running;
    if (running && !isComplete(running) && nowMs - running.startedAtMs < GIVE_UP_MS) return undefined;
    this.#running = undefined;
    const cluster = this.#waiting.shift();
    if (!cluster) return undefined;
    this.#running = { cluster, startedAtMs: nowMs, packets: 0, bytes: 0 };
    return cluster;
  }

  /** How much padding is due now, bytes of a packet, or 0. */
  paddingDue(nowMs: number): number {
    const running = this.#running;
    if (!running || isComplete(running) || this.#nextMs(running) > nowMs || this.#askedAtMs === nowMs) return 0;
    this.#askedAtMs = nowMs;
    const each = (running.cluster.bps * CLUSTER_MS) / 8000 / PACKETS;
    return Math.round(Math.min(PADDING_BYTES.most, Math.max(PADDING_BYTES.least, each)));
  }

  nextTimeout(): number | undefined {
    const running = this.#running;
    if (!running) return this.#waiting.length > 0 ? Number.NEGATIVE_INFINITY : undefined;
    if (isComplete(running)) return this.#nextMs(running);
    // Asked in vain: not again at once.
    return Math.max(this.#nextMs(running), this.#askedAtMs + 1);
  }

  #nextMs(running: Running): number {
    return running.startedAtMs + (running.bytes * 8000) / running.cluster.bps;
  }
}

function isComplete({ cluster, packets, bytes }: Running): boolean {
  return packets >= cluster.leastPackets && bytes >= cluster.leastBytes;
}
