import { Histogram, series } from '@offhook/core';

/** Seconds. Up to 0.3 s people take it for at once; E.721 has 3 s as the mean and 6 s as the 95th percentile of local calls. */
const DELAYS_S = [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 8, 15, 32];
const DURATIONS_S = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200];

/** What an INVITE came to, as the ratios of RFC 6076 tell it apart. */
export type Outcome = 'established' | 'redirected' | 'effective' | 'ineffective' | 'failed';

/** How a session ended: its BYE was answered, or not. */
export type Completion = 'completed' | 'failed';

/**
 * The figures of RFC 6076 for one side of this server: towards callers it is the UAS of their INVITEs, towards who is
 * called the UAC of its own. A challenge and the INVITE with the password count as one request, by its last answer.
 */
export class SessionFigures {
  readonly requests: Record<Outcome, number> = {
    established: 0,
    redirected: 0,
    effective: 0,
    ineffective: 0,
    failed: 0,
  };
  /** Session request delay (4.3): INVITE to the first answer but 100, of calls that were answered and of those that were not. */
  readonly requestDelay = { success: new Histogram(DELAYS_S), failure: new Histogram(DELAYS_S) };
  /** Session disconnect delay (4.4): our BYE to its 2xx, or to whatever else came of it. */
  readonly disconnectDelay = { success: new Histogram(DELAYS_S), failure: new Histogram(DELAYS_S) };
  /** Session duration time (4.5): 200 to BYE, and, where the BYE was never answered, to its end. */
  readonly duration: Record<Completion, Histogram> = {
    completed: new Histogram(DURATIONS_S),
    failed: new Histogram(DURATIONS_S),
  };

  get completed(): number {
    return this.duration.completed.count;
  }

  get total(): number {
    let all = 0;
    for (const count of Object.values(this.requests)) all += count;
    return all;
  }

  /** @param delayMs INVITE to the first answer but 100 */
  established(delayMs: number): void {
    this.requests.established++;
    this.requestDelay.success.observe(delayMs / 1000);
  }

  /** The same for a final answer other than 2xx; a challenge that nobody could answer is a failure. */
  refused(status: number, delayMs: number): void {
    this.requests[outcomeOf(status)]++;
    if (status >= 400) this.requestDelay.failure.observe(delayMs / 1000);
  }

  /** A session is over. */
  ended(how: Completion, talkedMs: number): void {
    this.duration[how].observe(talkedMs / 1000);
  }

  /** Ratios from 0 to 1 since the process began; those that nothing was divided by are left out. */
  ratios(): { ser?: number; seer?: number; isa?: number; scr?: number } {
    const { established, effective, ineffective, redirected } = this.requests;
    const { total } = this;
    const tried = total - redirected;
    return {
      ...(tried > 0 ? { ser: established / tried, seer: (established + effective) / tried } : {}),
      ...(total > 0 ? { isa: ineffective / total, scr: this.completed / total } : {}),
    };
  }
}

function outcomeOf(status: number): Outcome {
  if (status < 400) return 'redirected';
  // 4.7: the called user could not or did not want to; the network has done what it is for.
  if (status === 480 || status === 486 || status === 600 || status === 603) return 'effective';
  // 4.8: "failed or overloaded condition"
  if (status === 408 || status === 500 || status === 503 || status === 504) return 'ineffective';
  return 'failed';
}

/** The same by Prometheus name; `side` is who is at the other end. */
export function sessionMetrics(of: SessionFigures, side: 'caller' | 'callee'): Record<string, number> {
  const out: Record<string, number> = {};
  for (const [outcome, count] of Object.entries(of.requests))
    out[series('sip_session_requests_total', { side, outcome })] = count;
  for (const result of ['success', 'failure'] as const) {
    Object.assign(out, of.requestDelay[result].figures('sip_session_request_delay_seconds', { side, result }));
    Object.assign(out, of.disconnectDelay[result].figures('sip_session_disconnect_delay_seconds', { side, result }));
  }
  for (const result of ['completed', 'failed'] as const)
    Object.assign(out, of.duration[result].figures('sip_session_duration_seconds', { side, result }));
  const { ser, seer, isa, scr } = of.ratios();
  const ratios = { establishment: ser, establishment_effectiveness: seer, ineffective: isa, completion: scr };
  for (const [name, ratio] of Object.entries(ratios))
    if (ratio !== undefined) out[series(`sip_session_${name}_ratio`, { side })] = ratio;
  return out;
}
