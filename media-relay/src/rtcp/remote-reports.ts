import type { ReportBlock, XrVoipMetrics } from '@offhook/core';

/** Sources that a peer may report on: what goes to it has no more. */
const MAX_SOURCES = 16;

/** What a peer last said of one source that it hears from us. */
export interface RemoteReport {
  /** As the peer knows it. */
  readonly ssrc: number;
  atMs: number;
  /** Share of lost packets since the report before, 0–1. */
  lossRate: number;
  packetsLost: number;
  /** In units of the RTP clock. */
  jitter: number;
  /** Its extended report, where it sends them (RFC 3611 4.7). */
  voip: XrVoipMetrics | undefined;
}

/** A peer's reports about what it hears from us. The source that wasn't spoken of for longest gives way to a further one. */
export class RemoteReports {
  readonly #reports: RemoteReport[] = [];

  get all(): readonly RemoteReport[] {
    return this.#reports;
  }

  take(block: ReportBlock, nowMs: number): void {
    const report = this.#of(block.ssrc, nowMs);
    report.atMs = nowMs;
    report.lossRate = block.fractionLost / 256;
    report.packetsLost = block.packetsLost;
    report.jitter = block.jitter;
  }

  takeVoip(metrics: XrVoipMetrics, nowMs: number): void {
    const known = this.#reports.find((report) => report.ssrc === metrics.ssrc);
    if (known) known.voip = metrics;
    else this.#of(metrics.ssrc, nowMs).voip = metrics;
  }

  #of(ssrc: number, nowMs: number): RemoteReport {
    const known = this.#reports.find((report) => report.ssrc === ssrc);
    if (known) return known;
    if (this.#reports.length >= MAX_SOURCES) {
      const oldest = this.#reports.reduce((a, b) => (b.atMs < a.atMs ? b : a));
      this.#reports.splice(this.#reports.indexOf(oldest), 1);
    }
    const report = { ssrc, atMs: nowMs, lossRate: 0, packetsLost: 0, jitter: 0, voip: undefined };
    this.#reports.push(report);
    return report;
  }
}
