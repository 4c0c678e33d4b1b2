import type { HopReports } from '../rtcp/index.ts';
import { ReportControl } from './report-control.ts';

const MIN_START_BPS = 300_000;
const MAX_BPS = 4_000_000;

/** `ReportControl` of one downstream, fed by what its receiver reports of the pictures that it is sent. */
export class ReportRates {
  readonly #reports: HopReports;
  #control: ReportControl | undefined;
  #capBps = Number.POSITIVE_INFINITY;
  #atMs = Number.NEGATIVE_INFINITY;
  #bytes = 0;

  constructor(reports: HopReports) {
    this.#reports = reports;
  }

  /** Bits a second, which go on to another peer in its own form; undefined before this one has said anything. */
  get bps(): number | undefined {
    return this.#control?.targetBps ?? (Number.isFinite(this.#capBps) ? Math.min(MAX_BPS, this.#capBps) : undefined);
  }

  handleCap(bps: number): void {
    this.#capBps = bps;
    this.#control?.handleCap(bps);
  }

  /** @param ssrc of the pictures, as the peer knows it. @param sentBytes of them so far. */
  handleTimeout(ssrc: number, sentBytes: number, nowMs: number): void {
    for (const report of this.#reports.remote.all) {
      if ((report.ssrc | 0) !== (ssrc | 0) || report.atMs <= this.#atMs) continue;
      const isFirst = this.#atMs === Number.NEGATIVE_INFINITY;
      const elapsedMs = report.atMs - this.#atMs;
      const sentBps = isFirst ? 0 : (8000 * (sentBytes - this.#bytes)) / elapsedMs;
      this.#atMs = report.atMs;
      this.#bytes = sentBytes;
      if (isFirst) return; // of how much it speaks isn't known
      this.#control ??= this.#start(sentBps);
      const { roundTripMs: rttMs } = this.#reports;
      this.#control.handleReport({ loss: report.lossRate, rttMs, sentBps }, nowMs);
    }
  }

  /** What is sent already is where it begins: a browser has found its rate by itself meanwhile. */
  #start(sentBps: number): ReportControl {
    const startBps = Math.min(MAX_BPS, Math.max(MIN_START_BPS, sentBps));
    const control = new ReportControl({ startBps, maxBps: MAX_BPS });
    control.handleCap(this.#capBps);
    return control;
  }
}
