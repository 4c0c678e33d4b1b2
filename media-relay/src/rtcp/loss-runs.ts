/** Packets received in a row that end a burst (RFC 3611 4.7.2, its recommended Gmin). */
export const GAP_MIN = 16;
/** Of this many runs of losses the mean burst length speaks; older ones fade. */
const REMEMBERED_RUNS = 32;

/**
 * Bursts and gaps of a stream (RFC 3611 4.7.2), told in the order of sequence numbers. A burst begins and
 * ends with a lost packet and has fewer than `GAP_MIN` received ones between its losses; a loss that stands alone belongs
 * to the gap.
 */
export class LossRuns {
  /** Received since the last loss; at the start there has been none. */
  #sinceLoss = GAP_MIN;
  /** Losses of the cluster that may be a burst, and packets from its first loss to its last one. */
  #clusterLosses = 0;
  #clusterPackets = 0;
  #packets = 0;
  #losses = 0;
  #bursts = 0;
  #burstPackets = 0;
  #burstLosses = 0;
  /** Losses in a row that go on now, and sums over ended runs. */
  #run = 0;
  #runs = 0;
  #runLosses = 0;

  clear(): void {
    this.#sinceLoss = GAP_MIN;
    this.#clusterLosses = 0;
    this.#clusterPackets = 0;
    this.#packets = 0;
    this.#losses = 0;
    this.#bursts = 0;
    this.#burstPackets = 0;
    this.#burstLosses = 0;
    this.#run = 0;
    this.#runs = 0;
    this.#runLosses = 0;
  }

  /** Bursts so far, the one that may still go on included. */
  get bursts(): number {
    return this.#bursts + (this.#clusterLosses > 1 ? 1 : 0);
  }

  /** Share of lost packets within bursts, 0–1. */
  get burstDensity(): number {
    const packets = this.#packetsInBursts;
    return packets === 0 ? 0 : this.#lossesInBursts / packets;
  }

  /** Share of lost packets outside of bursts, 0–1. */
  get gapDensity(): number {
    const packets = this.#packets - this.#packetsInBursts;
    return packets === 0 ? 0 : (this.#losses - this.#lossesInBursts) / packets;
  }

  /** Mean length of a burst, packets. */
  get meanBurstPackets(): number {
    return this.bursts === 0 ? 0 : this.#packetsInBursts / this.bursts;
  }

  /** Mean length of a gap, packets; before the first burst and behind the last one there is one too. */
  get meanGapPackets(): number {
    return (this.#packets - this.#packetsInBursts) / (this.bursts + 1);
  }

  /** Mean number of packets lost in a row, of the last losses; 1 before there were any. */
  get burstLength(): number {
    const runs = this.#runs + (this.#run > 0 ? 1 : 0);
    return runs === 0 ? 1 : (this.#runLosses + this.#run) / runs;
  }

  /** That many packets in a row have come. */
  received(count: number): void {
    if (count === 0) return;
    this.#packets += count;
    this.#sinceLoss += count;
    if (this.#run > 0) this.#endRun();
  }

  /** That many packets in a row are lost. */
  lost(count: number): void {
    if (count === 0) return;
    if (this.#sinceLoss >= GAP_MIN) {
      this.#endCluster();
      this.#clusterPackets = count;
    } else this.#clusterPackets += this.#sinceLoss + count;
    this.#clusterLosses += count;
    this.#packets += count;
    this.#losses += count;
    this.#sinceLoss = 0;
    this.#run += count;
  }

  get #packetsInBursts(): number {
    return this.#burstPackets + (this.#clusterLosses > 1 ? this.#clusterPackets : 0);
  }

  get #lossesInBursts(): number {
    return this.#burstLosses + (this.#clusterLosses > 1 ? this.#clusterLosses : 0);
  }

  #endCluster(): void {
    if (this.#clusterLosses > 1) {
      this.#bursts++;
      this.#burstPackets += this.#clusterPackets;
      this.#burstLosses += this.#clusterLosses;
    }
    this.#clusterLosses = 0;
    this.#clusterPackets = 0;
  }

  #endRun(): void {
    const kept = 1 - 1 / REMEMBERED_RUNS;
    const isFull = this.#runs >= REMEMBERED_RUNS - 1;
    this.#runs = (isFull ? this.#runs * kept : this.#runs) + 1;
    this.#runLosses = (isFull ? this.#runLosses * kept : this.#runLosses) + this.#run;
    this.#run = 0;
  }
}
