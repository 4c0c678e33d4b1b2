import type { VqMetrics, VqReport } from '@offhook/core';
import type { QualitySample } from './quality.ts';

/** What is said of a call, without whose it is. */
export type CallReport = Pick<VqReport, 'kind' | 'isFinal' | 'local' | 'remote'>;

const INTERVAL_MS = 10_000;
/** Samples come each second, more or less. */
const SLACK_MS = 500;

/** How a call sounds, for whoever watches over calls (RFC 6035): each 10 s of it, and the whole of it. */
export class CallReports {
  readonly #startedAt: { readonly monotonicMs: number; readonly wallMs: number };
  readonly #whole: Span;
  #interval: Span;
  #last: QualitySample | undefined;

  /** @param startedAt monotonic, as samples have it, and unix milliseconds */
  constructor(startedAt: { readonly monotonicMs: number; readonly wallMs: number }) {
    this.#startedAt = startedAt;
    this.#whole = new Span(startedAt.monotonicMs);
    this.#interval = new Span(startedAt.monotonicMs);
  }

  /** @returns the report of an interval that is over */
  add(sample: QualitySample): CallReport | undefined {
    this.#whole.add(this.#last, sample);
    this.#interval.add(this.#last, sample);
    this.#last = sample;
    if (sample.atMs - this.#interval.startedAtMs < INTERVAL_MS - SLACK_MS) return undefined;
    const over = this.#interval;
    this.#interval = new Span(sample.atMs);
    return { kind: 'interval', ...this.#of(over, sample) };
  }

  /** The report of the whole call; none when nothing was measured. */
  final(): CallReport | undefined {
    return this.#last && { kind: 'session', isFinal: true, ...this.#of(this.#whole, this.#last) };
  }

  #of(span: Span, last: QualitySample): Pick<CallReport, 'local' | 'remote'> {
    const wall = (atMs: number) => Math.round(this.#startedAt.wallMs + atMs - this.#startedAt.monotonicMs);
    const { codec, jitterMs, roundTripMs } = last;
    const { lossPercent, remoteLossPercent } = span;
    const local: VqMetrics = {
      startedAtMs: wall(span.startedAtMs),
      stoppedAtMs: wall(last.atMs),
      ...(codec === undefined ? {} : { codec }),
      ...(lossPercent === undefined ? {} : { lossPercent, jitterMs }),
      ...(roundTripMs === undefined ? {} : { roundTripMs: Math.max(1, roundTripMs) }),
    };
    return { local, ...(remoteLossPercent === undefined ? {} : { remote: { lossPercent: remoteLossPercent } }) };
  }
}

/** Packets of some time, either way. */
class Span {
  readonly startedAtMs: number;
  #received = 0;
  #lost = 0;
  #sent = 0;
  #remoteLost: number | undefined;

  constructor(startedAtMs: number) {
    this.startedAtMs = startedAtMs;
  }

  /** Another stream of the same call begins to count anew. */
  add(before: QualitySample | undefined, now: QualitySample): void {
    const hears = before && now.packetsReceived >= before.packetsReceived ? before : undefined;
    this.#received += now.packetsReceived - (hears?.packetsReceived ?? 0);
    this.#lost += now.packetsLost - (hears?.packetsLost ?? 0);
    const speaks = before && now.packetsSent >= before.packetsSent ? before : undefined;
    this.#sent += now.packetsSent - (speaks?.packetsSent ?? 0);
    if (now.remotePacketsLost !== undefined)
      this.#remoteLost = (this.#remoteLost ?? 0) + now.remotePacketsLost - (speaks?.remotePacketsLost ?? 0);
  }

  /** Undefined when nothing was to arrive. */
  get lossPercent(): number | undefined {
    return shareOf(this.#lost, this.#received + Math.max(0, this.#lost));
  }

  /** Of what we sent, as the other side tells; undefined when it does not. */
  get remoteLossPercent(): number | undefined {
    return this.#remoteLost === undefined ? undefined : shareOf(this.#remoteLost, this.#sent);
  }
}

/** A packet that came late, or twice, takes one off those that are lost (RFC 3550 6.4.1). */
function shareOf(lost: number, all: number): number | undefined {
  return all > 0 ? Math.min(1, Math.max(0, lost / all)) * 100 : undefined;
}
